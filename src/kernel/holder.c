#include "kernel/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kernel/cgroup.h"
#include "kernel/procfs.h"

#define WATCHED_MAX 4096u
#define USERS_MAX 1024u
#define READ_ATTEMPTS 3u
#define PASSWD_BUFFER_MAX (1u << 20)

typedef struct User {
    uid_t uid;
    char *name;
} User;

struct Holders {
    KernelRoots roots;
    bool live;
    int epoll;
    unsigned watched, watched_max;
    Holder **items; /* by pid, then start */
    size_t n, allocated;
    User *users;
    size_t n_users;
};

int holders_new(const KernelRoots *roots, Holders **ret) {
    _cleanup_(holders_freep) Holders *h = calloc(1, sizeof(*h));
    if (!h) return -ENOMEM;
    h->roots = *roots;
    h->live = procfs_is_live(roots);
    h->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (h->epoll < 0) return -errno;
    /* Half of what is allowed belongs to the rest of the program. */
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        h->watched_max = limit.rlim_cur / 2 > WATCHED_MAX ? WATCHED_MAX : (unsigned)(limit.rlim_cur / 2);
    *ret = TAKE_PTR(h);
    return 0;
}

Holders *holders_free(Holders *holders) {
    if (!holders) return NULL;
    if (holders->epoll >= 0) close(holders->epoll);
    for (size_t i = 0; i < holders->n_users; i++) free(holders->users[i].name);
    free(holders->users);
    free(holders->items);
    free(holders);
    return NULL;
}

const char *holders_user(Holders *holders, uid_t uid) {
    for (size_t i = 0; i < holders->n_users; i++)
        if (holders->users[i].uid == uid) return holders->users[i].name;
    char number[16];
    snprintf(number, sizeof(number), "%u", (unsigned)uid);
    _cleanup_free_ char *name = NULL;
    _cleanup_free_ char *buffer = NULL;
    for (size_t size = 1024; size <= PASSWD_BUFFER_MAX; size *= 4) {
        struct passwd entry, *found = NULL;
        char *more = realloc(buffer, size);
        if (!more) return NULL;
        buffer = more;
        int r = getpwuid_r(uid, &entry, buffer, size, &found);
        if (r == ERANGE) continue;
        if (r == 0 && found && found->pw_name && *found->pw_name) name = strdup(found->pw_name);
        break;
    }
    if (!name) name = strdup(number);
    if (!name) return NULL;
    if (holders->n_users == USERS_MAX) { /* user namespaces make many uids: start over */
        for (size_t i = 0; i < holders->n_users; i++) free(holders->users[i].name);
        holders->n_users = 0;
    }
    User *users = realloc(holders->users, (holders->n_users + 1) * sizeof(*users));
    if (!users) return NULL;
    holders->users = users;
    users[holders->n_users] = (User){.uid = uid, .name = TAKE_PTR(name)};
    return users[holders->n_users++].name;
}

/* Cuts " (deleted)" where the kernel put it, which is not where a file is really called so. */
static void strip_deleted(int process, char *exe, bool *ret_deleted) {
    static const char mark[] = " (deleted)";
    size_t n = strlen(exe), m = sizeof(mark) - 1;
    *ret_deleted = false;
    if (n <= m || strcmp(exe + n - m, mark) != 0) return;
    struct stat running, named;
    char path[PATH_MAX + 32];
    if (fstatat(process, "exe", &running, 0) == 0 && running.st_nlink > 0) {
        snprintf(path, sizeof(path), "root%s", exe);
        if (fstatat(process, path, &named, 0) == 0 && named.st_dev == running.st_dev && named.st_ino == running.st_ino)
            return;
    }
    exe[n - m] = '\0';
    *ret_deleted = true;
}

static int read_unit(int process, Owner *owner) {
    char buffer[PATH_MAX + 4096];
    size_t length;
    int r = procfs_read(process, "cgroup", buffer, sizeof(buffer), &length);
    if (r < 0) return r == -ESRCH ? r : 0; /* unit unknown */
    _cleanup_free_ char *unit = NULL;
    r = cgroup_parse(buffer, length, &unit);
    if (r < 0 || !unit) return r;
    owner->unit = owner_unit_kind(unit);
    if (!owner->unit) return -ENOMEM;
    if (strcmp(owner->unit, unit) != 0) owner->unit_shown = TAKE_PTR(unit);
    return 0;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static int read_exe(int process, char **ret) {
    char *link = NULL;
    int r = procfs_read_link(process, "exe", &link);
    if (r == -ESRCH || r == -ENOMEM) return r;
    *ret = link; /* unreadable: not known */
    return 0;
}

/* Everything about a process through its directory. -EAGAIN: it executed another program meanwhile. */
static int read_once(Holders *holders, int process, Holder *into) {
    _cleanup_(owner_unrefp) Owner *owner = owner_new();
    _cleanup_free_ char *link = NULL, *link_after = NULL;
    ProcStat stat, stat_after;
    struct stat directory;
    if (!owner) return -ENOMEM;
    int r = procfs_read_stat(process, &stat);
    if (r >= 0) r = read_exe(process, &link);
    if (r < 0) return r;
    if (fstat(process, &directory) < 0) return -errno;
    r = procfs_read_uid(process, &owner->uid);
    if (r == -ESRCH) return r;
    if (r < 0) owner->uid = UID_UNKNOWN;
    r = read_unit(process, owner);
    if (r < 0) return r;
    r = procfs_read_cmdline(process, &owner->cmdline);
    if (r == -ESRCH || r == -ENOMEM) return r;
    if (link) {
        owner->exe = strdup(link);
        if (!owner->exe) return -ENOMEM;
        strip_deleted(process, owner->exe, &owner->exe_deleted);
    }
    if (owner->uid != UID_UNKNOWN) {
        const char *user = holders_user(holders, owner->uid);
        owner->user = user ? strdup(user) : NULL;
        if (!owner->user) return -ENOMEM;
    }
    /* What was read before an execve(2) and after it must not be mixed. */
    r = read_exe(process, &link_after);
    if (r >= 0) r = procfs_read_stat(process, &stat_after);
    if (r < 0) return r;
    if (stat_after.started != stat.started) return -ESRCH;
    if (!same_text(link, link_after) || strcmp(stat.comm, stat_after.comm) != 0) return -EAGAIN;
    owner->comm = strdup(stat.comm);
    if (!owner->comm) return -ENOMEM;
    owner->pid = into->pid;
    owner->started = procfs_ticks_to_realtime(stat.started);

    into->started = stat.started;
    into->directory_uid = directory.st_uid;
    into->init = into->pid == 1 &&
                 (strcmp(stat.comm, "systemd") == 0 || (owner->exe && strcmp(basename(owner->exe), "systemd") == 0));
    free(into->exe_link);
    into->exe_link = TAKE_PTR(link);
    owner_unref(into->owner);
    into->owner = TAKE_PTR(owner);
    return 0;
}

static int read_process(Holders *holders, int process, Holder *into) {
    int r = -EAGAIN;
    for (unsigned i = 0; r == -EAGAIN && i < READ_ATTEMPTS; i++) r = read_once(holders, process, into);
    return r;
}

static void free_holder(Holder *holder) {
    if (holder->pidfd >= 0) close(holder->pidfd);
    free(holder->exe_link);
    owner_unref(holder->owner);
    free(holder);
}

/* The index of the first entry not before (pid, started). */
static size_t lower_bound(const Holders *holders, pid_t pid, uint64_t started) {
    size_t low = 0, high = holders->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const Holder *h = holders->items[middle];
        if (h->pid < pid || (h->pid == pid && h->started < started))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void watch(Holders *holders, int process, Holder *holder) {
    if (!holders->live || holders->watched >= holders->watched_max) return;
    int fd = (int)syscall(SYS_pidfd_open, holder->pid, 0);
    if (fd < 0) return;
    /* The pid was looked up anew: only if the process whose directory is open is alive after that is it the same. */
    ProcStat stat;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = holder};
    if (procfs_read_stat(process, &stat) < 0 || epoll_ctl(holders->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
        close(fd);
        return;
    }
    holder->pidfd = fd;
    holders->watched++;
}

int holders_get(Holders *holders, pid_t pid, uint64_t started, Holder **ret) {
    size_t at = lower_bound(holders, pid, started);
    if (at < holders->n && holders->items[at]->pid == pid && holders->items[at]->started == started) {
        if (holders->items[at]->gone) return -ESRCH;
        *ret = holders_ref(holders->items[at]);
        return 0;
    }
    if (holders->n == holders->allocated) {
        size_t allocated = holders->allocated > 0 ? holders->allocated * 2 : 32;
        Holder **items = realloc(holders->items, allocated * sizeof(*items));
        if (!items) return -ENOMEM;
        holders->items = items;
        holders->allocated = allocated;
    }
    _cleanup_close_ int process = -1;
    int r = procfs_open_process(&holders->roots, pid, &process);
    if (r < 0) return r;
    Holder *holder = calloc(1, sizeof(*holder));
    if (!holder) return -ENOMEM;
    holder->pid = pid;
    holder->pidfd = -1;
    holder->references = 1;
    r = read_process(holders, process, holder);
    if (r >= 0 && holder->started != started) r = -ESRCH;
    if (r < 0) {
        free_holder(holder);
        return r;
    }
    watch(holders, process, holder);
    memmove(holders->items + at + 1, holders->items + at, (holders->n - at) * sizeof(*holders->items));
    holders->items[at] = holder;
    holders->n++;
    *ret = holder;
    return 0;
}

Holder *holders_ref(Holder *holder) {
    holder->references++;
    return holder;
}

static void unwatch(Holders *holders, Holder *holder) {
    if (holder->pidfd < 0) return;
    /* Closing alone would keep the registration while a forked child has the descriptor. */
    epoll_ctl(holders->epoll, EPOLL_CTL_DEL, holder->pidfd, NULL);
    close(holder->pidfd);
    holder->pidfd = -1;
    holders->watched--;
}

void holders_release(Holders *holders, Holder *holder) {
    if (!holder || --holder->references > 0) return;
    size_t at = lower_bound(holders, holder->pid, holder->started);
    if (at < holders->n && holders->items[at] == holder) {
        memmove(holders->items + at, holders->items + at + 1, (holders->n - at - 1) * sizeof(*holders->items));
        holders->n--;
    }
    unwatch(holders, holder);
    free_holder(holder);
}

int holders_poll(Holders *holders) {
    struct epoll_event events[64];
    int gone = 0, n;
    if (holders->watched == 0) return 0;
    do {
        n = epoll_wait(holders->epoll, events, ELEMENTSOF(events), 0);
        for (int i = 0; i < n; i++) {
            Holder *holder = events[i].data.ptr;
            holder->gone = true;
            unwatch(holders, holder);
            gone++;
        }
    } while (n == (int)ELEMENTSOF(events));
    return gone;
}

static int check(Holders *holders, Holder *holder, bool thorough) {
    _cleanup_close_ int process = -1;
    struct stat directory;
    int r = procfs_open_process(&holders->roots, holder->pid, &process);
    if (r < 0) return r;
    if (fstat(process, &directory) < 0) return errno == ENOENT ? -ESRCH : -errno;
    if (holder->pidfd < 0) {
        ProcStat stat;
        r = procfs_read_stat(process, &stat);
        if (r < 0) return r;
        if (stat.started != holder->started) return -ESRCH;
    }
    _cleanup_free_ char *link = NULL;
    r = read_exe(process, &link);
    if (r < 0) return r;
    bool changed = directory.st_uid != holder->directory_uid || !same_text(link, holder->exe_link);
    if (!changed && thorough) {
        _cleanup_(owner_unrefp) Owner *now = owner_new();
        if (!now) return -ENOMEM;
        r = read_unit(process, now);
        if (r < 0) return r;
        changed = !same_text(now->unit, holder->owner->unit) || !same_text(now->unit_shown, holder->owner->unit_shown);
    }
    if (!changed) return 0;
    uint64_t started = holder->started;
    r = read_process(holders, process, holder);
    if (r >= 0 && holder->started != started) {
        holder->started = started; /* the order of the list */
        return -ESRCH;
    }
    return r == -EAGAIN ? 0 : r; /* busy executing: next time */
}

int holders_check(Holders *holders, Holder *holder, uint64_t round, bool thorough) {
    if (holder->gone || holder->checked == round) return 0;
    holder->checked = round;
    int r = check(holders, holder, thorough);
    if (r == -ESRCH) {
        holder->gone = true;
        unwatch(holders, holder);
        return 0;
    }
    return r == -ENOMEM ? r : 0; /* what cannot be looked at now keeps what was known */
}

bool holders_has(const Holders *holders, const Holder *holder, int fd, uint32_t inode) {
    char path[PATH_MAX], link[64], wanted[64];
    int n = snprintf(path, sizeof(path), "%s/%d/fd/%d", holders->roots.proc, (int)holder->pid, fd);
    if (n < 0 || (size_t)n >= sizeof(path)) return false;
    ssize_t length = readlink(path, link, sizeof(link));
    n = snprintf(wanted, sizeof(wanted), "socket:[%u]", inode);
    return length == n && memcmp(link, wanted, (size_t)n) == 0;
}

size_t holders_count(const Holders *holders) {
    return holders->n;
}
