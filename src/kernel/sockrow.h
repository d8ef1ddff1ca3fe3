/* One socket as a dump shows it, and growing arrays of them. Plain values; no I/O. */
#pragma once

#include "core/snapshot.h"

typedef struct SockRow {
    uint64_t cookie;  /* identifies a socket for life */
    uint64_t cgroup;  /* id of the cgroup it was created in, 0: not told */
    uint32_t inode;   /* as in /proc/PID/fd, 0: none */
    uint32_t uid;     /* of its creator */
    uint32_t ifindex; /* bound device, 0: none */
    uint32_t waiting; /* TCP: connections that wait for accept(2) */
    uint32_t backlog; /* TCP: how many may, as given to listen(2) */
    uint16_t port;    /* host order */
    uint8_t table;    /* Table */
    bool v6only;
    Address address;
    char device[IFNAMSIZ]; /* name of ifindex; the parser leaves it empty */
} SockRow;

typedef struct SockRows {
    SockRow *items;
    size_t n;
    size_t allocated;
} SockRows;

/* Bound of one dump: beyond it a table is incomplete. */
#define SOCKROWS_MAX (1u << 20)

/* Room for one more row, zeroed and counted; NULL: no memory or SOCKROWS_MAX reached. Keeps its memory over
 * sockrows_clear, so a steady tick allocates nothing. */
SockRow *sockrows_push(SockRows *rows);
void sockrows_clear(SockRows *rows);
void sockrows_done(SockRows *rows);

/* The order of endpoint_compare: protocol, port, address, device. */
int sockrow_compare_key(const SockRow *a, const SockRow *b);
/* Sorts by key, then cookie, and drops the rows that a dump showed twice. */
void sockrows_sort(SockRows *rows);
/* Any row with this key in a sorted list, or NULL. */
const SockRow *sockrows_find(const SockRows *rows, const SockRow *key);
