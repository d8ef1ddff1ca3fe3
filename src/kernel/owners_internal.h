/* Shared by owners.c (the cache) and lookup.c (filling it); nobody else includes this. */
#pragma once

#include "core/text.h"
#include "kernel/census.h"
#include "kernel/cgroup.h"
#include "kernel/holder.h"
#include "kernel/owners.h"

#define KERNEL_SCANS 2u /* complete, and without a holder: then it is the kernel's */

typedef struct Entry {
    uint64_t cookie, cgroup;
    uint64_t seen; /* round */
    int64_t first_seen, young_until;
    int64_t next; /* when to look for its holder */
    uint32_t inode, uid;
    unsigned failures;
    uint8_t complete_scans; /* in a row, that found nobody */
    bool searched;
    bool patient;  /* UDP on an ephemeral port */
    bool fresh;    /* it came after the first round, and its holder was not found yet */
    int64_t found; /* when the holder was */
    int fd;
    Holder *holder; /* the compared one, NULL: not known */
    Holder *shown;  /* where `holder` is the service manager: who serves */
    int shown_fd;
    Owner *own;                  /* where holder->owner is not the owner: activation, the kernel, only a unit */
    Owner *of_holder, *of_shown; /* what `own` was made from */
} Entry;

struct Owners {
    KernelRoots roots;
    OwnersOptions options;
    Holders *holders;
    Cgroups *cgroups;
    Census census;
    bool privileged;
    Owner *kernel;
    const char *trouble;
    Entry *items; /* by cookie */
    size_t n, allocated;
    size_t young_cursor, descriptor_cursor;
    uint64_t round;
    int64_t now;                        /* of the last update */
    int64_t look_allowed, scan_allowed; /* into near processes, into all */
    bool denied;                        /* the last full scan met processes it could not look into */
    unsigned missing;
    uint64_t scans, full_scans;
};

/* Looks for the holders of the entries of this round that need it and may. 0, -ENOMEM, -EMFILE, -ENFILE. */
int owners_look_up(Owners *o, int64_t now);
/* Makes the owners of socket activation anew where a process behind them changed. 0 or -ENOMEM. */
int owners_refresh_activated(Owners *o);
void owners_forget_own(Entry *e);
void owners_forget_holders(Owners *o, Entry *e);
