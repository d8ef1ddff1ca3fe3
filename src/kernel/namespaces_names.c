#include "kernel/namespaces_internal.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "core/text.h"

#define NAMES_FRESH (5 * USEC_PER_SEC)
#define NAMES_EVERY (60 * USEC_PER_SEC)

static int look_at_name(Namespaces *n, int directory, const char *name) {
    struct stat st;
    Space *space;
    if (name[0] == '.' || fstatat(directory, name, &st, 0) < 0 || st.st_dev != n->device) return 0;
    int r = namespaces_meet(n, st.st_ino, &space);
    if (r < 0 || !space) return r;
    if (space->file && strcmp(space->file, name) <= 0) return 0; /* of several the first */
    char *copy = strdup(name);
    if (!copy) return -ENOMEM;
    free(space->file);
    space->file = copy;
    space->lost = 0;
    return 0;
}

static void close_directory(DIR **d) {
    if (*d) closedir(*d);
}

/* For a while after it has changed: a name is made first, then mounted upon. */
int namespaces_look_at_names(Namespaces *n, int64_t now) {
    struct stat st = {0};
    if (stat(n->options.names, &st) < 0) st.st_mtim = (struct timespec){0};
    bool changed = memcmp(&st.st_mtim, &n->names_changed, sizeof(st.st_mtim)) != 0;
    if (changed) n->names_fresh = now + NAMES_FRESH;
    if (!changed && now >= n->names_fresh && now - n->names_read < NAMES_EVERY) return 0;
    n->names_changed = st.st_mtim;
    n->names_read = now;
    for (size_t i = 0; i < n->n; i++) {
        free(n->items[i]->file);
        n->items[i]->file = NULL;
    }
    _cleanup_(close_directory) DIR *directory = opendir(n->options.names);
    if (!directory) return 0;
    const struct dirent *entry;
    while ((entry = readdir(directory))) {
        int r = look_at_name(n, dirfd(directory), entry->d_name);
        if (r < 0) return r;
    }
    return 0;
}
