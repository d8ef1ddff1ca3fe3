#include "kernel/invocation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "core/text.h"

#define ID_DIGITS 32
/* A process's start is known to a hundredth of a second; and a scope is made around one that runs already. */
#define TOLERANCE USEC_PER_SEC

int invocation_of_unit(const char *files, const char *unit, int64_t started, char **ret) {
    char path[PATH_MAX], id[ID_DIGITS + 2];
    struct stat st;
    *ret = NULL;
    if (!files || strchr(unit, '/')) return 0;
    int n = snprintf(path, sizeof(path), "%s/run/systemd/units/invocation:%s", files, unit);
    if (n < 0 || (size_t)n >= sizeof(path)) return 0;
    /* its time and its target are to be those of one link: each run of the unit has a new one */
    _cleanup_close_ int link = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (link < 0 || fstat(link, &st) < 0 || !S_ISLNK(st.st_mode)) return 0;
    int64_t made = st.st_mtim.tv_sec * USEC_PER_SEC + st.st_mtim.tv_nsec / 1000;
    if (started < made - TOLERANCE) return 0;
    ssize_t length = readlinkat(link, "", id, sizeof(id) - 1);
    if (length != ID_DIGITS) return 0;
    id[length] = '\0';
    if (strspn(id, "0123456789abcdef") != ID_DIGITS || strspn(id, "0") == ID_DIGITS) return 0;
    *ret = strdup(id);
    return *ret ? 0 : -ENOMEM;
}
