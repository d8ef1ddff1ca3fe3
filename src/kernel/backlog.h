/* How many connections wait for a listener to accept them (listen(2); "Recv-Q" and "Send-Q" of ss(8)). */
#pragma once

#include "core/endpoint.h"

typedef struct Backlog {
    Address address;
    char device[IFNAMSIZ];
    unsigned waiting, limit;
} Backlog;

/* The kernel takes one more than the limit before it drops connections: listen(0) has room for one. */
static inline bool backlog_full(const Backlog *backlog) {
    return backlog->waiting > backlog->limit;
}

/* Of every TCP listener on a port of the caller's network namespace, one a socket. A socket that the kernel did not
 * show is not there: of it nothing is known. The caller frees. 0 or a negative errno. */
int backlog_read(uint16_t port, Backlog **ret, size_t *ret_n);
