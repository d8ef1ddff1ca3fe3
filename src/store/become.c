#include "store/become.h"

#include <errno.h>
#include <grp.h>
#include <sys/stat.h>

#include "core/cleanup.h"

int store_become_owner(const char *dir, Become *ret) {
    *ret = (Become){0};
    struct stat st;
    if (geteuid() != 0) return 0;
    if (stat(dir, &st) < 0) return -errno;
    if (st.st_uid == 0) return 0;

    Become self = {.uid = geteuid(), .gid = getegid(), .active = 1};
    self.n_groups = getgroups(0, NULL);
    if (self.n_groups < 0) return -errno;
    self.groups = calloc((size_t)self.n_groups + 1, sizeof(gid_t));
    if (!self.groups) return -ENOMEM;
    self.n_groups = getgroups(self.n_groups, self.groups);

    int r = 0;
    if (self.n_groups < 0 || setgroups(0, NULL) < 0 || setegid(st.st_gid) < 0 || seteuid(st.st_uid) < 0) r = -errno;
    if (r < 0) {
        store_become_self(&self);
        return r;
    }
    *ret = self;
    return 0;
}

void store_become_self(Become *become) {
    if (!become->active) return;
    /* Going on with half of another user's ids would be worse than ending. */
    if (seteuid(become->uid) < 0 || setegid(become->gid) < 0 ||
        setgroups(become->n_groups > 0 ? (size_t)become->n_groups : 0, become->groups) < 0)
        abort();
    free(become->groups);
    *become = (Become){0};
}
