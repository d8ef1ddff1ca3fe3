#include <errno.h>
#include <string.h>
#include <time.h>

#include "kernel/identity.h"
#include "kernel/owners_internal.h"
#include "kernel/scan.h"

/* How long a holder that was found now counts as new: such are checked every round. */
#define YOUNG (20 * USEC_PER_SEC)
#define BACKOFF_FIRST USEC_PER_SEC
#define BACKOFF_MAX (600 * USEC_PER_SEC)
/* Looks into all processes take at most a tenth of the time, and the others too. */
#define PAUSE_FACTOR 9
#define HINTS_MAX 256u

static char *copy(const char *text, bool *failed) {
    char *result = text ? strdup(text) : NULL;
    if (text && !result) *failed = true;
    return result;
}

/* The place of the socket's cgroup; empty: none to be known. 0 or -ENOMEM. */
static int socket_place(const Owners *o, const Entry *e, Place *ret) {
    int r = cgroups_place(o->cgroups, e->cgroup, ret);
    if (r < 0 && r != -ENOMEM) *ret = (Place){0};
    return r == -ENOMEM ? r : 0;
}

static bool has_suffix(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n > m && strcmp(text + n - m, suffix) == 0;
}

/* Compared by the socket unit and PID 1; shown is who serves. */
static int make_activated(Owners *o, Entry *e) {
    const Owner *init = e->holder->owner, *shown = e->shown ? e->shown->owner : init;
    _cleanup_(owner_unrefp) Owner *own = owner_new();
    _cleanup_(place_done) Place place = {0};
    if (!own) return -ENOMEM;
    int r = socket_place(o, e, &place);
    if (r < 0) return r;
    bool failed = false;
    own->slice = TAKE_PTR(place.slice);
    if (place.unit && has_suffix(place.unit, ".socket"))
        own->unit = TAKE_PTR(place.unit);
    else
        own->unit = copy(OWNER_UNIT_ACTIVATION, &failed);
    own->exe = copy(init->exe, &failed);
    own->uid = init->uid;
    own->user = copy(init->user, &failed);
    if (e->shown) own->exe_shown = copy(shown->exe, &failed);
    own->exe_deleted = shown->exe_deleted;
    own->exe_replaced = shown->exe_replaced;
    own->exe_inode = shown->exe_inode;
    own->exe_changed = shown->exe_changed;
    own->exe_host = shown->exe_host;
    own->pid = shown->pid;
    own->comm = copy(shown->comm, &failed);
    own->cmdline = copy(shown->cmdline, &failed);
    own->started = shown->started;
    if (failed) return -ENOMEM;
    owners_forget_own(e);
    e->own = TAKE_PTR(own);
    e->of_holder = owner_ref(e->holder->owner);
    e->of_shown = e->shown ? owner_ref(e->shown->owner) : NULL;
    return 0;
}

/* Where holders cannot be seen the unit of the socket's cgroup is all there is. */
static int make_unit_only(Owners *o, Entry *e) {
    _cleanup_(owner_unrefp) Owner *own = owner_new();
    _cleanup_(place_done) Place place = {0};
    if (!own) return -ENOMEM;
    int r = socket_place(o, e, &place);
    bool manager = place.unit && !place.user_unit && strcmp(place.unit, "init.scope") == 0;
    if (r >= 0) r = identity_place(o->roots.files, &place, own);
    if (r < 0 || !own->unit) return r;
    if (manager) {
        char *activation = strdup(OWNER_UNIT_ACTIVATION);
        if (!activation) return -ENOMEM;
        free(own->unit);
        own->unit = activation;
    }
    owners_forget_own(e);
    e->own = TAKE_PTR(own);
    return 0;
}

int owners_refresh_activated(Owners *o) {
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
        /* A fresh one may be found near in the next round already. */
        e->next = e->fresh ? now : o->scan_allowed;
        return 0;
    }
    e->searched = true;
    e->fresh = false;
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
    _cleanup_(place_done) Place place = {0};
    Holder *holder = NULL, *shown = NULL;
    const Held *held = w->oldest.pid > 0 ? &w->oldest : &w->init;
    int fd = held->fd, shown_fd = -1, r = holders_get(o->holders, held->pid, held->started, &holder);
    if (r >= 0 && !holders_has(o->holders, holder, fd, e->inode)) {
        /* It has given the socket away, or another process has its pid: nothing is certain. */
        holders_release(o->holders, holder);
        r = -ESRCH;
    }
    if (r < 0) return r;
    if (w->init.pid > 0 && held != &w->init) {
        Holder *init = NULL;
        r = holders_get(o->holders, w->init.pid, w->init.started, &init);
        if (r >= 0) r = socket_place(o, e, &place);
        if (r < 0) {
            holders_release(o->holders, init);
            holders_release(o->holders, holder);
            return r;
        }
        if (init->init && place.unit && has_suffix(place.unit, ".service"))
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
    owners_forget_holders(o, e);
    e->holder = holder;
    e->fd = fd;
    e->shown = shown;
    e->shown_fd = shown_fd;
    e->searched = true;
    e->complete_scans = 0;
    e->fresh = false;
    e->found = now;
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

static int scan(Owners *o, Wanted *wanted, size_t n, int64_t now, ScanReport *ret) {
    pid_t hints[HINTS_MAX];
    ScanOptions options = {
        .deep = o->options.resolve_all || now >= o->scan_allowed,
        .hints = hints,
        .n_hints = holders_pids(o->holders, hints, HINTS_MAX),
        .census = o->options.resolve_all ? NULL : &o->census,
    };
    int64_t start = monotonic();
    int r = scan_holders(&o->roots, o->cgroups, &options, wanted, n, ret);
    if (r < 0) return r;
    /* Deep and other looks are held apart: what is new is mostly found near, and need not wait for a deep one's pause.
     */
    int64_t allowed = now + (monotonic() - start) * PAUSE_FACTOR;
    if (ret->deep)
        o->scan_allowed = allowed;
    else
        o->look_allowed = allowed;
    o->scans++;
    o->full_scans += ret->full;
    if (ret->full) o->denied = ret->denied > 0;
    return 0;
}

int owners_look_up(Owners *o, int64_t now) {
    size_t n = 0;
    for (size_t i = 0; i < o->n; i++) n += wants_lookup(o, &o->items[i], now);
    if (n == 0 || (now < o->look_allowed && !o->options.resolve_all)) return 0;
    _cleanup_free_ Wanted *wanted = calloc(n, sizeof(*wanted));
    if (!wanted) return -ENOMEM;
    n = 0;
    for (size_t i = 0; i < o->n; i++) {
        const Entry *e = &o->items[i];
        if (!wants_lookup(o, e, now)) continue;
        wanted[n++] = (Wanted){.inode = e->inode,
            .cgroup = e->cgroup,
            .tag = i,
            .others = e->holder != NULL || e->failures == 0,
            .fresh = e->fresh};
    }
    ScanReport report;
    int r = scan(o, wanted, n, now, &report);
    if (r < 0) return r;
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
