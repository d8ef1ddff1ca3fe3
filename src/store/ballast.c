#include "store/ballast.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "core/cleanup.h"

#define BALLAST_FILE "ballast"

static int directory_open(const char *dir) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int ballast_keep(const char *dir) {
    _cleanup_close_ int dir_fd = directory_open(dir);
    if (dir_fd < 0) return dir_fd;
    struct stat st;
    if (fstatat(dir_fd, BALLAST_FILE, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
        st.st_blocks * 512 >= BALLAST_SIZE)
        return 1;
    struct statvfs fs;
    if (fstatvfs(dir_fd, &fs) < 0) return -errno;
    if (fs.f_bavail < 4ULL * BALLAST_SIZE / fs.f_frsize) return 0;
    _cleanup_close_ int fd = openat(dir_fd, BALLAST_FILE, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) return -errno;
    int r = posix_fallocate(fd, 0, BALLAST_SIZE);
    if (r == 0) return 1;
    (void)unlinkat(dir_fd, BALLAST_FILE, 0);
    return r == ENOSPC || r == EDQUOT ? 0 : -r;
}

int ballast_release(const char *dir) {
    _cleanup_close_ int dir_fd = directory_open(dir);
    if (dir_fd < 0) return dir_fd;
    if (unlinkat(dir_fd, BALLAST_FILE, 0) < 0) return errno == ENOENT ? 0 : -errno;
    return 1;
}
