#include "core/view.h"

#include <errno.h>
#include <string.h>

#include "core/answers.h"
#include "core/exposure.h"

static bool kernel_owned(const Endpoint *e) {
    for (size_t i = 0; i < e->n_owners; i++)
        if (e->owners[i]->exe && strcmp(e->owners[i]->exe, OWNER_EXE_KERNEL) == 0) return true;
    return false;
}

Surface surface_of(const Rules *rules, const Snapshot *snapshot, const Endpoint *e) {
    Surface own = {.protocol = e->protocol, .port = e->port}, pool = {.protocol = e->protocol};
    memcpy(own.namespace, e->namespace, sizeof own.namespace);
    memcpy(pool.namespace, e->namespace, sizeof pool.namespace);
    bool ephemeral = e->port >= snapshot->ephemeral_first && e->port <= snapshot->ephemeral_last;
    if (!ephemeral || rules_find_in(rules, e->namespace, e->protocol, e->port)) return own;
    pool.local = e->protocol == PROTOCOL_TCP && exposure_is_local(e);
    return e->protocol != PROTOCOL_TCP && kernel_owned(e) ? own : pool;
}

typedef enum Side { SIDE_BASELINE, SIDE_SEEN, SIDE_NONE } Side;

typedef struct Entry {
    Surface surface;
    const IgnoreRule *ignore;
    Side side;
    const Endpoint *endpoint;
} Entry;

static int compare_entries(const void *a, const void *b) {
    const Entry *x = a, *y = b;
    int r = surface_compare(&x->surface, &y->surface);
    if (r == 0) r = (x->ignore != NULL) - (y->ignore != NULL);
    if (r == 0) r = (int)x->side - (int)y->side;
    if (r == 0 && x->endpoint) r = endpoint_compare(x->endpoint, y->endpoint);
    return r;
}

/* Does this section need a view even where nothing was learned and nothing is there? */
static bool states_presence(const PortRule *rule) {
    return rule->expect == EXPECT_OPEN || (rule->expect == EXPECT_BASELINE && rule->n_addresses > 0);
}

static size_t count_stated(const Rules *rules) {
    size_t n = 0;
    for (size_t i = 0; i < rules->n_ports; i++)
        if (states_presence(&rules->ports[i])) n += (size_t)(rules->ports[i].last - rules->ports[i].first) + 1;
    return n;
}

/* UDP ports that have a surface of their own, told or about to be. */
typedef struct OwnPorts {
    uint8_t bits[PROTOCOL_MAX][65536 / 8];
} OwnPorts;

/* Where an owner cannot be seen for a moment, the baseline's one says where the endpoint belongs. */
static const Endpoint *as_known(const Endpoints *baseline, const Endpoint *seen) {
    if (owners_known(seen)) return seen;
    const Endpoint *known = endpoints_find(baseline, seen);
    return known && known->n_owners > 0 && owners_pass(known, seen) ? known : seen;
}

/* Does this UDP endpoint stand where the kernel's own one stood, or might it be one whose owner cannot be seen? */
static bool is_own(const Endpoints *baseline, const OwnPorts *own, const Endpoint *seen) {
    const Endpoint *known = endpoints_find(baseline, seen);
    if (known && kernel_owned(known)) return true;
    return !seen->namespace[0] && seen->n_owners == 0 &&
           own->bits[seen->protocol][seen->port / 8] & 1u << seen->port % 8;
}

static void add_baseline(
    const Rules *rules, const Snapshot *snapshot, const Endpoints *list, Entry *entries, size_t *n) {
    for (size_t i = 0; i < list->n; i++) {
        const Endpoint *e = &list->items[i];
        const IgnoreRule *ignore =
            rules_find_in(rules, e->namespace, e->protocol, e->port) ? NULL : rules_ignores(rules, e);
        entries[(*n)++] = (Entry){surface_of(rules, snapshot, e), ignore, SIDE_BASELINE, e};
    }
}

static void add_seen(const Rules *rules, const Endpoints *baseline, const Snapshot *snapshot, const OwnPorts *own,
    Entry *entries, size_t *n) {
    for (size_t i = 0; i < snapshot->endpoints.n; i++) {
        const Endpoint *e = &snapshot->endpoints.items[i], *known = as_known(baseline, e);
        const IgnoreRule *ignore =
            rules_find_in(rules, e->namespace, e->protocol, e->port) ? NULL : rules_ignores(rules, known);
        Surface surface = surface_of(rules, snapshot, known);
        if (surface_of_clients(&surface) && is_own(baseline, own, e)) surface.port = e->port;
        entries[(*n)++] = (Entry){surface, ignore, SIDE_SEEN, e};
    }
}

/* Surfaces that are told or about to be, sorted: a hostile user may have a namespace full of each. */
typedef struct Known {
    const Surface **items;
    size_t n;
} Known;

static int compare_surfaces(const void *a, const void *b) {
    return surface_compare(*(const Surface *const *)a, *(const Surface *const *)b);
}

static void known_done(Known *known) {
    free(known->items);
}

static int known_make(const Surface *more, size_t n, Known *ret) {
    const Surface **items = malloc((n + 1) * sizeof *items);
    if (!items) return -ENOMEM;
    for (size_t i = 0; i < n; i++) items[i] = &more[i];
    if (n > 1) qsort(items, n, sizeof *items, compare_surfaces);
    *ret = (Known){items, n};
    return 0;
}

static bool is_known(const Known *known, const Surface *surface) {
    return known->n && bsearch(&surface, known->items, known->n, sizeof *known->items, compare_surfaces);
}

static Surface whole_of(const Surface *surface) {
    Surface whole = {.whole = true};
    memcpy(whole.namespace, surface->namespace, sizeof whole.namespace);
    return whole;
}

/* What is seen again in a namespace whose end was told. */
static void add_seen_wholes(const Known *known, Entry *entries, size_t *n) {
    size_t end = *n;
    for (size_t i = 0; i < end; i++) {
        Entry whole = entries[i];
        if (whole.side != SIDE_SEEN || whole.ignore || !whole.surface.namespace[0]) continue;
        if (surface_of_clients(&whole.surface)) continue;
        whole.surface = whole_of(&whole.surface);
        if (is_known(known, &whole.surface)) entries[(*n)++] = whole;
    }
}

static void add_stated(const Rules *rules, Entry *entries, size_t *n) {
    for (size_t i = 0; i < rules->n_ports; i++) {
        const PortRule *rule = &rules->ports[i];
        if (!states_presence(rule)) continue;
        for (unsigned port = rule->first; port <= rule->last; port++)
            entries[(*n)++] = (Entry){{.protocol = rule->protocol, .port = (uint16_t)port}, NULL, SIDE_NONE, NULL};
    }
}

/* Loopback only before and after: `unlisted_local`; else `unlisted`. Widening alerts also where the port was only
 * logged, as long as unlisted ports are looked at at all. */
static Watch watch_of(const Rules *rules, const View *view) {
    if (view->ignore) return WATCH_IGNORE;
    if (view->rule) return WATCH_ALERT;
    if (surface_of_clients(&view->surface)) return WATCH_IGNORE;
    if (rows_local(&view->baseline) && rows_local(&view->seen)) return rules->unlisted_local;
    if (view->difference.reach == REACH_WIDENED && rules->unlisted != WATCH_IGNORE) return WATCH_ALERT;
    return rules->unlisted;
}

static int view_fill(const Rules *rules, const Snapshot *snapshot, View *view) {
    view->rule = view->surface.port
                     ? rules_find_in(rules, view->surface.namespace, view->surface.protocol, view->surface.port)
                     : NULL;
    view->decided = snapshot_decides(snapshot, view->surface.namespace, view->surface.protocol);
    for (Protocol p = 0; view->surface.whole && p < PROTOCOL_MAX; p++)
        view->decided = view->decided && snapshot_decides(snapshot, view->surface.namespace, p);
    int r = difference_make(&view->surface, view->rule, &view->baseline, &view->seen, &view->difference);
    Upgrades upgrades = view->rule ? view->rule->upgrades : rules->upgrades;
    if (r >= 0 && view->difference.upgraded && upgrades == UPGRADES_ALERT) {
        view->difference.change = CHANGE_PROGRAM;
        view->difference.quiet = false;
    }
    view->watch = watch_of(rules, view);
    return r;
}

static bool is_seen(const Snapshot *snapshot, const char namespace[static NAMESPACE_MAX]) {
    const Endpoints *seen = &snapshot->endpoints;
    Endpoint first = {0};
    memcpy(first.namespace, namespace, sizeof first.namespace);
    size_t at = endpoints_lower_bound(seen, &first);
    return at < seen->n && strcmp(seen->items[at].namespace, namespace) == 0;
}

/* Does this entry of the baseline go into the whole of its namespace? */
static bool joins_whole(const Known *known, const Entry *entry) {
    return !entry->ignore && !surface_of_clients(&entry->surface) && !is_known(known, &entry->surface);
}

/* Of the baseline's entries of one namespace (sorted by port): those that go into the whole of it. */
static size_t count_ports(const Known *known, const Entry *entries, size_t n) {
    size_t ports = 0;
    const Surface *last = NULL;
    for (size_t i = 0; i < n; i++) {
        const Surface *surface = &entries[i].surface;
        if (!joins_whole(known, &entries[i])) continue;
        if (!last || surface_compare(last, surface) != 0) ports++;
        last = surface;
    }
    return ports;
}

/* A namespace in which nothing is left is one difference, not one a port. As long as that is told, or about to be, the
 * whole of it is looked at beside its ports. */
static void add_wholes(const Snapshot *snapshot, const Known *known, Entry *entries, size_t *n) {
    size_t all = *n;
    for (size_t first = 0, end; first < all; first = end) {
        const char *namespace = entries[first].surface.namespace;
        for (end = first + 1; end < all && strcmp(entries[end].surface.namespace, namespace) == 0;) end++;
        if (!namespace[0] || entries[first].side != SIDE_BASELINE) continue;
        Surface surface = whole_of(&entries[first].surface);
        bool gone = !is_seen(snapshot, surface.namespace), told = is_known(known, &surface);
        if (!told && (!gone || count_ports(known, entries + first, end - first) < 2)) continue;
        for (size_t i = first; i < end; i++) {
            if (!joins_whole(known, &entries[i])) continue;
            Entry whole = entries[i];
            whole.surface = surface;
            entries[gone ? i : (*n)++] = whole;
        }
    }
}

int views_make(const Rules *rules, const Endpoints *baseline, const Snapshot *snapshot, const Surface *more,
    size_t n_more, Views *ret) {
    /* The baseline twice, for namespaces that are looked at as a whole, too. */
    size_t most = 2 * (baseline->n + snapshot->endpoints.n) + n_more + count_stated(rules), n = 0;
    _cleanup_(views_done) Views views = {0};
    Entry *entries = views.entries_ = malloc((most + 1) * sizeof *entries);
    views.items = calloc(most + 1, sizeof *views.items);
    views.rows_ = malloc((most + 1) * sizeof *views.rows_);
    if (!entries || !views.items || !views.rows_) return -ENOMEM;
    _cleanup_(known_done) Known known = {0};
    int r = known_make(more, n_more, &known);
    if (r < 0) return r;

    OwnPorts own = {0};
    add_baseline(rules, snapshot, baseline, entries, &n);
    add_wholes(snapshot, &known, entries, &n);
    for (size_t i = 0; i < n_more; i++) {
        entries[n++] = (Entry){more[i], NULL, SIDE_NONE, NULL};
        if (more[i].port && !more[i].namespace[0])
            own.bits[more[i].protocol][more[i].port / 8] |= (uint8_t)(1u << more[i].port % 8);
    }
    add_seen(rules, baseline, snapshot, &own, entries, &n);
    add_seen_wholes(&known, entries, &n);
    add_stated(rules, entries, &n);
    if (n > 1) qsort(entries, n, sizeof *entries, compare_entries);

    for (size_t i = 0, rows = 0; i < n;) {
        View *view = &views.items[views.n++];
        *view = (View){.surface = entries[i].surface, .ignore = entries[i].ignore};
        view->baseline.items = view->seen.items = views.rows_ + rows;
        size_t first = i;
        for (; i < n && surface_compare(&entries[i].surface, &entries[first].surface) == 0 &&
               !entries[i].ignore == !entries[first].ignore;
             i++) {
            if (entries[i].side == SIDE_NONE) continue;
            Rows *side = entries[i].side == SIDE_BASELINE ? &view->baseline : &view->seen;
            if (side == &view->seen && side->n == 0) side->items = views.rows_ + rows;
            views.rows_[rows++] = entries[i].endpoint;
            side->n++;
        }
        r = view_fill(rules, snapshot, view);
        if (r < 0) return r;
    }
    *ret = views;
    views = (Views){0};
    return 0;
}

const View *views_find(const Views *views, const Surface *surface) {
    for (size_t low = 0, high = views->n; low < high;) {
        size_t middle = low + (high - low) / 2;
        int r = surface_compare(&views->items[middle].surface, surface);
        if (r == 0) {
            const View *view = &views->items[middle];
            if (!view->ignore) return view;
            return middle > 0 && surface_compare(&view[-1].surface, surface) == 0 ? view - 1 : NULL;
        }
        if (r < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void views_done(Views *views) {
    free(views->items);
    free(views->rows_);
    free(views->entries_);
    memset(views, 0, sizeof *views);
}
