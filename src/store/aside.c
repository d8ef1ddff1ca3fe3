#include "store/aside.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/text.h"
#include "store/store.h"

#define NAMES_MAX 100 /* tries to find a free name within one second */

static const char *const suffixes[] = {"", "-wal", "-shm"};

static int aside_name(int dir_fd, const char *why, int64_t now, char *buffer, size_t size) {
    time_t seconds = (time_t)(now / 1000000);
    struct tm tm;
    char stamp[32];
    if (!gmtime_r(&seconds, &tm)) return -EINVAL;
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
    for (int i = 0; i < NAMES_MAX; i++) {
        if (i == 0)
            snprintf(buffer, size, STORE_FILE ".%s-%s", why, stamp);
        else
            snprintf(buffer, size, STORE_FILE ".%s-%s.%d", why, stamp, i);
        if (faccessat(dir_fd, buffer, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) return 0;
    }
    return -EEXIST;
}

int store_set_aside(const char *dir, const char *why, int64_t now, char **ret_name) {
    _cleanup_close_ int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) return -errno;
    char name[96];
    int r = aside_name(dir_fd, why, now, name, sizeof(name));
    if (r < 0) return r;
    _cleanup_free_ char *path = text_printf("%s/%s", dir, name);
    if (!path) return -ENOMEM;
    for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
        char from[32], to[128];
        snprintf(from, sizeof(from), STORE_FILE "%s", suffixes[i]);
        snprintf(to, sizeof(to), "%s%s", name, suffixes[i]);
        if (renameat(dir_fd, from, dir_fd, to) < 0 && errno != ENOENT) return -errno;
    }
    if (fsync(dir_fd) < 0) return -errno;
    *ret_name = TAKE_PTR(path);
    return 0;
}

int store_set_aside_stray(const char *dir, int64_t now) {
    _cleanup_close_ int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) return -errno;
    if (faccessat(dir_fd, STORE_FILE "-wal", F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
        faccessat(dir_fd, STORE_FILE "-shm", F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    _cleanup_free_ char *name = NULL;
    return store_set_aside(dir, "stray", now, &name);
}

static int file_readable(int dir_fd, const char *name) {
    _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? 0 : -errno;
    char buffer[65536];
    for (;;) {
        ssize_t n = read(fd, buffer, sizeof(buffer));
        if (n <= 0) return n == 0 ? 0 : -errno;
    }
}

int store_readable(const char *dir) {
    _cleanup_close_ int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) return -errno;
    int r = file_readable(dir_fd, STORE_FILE);
    return r == 0 ? file_readable(dir_fd, STORE_FILE "-wal") : r;
}
