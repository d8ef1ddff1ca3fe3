#include "kernel/tables.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>

#include "kernel/procfs.h"

#define FIRST_LOOKS 3u

int tables_init(Tables *t, TablesShared *shared) {
    *t = (Tables){.shared = shared, .sockstat = {-1, -1}};
    return sockdiag_new(&t->diag);
}

void tables_done(Tables *t) {
    for (size_t i = 0; t->shared && i < ELEMENTSOF(t->sockstat); i++)
        if (t->sockstat[i] >= 0) close(t->sockstat[i]);
    sockdiag_free(t->diag);
    sockrows_done(&t->rows);
    free(t->missing);
    free(t->known.items);
    free(t->next.items);
    *t = (Tables){0};
}

int tables_dump(Tables *t, Table table, const SockRow *exact, Dump *ret) {
    size_t before = t->rows.n;
    Dump result;
    int r = sockdiag_dump(t->diag, table, exact, &t->rows, &result);
    if (r < 0) return r;
    t->shared->statistics.dumps++;
    for (size_t i = before; i < t->rows.n; i++)
        if (t->rows.items[i].ifindex != 0) sockdiag_device(t->diag, &t->rows.items[i]);
    if (result.state != DUMP_COMPLETE) t->tables[table] = result;
    *ret = result;
    return 0;
}

int tables_dump_table(Tables *t, Table table) {
    Dump result;
    int r = tables_dump(t, table, NULL, &result);
    if (r >= 0 && result.state == DUMP_COMPLETE && result.one_message) t->consistent[table] = true;
    return r;
}

/* The file is kept open: reading it again makes the kernel count anew, and costs a fifth of opening it. */
static void open_sockstat(Tables *t, bool v6) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/net/%s", t->shared->roots.proc, v6 ? "sockstat6" : "sockstat");
    if (n > 0 && (size_t)n < sizeof(path)) t->sockstat[v6] = open(path, O_RDONLY | O_CLOEXEC);
}

static bool sockstat_shows_none(Tables *t, bool v6) {
    int *fd = &t->sockstat[v6];
    char buffer[1024];
    unsigned long used;
    if (*fd < 0 && !t->elsewhere) open_sockstat(t, v6);
    if (*fd < 0) return false;
    ssize_t n = pread(*fd, buffer, sizeof(buffer), 0);
    if (n < 0) return false;
    return procfs_parse_sockstat(buffer, (size_t)n, v6 ? "UDPLITE6:" : "UDPLITE:", &used) && used == 0;
}

static bool knows_table(const Tables *t, Table table) {
    for (size_t i = t->known.n; i > 0; i--) {
        if (t->known.items[i - 1].row.table == table) return true;
        if (table_protocol(t->known.items[i - 1].row.table) != PROTOCOL_UDPLITE) break; /* UDPLITE sorts last */
    }
    return false;
}

/* A dump of UDPLITE walks a hash as large as UDP's for sockets nearly nobody has. The counters the kernel keeps may be
 * off for a moment under churn, so they excuse only from looking where nothing is known: never from a confirmation. */
static bool can_skip(Tables *t, Table table) {
    if (table != TABLE_UDPLITE4 && table != TABLE_UDPLITE6) return false;
    if (!t->started || knows_table(t, table)) return false;
    return sockstat_shows_none(t, table == TABLE_UDPLITE6);
}

static int look(Tables *t) {
    for (Table table = 0; table < TABLE_MAX; table++) {
        unsigned looks = t->started ? 1 : FIRST_LOOKS;
        if (t->started && t->tables[table].state == DUMP_ABSENT && t->tables[table].error == -EPROTONOSUPPORT) continue;
        t->tables[table] = (Dump){.state = DUMP_COMPLETE};
        t->consistent[table] = false;
        if (can_skip(t, table)) continue;
        for (unsigned i = 0; i < looks && t->tables[table].state == DUMP_COMPLETE; i++) {
            int r = tables_dump_table(t, table);
            if (r < 0) return r;
        }
    }
    return 0;
}

static bool protocol_exists(int family, int protocol) {
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, protocol);
    if (fd >= 0) close(fd);
    return fd >= 0 || (errno != EPROTONOSUPPORT && errno != EAFNOSUPPORT && errno != ESOCKTNOSUPPORT);
}

/* Whether UDPLITE is absent for good: then there is nothing to be asked again. */
static void settle_absent(Tables *t) {
    for (Table table = TABLE_UDPLITE4; table <= TABLE_UDPLITE6; table++) {
        Dump *dumped = &t->tables[table];
        int family = table == TABLE_UDPLITE4 ? AF_INET : AF_INET6;
        if (dumped->state == DUMP_ABSENT && dumped->error == -ENOENT && !protocol_exists(family, IPPROTO_UDPLITE))
            dumped->error = -EPROTONOSUPPORT;
    }
}

int tables_open(Tables *t) {
    t->elsewhere = true;
    for (int v6 = 0; v6 <= 1; v6++)
        if (t->sockstat[v6] < 0) open_sockstat(t, v6);
    return sockdiag_open(t->diag);
}

int tables_take(Tables *t, int64_t now) {
    sockrows_clear(&t->rows);
    int r = look(t);
    if (r < 0) return r;
    settle_absent(t);
    sockrows_sort(&t->rows);
    return tables_confirm(t, now);
}
