#include "kernel/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/text.h"

#define CMDLINE_MAX_BYTES 4096
#define PIDS_MAX (1u << 22) /* the kernel's own limit */

static int format_path(char *buffer, size_t size, const char *root, const char *name) {
    int n = snprintf(buffer, size, "%s/%s", root, name);
    return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int procfs_open_process(const KernelRoots *roots, pid_t pid, int *ret_fd) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%d", roots->proc, (int)pid);
    if (n < 0 || (size_t)n >= sizeof(path)) return -ENAMETOOLONG;
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno == ENOENT ? -ESRCH : -errno;
    *ret_fd = fd;
    return 0;
}

int procfs_read(int dir, const char *name, char *buffer, size_t size, size_t *ret_length) {
    _cleanup_close_ int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) return -errno;
    size_t length = 0;
    while (length < size - 1) {
        ssize_t n = read(fd, buffer + length, size - 1 - length);
        if (n < 0) {
            if (errno == EINTR) continue;
            return -errno;
        }
        if (n == 0) break;
        length += (size_t)n;
    }
    buffer[length] = '\0';
    *ret_length = length;
    return 0;
}

int procfs_read_stat(int process, ProcStat *ret) {
    char buffer[1024];
    size_t length;
    int r = procfs_read(process, "stat", buffer, sizeof(buffer), &length);
    if (r < 0) return r == -ENOENT ? -ESRCH : r;
    return procfs_parse_stat(buffer, length, ret) ? 0 : -EBADMSG;
}

int procfs_read_uid(int process, uid_t *ret_effective) {
    char buffer[2048]; /* Uid is among the first lines; Groups, which is long, comes after it */
    size_t length;
    int r = procfs_read(process, "status", buffer, sizeof(buffer), &length);
    if (r < 0) return r == -ENOENT ? -ESRCH : r;
    return procfs_parse_uid(buffer, length, ret_effective) ? 0 : -EBADMSG;
}

int procfs_read_link(int process, const char *name, char **ret) {
    char buffer[PATH_MAX + 16];
    ssize_t n = readlinkat(process, name, buffer, sizeof(buffer));
    if (n < 0) return -errno;
    if ((size_t)n == sizeof(buffer)) return -ENAMETOOLONG;
    char *link = strndup(buffer, (size_t)n);
    if (!link) return -ENOMEM;
    *ret = link;
    return 0;
}

int procfs_read_cmdline(int process, char **ret) {
    char buffer[CMDLINE_MAX_BYTES + 1];
    size_t length;
    int r = procfs_read(process, "cmdline", buffer, sizeof(buffer), &length);
    if (r < 0) return r;
    while (length > 0 && buffer[length - 1] == '\0') length--;
    for (size_t i = 0; i < length; i++)
        if (buffer[i] == '\0') buffer[i] = ' ';
    char *text = NULL;
    if (length > 0) {
        text = strndup(buffer, length);
        if (!text) return -ENOMEM;
    }
    *ret = text;
    return 0;
}

static int compare_newest(const void *pa, const void *pb) {
    pid_t a = *(const pid_t *)pa, b = *(const pid_t *)pb;
    return (a < b) - (a > b);
}

static void close_directory(DIR **d) {
    if (*d) closedir(*d);
}

/* From highest first to newest first: those above the last one given out are from before the numbers wrapped. */
static void rotate(const KernelRoots *roots, pid_t *pids, size_t n) {
    char path[PATH_MAX], buffer[128];
    size_t length, above = 0;
    pid_t last = 0;
    if (format_path(path, sizeof(path), roots->proc, "loadavg") < 0) return;
    if (procfs_read(AT_FDCWD, path, buffer, sizeof(buffer), &length) < 0) return;
    if (!procfs_parse_last_pid(buffer, length, &last)) return;
    while (above < n && pids[above] > last) above++;
    if (above == 0 || above == n) return;
    pid_t *copy = malloc(above * sizeof(*copy));
    if (!copy) return; /* the order is only a matter of speed */
    memcpy(copy, pids, above * sizeof(*copy));
    memmove(pids, pids + above, (n - above) * sizeof(*pids));
    memcpy(pids + n - above, copy, above * sizeof(*copy));
    free(copy);
}

int procfs_list(const KernelRoots *roots, pid_t **ret, size_t *ret_n) {
    _cleanup_(close_directory) DIR *directory = opendir(roots->proc);
    if (!directory) return -errno;
    _cleanup_free_ pid_t *pids = NULL;
    size_t n = 0, allocated = 0;
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (!entry) {
            if (errno != 0) return -errno;
            break;
        }
        char *end;
        if (entry->d_name[0] < '1' || entry->d_name[0] > '9') continue;
        long pid = strtol(entry->d_name, &end, 10);
        if (*end || pid > INT_MAX) continue;
        if (n == allocated) {
            if (n >= PIDS_MAX) break;
            allocated = allocated > 0 ? allocated * 2 : 256;
            pid_t *more = realloc(pids, allocated * sizeof(*pids));
            if (!more) return -ENOMEM;
            pids = more;
        }
        pids[n++] = (pid_t)pid;
    }
    if (n > 1) qsort(pids, n, sizeof(*pids), compare_newest);
    rotate(roots, pids, n);
    *ret = TAKE_PTR(pids);
    *ret_n = n;
    return 0;
}

static int64_t clock_usec(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

static int64_t ticks_to_usec(uint64_t ticks) {
    long hz = sysconf(_SC_CLK_TCK);
    if (hz <= 0) hz = 100;
    if (ticks > (uint64_t)(INT64_MAX / USEC_PER_SEC)) return INT64_MAX;
    return (int64_t)ticks * USEC_PER_SEC / hz;
}

int64_t procfs_ticks_to_realtime(uint64_t ticks) {
    int64_t started = ticks_to_usec(ticks), boottime = clock_usec(CLOCK_BOOTTIME);
    if (started > boottime) started = boottime;
    return clock_usec(CLOCK_REALTIME) - (boottime - started);
}

int procfs_boot_age(const KernelRoots *roots, int64_t *ret_usec) {
    _cleanup_close_ int process = -1;
    ProcStat stat;
    int r = procfs_open_process(roots, 1, &process);
    if (r >= 0) r = procfs_read_stat(process, &stat);
    if (r < 0) return r;
    int64_t age = clock_usec(CLOCK_BOOTTIME) - ticks_to_usec(stat.started);
    *ret_usec = age > 0 ? age : 0;
    return 0;
}

static int read_root(const KernelRoots *roots, const char *name, char *buffer, size_t size, size_t *ret_length) {
    char path[PATH_MAX];
    int r = format_path(path, sizeof(path), roots->proc, name);
    return r < 0 ? r : procfs_read(AT_FDCWD, path, buffer, size, ret_length);
}

int procfs_boot_id(const KernelRoots *roots, char ret[static PROCFS_BOOT_ID_MAX]) {
    char buffer[64];
    size_t length;
    int r = read_root(roots, "sys/kernel/random/boot_id", buffer, sizeof(buffer), &length);
    if (r < 0) return r;
    if (length < PROCFS_BOOT_ID_MAX - 1) return -EBADMSG;
    for (size_t i = 0; i < PROCFS_BOOT_ID_MAX - 1; i++)
        if (!strchr("0123456789abcdef-", buffer[i])) return -EBADMSG;
    memcpy(ret, buffer, PROCFS_BOOT_ID_MAX - 1);
    ret[PROCFS_BOOT_ID_MAX - 1] = '\0';
    return 0;
}

int procfs_port_range(const KernelRoots *roots, uint16_t *ret_first, uint16_t *ret_last) {
    char buffer[64];
    size_t length;
    int r = read_root(roots, "sys/net/ipv4/ip_local_port_range", buffer, sizeof(buffer), &length);
    if (r < 0) return r;
    return procfs_parse_port_range(buffer, length, ret_first, ret_last) ? 0 : -EBADMSG;
}

int procfs_capabilities(const KernelRoots *roots, uint64_t *ret_effective) {
    char buffer[8192];
    size_t length;
    int r = read_root(roots, "self/status", buffer, sizeof(buffer), &length);
    if (r < 0) return r;
    return procfs_parse_capabilities(buffer, length, ret_effective) ? 0 : -EBADMSG;
}

bool procfs_is_initial_pid_namespace(const KernelRoots *roots) {
    char path[PATH_MAX], link[64];
    if (format_path(path, sizeof(path), roots->proc, "self/ns/pid") < 0) return false;
    ssize_t n = readlink(path, link, sizeof(link) - 1);
    if (n < 0) return false;
    link[n] = '\0';
    return strcmp(link, "pid:[4026531836]") == 0; /* PROC_PID_INIT_INO, part of the kernel's interface */
}

bool procfs_is_live(const KernelRoots *roots) {
    char path[PATH_MAX], link[32], self[32];
    struct statfs fs;
    if (statfs(roots->proc, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC) return false;
    if (format_path(path, sizeof(path), roots->proc, "self") < 0) return false;
    ssize_t n = readlink(path, link, sizeof(link) - 1);
    if (n < 0) return false;
    link[n] = '\0';
    snprintf(self, sizeof(self), "%d", (int)getpid());
    return strcmp(link, self) == 0;
}
