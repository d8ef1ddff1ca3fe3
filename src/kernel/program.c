#include "kernel/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core/cleanup.h"

static const char mark[] = " (deleted)";

/* Like stat(2), by what the kernel knows of the file already: of files on a network's server that may not answer. */
static int look(int directory, const char *path, int flags, struct statx *ret) {
    return statx(directory, path, AT_STATX_DONT_SYNC | flags, STATX_BASIC_STATS, ret) < 0 ? -errno : 0;
}

static bool same(const struct statx *a, const struct statx *b) {
    return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major && a->stx_dev_minor == b->stx_dev_minor;
}

/* A path as the process sees it: links in it are its own too. */
static int look_inside(int process, const char *path, struct statx *ret) {
    _cleanup_close_ int root = openat(process, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return -errno;
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    _cleanup_close_ int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
    return fd < 0 ? -errno : look(fd, "", AT_EMPTY_PATH, ret);
}

ProgramFile program_examine(int process, char *exe) {
    size_t n = strlen(exe), m = sizeof(mark) - 1;
    if (n <= m || strcmp(exe + n - m, mark) != 0) return PROGRAM_PRESENT;
    struct statx running, named;
    bool known = look(process, "exe", 0, &running) >= 0;
    if (known && running.stx_nlink > 0 && look_inside(process, exe, &named) >= 0 && same(&running, &named))
        return PROGRAM_PRESENT;
    exe[n - m] = '\0';
    if (look_inside(process, exe, &named) < 0) return PROGRAM_DELETED;
    return known && same(&running, &named) ? PROGRAM_PRESENT : PROGRAM_REPLACED;
}

void program_file(int process, uint64_t *ret_inode, int64_t *ret_changed) {
    struct statx running;
    bool known =
        look(process, "exe", 0, &running) >= 0 && running.stx_ino <= INT64_MAX && running.stx_ctime.tv_sec >= 0;
    *ret_inode = known ? running.stx_ino : 0;
    *ret_changed = known ? running.stx_ctime.tv_sec * 1000000 + running.stx_ctime.tv_nsec / 1000 : 0;
}

bool program_is_host(int process, const char *exe, ProgramFile file, const char *files) {
    struct statx running, named, root, ours;
    char path[PATH_MAX];
    int n = files ? snprintf(path, sizeof(path), "%s%s", files, exe) : -1;
    if (n < 0 || (size_t)n >= sizeof(path) || look(process, "exe", 0, &running) < 0) return false;
    if (file == PROGRAM_PRESENT) return look(AT_FDCWD, path, 0, &named) >= 0 && same(&running, &named);
    if (running.stx_uid != 0 || (running.stx_mode & (S_IWGRP | S_IWOTH)) != 0) return false;
    return look(process, "root", 0, &root) >= 0 && look(AT_FDCWD, *files ? files : "/", 0, &ours) >= 0 &&
           same(&root, &ours);
}
