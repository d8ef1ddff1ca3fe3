/* Who owns each socket: a cache by cookie, so that only sockets not seen before cost a look into procfs. */
#pragma once

#include "kernel/roots.h"
#include "kernel/sockrow.h"

typedef struct OwnersOptions {
    int64_t udp_settle; /* microseconds a UDP socket on an ephemeral port must be there before its owner is looked up */
    bool resolve_all;   /* look all owners up at once, whatever it costs: for a single snapshot */
} OwnersOptions;

typedef struct Owners Owners;

/* 0 or a negative errno. Strings of `roots` must outlive it. */
int owners_new(const KernelRoots *roots, const OwnersOptions *options, Owners **ret);
Owners *owners_free(Owners *owners); /* takes NULL, returns NULL */
DEFINE_CLEANUP(Owners *, owners_free);
void owners_set_udp_settle(Owners *owners, int64_t udp_settle);

/* Takes the sockets of one snapshot: forgets those that left, checks a few known holders, looks for the holders of new
 * sockets and of those whose holder ended. `now`: CLOCK_BOOTTIME in microseconds; ports first..last are ephemeral.
 * 0 or a negative errno (-ENOMEM, -EMFILE); what could not be found is no error. */
int owners_update(Owners *owners, const SockRows *rows, int64_t now, uint16_t first, uint16_t last);

/* The owner of a socket of the last update, NULL: not known (yet). Borrowed: valid until the next update. */
Owner *owners_of(const Owners *owners, const SockRow *row);
/* True while that owner, or its user's name, may still be found: for at most OWNERS_PENDING_MAX after the socket came.
 */
#define OWNERS_PENDING_MAX (10 * INT64_C(1000000))
bool owners_pending(const Owners *owners, const SockRow *row);
/* Sockets of the last update whose owner was looked for and not found. */
unsigned owners_missing(const Owners *owners);
/* True if another update now could show that a socket is the kernel's: that takes two complete scans. */
bool owners_undecided(const Owners *owners);
/* Why owners cannot be seen: a static line, or NULL. */
const char *owners_trouble(const Owners *owners);

/* What a process is as an owner; *ret is a reference. 0, -ESRCH where it is gone, -EACCES, -ENOMEM ... */
int owners_process(Owners *owners, pid_t pid, uint64_t started, Owner **ret);

typedef struct OwnersStatistics {
    size_t sockets, holders; /* in the cache */
    uint64_t scans;          /* looks into procfs, near ones included */
    uint64_t full_scans;
} OwnersStatistics;
OwnersStatistics owners_statistics(const Owners *owners);
