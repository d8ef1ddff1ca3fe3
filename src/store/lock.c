#include "store/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "core/cleanup.h"

static int lock_open(const char *dir, int flags) {
    _cleanup_close_ int dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0) return -errno;
    int fd = openat(dir_fd, "lock", flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
    return fd < 0 ? -errno : fd;
}

int state_directory_make(const char *dir) {
    if (mkdir(dir, 0750) < 0) return errno == EEXIST ? 0 : -errno;
    return chmod(dir, 0750) < 0 ? -errno : 0;
}

int state_lock(const char *dir, int *ret_fd) {
    _cleanup_close_ int fd = lock_open(dir, O_RDWR | O_CREAT);
    if (fd < 0) return fd;
    if (fchmod(fd, 0640) < 0) return -errno;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &lock) < 0) return errno == EAGAIN || errno == EACCES ? 1 : -errno;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int state_lock_held(const char *dir) {
    _cleanup_close_ int fd = lock_open(dir, O_RDONLY);
    if (fd < 0) return fd == -ENOENT ? 0 : fd;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_GETLK, &lock) < 0) return -errno;
    return lock.l_type != F_UNLCK;
}
