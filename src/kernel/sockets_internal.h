/* Shared by sockets.c (taking snapshots) and confirm.c (what is gone); nobody else includes this. */
#pragma once

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

struct Sockets {
    KernelRoots roots;
    int64_t udp_settle;
    bool resolve_all;
    Sockdiag *diag;
    Owners *owners;
    SockRows rows;         /* of this tick; kept for its memory */
    KnownList known, next; /* swapped */
    const Known **missing; /* of `known`, what this tick's dumps lack */
    size_t missing_allocated;
    Dump tables[TABLE_MAX];
    bool consistent[TABLE_MAX]; /* some dump of this tick fitted one message */
    bool started;
    int sockstat[2]; /* IPv4, IPv6 */
    uint16_t first, last;
    int64_t range_read;
    SocketsStatistics statistics;
};

/* Dumps a table, or one endpoint of it, into rows. A dump that fails makes the table incomplete for this snapshot. 0 or
 * a negative errno about this process. */
int sockets_dump(Sockets *s, Table table, const SockRow *exact, Dump *ret);
int sockets_dump_table(Sockets *s, Table table);

/* Looks a second time for what was known and is not in rows, which are sorted; adds to rows what is there after all. */
int sockets_confirm(Sockets *s, int64_t now);
/* Keeps what the next snapshot must not miss: what is here now, and what an incomplete table did not decide. */
int sockets_remember(Sockets *s, int64_t now);
