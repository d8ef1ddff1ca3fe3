#include "kernel/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "kernel/procfs.h"

#define HANDLE_TYPE_KERNFS 0xfe /* FILEID_KERNFS: the handle is the 64 bit id */
#define CGROUP_FILE_MAX (PATH_MAX + 4096)
#define WALK_DIRECTORIES_MAX 16384u
#define WALK_DEPTH_MAX 24u

struct Cgroups {
    int root;    /* of the v2 tree, -1: there is none */
    bool kernel; /* it is cgroup2, not a tree of a test */
    uint64_t root_id;
    char init[CGROUP_FILE_MAX]; /* PID 1's /proc/PID/cgroup */
    size_t init_length;
};

/* v2 itself, or where a hybrid set-up has it. */
static int open_tree(const char *root, bool *ret_kernel) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/unified", root);
    if (n < 0 || (size_t)n >= sizeof(path)) return -1;
    const char *candidates[] = {root, path};
    struct statfs fs;
    for (size_t i = 0; i < ELEMENTSOF(candidates); i++)
        if (statfs(candidates[i], &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC) {
            *ret_kernel = true;
            return open(candidates[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        }
    /* No cgroup2 at all: v1 (its tmpfs has no ids of cgroups, a lookup finds nothing), or a tree of a test. */
    *ret_kernel = false;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 ? fd : open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int cgroups_new(const KernelRoots *roots, Cgroups **ret) {
    Cgroups *c = calloc(1, sizeof(*c));
    if (!c) return -ENOMEM;
    c->root = open_tree(roots->cgroup, &c->kernel);
    struct stat st;
    if (c->root >= 0 && fstat(c->root, &st) == 0) c->root_id = st.st_ino;
    _cleanup_close_ int process = -1;
    if (procfs_open_process(roots, 1, &process) >= 0 &&
        procfs_read(process, "cgroup", c->init, sizeof(c->init), &c->init_length) < 0)
        c->init_length = 0;
    *ret = c;
    return 0;
}

Cgroups *cgroups_free(Cgroups *cgroups) {
    if (!cgroups) return NULL;
    if (cgroups->root >= 0) close(cgroups->root);
    free(cgroups);
    return NULL;
}

static int open_by_id(int root, uint64_t id) {
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + sizeof(uint64_t)];
    } u = {0};
    u.handle.handle_bytes = sizeof(id);
    u.handle.handle_type = HANDLE_TYPE_KERNFS;
    memcpy(u.handle.f_handle, &id, sizeof(id));
    int fd = open_by_handle_at(root, &u.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void close_directory(DIR **d) {
    if (*d) closedir(*d);
}

/* Most cgroups have none below them, and opening each would be nine tenths of a walk. */
static bool is_leaf(int directory, const char *name) {
    struct stat st;
    return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink == 2;
}

/* Depth first below `fd` (which it closes). The descriptor of the directory with that inode, or -ESTALE. */
static int walk(int fd, uint64_t id, unsigned depth, unsigned *left) {
    _cleanup_(close_directory) DIR *directory = fdopendir(fd);
    if (!directory) {
        close(fd);
        return -errno;
    }
    const struct dirent *entry;
    while ((entry = readdir(directory))) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
        if (*left == 0) break;
        (*left)--;
        if (entry->d_ino != id && (depth == 0 || is_leaf(dirfd(directory), entry->d_name))) continue;
        int child = openat(dirfd(directory), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (child < 0) continue;
        if (entry->d_ino == id) return child;
        int r = walk(child, id, depth - 1, left);
        if (r != -ESTALE) return r;
    }
    return -ESTALE;
}

static int open_cgroup(const Cgroups *cgroups, uint64_t id, int *ret_fd) {
    if (cgroups->root < 0 || id == 0) return -ESTALE;
    int fd = -EPERM;
    if (id == cgroups->root_id)
        fd = openat(cgroups->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    else if (cgroups->kernel)
        fd = open_by_id(cgroups->root, id);
    if (fd == -EPERM || fd == -EOPNOTSUPP) {
        int top = openat(cgroups->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (top < 0) return -errno;
        unsigned left = WALK_DIRECTORIES_MAX;
        fd = walk(top, id, WALK_DEPTH_MAX, &left);
    }
    if (fd < 0) return fd == -ENOENT ? -ESTALE : fd;
    *ret_fd = fd;
    return 0;
}

static ssize_t path_of(int fd, char *buffer, size_t size) {
    char name[64];
    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, buffer, size);
    return n < 0 ? -errno : n;
}

int cgroups_parse(const Cgroups *cgroups, const char *bytes, size_t length, Place *ret) {
    return place_parse(bytes, length, cgroups->init, cgroups->init_length, ret);
}

int cgroups_place(const Cgroups *cgroups, uint64_t id, Place *ret) {
    static const char unified[] = "0::";
    _cleanup_close_ int fd = -1;
    int r = open_cgroup(cgroups, id, &fd);
    if (r < 0) return r;
    char path[PATH_MAX], root[PATH_MAX], line[sizeof(unified) + PATH_MAX];
    ssize_t n = path_of(fd, path, sizeof(path));
    if (n < 0) return (int)n;
    ssize_t root_n = path_of(cgroups->root, root, sizeof(root));
    if (root_n < 0) return (int)root_n;
    /* The place of the mount says nothing about units. */
    size_t skip = n >= root_n && memcmp(path, root, (size_t)root_n) == 0 ? (size_t)root_n : 0, rest = (size_t)n - skip;
    memcpy(line, unified, sizeof(unified) - 1);
    memcpy(line + sizeof(unified) - 1, path + skip, rest);
    return cgroups_parse(cgroups, line, sizeof(unified) - 1 + rest, ret);
}

int cgroups_processes(const Cgroups *cgroups, uint64_t id, size_t max, pid_t **ret, size_t *ret_n) {
    if (id == cgroups->root_id) return -EOPNOTSUPP;
    int fd = -1;
    int r = open_cgroup(cgroups, id, &fd);
    if (r < 0) return r;
    int file = openat(fd, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    r = file < 0 ? -errno : 0;
    close(fd);
    if (r < 0) return r;
    _cleanup_fclose_ FILE *stream = fdopen(file, "r");
    if (!stream) {
        close(file);
        return -ENOMEM;
    }
    _cleanup_free_ pid_t *pids = calloc(max > 0 ? max : 1, sizeof(*pids));
    if (!pids) return -ENOMEM;
    size_t n = 0;
    int pid;
    while (n < max && fscanf(stream, "%d", &pid) == 1)
        if (pid > 0) pids[n++] = pid; /* 0: a process of another pid namespace */
    *ret = TAKE_PTR(pids);
    *ret_n = n;
    return 0;
}
