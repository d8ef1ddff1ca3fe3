#include "kernel/holder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "kernel/identity.h"
#include "kernel/procfs.h"

#define WATCHED_MAX 4096u

struct Holders {
    KernelRoots roots;
    bool live;
    int epoll;
    unsigned watched, watched_max;
    Holder **items; /* by pid, then start */
    size_t n, allocated;
    unsigned unnamed; /* holders whose user's name is not known, or more */
    char passwd[PATH_MAX];
    IdentitySources sources;
};

int holders_new(const KernelRoots *roots, const Cgroups *cgroups, int64_t patience, Holders **ret) {
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
    h->sources = (IdentitySources){.files = roots->files, .cgroups = cgroups};
    bool named = roots->files && snprintf(h->passwd, sizeof(h->passwd), "%s/etc/passwd", roots->files) < PATH_MAX;
    int r = users_new(named ? h->passwd : NULL, patience, &h->sources.users);
    if (r < 0) return r;
    *ret = TAKE_PTR(h);
    return 0;
}

Holders *holders_free(Holders *holders) {
    if (!holders) return NULL;
    if (holders->epoll >= 0) close(holders->epoll);
    users_free(holders->sources.users);
    free(holders->items);
    free(holders);
    return NULL;
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

static bool is_unnamed(const Holder *holder) {
    return holder->owner && !holder->owner->user && holder->owner->uid != UID_UNKNOWN;
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
    r = identity_read(&holders->sources, process, holder);
    if (r >= 0 && holder->started != started) r = -ESRCH;
    if (r < 0) {
        free_holder(holder);
        return r;
    }
    holders->unnamed += is_unnamed(holder);
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

/* Is `process` the directory of this holder, and not of one that got its number? The directory was opened by number:
 * if the holder had not ended by now, the number was its own. */
static int verify(const Holder *holder, int process) {
    if (holder->pidfd >= 0) {
        struct pollfd ended = {.fd = holder->pidfd, .events = POLLIN};
        int r = poll(&ended, 1, 0);
        return r < 0 ? -errno : r > 0 ? -ESRCH : 0;
    }
    ProcStat stat;
    int r = procfs_read_stat(process, &stat);
    if (r < 0) return r;
    return stat.started == holder->started ? 0 : -ESRCH;
}

static int check(Holders *holders, Holder *holder, bool thorough) {
    _cleanup_close_ int process = -1;
    struct stat directory;
    int r = procfs_open_process(&holders->roots, holder->pid, &process);
    if (r < 0) return r;
    r = verify(holder, process);
    if (r < 0) return r;
    if (fstat(process, &directory) < 0) return errno == ENOENT ? -ESRCH : -errno;
    bool changed = false;
    r = identity_changed(holder, process, &directory, thorough, &changed);
    if (r < 0) return r;
    if (!changed) return 0;
    uint64_t started = holder->started;
    r = identity_read(&holders->sources, process, holder);
    if (r >= 0) holders->unnamed += is_unnamed(holder);
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
    _cleanup_close_ int process = -1;
    char name[32], link[64], wanted[64];
    if (procfs_open_process(&holders->roots, holder->pid, &process) < 0) return false;
    snprintf(name, sizeof(name), "fd/%d", fd);
    ssize_t length = readlinkat(process, name, link, sizeof(link));
    int n = snprintf(wanted, sizeof(wanted), "socket:[%u]", inode);
    return length == n && memcmp(link, wanted, (size_t)n) == 0 && verify(holder, process) == 0;
}

int holders_name_users(Holders *holders) {
    if (holders->unnamed == 0) return 0;
    holders->unnamed = 0;
    for (size_t i = 0; i < holders->n; i++) {
        const Holder *holder = holders->items[i];
        const char *name = NULL;
        if (!is_unnamed(holder)) continue;
        int r = users_name(holders->sources.users, holder->owner->uid, &name);
        if (r >= 0 && name && !(holder->owner->user = strdup(name))) r = -ENOMEM;
        if (r < 0 || !name) holders->unnamed++;
        if (r < 0) return r;
    }
    return 0;
}

size_t holders_pids(const Holders *holders, pid_t *pids, size_t max) {
    size_t n = 0;
    for (size_t i = holders->n; i > 0 && n < max; i--) {
        const Holder *holder = holders->items[i - 1];
        if (!holder->gone && (n == 0 || pids[n - 1] != holder->pid)) pids[n++] = holder->pid;
    }
    return n;
}

size_t holders_count(const Holders *holders) {
    return holders->n;
}
