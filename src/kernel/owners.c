#include "kernel/owners.h"

#include <errno.h>
#include <linux/capability.h>
#include <string.h>
#include <time.h>

#include "core/text.h"
#include "kernel/cgroup.h"
#include "kernel/holder.h"
#include "kernel/procfs.h"
#include "kernel/scan.h"

/* A dump may miss a socket that is there: its owner is kept so long. */
#define ABSENT_ROUNDS 5u
/* Programs drop privileges, execute and move cgroup soon after they bind: new ones are checked often. */
#define YOUNG (20 * USEC_PER_SEC)
#define YOUNG_CHECKS 16u
#define DESCRIPTOR_CHECKS 4u
#define BACKOFF_FIRST USEC_PER_SEC
#define BACKOFF_MAX (600 * USEC_PER_SEC)
/* Full scans take at most a tenth of the time. */
#define SCAN_PAUSE_FACTOR 9
#define KERNEL_SCANS 2u

typedef struct Entry {
    uint64_t cookie, cgroup;
    uint64_t seen; /* round */
    int64_t first_seen, young_until;
    int64_t next; /* when to look for its holder */
    uint32_t inode, uid;
    unsigned failures;
    uint8_t complete_scans; /* in a row, that found nobody */
    bool searched;
    bool patient; /* UDP on an ephemeral port */
    int fd;
    Holder *holder; /* the compared one, NULL: not known */
    Holder *shown;  /* where `holder` is the service manager: who serves */
    int shown_fd;
    Owner *own;                  /* where holder->owner is not the owner: activation, the kernel, only a unit */
    Owner *of_holder, *of_shown; /* what `own` was made from */
} Entry;

struct Owners {
    KernelRoots roots;
    OwnersOptions options;
    Holders *holders;
    Cgroups *cgroups;
    bool privileged;
    Owner *kernel;
    const char *trouble;
    Entry *items; /* by cookie */
    size_t n, allocated;
    size_t young_cursor, descriptor_cursor;
    uint64_t round;
    int64_t scan_allowed;
    bool denied; /* the last full scan met processes it could not look into */
    unsigned missing;
    uint64_t scans, full_scans;
};

static const char *find_trouble(const KernelRoots *roots) {
    uint64_t capabilities = 0;
    if (procfs_capabilities(roots, &capabilities) < 0) return "owners cannot be seen: procfs cannot be read";
    bool ptrace = capabilities & (UINT64_C(1) << CAP_SYS_PTRACE);
    bool search = capabilities & (UINT64_C(1) << CAP_DAC_READ_SEARCH | UINT64_C(1) << CAP_DAC_OVERRIDE);
    if (!ptrace && !search)
        return "no CAP_SYS_PTRACE and no CAP_DAC_READ_SEARCH: owners of other users' sockets cannot be seen";
    if (!ptrace) return "no CAP_SYS_PTRACE: owners of other users' sockets cannot be seen";
    if (!search) return "no CAP_DAC_READ_SEARCH: owners of other users' sockets cannot be seen";
    if (!procfs_is_initial_pid_namespace(roots))
        return "in a pid namespace of its own: owners outside of it cannot be seen";
    return NULL;
}

int owners_new(const KernelRoots *roots, const OwnersOptions *options, Owners **ret) {
    _cleanup_(owners_freep) Owners *o = calloc(1, sizeof(*o));
    if (!o) return -ENOMEM;
    o->roots = *roots;
    o->options = *options;
    o->trouble = find_trouble(roots);
    o->privileged = !o->trouble;
    o->kernel = owner_new();
    if (!o->kernel) return -ENOMEM;
    o->kernel->exe = strdup(OWNER_EXE_KERNEL);
    o->kernel->user = strdup("root");
    o->kernel->uid = 0;
    if (!o->kernel->exe || !o->kernel->user) return -ENOMEM;
    int r = holders_new(roots, &o->holders);
    if (r >= 0) r = cgroups_new(roots, &o->cgroups);
    if (r < 0) return r;
    *ret = TAKE_PTR(o);
    return 0;
}

static void forget_own(Entry *e) {
    e->own = owner_unref(e->own);
    e->of_holder = owner_unref(e->of_holder);
    e->of_shown = owner_unref(e->of_shown);
}

static void forget_holders(Owners *o, Entry *e) {
    forget_own(e);
    holders_release(o->holders, TAKE_PTR(e->holder));
    holders_release(o->holders, TAKE_PTR(e->shown));
}

Owners *owners_free(Owners *owners) {
    if (!owners) return NULL;
    for (size_t i = 0; i < owners->n; i++) forget_holders(owners, &owners->items[i]);
    free(owners->items);
    holders_free(owners->holders);
    cgroups_free(owners->cgroups);
    owner_unref(owners->kernel);
    free(owners);
    return NULL;
}

void owners_set_udp_settle(Owners *owners, int64_t udp_settle) {
    owners->options.udp_settle = udp_settle;
}

static int compare_entries(const void *pa, const void *pb) {
    const Entry *a = pa, *b = pb;
    return (a->cookie > b->cookie) - (a->cookie < b->cookie);
}

static Entry *find(const Owners *o, size_t n, uint64_t cookie) {
    Entry key = {.cookie = cookie};
    return n > 0 ? bsearch(&key, o->items, n, sizeof(*o->items), compare_entries) : NULL;
}

static int append(Owners *o, const SockRow *row, int64_t now, bool ephemeral) {
    if (o->n == o->allocated) {
        size_t allocated = o->allocated > 0 ? o->allocated * 2 : 64;
        Entry *items = realloc(o->items, allocated * sizeof(*items));
        if (!items) return -ENOMEM;
        o->items = items;
        o->allocated = allocated;
    }
    o->items[o->n++] = (Entry){
        .cookie = row->cookie,
        .cgroup = row->cgroup,
        .inode = row->inode,
        .uid = row->uid,
        .seen = o->round,
        .first_seen = now,
        .next = now,
        .patient = ephemeral && table_protocol(row->table) != PROTOCOL_TCP,
    };
    return 0;
}

/* Brings the list to the sockets of this round. */
static int track(Owners *o, const SockRows *rows, int64_t now, uint16_t first, uint16_t last) {
    size_t known = o->n;
    for (size_t i = 0; i < rows->n; i++) {
        const SockRow *row = &rows->items[i];
        Entry *e = find(o, known, row->cookie);
        if (e)
            e->seen = o->round;
        else {
            int r = append(o, row, now, row->port >= first && row->port <= last);
            if (r < 0) {
                o->n = known; /* the tail is not sorted in */
                return r;
            }
        }
    }
    if (o->n > known) qsort(o->items, o->n, sizeof(*o->items), compare_entries);
    size_t kept = 0;
    for (size_t i = 0; i < o->n; i++) {
        Entry *e = &o->items[i];
        /* A union of dumps may show a socket under two keys: then it was appended twice. */
        bool twice = kept > 0 && o->items[kept - 1].cookie == e->cookie;
        if (twice || o->round - e->seen > ABSENT_ROUNDS)
            forget_holders(o, e);
        else
            o->items[kept++] = *e;
    }
    o->n = kept;
    return 0;
}

/* Drops holders that ended: their sockets are looked for anew. */
static void drop_gone(Entry *e, Owners *o, int64_t now) {
    if (e->shown && e->shown->gone) {
        holders_release(o->holders, TAKE_PTR(e->shown));
        e->next = now;
        e->failures = 0;
    }
    if (e->holder && e->holder->gone) {
        forget_holders(o, e);
        e->next = now;
        e->failures = 0;
    }
}

/* Does the holder still have the socket? */
static int check_entry(Owners *o, Entry *e, int64_t now) {
    int r = holders_check(o->holders, e->holder, o->round, false);
    if (r >= 0 && e->shown) r = holders_check(o->holders, e->shown, o->round, false);
    if (r < 0) return r;
    if (e->shown && !e->shown->gone && !holders_has(o->holders, e->shown, e->shown_fd, e->inode)) {
        holders_release(o->holders, TAKE_PTR(e->shown));
        e->next = now;
    }
    if (!e->holder->gone && !holders_has(o->holders, e->holder, e->fd, e->inode)) {
        forget_holders(o, e);
        e->next = now;
    }
    return 0;
}

/* In turn, so that each is looked at again after some rounds. */
static int check_descriptors(Owners *o, int64_t now) {
    unsigned budget = DESCRIPTOR_CHECKS;
    if (o->descriptor_cursor >= o->n) o->descriptor_cursor = 0;
    size_t at = o->descriptor_cursor;
    for (size_t i = 0; i < o->n && budget > 0; i++, at = at + 1 < o->n ? at + 1 : 0) {
        Entry *e = &o->items[at];
        if (!e->holder || e->holder->gone || e->seen != o->round) continue;
        int r = check_entry(o, e, now);
        if (r < 0) return r;
        budget--;
        o->descriptor_cursor = at + 1;
    }
    return 0;
}

/* Is the process still the program, user and unit it was? */
static int check_young(Owners *o, int64_t now) {
    unsigned budget = YOUNG_CHECKS;
    if (o->young_cursor >= o->n) o->young_cursor = 0;
    size_t at = o->young_cursor;
    for (size_t i = 0; i < o->n && budget > 0; i++, at = at + 1 < o->n ? at + 1 : 0) {
        Holder *holders[] = {o->items[at].holder, o->items[at].shown};
        if (now >= o->items[at].young_until) continue;
        for (size_t k = 0; k < ELEMENTSOF(holders); k++) {
            if (!holders[k] || holders[k]->gone || holders[k]->checked == o->round) continue;
            int r = holders_check(o->holders, holders[k], o->round, true);
            if (r < 0) return r;
            if (budget > 0) budget--;
            o->young_cursor = at + 1;
        }
    }
    return 0;
}

static int check_known(Owners *o, int64_t now) {
    if (o->n == 0) return 0;
    holders_poll(o->holders);
    int r = check_young(o, now);
    if (r >= 0) r = check_descriptors(o, now);
    if (r < 0) return r;
    for (size_t i = 0; i < o->n; i++) drop_gone(&o->items[i], o, now);
    return 0;
}

static char *copy(const char *text, bool *failed) {
    char *result = text ? strdup(text) : NULL;
    if (text && !result) *failed = true;
    return result;
}

/* The unit of the socket's cgroup, NULL: none to be known. 0 or -ENOMEM. */
static int socket_unit(const Owners *o, const Entry *e, char **ret) {
    char *unit = NULL;
    int r = cgroups_unit(o->cgroups, e->cgroup, &unit);
    if (r == -ENOMEM) return r;
    *ret = r < 0 ? NULL : unit;
    return 0;
}

static bool has_suffix(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n > m && strcmp(text + n - m, suffix) == 0;
}

/* Compared by the socket unit and PID 1; shown is who serves. */
static int make_activated(Owners *o, Entry *e) {
    const Owner *init = e->holder->owner, *shown = e->shown ? e->shown->owner : init;
    _cleanup_(owner_unrefp) Owner *own = owner_new();
    _cleanup_free_ char *unit = NULL;
    if (!own) return -ENOMEM;
    int r = socket_unit(o, e, &unit);
    if (r < 0) return r;
    bool failed = false;
    if (unit && has_suffix(unit, ".socket"))
        own->unit = TAKE_PTR(unit);
    else
        own->unit = copy(OWNER_UNIT_ACTIVATION, &failed);
    own->exe = copy(init->exe, &failed);
    own->uid = init->uid;
    own->user = copy(init->user, &failed);
    if (e->shown) own->exe_shown = copy(shown->exe, &failed);
    own->exe_deleted = shown->exe_deleted;
    own->pid = shown->pid;
    own->comm = copy(shown->comm, &failed);
    own->cmdline = copy(shown->cmdline, &failed);
    own->started = shown->started;
    if (failed) return -ENOMEM;
    forget_own(e);
    e->own = TAKE_PTR(own);
    e->of_holder = owner_ref(e->holder->owner);
    e->of_shown = e->shown ? owner_ref(e->shown->owner) : NULL;
    return 0;
}

/* Where holders cannot be seen the unit of the socket's cgroup is all there is. */
static int make_unit_only(Owners *o, Entry *e) {
    _cleanup_(owner_unrefp) Owner *own = owner_new();
    _cleanup_free_ char *unit = NULL;
    if (!own) return -ENOMEM;
    int r = socket_unit(o, e, &unit);
    if (r < 0 || !unit) return r;
    own->unit = strcmp(unit, "init.scope") == 0 ? strdup(OWNER_UNIT_ACTIVATION) : owner_unit_kind(unit);
    if (!own->unit) return -ENOMEM;
    if (strcmp(own->unit, OWNER_UNIT_ACTIVATION) != 0 && strcmp(own->unit, unit) != 0) own->unit_shown = TAKE_PTR(unit);
    forget_own(e);
    e->own = TAKE_PTR(own);
    return 0;
}

static int refresh_activated(Owners *o) {
    for (size_t i = 0; i < o->n; i++) {
        Entry *e = &o->items[i];
        if (!e->holder || !e->holder->init) continue;
        if (e->own && e->of_holder == e->holder->owner && e->of_shown == (e->shown ? e->shown->owner : NULL)) continue;
        int r = make_activated(o, e);
        if (r < 0) return r;
    }
    return 0;
}

static void back_off(Entry *e, int64_t now) {
    int64_t pause = e->failures < 10 ? BACKOFF_FIRST << e->failures : BACKOFF_MAX;
    e->failures++;
    e->next = now + (pause < BACKOFF_MAX ? pause : BACKOFF_MAX);
}

static int not_found(Owners *o, Entry *e, const ScanReport *report, int64_t now) {
    if (!report->full) {
        e->next = o->scan_allowed;
        return 0;
    }
    e->searched = true;
    e->complete_scans = report->complete ? (uint8_t)(e->complete_scans + (e->complete_scans < KERNEL_SCANS)) : 0;
    back_off(e, now);
    if (o->privileged) {
        if (e->uid != 0 || e->complete_scans < KERNEL_SCANS || e->own) return 0;
        e->own = owner_ref(o->kernel);
        return 0;
    }
    return e->own ? 0 : make_unit_only(o, e);
}

/* Turns the processes that were found into the owner. 0, -ESRCH if they ended meanwhile, -ENOMEM ... */
static int take_found(Owners *o, Entry *e, const Wanted *w, int64_t now) {
    _cleanup_free_ char *unit = NULL;
    Holder *holder = NULL, *shown = NULL;
    const Held *held = w->oldest.pid > 0 ? &w->oldest : &w->init;
    int fd = held->fd, shown_fd = -1, r = holders_get(o->holders, held->pid, held->started, &holder);
    if (r < 0) return r;
    if (w->init.pid > 0 && held != &w->init) {
        Holder *init = NULL;
        r = holders_get(o->holders, w->init.pid, w->init.started, &init);
        if (r >= 0) r = socket_unit(o, e, &unit);
        if (r < 0) {
            holders_release(o->holders, init);
            holders_release(o->holders, holder);
            return r;
        }
        if (init->init && unit && has_suffix(unit, ".service"))
            holders_release(
                o->holders, init); /* it only keeps a service's socket over restarts (FileDescriptorStore) */
        else {
            if (init->init) {
                shown = holder;
                shown_fd = fd;
            } else
                holders_release(o->holders, holder); /* any other PID 1 is a process like others: the longest-lived */
            holder = init;
            fd = w->init.fd;
        }
    }
    forget_holders(o, e);
    e->holder = holder;
    e->fd = fd;
    e->shown = shown;
    e->shown_fd = shown_fd;
    e->searched = true;
    e->complete_scans = 0;
    e->young_until = now + YOUNG;
    if (holder->init && !shown)
        back_off(e, now);
    else
        e->failures = 0;
    return 0;
}

static int64_t monotonic(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

static bool wants_lookup(const Owners *o, const Entry *e, int64_t now) {
    if (e->seen != o->round || e->inode == 0) return false;
    if (e->holder && (!e->holder->init || e->shown)) return false;
    if (o->options.resolve_all) return true;
    if (e->patient && now - e->first_seen < o->options.udp_settle) return false;
    return now >= e->next;
}

static int look_up(Owners *o, int64_t now) {
    size_t n = 0;
    for (size_t i = 0; i < o->n; i++) n += wants_lookup(o, &o->items[i], now);
    if (n == 0) return 0;
    _cleanup_free_ Wanted *wanted = calloc(n, sizeof(*wanted));
    if (!wanted) return -ENOMEM;
    n = 0;
    for (size_t i = 0; i < o->n; i++) {
        const Entry *e = &o->items[i];
        if (!wants_lookup(o, e, now)) continue;
        wanted[n++] =
            (Wanted){.inode = e->inode, .cgroup = e->cgroup, .tag = i, .others = e->holder != NULL || e->failures == 0};
    }
    ScanReport report;
    bool full = o->options.resolve_all || now >= o->scan_allowed;
    int64_t start = monotonic();
    int r = scan_holders(&o->roots, o->cgroups, wanted, n, full, &report);
    if (r < 0) return r;
    o->scans++;
    o->full_scans += report.full;
    if (report.full) {
        o->scan_allowed = now + (monotonic() - start) * SCAN_PAUSE_FACTOR;
        o->denied = report.denied > 0;
    }
    for (size_t i = 0; i < n; i++) {
        Entry *e = &o->items[wanted[i].tag];
        bool somebody = wanted[i].init.pid > 0 || wanted[i].oldest.pid > 0;
        r = somebody ? take_found(o, e, &wanted[i], now) : -ESRCH;
        if (r == -ENOMEM || r == -EMFILE || r == -ENFILE) return r;
        if (r < 0 && somebody)
            e->next = now; /* ended between two looks: the next round tells */
        else if (r < 0)
            r = not_found(o, e, &report, now);
        if (r == -ENOMEM) return r;
    }
    return 0;
}

int owners_update(Owners *owners, const SockRows *rows, int64_t now, uint16_t first, uint16_t last) {
    owners->round++;
    int r = track(owners, rows, now, first, last);
    if (r >= 0) r = check_known(owners, now);
    if (r >= 0) r = look_up(owners, now);
    if (r >= 0) r = refresh_activated(owners);
    if (r < 0) return r;
    owners->missing = 0;
    for (size_t i = 0; i < owners->n; i++) {
        const Entry *e = &owners->items[i];
        if (e->seen == owners->round && e->searched && !e->holder && e->own != owners->kernel) owners->missing++;
    }
    return 0;
}

Owner *owners_of(const Owners *owners, const SockRow *row) {
    const Entry *e = find(owners, owners->n, row->cookie);
    if (!e) return NULL;
    return e->own ? e->own : e->holder ? e->holder->owner : NULL;
}

unsigned owners_missing(const Owners *owners) {
    return owners->missing;
}

bool owners_undecided(const Owners *owners) {
    if (!owners->privileged) return false;
    for (size_t i = 0; i < owners->n; i++) {
        const Entry *e = &owners->items[i];
        if (e->seen == owners->round && e->uid == 0 && !e->holder && !e->own && e->complete_scans > 0) return true;
    }
    return false;
}

const char *owners_trouble(const Owners *owners) {
    if (owners->trouble) return owners->trouble;
    return owners->denied ? "some processes cannot be looked into: what they hold has no owner" : NULL;
}

OwnersStatistics owners_statistics(const Owners *owners) {
    return (OwnersStatistics){
        .sockets = owners->n,
        .holders = holders_count(owners->holders),
        .scans = owners->scans,
        .full_scans = owners->full_scans,
    };
}
