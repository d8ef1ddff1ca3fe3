#include "kernel/sockets.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/text.h"
#include "kernel/namespaces.h"
#include "kernel/procfs.h"
#include "kernel/tables.h"

#define RANGE_INTERVAL (60 * USEC_PER_SEC)
#define DEFAULT_EPHEMERAL_FIRST 32768
#define DEFAULT_EPHEMERAL_LAST 60999
#define NAMES_OF_NAMESPACES "/run/netns"

struct Sockets {
    TablesShared shared;
    bool resolve_all, all_namespaces, started;
    Tables host;
    Namespaces *namespaces;
    Owners *owners;
    SockRows rows; /* of all namespaces, where there are several; kept for its memory */
    int64_t range_read;
};

int sockets_set_all_namespaces(Sockets *sockets, bool all) {
    if (sockets->namespaces && sockets->all_namespaces == all) return 0;
    NamespacesOptions options = {.names = NAMES_OF_NAMESPACES, .enter = all};
    Namespaces *namespaces = NULL;
    int r = namespaces_new(&sockets->shared, &options, &namespaces);
    if (r < 0) return r;
    namespaces_free(sockets->namespaces);
    sockets->namespaces = namespaces;
    sockets->all_namespaces = all;
    return 0;
}

int sockets_new(const KernelRoots *roots, const SocketsOptions *options, Sockets **ret) {
    _cleanup_(sockets_freep) Sockets *s = calloc(1, sizeof(*s));
    if (!s) return -ENOMEM;
    s->shared = (TablesShared){.roots = *roots,
        .udp_settle = options ? options->udp_settle : 0,
        .first = DEFAULT_EPHEMERAL_FIRST,
        .last = DEFAULT_EPHEMERAL_LAST};
    s->resolve_all = options && options->resolve_all;
    OwnersOptions owners = {.udp_settle = s->shared.udp_settle, .resolve_all = s->resolve_all};
    int r = tables_init(&s->host, &s->shared);
    if (r >= 0) r = owners_new(roots, &owners, &s->owners);
    if (r >= 0) r = sockets_set_all_namespaces(s, options && options->all_namespaces);
    if (r < 0) return r;
    *ret = TAKE_PTR(s);
    return 0;
}

Sockets *sockets_free(Sockets *sockets) {
    if (!sockets) return NULL;
    namespaces_free(sockets->namespaces);
    tables_done(&sockets->host);
    owners_free(sockets->owners);
    sockrows_done(&sockets->rows);
    free(sockets);
    return NULL;
}

void sockets_set_udp_settle(Sockets *sockets, int64_t udp_settle) {
    sockets->shared.udp_settle = udp_settle;
    owners_set_udp_settle(sockets->owners, udp_settle);
}

static int64_t boottime(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

static int fold(const Sockets *s, const Tables *t, const char *namespace, Endpoints *ret) {
    const SockRow *previous = NULL;
    for (size_t i = 0; i < t->rows.n; i++) {
        const SockRow *row = &t->rows.items[i];
        if (!previous || sockrow_compare_key(previous, row) != 0) {
            Endpoint endpoint = {.protocol = table_protocol(row->table),
                .port = row->port,
                .address = row->address,
                .v6only = row->v6only};
            memcpy(endpoint.device, row->device, sizeof(endpoint.device));
            snprintf(endpoint.namespace, sizeof(endpoint.namespace), "%s", namespace);
            int r = endpoints_take(ret, &endpoint);
            if (r < 0) return r;
        }
        previous = row;
        Endpoint *endpoint = &ret->items[ret->n - 1];
        endpoint->count++;
        endpoint->v6only = endpoint->v6only && row->v6only;
        endpoint->owner_pending = endpoint->owner_pending || owners_pending(s->owners, row);
        Owner *owner = owners_of(s->owners, row);
        int r = owner ? endpoint_add_owner(endpoint, owner) : 0;
        if (r < 0) return r;
    }
    return 0;
}

/* Several namespaces of one name are one. */
static int fold_all(const Sockets *s, Endpoints *ret) {
    int r = fold(s, &s->host, "", ret);
    const Space *space;
    for (size_t i = 0; r >= 0 && (space = namespaces_get(s->namespaces, i)); i++)
        if (space->open) r = fold(s, &space->tables, space->name, ret); /* then it has a name */
    if (r < 0) return r;
    for (size_t i = 1; i < ret->n; i++)
        if (endpoint_compare(&ret->items[i - 1], &ret->items[i]) >= 0) return endpoints_sort(ret);
    return 0;
}

/* A missing module is not a missing protocol: with tcp_diag gone there may be listeners nobody sees. */
static int describe_absent(const Tables *t, Table table, TableState *ret_state, char **ret_trouble) {
    bool tcp = t->tables[TABLE_TCP4].state == DUMP_ABSENT, udp = t->tables[TABLE_UDP4].state == DUMP_ABSENT;
    const char *trouble;
    *ret_state = TABLE_INCOMPLETE;
    if (table_protocol(table) == PROTOCOL_UDPLITE && t->tables[table].error == -EPROTONOSUPPORT) {
        *ret_state = TABLE_ABSENT;
        trouble = "this kernel has no UDP-Lite";
    } else if (table_protocol(table) == PROTOCOL_UDPLITE && !udp)
        trouble = "the kernel cannot list UDP-Lite sockets";
    else if (tcp && udp)
        trouble = "kernel module inet_diag is missing (or both tcp_diag and udp_diag)";
    else
        trouble = tcp ? "kernel module tcp_diag is missing" : "kernel module udp_diag is missing";
    *ret_trouble = strdup(trouble);
    return *ret_trouble ? 0 : -ENOMEM;
}

static int describe(const Sockets *s, Snapshot *snapshot) {
    for (Table table = 0; table < TABLE_MAX; table++) {
        const Dump *dumped = &s->host.tables[table];
        int r = 0;
        if (dumped->state == DUMP_ABSENT)
            r = describe_absent(&s->host, table, &snapshot->tables[table], &snapshot->trouble[table]);
        else if (dumped->state == DUMP_INCOMPLETE) {
            char *text = NULL;
            snapshot->tables[table] = TABLE_INCOMPLETE;
            if (dumped->error != 0)
                r = asprintf(&text, "%s: %s", dumped->reason, strerror(-dumped->error));
            else
                text = strdup(dumped->reason);
            if (r < 0 || !text) return -ENOMEM;
            snapshot->trouble[table] = text;
            r = 0;
        }
        if (r < 0) return r;
    }
    snapshot->ephemeral_first = s->shared.first;
    snapshot->ephemeral_last = s->shared.last;
    snapshot->without_owner = owners_missing(s->owners);
    if (snapshot->without_owner > 0 && owners_trouble(s->owners)) {
        snapshot->owner_trouble = strdup(owners_trouble(s->owners));
        if (!snapshot->owner_trouble) return -ENOMEM;
    }
    return 0;
}

static int compare_namespaces(const void *a, const void *b) {
    return strcmp(((const Namespace *)a)->name, ((const Namespace *)b)->name);
}

static void describe_space(const Space *space, Namespace *ret) {
    *ret = (Namespace){0};
    memcpy(ret->name, space->name, sizeof(ret->name));
    for (Table table = 0; table < TABLE_MAX; table++)
        if (!space->open || (space->tables.tables[table].state != DUMP_COMPLETE && table < TABLE_UDPLITE4))
            ret->tables[table] = TABLE_INCOMPLETE;
}

static int describe_namespaces(const Sockets *s, Snapshot *snapshot) {
    size_t n = 0, kept = 0;
    const char *trouble = namespaces_trouble(s->namespaces);
    while (namespaces_get(s->namespaces, n)) snapshot->namespaces_unseen += !namespaces_get(s->namespaces, n++)->open;
    snapshot->namespaces_found = namespaces_found(s->namespaces);
    if (trouble && !(snapshot->namespaces_trouble = strdup(trouble))) return -ENOMEM;
    snapshot->all_namespaces = s->all_namespaces;
    if (n == 0 || !s->all_namespaces) return 0;
    Namespace *list = snapshot->namespaces = calloc(n, sizeof(*list));
    if (!list) return -ENOMEM;
    for (size_t i = 0; i < n; i++) describe_space(namespaces_get(s->namespaces, i), &list[i]);
    qsort(list, n, sizeof(*list), compare_namespaces);
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || strcmp(list[kept - 1].name, list[i].name) != 0) {
            list[kept++] = list[i];
            continue;
        }
        for (Table table = 0; table < TABLE_MAX; table++)
            if (list[i].tables[table] == TABLE_INCOMPLETE) list[kept - 1].tables[table] = TABLE_INCOMPLETE;
    }
    snapshot->n_namespaces = kept;
    return 0;
}

static int add_rows(SockRows *rows, const SockRows *more) {
    for (size_t i = 0; i < more->n; i++) {
        SockRow *row = sockrows_push(rows);
        if (!row) return -ENOMEM;
        *row = more->items[i];
    }
    return 0;
}

/* Owners are those of all sockets together: a process may hold some in several namespaces. */
static int take_rows(Sockets *s, int64_t now) {
    int r = tables_take(&s->host, now);
    if (r >= 0) r = namespaces_update(s->namespaces, s->owners, now);
    const SockRows *all = &s->host.rows;
    Space *space;
    for (size_t i = 0; r >= 0 && (space = namespaces_get(s->namespaces, i)); i++) {
        if (!space->open) continue;
        if (all != &s->rows) {
            sockrows_clear(&s->rows);
            r = add_rows(&s->rows, all);
            all = &s->rows;
        }
        if (r >= 0) r = tables_take(&space->tables, now);
        if (r >= 0) r = add_rows(&s->rows, &space->tables.rows);
    }
    return r < 0 ? r : owners_update(s->owners, all, now, s->shared.first, s->shared.last);
}

static int remember(Sockets *s, int64_t now) {
    int r = tables_remember(&s->host, now);
    Space *space;
    for (size_t i = 0; r >= 0 && (space = namespaces_get(s->namespaces, i)); i++)
        if (space->open) r = tables_remember(&space->tables, now);
    return r;
}

int sockets_take(Sockets *sockets, Snapshot *ret) {
    Sockets *s = sockets;
    int64_t now = boottime();
    if (!s->started || now - s->range_read >= RANGE_INTERVAL) {
        (void)procfs_port_range(
            &s->shared.roots, &s->shared.first, &s->shared.last); /* unreadable: what was known stays */
        s->range_read = now;
    }
    int r = take_rows(s, now);
    /* One snapshot and no next one: who holds nothing in two complete scans, and is still there, is the kernel. */
    if (r >= 0 && s->resolve_all && owners_undecided(s->owners)) r = take_rows(s, boottime());
    if (r < 0) return r;
    _cleanup_(snapshot_done) Snapshot snapshot = {0};
    r = fold_all(s, &snapshot.endpoints);
    if (r >= 0) r = describe(s, &snapshot);
    if (r >= 0) r = describe_namespaces(s, &snapshot);
    if (r >= 0) r = remember(s, now);
    if (r < 0) return r;
    s->started = true;
    s->shared.statistics.snapshots++;
    *ret = snapshot;
    snapshot = (Snapshot){0};
    return 0;
}

SocketsStatistics sockets_statistics(const Sockets *sockets) {
    SocketsStatistics statistics = sockets->shared.statistics;
    statistics.owners = owners_statistics(sockets->owners);
    return statistics;
}
