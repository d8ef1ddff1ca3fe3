#include "kernel/namespaces_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/text.h"
#include "kernel/procfs.h"
#include "kernel/space-name.h"

#define SPACES_MAX 512u
#define DESCRIPTORS_EACH 4u /* a socket, two counters, one to spare */
#define NEW_PIDS_MAX 256u   /* looked at in one tick; of more, all are looked at in turn */
#define YOUNG_FOR (10 * USEC_PER_SEC)
#define SWEEP_PIDS 16u       /* others looked at in one tick */
#define SWEEP_PIDS_LOST 512u /* while it has to be known whether a namespace has a process left */
#define NAMED_FOR (10 * USEC_PER_SEC)
#define COUNT_EVERY (10 * USEC_PER_SEC) /* where they are only counted */
#define RETRY_EVERY (60 * USEC_PER_SEC)

static size_t limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0) return SPACES_MAX / 8;
    rlim_t most = files.rlim_cur / 2 / DESCRIPTORS_EACH;
    return most < SPACES_MAX ? (size_t)most : SPACES_MAX;
}

static int open_root(const KernelRoots *roots, const char *name) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", roots->proc, name);
    return n < 0 || (size_t)n >= sizeof(path) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
}

int namespaces_new(TablesShared *shared, const NamespacesOptions *options, Namespaces **ret) {
    _cleanup_(namespaces_freep) Namespaces *n = calloc(1, sizeof(*n));
    if (!n) return -ENOMEM;
    n->shared = shared;
    n->options = *options;
    n->most = limit();
    n->home = open_root(&shared->roots, "self/ns/net");
    n->loadavg = open_root(&shared->roots, "loadavg");
    uint64_t capabilities = 0;
    struct stat st;
    if (n->home >= 0 && fstat(n->home, &st) == 0) {
        n->device = st.st_dev;
        n->home_inode = st.st_ino;
        (void)procfs_capabilities(&shared->roots, &capabilities); /* unreadable: none */
        n->may_look = capabilities & UINT64_C(1) << CAP_SYS_PTRACE;
        n->may_enter = capabilities & UINT64_C(1) << CAP_SYS_ADMIN;
    }
    *ret = TAKE_PTR(n);
    return 0;
}

static void space_free(Space *space) {
    if (!space) return;
    tables_done(&space->tables);
    free(space->file);
    free(space);
}

Namespaces *namespaces_free(Namespaces *namespaces) {
    if (!namespaces) return NULL;
    for (size_t i = 0; i < namespaces->n; i++) space_free(namespaces->items[i]);
    if (namespaces->home >= 0) close(namespaces->home);
    if (namespaces->loadavg >= 0) close(namespaces->loadavg);
    free(namespaces->items);
    free(namespaces->sweep);
    free(namespaces);
    return NULL;
}

Space *namespaces_get(const Namespaces *namespaces, size_t i) {
    return i < namespaces->n ? namespaces->items[i] : NULL;
}

static Space *find(const Namespaces *n, uint64_t inode) {
    for (size_t i = 0; i < n->n; i++)
        if (n->items[i]->inode == inode) return n->items[i];
    return NULL;
}

int namespaces_meet(Namespaces *n, uint64_t inode, Space **ret) {
    *ret = NULL;
    if (inode == n->home_inode) return 0;
    Space *known = find(n, inode);
    if (!known) {
        if (n->n >= n->most) {
            n->too_many = true;
            return 0;
        }
        if (n->n == n->allocated) {
            size_t allocated = n->allocated > 0 ? n->allocated * 2 : 8;
            Space **items = reallocarray(n->items, allocated, sizeof(Space *));
            if (!items) return -ENOMEM;
            n->items = items;
            n->allocated = allocated;
        }
        known = calloc(1, sizeof(*known));
        if (!known) return -ENOMEM;
        known->inode = inode;
        n->items[n->n++] = known;
    }
    *ret = known;
    return 0;
}

/* The inode of a process's namespace: 0, -ESRCH (or it has none: it is ending), -EACCES. */
static int inode_of(const Namespaces *n, pid_t pid, uint64_t *ret) {
    char path[PATH_MAX];
    struct stat st;
    int length = snprintf(path, sizeof(path), "%s/%d/ns/net", n->shared->roots.proc, (int)pid);
    if (length < 0 || (size_t)length >= sizeof(path)) return -ESRCH;
    if (stat(path, &st) < 0) return errno == EACCES || errno == EPERM ? -EACCES : -ESRCH;
    if (st.st_dev != n->device) return -ESRCH;
    *ret = st.st_ino;
    return 0;
}

static void note_oldest(const Namespaces *n, Space *space, pid_t pid) {
    _cleanup_close_ int process = -1;
    ProcStat stat;
    uint64_t inode;
    if (space->oldest == pid) return;
    if (procfs_open_process(&n->shared->roots, pid, &process) < 0 || procfs_read_stat(process, &stat) < 0) return;
    /* One that has ended gives way, so that a name can be made as long as it is wanted. */
    bool alive = space->oldest > 0 && inode_of(n, space->oldest, &inode) == 0 && inode == space->inode;
    if (alive && stat.started >= space->oldest_started) return;
    space->oldest = pid;
    space->oldest_started = stat.started;
}

static int look_at(Namespaces *n, pid_t pid, int64_t now) {
    uint64_t inode;
    Space *space;
    int r = inode_of(n, pid, &inode);
    if (r == -EACCES && pid != 1)
        n->denied_now = true; /* the first of all lives in no container that we do not live in */
    if (r < 0) return 0;
    r = namespaces_meet(n, inode, &space);
    if (r < 0 || !space) return r;
    space->lost = 0;
    space->witness = pid;
    if (space->named_until == 0 || now < space->named_until) note_oldest(n, space, pid);
    if (space->named_until == 0 && space->oldest > 0) space->named_until = now + NAMED_FOR;
    return 0;
}

static pid_t read_last_pid(const Namespaces *n) {
    char buffer[128];
    ssize_t length = n->loadavg < 0 ? -1 : pread(n->loadavg, buffer, sizeof(buffer) - 1, 0);
    if (length <= 0) return 0;
    buffer[length] = '\0';
    const char *last = strrchr(buffer, ' ');
    return last ? (pid_t)strtol(last + 1, NULL, 10) : 0;
}

static void keep_young(Namespaces *n, pid_t pid, int64_t now) {
    if (n->n_young < YOUNG_MAX) n->young[n->n_young++] = (Young){pid, now + YOUNG_FOR};
}

static void begin_sweep(Namespaces *n) {
    free(n->sweep);
    n->sweep = NULL;
    n->sweep_n = n->sweep_at = 0;
    if (procfs_list(&n->shared->roots, &n->sweep, &n->sweep_n) < 0) n->denied = true;
    n->sweeps++;
    n->denied_now = false;
}

/* New numbers were given out in order; threads have numbers too, and may have a namespace of their own. */
static int look_at_new(Namespaces *n, int64_t now) {
    pid_t last = read_last_pid(n), first = n->last_pid + 1;
    n->last_pid = last;
    if (last == 0 || first == 1 || last < first) return 0; /* unknown, the first time, or the numbers wrapped */
    if (last - first >= (pid_t)NEW_PIDS_MAX) {
        if (n->options.enter) n->hurry = true;
        return 0;
    }
    for (pid_t pid = first; pid <= last; pid++) {
        uint64_t inode;
        if (inode_of(n, pid, &inode) < 0) continue;
        keep_young(n, pid, now);
        int r = look_at(n, pid, now);
        if (r < 0) return r;
    }
    return 0;
}

static int look_at_young(Namespaces *n, int64_t now) {
    size_t kept = 0, known = n->n_young;
    int r = 0;
    for (size_t i = 0; i < known && r >= 0; i++) {
        Young young = n->young[i];
        r = look_at(n, young.pid, now);
        if (now < young.until) n->young[kept++] = young;
    }
    n->n_young = kept;
    return r;
}

/* A process that has left it, or was never in it, may hold sockets there: they keep it, not ours. */
static bool is_held(const Space *space, const Owners *owners) {
    for (size_t i = 0; space->open && i < space->tables.rows.n; i++) {
        const Owner *owner = owners_of(owners, &space->tables.rows.items[i]);
        if (owner && owner->pid > 0) return true;
    }
    return false;
}

/* A socket of ours would keep it: it is let go once all processes were looked at since it lost what kept it. */
static void release(Namespaces *n, const Owners *owners) {
    size_t kept = 0;
    for (size_t i = 0; i < n->n; i++) {
        Space *space = n->items[i];
        if (space->lost > 0 && space->lost < n->sweeps && !space->file && !is_held(space, owners))
            space_free(space);
        else {
            n->hurry = n->hurry || space->lost > 0;
            n->items[kept++] = space;
        }
    }
    if (kept < n->n) n->too_many = false;
    n->n = kept;
}

static int sweep(Namespaces *n, const Owners *owners, size_t budget, int64_t now) {
    for (; budget > 0; budget--) {
        if (n->sweep_at >= n->sweep_n) {
            if (n->sweeps > 0) {
                n->swept = true;
                n->hurry = false;
                n->denied = n->denied_now;
                release(n, owners);
            }
            begin_sweep(n);
            return 0;
        }
        int r = look_at(n, n->sweep[n->sweep_at++], now);
        if (r < 0) return r;
    }
    return 0;
}

/* Is somebody still there? */
static void check_witnesses(Namespaces *n) {
    for (size_t i = 0; i < n->n; i++) {
        Space *space = n->items[i];
        uint64_t inode;
        if (space->witness > 0 && inode_of(n, space->witness, &inode) == 0 && inode == space->inode) continue;
        space->witness = 0;
        if (!space->file && space->lost == 0) space->lost = n->sweeps;
        if (space->lost > 0) n->hurry = true;
    }
}

static int open_file(const Namespaces *n, const Space *space, int *ret) {
    char path[PATH_MAX];
    int length = space->witness > 0
                     ? snprintf(path, sizeof(path), "%s/%d/ns/net", n->shared->roots.proc, (int)space->witness)
                     : snprintf(path, sizeof(path), "%s/%s", n->options.names, space->file ? space->file : "");
    if (length < 0 || (size_t)length >= sizeof(path)) return -ENAMETOOLONG;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) return -errno;
    if (st.st_dev != n->device || st.st_ino != space->inode) return -ESRCH; /* another by now */
    *ret = TAKE_FD(fd);
    return 0;
}

static int enter(Namespaces *n, Space *space) {
    _cleanup_close_ int fd = -1;
    int r = n->may_enter ? open_file(n, space, &fd) : -EPERM;
    if (r >= 0 && !space->tables.shared) r = tables_init(&space->tables, n->shared);
    if (r < 0) return r;
    if (setns(fd, CLONE_NEWNET) < 0) return -errno;
    r = tables_open(&space->tables);
    if (setns(n->home, CLONE_NEWNET) < 0) abort();
    return r;
}

static int enter_new(Namespaces *n, int64_t now) {
    for (size_t i = 0; i < n->n; i++) {
        Space *space = n->items[i];
        if (space->open && sockdiag_is_open(space->tables.diag)) continue;
        if (!space->name[0] || now < space->retry || (space->witness == 0 && !space->file)) continue;
        int r = enter(n, space);
        if (r == -ENOMEM || r == -EMFILE || r == -ENFILE) return r;
        space->open = r >= 0;
        space->error = r;
        if (r < 0) space->retry = now + (r == -ESRCH ? 0 : RETRY_EVERY);
    }
    return 0;
}

int namespaces_update(Namespaces *namespaces, Owners *owners, int64_t now) {
    Namespaces *n = namespaces;
    if (n->home < 0) return 0;
    bool first = n->sweeps == 0;
    if (!first && !n->options.enter && now < n->next) return 0;
    int r = 0;
    if (first) {
        n->last_pid = read_last_pid(n);
        begin_sweep(n);
        r = sweep(n, owners, n->sweep_n + 1, now);
    }
    if (r >= 0) r = namespaces_look_at_names(n, now);
    if (r >= 0 && !first) {
        check_witnesses(n);
        r = look_at_new(n, now);
        if (r >= 0 && n->options.enter) r = look_at_young(n, now);
        if (r >= 0) r = sweep(n, owners, n->hurry ? SWEEP_PIDS_LOST : SWEEP_PIDS, now);
    }
    n->next = n->hurry ? now : now + COUNT_EVERY;
    for (size_t i = 0; i < n->n && r >= 0; i++) {
        Space *space = n->items[i];
        if (space->name[0] && space->named_until > 0 && now >= space->named_until) continue;
        r = space_name(owners, space->oldest, space->oldest_started, space->file, space->name);
    }
    return r >= 0 && n->options.enter ? enter_new(n, now) : r;
}

bool namespaces_found(const Namespaces *namespaces) {
    return namespaces->swept && namespaces->may_look && !namespaces->denied && !namespaces->too_many;
}

const char *namespaces_trouble(const Namespaces *namespaces) {
    const Namespaces *n = namespaces;
    if (n->too_many) return "there are more than can be watched";
    if (!n->may_look) return "no CAP_SYS_PTRACE: there may be more";
    if (n->denied) return "some processes cannot be looked into: there may be more";
    if (!n->options.enter) return NULL;
    if (!n->may_enter) return "no CAP_SYS_ADMIN: see portwatchd(8)";
    for (size_t i = 0; i < n->n; i++)
        if (!n->items[i]->open && n->items[i]->error < 0 && n->items[i]->error != -ESRCH)
            return strerror(-n->items[i]->error);
    return NULL;
}
