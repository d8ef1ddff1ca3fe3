/* The watcher of the socket tables: every call makes one snapshot, with owners.
 *
 * It remembers what it returned, because a dump of the kernel is not atomic: under churn it misses sockets that are
 * there. An endpoint of the previous snapshot that a dump lacks is left out only after a second look that would have
 * shown it: a dump of its address, port and device alone, or one of the whole table that fits one message, or else
 * the union of three. The first snapshot is the union of three dumps. */
#pragma once

#include "core/snapshot.h"
#include "kernel/owners.h"
#include "kernel/roots.h"

typedef struct SocketsOptions {
    int64_t udp_settle; /* microseconds before the owner of a UDP socket on an ephemeral port is looked up, and before
                           its leaving is confirmed */
    bool resolve_all;   /* for one snapshot: look up every owner at once, whatever it costs */
    bool
        all_namespaces; /* every network namespace that can be entered, not only the caller's; the others are counted */
} SocketsOptions;

typedef struct Sockets Sockets;

/* Watches the network namespace the caller is in at the first sockets_take. Strings of `roots` must outlive it; NULL
 * options: all zero. Opens an epoll descriptor, later one netlink socket and a pidfd for each process that holds
 * sockets, at most half of RLIMIT_NOFILE. Not thread safe. 0 or a negative errno. */
int sockets_new(const KernelRoots *roots, const SocketsOptions *options, Sockets **ret);
Sockets *sockets_free(Sockets *sockets); /* takes NULL, returns NULL */
DEFINE_CLEANUP(Sockets *, sockets_free);
/* After a reload; other namespaces are found anew. 0 or -ENOMEM. */
int sockets_set_all_namespaces(Sockets *sockets, bool all);
void sockets_set_udp_settle(Sockets *sockets, int64_t udp_settle); /* after a reload */

/* Takes a snapshot: *ret is filled on success and then the caller's (snapshot_done); its endpoints are sorted and
 * folded. A table that cannot be read is no error but TABLE_INCOMPLETE with its trouble; its endpoints are those that
 * were seen. A steady call costs four dumps and a few checks of owners, well under a millisecond; new sockets cost a
 * look into procfs, rarely more than some tens; what takes longer is done in later calls, and Endpoint.owner_pending
 * says so meanwhile. NSS is asked in a thread, for names that are not in /etc/passwd. 0, -ENOMEM, -EMFILE or another
 * errno about this process; then the next call goes on as if this one had not been. */
int sockets_take(Sockets *sockets, Snapshot *ret);

typedef struct SocketsStatistics {
    uint64_t snapshots;
    uint64_t dumps;             /* requests to the kernel, confirmations included */
    uint64_t confirmed_present; /* endpoints a dump had missed */
    uint64_t confirmed_gone;
    OwnersStatistics owners;
} SocketsStatistics;
SocketsStatistics sockets_statistics(const Sockets *sockets);
