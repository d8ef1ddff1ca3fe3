/* Which processes hold given sockets, by the links in /proc/PID/fd. */
#pragma once

#include "kernel/cgroup.h"
#include "kernel/roots.h"

/* A process that holds a socket, and through which descriptor. */
typedef struct Held {
    pid_t pid;        /* 0: nobody found */
    uint64_t started; /* clock ticks since boot */
    int fd;
} Held;

/* A socket whose holders are wanted. */
typedef struct Wanted {
    uint32_t inode;  /* not 0 */
    uint64_t cgroup; /* where to look first; 0: nowhere */
    size_t tag;      /* the caller's */
    bool others;     /* wanted is somebody besides PID 1 */
    /* results */
    bool near;   /* found in the socket's cgroup */
    Held init;   /* PID 1, where it holds the socket */
    Held oldest; /* the longest-lived other holder, as scan_holders says */
} Wanted;

typedef struct ScanReport {
    bool complete;      /* every process was looked at, and could be */
    bool full;          /* went beyond the near processes */
    unsigned denied;    /* processes that could not be looked into */
    unsigned processes; /* looked into */
} ScanReport;

/* Fills the results of all `n` (order is changed: sorted by inode). Of several holders it takes always the same: the
 * longest-lived of those in the socket's cgroup and of their ancestors, because a master is older than its workers;
 * where that cgroup holds none (or too many to list), the longest-lived of all. Looks into PID 1, the cgroups, the
 * ancestors, then, where `full` and somebody is wanted still, into all processes, at last into threads with descriptors
 * of their own. Without `full` only what was found near is taken. Costs 4 to 5 us a descriptor. 0 or a negative errno.
 */
int scan_holders(
    const KernelRoots *roots, const Cgroups *cgroups, Wanted *wanted, size_t n, bool full, ScanReport *ret);
