#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "core/text.h"
#include "kernel/procfs.h"
#include "kernel/sockets_internal.h"

#define FIRST_LOOKS 3u
#define RANGE_INTERVAL (60 * USEC_PER_SEC)
#define DEFAULT_EPHEMERAL_FIRST 32768
#define DEFAULT_EPHEMERAL_LAST 60999

int sockets_new(const KernelRoots *roots, const SocketsOptions *options, Sockets **ret) {
    _cleanup_(sockets_freep) Sockets *s = calloc(1, sizeof(*s));
    if (!s) return -ENOMEM;
    s->roots = *roots;
    s->udp_settle = options ? options->udp_settle : 0;
    s->resolve_all = options && options->resolve_all;
    s->sockstat[0] = s->sockstat[1] = -1;
    s->first = DEFAULT_EPHEMERAL_FIRST;
    s->last = DEFAULT_EPHEMERAL_LAST;
    OwnersOptions owners = {.udp_settle = s->udp_settle, .resolve_all = s->resolve_all};
    int r = sockdiag_new(&s->diag);
    if (r >= 0) r = owners_new(roots, &owners, &s->owners);
    if (r < 0) return r;
    *ret = TAKE_PTR(s);
    return 0;
}

Sockets *sockets_free(Sockets *sockets) {
    if (!sockets) return NULL;
    for (size_t i = 0; i < ELEMENTSOF(sockets->sockstat); i++)
        if (sockets->sockstat[i] >= 0) close(sockets->sockstat[i]);
    sockdiag_free(sockets->diag);
    owners_free(sockets->owners);
    sockrows_done(&sockets->rows);
    free(sockets->missing);
    free(sockets->known.items);
    free(sockets->next.items);
    free(sockets);
    return NULL;
}

void sockets_set_udp_settle(Sockets *sockets, int64_t udp_settle) {
    sockets->udp_settle = udp_settle;
    owners_set_udp_settle(sockets->owners, udp_settle);
}

static int64_t boottime(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

int sockets_dump(Sockets *s, Table table, const SockRow *exact, Dump *ret) {
    size_t before = s->rows.n;
    Dump result;
    int r = sockdiag_dump(s->diag, table, exact, &s->rows, &result);
    if (r < 0) return r;
    s->statistics.dumps++;
    for (size_t i = before; i < s->rows.n; i++)
        if (s->rows.items[i].ifindex != 0) sockdiag_device(s->diag, &s->rows.items[i]);
    if (result.state != DUMP_COMPLETE) s->tables[table] = result;
    *ret = result;
    return 0;
}

int sockets_dump_table(Sockets *s, Table table) {
    Dump result;
    int r = sockets_dump(s, table, NULL, &result);
    if (r >= 0 && result.state == DUMP_COMPLETE && result.one_message) s->consistent[table] = true;
    return r;
}

/* The file is kept open: reading it again makes the kernel count anew, and costs a fifth of opening it. */
static bool sockstat_shows_none(Sockets *s, bool v6) {
    int *fd = &s->sockstat[v6];
    char path[PATH_MAX], buffer[1024];
    unsigned long used;
    if (*fd < 0) {
        int n = snprintf(path, sizeof(path), "%s/net/%s", s->roots.proc, v6 ? "sockstat6" : "sockstat");
        if (n < 0 || (size_t)n >= sizeof(path)) return false;
        *fd = open(path, O_RDONLY | O_CLOEXEC);
        if (*fd < 0) return false;
    }
    ssize_t n = pread(*fd, buffer, sizeof(buffer), 0);
    if (n < 0) return false;
    return procfs_parse_sockstat(buffer, (size_t)n, v6 ? "UDPLITE6:" : "UDPLITE:", &used) && used == 0;
}

static bool knows_table(const Sockets *s, Table table) {
    for (size_t i = s->known.n; i > 0; i--) {
        if (s->known.items[i - 1].row.table == table) return true;
        if (table_protocol(s->known.items[i - 1].row.table) != PROTOCOL_UDPLITE) break; /* UDPLITE sorts last */
    }
    return false;
}

/* A dump of UDPLITE walks a hash as large as UDP's for sockets nearly nobody has. The counters the kernel keeps may be
 * off for a moment under churn, so they excuse only from looking where nothing is known: never from a confirmation. */
static bool can_skip(Sockets *s, Table table) {
    if (table != TABLE_UDPLITE4 && table != TABLE_UDPLITE6) return false;
    if (!s->started || knows_table(s, table)) return false;
    return sockstat_shows_none(s, table == TABLE_UDPLITE6);
}

static int look(Sockets *s) {
    for (Table table = 0; table < TABLE_MAX; table++) {
        unsigned looks = s->started ? 1 : FIRST_LOOKS;
        if (s->started && s->tables[table].state == DUMP_ABSENT && s->tables[table].error == -EPROTONOSUPPORT) continue;
        s->tables[table] = (Dump){.state = DUMP_COMPLETE};
        s->consistent[table] = false;
        if (can_skip(s, table)) continue;
        for (unsigned i = 0; i < looks && s->tables[table].state == DUMP_COMPLETE; i++) {
            int r = sockets_dump_table(s, table);
            if (r < 0) return r;
        }
    }
    return 0;
}

static int fold(const Sockets *s, Endpoints *ret) {
    const SockRow *previous = NULL;
    for (size_t i = 0; i < s->rows.n; i++) {
        const SockRow *row = &s->rows.items[i];
        if (!previous || sockrow_compare_key(previous, row) != 0) {
            Endpoint endpoint = {.protocol = table_protocol(row->table),
                .port = row->port,
                .address = row->address,
                .v6only = row->v6only};
            memcpy(endpoint.device, row->device, sizeof(endpoint.device));
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
    for (size_t i = 1; i < ret->n; i++)
        if (endpoint_compare(&ret->items[i - 1], &ret->items[i]) >= 0) return endpoints_sort(ret);
    return 0;
}

static bool protocol_exists(int family, int protocol) {
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, protocol);
    if (fd >= 0) close(fd);
    return fd >= 0 || (errno != EPROTONOSUPPORT && errno != EAFNOSUPPORT && errno != ESOCKTNOSUPPORT);
}

/* A missing module is not a missing protocol: with tcp_diag gone there may be listeners nobody sees. */
static int describe_absent(Sockets *s, Table table, TableState *ret_state, char **ret_trouble) {
    bool tcp = s->tables[TABLE_TCP4].state == DUMP_ABSENT, udp = s->tables[TABLE_UDP4].state == DUMP_ABSENT;
    const char *trouble;
    *ret_state = TABLE_INCOMPLETE;
    if (table_protocol(table) == PROTOCOL_UDPLITE && s->tables[table].error == -EPROTONOSUPPORT) {
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

static int describe(Sockets *s, Snapshot *snapshot) {
    for (Table table = 0; table < TABLE_MAX; table++) {
        const Dump *dumped = &s->tables[table];
        int r = 0;
        if (dumped->state == DUMP_ABSENT)
            r = describe_absent(s, table, &snapshot->tables[table], &snapshot->trouble[table]);
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
    snapshot->ephemeral_first = s->first;
    snapshot->ephemeral_last = s->last;
    snapshot->without_owner = owners_missing(s->owners);
    if (snapshot->without_owner > 0 && owners_trouble(s->owners)) {
        snapshot->owner_trouble = strdup(owners_trouble(s->owners));
        if (!snapshot->owner_trouble) return -ENOMEM;
    }
    return 0;
}

/* Whether UDPLITE is absent for good: then there is nothing to be asked again. */
static void settle_absent(Sockets *s) {
    for (Table table = TABLE_UDPLITE4; table <= TABLE_UDPLITE6; table++) {
        Dump *dumped = &s->tables[table];
        int family = table == TABLE_UDPLITE4 ? AF_INET : AF_INET6;
        if (dumped->state == DUMP_ABSENT && dumped->error == -ENOENT && !protocol_exists(family, IPPROTO_UDPLITE))
            dumped->error = -EPROTONOSUPPORT;
    }
}

static int take_rows(Sockets *s, int64_t now) {
    sockrows_clear(&s->rows);
    int r = look(s);
    if (r < 0) return r;
    settle_absent(s);
    sockrows_sort(&s->rows);
    r = sockets_confirm(s, now);
    if (r >= 0) r = owners_update(s->owners, &s->rows, now, s->first, s->last);
    return r;
}

int sockets_take(Sockets *sockets, Snapshot *ret) {
    Sockets *s = sockets;
    int64_t now = boottime();
    if (!s->started || now - s->range_read >= RANGE_INTERVAL) {
        (void)procfs_port_range(&s->roots, &s->first, &s->last); /* unreadable: what was known stays */
        s->range_read = now;
    }
    int r = take_rows(s, now);
    /* One snapshot and no next one: who holds nothing in two complete scans, and is still there, is the kernel. */
    if (r >= 0 && s->resolve_all && owners_undecided(s->owners)) r = take_rows(s, boottime());
    if (r < 0) return r;
    _cleanup_(snapshot_done) Snapshot snapshot = {0};
    r = fold(s, &snapshot.endpoints);
    if (r >= 0) r = describe(s, &snapshot);
    if (r >= 0) r = sockets_remember(s, now);
    if (r < 0) return r;
    s->started = true;
    s->statistics.snapshots++;
    *ret = snapshot;
    snapshot = (Snapshot){0};
    return 0;
}

SocketsStatistics sockets_statistics(const Sockets *sockets) {
    SocketsStatistics statistics = sockets->statistics;
    statistics.owners = owners_statistics(sockets->owners);
    return statistics;
}
