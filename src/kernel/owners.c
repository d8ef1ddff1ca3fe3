#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "kernel/owners_internal.h"
#include "kernel/procfs.h"

/* A dump may miss a socket that is there: its owner is kept so long. */
#define ABSENT_ROUNDS 5u
/* How long a name is worth waiting for, and how long an update may itself wait for one, the single one of resolve_all.
 */
#define NAME_PENDING (3 * USEC_PER_SEC)
#define NAME_PATIENCE (20 * 1000)
#define NAME_PATIENCE_ALL (2 * USEC_PER_SEC)
/* Of processes: programs drop privileges, execute and move cgroup soon after they bind. */
#define YOUNG_CHECKS 16u
#define DESCRIPTOR_CHECKS 4u

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
    int r = cgroups_new(roots, &o->cgroups);
    int64_t patience = options->resolve_all ? NAME_PATIENCE_ALL : NAME_PATIENCE;
    if (r >= 0) r = holders_new(roots, o->cgroups, patience, &o->holders);
    /* Before the first snapshot, so that nobody who makes a socket after it has been counted with it already. */
    if (r >= 0 && !options->resolve_all) r = census_take(&o->census, roots);
    if (r < 0) return r;
    *ret = TAKE_PTR(o);
    return 0;
}

void owners_forget_own(Entry *e) {
    e->own = owner_unref(e->own);
    e->of_holder = owner_unref(e->of_holder);
    e->of_shown = owner_unref(e->of_shown);
}

void owners_forget_holders(Owners *o, Entry *e) {
    owners_forget_own(e);
    holders_release(o->holders, TAKE_PTR(e->holder));
    holders_release(o->holders, TAKE_PTR(e->shown));
}

Owners *owners_free(Owners *owners) {
    if (!owners) return NULL;
    for (size_t i = 0; i < owners->n; i++) owners_forget_holders(owners, &owners->items[i]);
    free(owners->items);
    holders_free(owners->holders);
    cgroups_free(owners->cgroups);
    census_done(&owners->census);
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
        .fresh = o->round > 1 && !o->options.resolve_all,
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
            owners_forget_holders(o, e);
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
        owners_forget_holders(o, e);
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
        owners_forget_holders(o, e);
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

int owners_update(Owners *owners, const SockRows *rows, int64_t now, uint16_t first, uint16_t last) {
    owners->round++;
    owners->now = now;
    int r = track(owners, rows, now, first, last);
    if (r >= 0) r = check_known(owners, now);
    if (r >= 0) r = owners_look_up(owners, now);
    if (r >= 0) r = holders_name_users(owners->holders);
    if (r >= 0) r = owners_refresh_activated(owners);
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

bool owners_pending(const Owners *owners, const SockRow *row) {
    const Entry *e = find(owners, owners->n, row->cookie);
    if (!e || e->seen != owners->round) return false;
    if (e->holder) {
        const Owner *owner = e->holder->owner;
        return owner->uid != UID_UNKNOWN && !owner->user && owners->now - e->found < NAME_PENDING;
    }
    if (e->own || e->inode == 0 || e->patient || owners->now - e->first_seen >= OWNERS_PENDING_MAX) return false;
    bool perhaps_kernel =
        owners->privileged && e->uid == 0 && e->complete_scans > 0 && e->complete_scans < KERNEL_SCANS;
    return !e->searched || perhaps_kernel;
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

int owners_process(Owners *owners, pid_t pid, uint64_t started, Owner **ret) {
    Holder *holder;
    int r = holders_get(owners->holders, pid, started, &holder);
    if (r < 0) return r;
    *ret = owner_ref(holder->owner);
    holders_release(owners->holders, holder);
    return 0;
}

OwnersStatistics owners_statistics(const Owners *owners) {
    return (OwnersStatistics){
        .sockets = owners->n,
        .holders = holders_count(owners->holders),
        .scans = owners->scans,
        .full_scans = owners->full_scans,
    };
}
