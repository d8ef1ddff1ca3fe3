#include "kernel/sharers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "kernel/procfs.h"
#include "kernel/sockdiag.h"

typedef struct Search {
    SockRows rows; /* of the port alone */
    Sharer *items;
    size_t n, allocated;
    bool denied;
} Search;

static int read_rows(Search *s, Protocol protocol, uint16_t port) {
    _cleanup_(sockdiag_freep) Sockdiag *diag = NULL;
    int r = sockdiag_new(&diag);
    for (Table table = 0; table < TABLE_MAX && r >= 0; table++) {
        Dump dump;
        if (table_protocol(table) == protocol) r = sockdiag_dump(diag, table, NULL, &s->rows, &dump);
    }
    size_t kept = 0;
    for (size_t i = 0; i < s->rows.n; i++)
        if (s->rows.items[i].port == port && s->rows.items[i].inode) s->rows.items[kept++] = s->rows.items[i];
    s->rows.n = kept;
    return r;
}

static bool is_wanted(const Search *s, const char *link) {
    unsigned long inode;
    if (sscanf(link, "socket:[%lu]", &inode) != 1) return false;
    for (size_t i = 0; i < s->rows.n; i++)
        if (s->rows.items[i].inode == inode) return true;
    return false;
}

static void close_directory(DIR **d) {
    if (*d) closedir(*d);
}

/* 1: it holds one, 0: it does not, or has ended. */
static int holds(Search *s, int process) {
    int fd = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        s->denied = s->denied || errno == EACCES || errno == EPERM;
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? -errno : 0;
    }
    _cleanup_(close_directory) DIR *directory = fdopendir(fd);
    if (!directory) {
        close(fd);
        return -ENOMEM;
    }
    const struct dirent *entry;
    while ((entry = readdir(directory))) {
        char link[48];
        ssize_t n = readlinkat(fd, entry->d_name, link, sizeof(link) - 1);
        if (n < 0 && (errno == EACCES || errno == EPERM)) s->denied = true;
        if (n <= 0) continue;
        link[n] = '\0';
        if (is_wanted(s, link)) return 1;
    }
    return 0;
}

static int look_into(Search *s, const KernelRoots *roots, pid_t pid) {
    _cleanup_close_ int process = -1;
    ProcStat stat;
    int r = procfs_open_process(roots, pid, &process);
    if (r == -EMFILE || r == -ENFILE || r == -ENOMEM) return r;
    if (r >= 0) r = holds(s, process);
    if (r <= 0) return r == -ENOMEM || r == -EMFILE || r == -ENFILE ? r : 0;
    if (procfs_read_stat(process, &stat) < 0) return 0;
    if (s->n == s->allocated) {
        size_t allocated = s->allocated ? s->allocated * 2 : 16;
        Sharer *items = reallocarray(s->items, allocated, sizeof *items);
        if (!items) return -ENOMEM;
        s->items = items;
        s->allocated = allocated;
    }
    Sharer *one = &s->items[s->n++];
    *one = (Sharer){.pid = pid, .ppid = stat.ppid};
    memcpy(one->comm, stat.comm, sizeof one->comm);
    return 0;
}

static int compare_sharers(const void *a, const void *b) {
    const Sharer *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

int sharers_read(
    const KernelRoots *roots, Protocol protocol, uint16_t port, Sharer **ret, size_t *ret_n, bool *ret_all) {
    Search s = {0};
    _cleanup_free_ pid_t *pids = NULL;
    size_t n = 0;
    int r = read_rows(&s, protocol, port);
    if (r >= 0 && s.rows.n > 0) r = procfs_list(roots, &pids, &n);
    for (size_t i = 0; i < n && r >= 0 && s.n < SHARERS_MAX; i++) r = look_into(&s, roots, pids[i]);
    sockrows_done(&s.rows);
    if (r < 0) {
        free(s.items);
        return r;
    }
    if (s.n > 1) qsort(s.items, s.n, sizeof *s.items, compare_sharers);
    *ret = s.items;
    *ret_n = s.n;
    *ret_all = !s.denied && s.n < SHARERS_MAX;
    return 0;
}
