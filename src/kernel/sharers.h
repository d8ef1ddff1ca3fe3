/* Who shares a port: every process that holds a socket bound to it, a parent and the children that inherited it as well
 * as strangers it was handed to. */
#pragma once

#include "core/snapshot.h"
#include "kernel/roots.h"

#define SHARERS_MAX 4096u

typedef struct Sharer {
    pid_t pid, ppid;
    char comm[64]; /* raw */
} Sharer;

/* Of the sockets of one protocol that are bound to a port of the caller's network namespace, by pid. Looks at every
 * descriptor of every process (proc(5), "fd"), which takes as long as `ss -p`. *ret_all: nothing was closed to the
 * caller, and there were not more than SHARERS_MAX. The caller frees. 0 or a negative errno. */
int sharers_read(
    const KernelRoots *roots, Protocol protocol, uint16_t port, Sharer **ret, size_t *ret_n, bool *ret_all);
