/* Which processes hold given sockets, by the links in /proc/PID/fd. */
#pragma once

#include "kernel/census.h"
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
    bool fresh;      /* made since a moment ago: whoever is found first, and his ancestors, will do */
    /* results */
    bool near;    /* `oldest` is final */
    Held init;    /* PID 1, where it holds the socket */
    Held oldest;  /* the longest-lived other holder, as scan_holders says */
    bool climbed; /* private: its holder's ancestors were looked at */
} Wanted;

typedef struct ScanOptions {
    bool deep;          /* look into all processes, if it must be */
    const pid_t *hints; /* processes that may well hold what is fresh */
    size_t n_hints;
    Census
        *census; /* who had how many descriptors before; NULL: nothing is known. Brought up to date where it is used */
} ScanOptions;

typedef struct ScanReport {
    bool complete;      /* every process was looked at, and could be */
    bool full;          /* every process was looked at */
    bool deep;          /* went beyond the near processes */
    unsigned denied;    /* processes that could not be looked into */
    unsigned processes; /* looked into */
} ScanReport;

/* Fills the results of all `n` (order is changed: sorted by inode). Looks into PID 1 and the processes of the sockets'
 * cgroups; for fresh sockets into the processes that started in the last half minute, newest first, those that have
 * more descriptors than the census says, and the hints; then, where `deep` and somebody is wanted still, into all
 * processes, newest first, and at last into threads with descriptors of their own.
 *
 * Of several holders it takes always the same: the longest-lived of those in the socket's cgroup, and of their
 * ancestors, because a master is older than its workers; where that cgroup holds none (or too many to list), the
 * longest-lived of all. Of a fresh socket only its maker, that one's children and whoever they gave it to within
 * moments can be holders: there it is the longest-lived of the young, or else of those with more descriptors, or the
 * first found beyond them, and of its ancestors. Costs 4 to 5 us a descriptor. 0 or a negative errno. */
int scan_holders(const KernelRoots *roots, const Cgroups *cgroups, const ScanOptions *options, Wanted *wanted, size_t n,
    ScanReport *ret);
