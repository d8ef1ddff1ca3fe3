/* What is remembered of one network namespace: its socket tables, and what its last snapshot held. Shared by tables.c
 * (dumping), confirm.c (what is gone) and those who watch namespaces; nobody else includes this. */
#pragma once

#include "kernel/roots.h"
#include "kernel/sockdiag.h"
#include "kernel/sockets.h"

/* An endpoint as it was last known. */
typedef struct Known {
    SockRow row;
    int64_t since; /* boottime it was first seen, INT64_MIN: in the first snapshot */
} Known;

typedef struct KnownList {
    Known *items; /* by key */
    size_t n, allocated;
} KnownList;

/* What does not differ from namespace to namespace. */
typedef struct TablesShared {
    KernelRoots roots;
    int64_t udp_settle;
    uint16_t first, last; /* ephemeral ports */
    SocketsStatistics statistics;
} TablesShared;

typedef struct Tables {
    TablesShared *shared;
    Sockdiag *diag;
    SockRows rows;         /* of this tick; kept for its memory */
    KnownList known, next; /* swapped */
    const Known **missing; /* of `known`, what this tick's dumps lack */
    size_t missing_allocated;
    Dump tables[TABLE_MAX];
    bool consistent[TABLE_MAX]; /* some dump of this tick fitted one message */
    bool started;
    bool elsewhere;  /* another network namespace than the caller's */
    int sockstat[2]; /* IPv4, IPv6 */
} Tables;

int tables_init(Tables *t, TablesShared *shared); /* 0 or -ENOMEM */
void tables_done(Tables *t);                      /* takes what tables_init has left, or zeroes */
/* Opens everything now, in the network namespace the caller is in: sockdiag_open. */
int tables_open(Tables *t);

/* Looks at every table: rows are what is there, sorted, what was missed confirmed. Tables that cannot be read are
 * incomplete. 0 or a negative errno about this process; then the next call goes on as if this one had not been. */
int tables_take(Tables *t, int64_t now);
/* Keeps what the next snapshot must not miss: what is here now, and what an incomplete table did not decide. */
int tables_remember(Tables *t, int64_t now);

/* Dumps a table, or one endpoint of it, into rows. A dump that fails makes the table incomplete for this snapshot. 0 or
 * a negative errno about this process. */
int tables_dump(Tables *t, Table table, const SockRow *exact, Dump *ret);
int tables_dump_table(Tables *t, Table table);
/* Looks a second time for what was known and is not in rows, which are sorted; adds to rows what is there after all. */
int tables_confirm(Tables *t, int64_t now);
