#include "kernel/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "kernel/procfs.h"

#define CGROUPS_MAX 256u /* looked into for one scan */
#define CGROUP_PROCESSES_MAX 256u
#define ANCESTORS_MAX 32u
#define THREADS_MAX 4096u
#define YOUNG_SECONDS 30u
#define YOUNG_MAX 1024u             /* processes looked into because they are young */
#define GROWN_DESCRIPTORS_MAX 16384 /* of all that have more than before together */
#define HINT_DESCRIPTORS_MAX 16384  /* of all hints together */

/* Why processes are looked into, which decides for which sockets. */
typedef enum Stage {
    STAGE_CGROUP, /* they are of Scan.cgroup */
    STAGE_FRESH,  /* young ones, those with more descriptors, hints */
    STAGE_ANCESTORS,
    STAGE_ALL,
} Stage;

typedef struct Scan {
    const KernelRoots *roots;
    bool live;
    Wanted *wanted; /* by inode */
    size_t n;
    Stage stage;
    uint64_t cgroup; /* whose processes are looked at; 0: none's */
    bool bounded;    /* no more descriptors than descriptors_left */
    int descriptors_left;
    bool news;                      /* somebody was found since settle */
    pid_t *visited;                 /* hash by pid, 0: free */
    size_t n_visited, visited_size; /* size: a power of two */
    ScanReport report;
} Scan;

static int compare_wanted(const void *pa, const void *pb) {
    const Wanted *a = pa, *b = pb;
    return (a->inode > b->inode) - (a->inode < b->inode);
}

static bool satisfied(const Wanted *w) {
    return w->near || (w->init.pid > 0 && (!w->others || w->fresh));
}

static bool all_satisfied(const Scan *s) {
    for (size_t i = 0; i < s->n; i++)
        if (!satisfied(&s->wanted[i])) return false;
    return true;
}

static bool fresh_satisfied(const Scan *s) {
    for (size_t i = 0; i < s->n; i++)
        if (s->wanted[i].fresh && !satisfied(&s->wanted[i])) return false;
    return true;
}

/* What was found so far is what it is: fresh sockets alone, or all. */
static void settle(Scan *s, bool fresh_only) {
    if (!s->news) return;
    s->news = false;
    for (size_t i = 0; i < s->n; i++) {
        Wanted *w = &s->wanted[i];
        if (w->oldest.pid > 0 && (w->fresh || !fresh_only)) w->near = true;
    }
}

static bool hash_insert(pid_t *table, size_t size, pid_t pid) {
    for (size_t at = (uint32_t)pid * 2654435761u & (size - 1);; at = (at + 1) & (size - 1)) {
        if (table[at] == pid) return false;
        if (table[at] == 0) {
            table[at] = pid;
            return true;
        }
    }
}

/* 1: marked now, 0: was marked before. */
static int visit(Scan *s, pid_t pid) {
    if ((s->n_visited + 1) * 2 > s->visited_size) {
        size_t size = s->visited_size > 0 ? s->visited_size * 2 : 256;
        pid_t *table = calloc(size, sizeof(*table));
        if (!table) return -ENOMEM;
        for (size_t i = 0; i < s->visited_size; i++)
            if (s->visited[i] > 0) hash_insert(table, size, s->visited[i]);
        free(s->visited);
        s->visited = table;
        s->visited_size = size;
    }
    if (!hash_insert(s->visited, s->visited_size, pid)) return 0;
    s->n_visited++;
    return 1;
}

/* Who is taken must follow from who holds the socket alone, not from what else is wanted in this scan: another answer
 * in the next one would be told as another owner. */
static void found(Scan *s, Wanted *w, pid_t pid, uint64_t started, int fd) {
    if (pid == 1) {
        if (w->init.pid == 0) w->init = (Held){.pid = pid, .started = started, .fd = fd};
        return;
    }
    if (s->stage == STAGE_CGROUP && s->cgroup != w->cgroup) return;
    if (s->stage == STAGE_FRESH && !w->fresh) return;
    if (w->near != (s->stage == STAGE_ANCESTORS)) return;
    if (s->stage == STAGE_ANCESTORS && w->climbed) return;
    s->news = true;
    if (w->oldest.pid == 0 || started < w->oldest.started || (started == w->oldest.started && pid < w->oldest.pid))
        w->oldest = (Held){.pid = pid, .started = started, .fd = fd};
}

/* False: the link may not be read. */
static bool match(Scan *s, int directory, const char *name, int process, pid_t pid, uint64_t *started) {
    static const char prefix[] = "socket:[";
    char link[48], *end;
    ssize_t n = readlinkat(directory, name, link, sizeof(link) - 1);
    if (n < 0) return errno != EACCES && errno != EPERM;
    if (n <= (ssize_t)sizeof(prefix) || memcmp(link, prefix, sizeof(prefix) - 1) != 0) return true;
    link[n] = '\0';
    unsigned long inode = strtoul(link + sizeof(prefix) - 1, &end, 10);
    if (*end != ']' || inode == 0 || inode > UINT32_MAX) return true;
    Wanted key = {.inode = (uint32_t)inode};
    Wanted *w = bsearch(&key, s->wanted, s->n, sizeof(*s->wanted), compare_wanted);
    if (!w) return true;
    if (*started == 0) {
        ProcStat stat;
        if (procfs_read_stat(process, &stat) < 0) return true;
        *started = stat.started;
    }
    /* Two sockets with one inode: the kernel's numbers wrap after 2^32. Each gets the holder. */
    while (w > s->wanted && w[-1].inode == w->inode) w--;
    for (; w < s->wanted + s->n && w->inode == inode; w++) found(s, w, pid, *started, atoi(name));
    return true;
}

/* Looks at all descriptors. Returns how many there are, or a negative errno. */
static int look_at_descriptors(Scan *s, int process, pid_t pid) {
    _cleanup_close_ int directory = openat(process, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return -errno;
    char buffer[8192] __attribute__((aligned(8)));
    uint64_t started = 0;
    int count = 0;
    for (;;) {
        ssize_t n = getdents64(directory, buffer, sizeof(buffer));
        if (n < 0) return -errno;
        if (n == 0) return count;
        for (ssize_t at = 0; at < n;) {
            const struct dirent64 *entry = (const void *)(buffer + at);
            at += entry->d_reclen;
            if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
            count++;
            if (!match(s, directory, entry->d_name, process, pid, &started)) return -EACCES;
        }
        if (s->bounded && count >= s->descriptors_left) return count;
    }
}

static int look_into(Scan *s, pid_t pid, bool with_threads);

static void close_directory(DIR **d) {
    if (*d) closedir(*d);
}

static bool shares_descriptors(const Scan *s, pid_t pid, pid_t thread) {
    return s->live && syscall(SYS_kcmp, pid, thread, KCMP_FILES, 0, 0) == 0;
}

/* Threads may have descriptors of their own: unshare(2), or the first thread has ended and shows none any more, while
 * the others hold them still. */
static int look_into_threads(Scan *s, int process, pid_t pid) {
    ProcStat stat;
    if (procfs_read_stat(process, &stat) < 0 || stat.threads <= 1) return 0;
    int directory = openat(process, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return 0;
    _cleanup_(close_directory) DIR *tasks = fdopendir(directory);
    if (!tasks) {
        close(directory);
        return -ENOMEM;
    }
    const struct dirent *entry;
    pid_t last = pid;
    for (unsigned i = 0; i < THREADS_MAX && (entry = readdir(tasks)); i++) {
        int thread = atoi(entry->d_name);
        if (thread <= 0 || thread == pid || shares_descriptors(s, last, thread)) continue;
        int r = look_into(s, thread, false);
        if (r < 0) return r;
        last = thread;
    }
    return 0;
}

static int look_into(Scan *s, pid_t pid, bool with_threads) {
    _cleanup_close_ int process = -1;
    int r = procfs_open_process(s->roots, pid, &process);
    if (r == -ESRCH) return 0;
    if (r >= 0) r = look_at_descriptors(s, process, pid);
    s->report.processes++;
    if (s->bounded && r > 0) s->descriptors_left -= r;
    if (r == 0 && with_threads) return look_into_threads(s, process, pid);
    if (r == -EACCES || r == -EPERM) s->report.denied++;
    if (r == -EMFILE || r == -ENFILE || r == -ENOMEM) return r;
    return 0; /* ended meanwhile */
}

static int look_once(Scan *s, pid_t pid) {
    int r = visit(s, pid);
    return r > 0 ? look_into(s, pid, true) : r;
}

/* The processes of one cgroup, for the sockets made in it. */
static int look_into_cgroup(Scan *s, const Cgroups *cgroups, uint64_t id) {
    _cleanup_free_ pid_t *pids = NULL;
    size_t n;
    if (cgroups_processes(cgroups, id, CGROUP_PROCESSES_MAX, &pids, &n) < 0 || n == CGROUP_PROCESSES_MAX) return 0;
    int r = 0;
    s->cgroup = id;
    for (size_t i = 0; r >= 0 && i < n; i++)
        if (pids[i] != 1) r = look_into(s, pids[i], true);
    s->cgroup = 0;
    return r;
}

static int look_near(Scan *s, const Cgroups *cgroups) {
    uint64_t done[CGROUPS_MAX];
    size_t n_done = 0;
    s->stage = STAGE_CGROUP;
    int r = look_once(s, 1);
    for (size_t i = 0; r >= 0 && i < s->n && n_done < CGROUPS_MAX; i++) {
        uint64_t id = s->wanted[i].cgroup;
        if (id == 0 || satisfied(&s->wanted[i])) continue;
        size_t k = 0;
        while (k < n_done && done[k] != id) k++;
        if (k < n_done) continue;
        done[n_done++] = id;
        r = look_into_cgroup(s, cgroups, id);
    }
    settle(s, false);
    return r;
}

static uint64_t young_since(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    long hz = sysconf(_SC_CLK_TCK);
    uint64_t now = (uint64_t)t.tv_sec * (uint64_t)hz, span = (uint64_t)YOUNG_SECONDS * (uint64_t)hz;
    return now > span ? now - span : 0;
}

/* Newest first, down to the first that is old. */
static int look_at_young(Scan *s, const pid_t *pids, size_t n) {
    uint64_t since = young_since();
    for (size_t i = 0; i < n && i < YOUNG_MAX; i++) {
        _cleanup_close_ int process = -1;
        ProcStat stat;
        if (pids[i] == 1 || procfs_open_process(s->roots, pids[i], &process) < 0) continue;
        if (procfs_read_stat(process, &stat) < 0) continue; /* ended */
        if (stat.started < since) break;
        int r = look_into(s, pids[i], true);
        if (r < 0) return r;
    }
    return 0;
}

/* Whoever holds what is new has more descriptors than before. All of them, not only until somebody is found: then it is
 * the longest-lived, as it will be where all processes are looked at. */
static int look_at_grown(Scan *s, const ScanOptions *options, const pid_t *pids, size_t n) {
    _cleanup_free_ Counted *grown = NULL;
    size_t n_grown = 0;
    int r = options->census ? census_compare(options->census, s->roots, pids, n, &grown, &n_grown) : 0;
    s->bounded = true;
    s->descriptors_left = GROWN_DESCRIPTORS_MAX;
    for (size_t i = 0; r >= 0 && i < n_grown && s->descriptors_left > 0; i++) {
        if (grown[i].pid != 1) r = look_into(s, grown[i].pid, false); /* PID 1 was looked at */
        if (s->descriptors_left > 0) census_looked(options->census, &grown[i]);
    }
    s->bounded = false;
    settle(s, true);
    return r < 0 ? r : 0;
}

static int look_at_hints(Scan *s, const ScanOptions *options) {
    int r = 0;
    s->bounded = true;
    s->descriptors_left = HINT_DESCRIPTORS_MAX;
    for (size_t i = 0; r >= 0 && i < options->n_hints && s->descriptors_left > 0 && !fresh_satisfied(s); i++) {
        if (options->hints[i] == 1) continue;
        r = look_into(s, options->hints[i], false);
        settle(s, true);
    }
    s->bounded = false;
    return r;
}

static int look_for_fresh(Scan *s, const ScanOptions *options, const pid_t *pids, size_t n) {
    s->stage = STAGE_FRESH;
    int r = look_at_young(s, pids, n);
    settle(s, true);
    if (r >= 0 && !fresh_satisfied(s)) r = look_at_grown(s, options, pids, n);
    return r < 0 ? r : look_at_hints(s, options);
}

static void forget_visited(Scan *s) {
    if (s->visited_size > 0) memset(s->visited, 0, s->visited_size * sizeof(*s->visited));
    s->n_visited = 0;
}

/* A master is older than its workers, and may be in another cgroup. */
static int look_at_ancestors(Scan *s) {
    pid_t last = 0;
    s->stage = STAGE_ANCESTORS;
    forget_visited(s);
    int r = visit(s, 1);
    for (size_t i = 0; r >= 0 && i < s->n; i++) {
        pid_t pid = s->wanted[i].oldest.pid;
        if (!s->wanted[i].near || s->wanted[i].climbed || pid == last) continue; /* one process often holds many */
        last = pid;
        for (unsigned k = 0; pid > 1 && k < ANCESTORS_MAX; k++) {
            _cleanup_close_ int process = -1;
            ProcStat stat;
            if (procfs_open_process(s->roots, pid, &process) < 0 || procfs_read_stat(process, &stat) < 0) break;
            r = stat.ppid > 0 ? look_once(s, stat.ppid) : 0;
            if (r < 0) return r;
            pid = stat.ppid;
        }
    }
    for (size_t i = 0; i < s->n; i++) s->wanted[i].climbed = s->wanted[i].near;
    return r < 0 ? r : 0;
}

static bool everybody_found(const Scan *s) {
    for (size_t i = 0; i < s->n; i++)
        if (s->wanted[i].init.pid == 0 && s->wanted[i].oldest.pid == 0) return false;
    return true;
}

/* All processes, and not only until somebody is found: an older one may come; but for fresh sockets. At last the
 * threads that may hide what would otherwise pass for the kernel's. */
static int look_everywhere(Scan *s, const pid_t *pids, size_t n) {
    s->stage = STAGE_ALL;
    s->report.deep = true;
    forget_visited(s);
    int r = 0;
    for (size_t i = 0; r >= 0 && i < n; i++) {
        if (all_satisfied(s)) return 0;
        r = look_once(s, pids[i]);
        settle(s, true);
    }
    if (r < 0) return r;
    if (!everybody_found(s)) {
        for (size_t i = 0; r >= 0 && i < n; i++) {
            _cleanup_close_ int process = -1;
            if (procfs_open_process(s->roots, pids[i], &process) >= 0) r = look_into_threads(s, process, pids[i]);
        }
        if (r < 0) return r;
    }
    s->report.full = true;
    s->report.complete = s->report.denied == 0;
    return 0;
}

/* Beyond PID 1 and the cgroups. */
static int look_further(Scan *s, const ScanOptions *options) {
    _cleanup_free_ pid_t *pids = NULL;
    size_t n;
    bool fresh = !fresh_satisfied(s);
    if (!fresh && !options->deep) return 0;
    int r = procfs_list(s->roots, &pids, &n);
    if (r >= 0 && fresh) r = look_for_fresh(s, options, pids, n);
    if (r >= 0) r = look_at_ancestors(s);
    if (r < 0 || !options->deep || all_satisfied(s)) return r;
    r = look_everywhere(s, pids, n);
    return r < 0 ? r : look_at_ancestors(s);
}

int scan_holders(const KernelRoots *roots, const Cgroups *cgroups, const ScanOptions *options, Wanted *wanted, size_t n,
    ScanReport *ret) {
    Scan s = {.roots = roots, .live = procfs_is_live(roots), .wanted = wanted, .n = n};
    if (n > 1) qsort(wanted, n, sizeof(*wanted), compare_wanted);
    for (size_t i = 0; i < n; i++) {
        wanted[i].init = wanted[i].oldest = (Held){0};
        wanted[i].near = wanted[i].climbed = false;
    }
    int r = look_near(&s, cgroups);
    if (r >= 0) r = look_at_ancestors(&s);
    if (r >= 0 && !all_satisfied(&s)) r = look_further(&s, options);
    for (size_t i = 0; i < n && !s.report.full; i++)
        if (!wanted[i].near) wanted[i].oldest = (Held){0}; /* met by the way: perhaps not the oldest */
    free(s.visited);
    if (r < 0) return r;
    *ret = s.report;
    return 0;
}
