/* The database of portwatch: opening, closing, what can go wrong.
 *
 * One SQLite file, portwatch.db (0640), in the state directory (0750): WAL, synchronous=FULL. The daemon writes it, the
 * command line reads it and writes nothing but the request table. A handle belongs to one thread and must not be used
 * across fork(2). Every function may block on the disk, and up to the busy timeout (daemon 0.5 s, else 5 s).
 *
 * All times are realtime microseconds. Every function of this layer that works on a Store returns 0, a StoreError
 * (then store_reason says why), or -ENOMEM; outputs are written only on 0. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cleanup.h"

#define STORE_FILE "portwatch.db"

typedef struct Store Store;

typedef enum StoreMode {
    STORE_DAEMON,    /* creates, migrates, sets aside; its caller holds the state directory's lock (store/lock.h) */
    STORE_READER,    /* never writes, never creates */
    STORE_REQUESTER, /* may write the request table and nothing else; never creates */
} StoreMode;

typedef struct StoreIdentity {
    const char *machine_id; /* of /etc/machine-id; NULL, "" and "uninitialized" are never compared */
    const char *boot_id;    /* of /proc/sys/kernel/random/boot_id; NULL: not known */
    int64_t now;
} StoreIdentity;

/* What became of store_open. Up to STORE_SET_ASIDE_FOREIGN there is a handle, after it none. */
typedef enum StoreOpening {
    STORE_OPENED,
    STORE_FRESH,             /* there was none: a new one was made */
    STORE_SET_ASIDE_CORRUPT, /* damaged: renamed to portwatch.db.corrupt-TIME (with -wal and -shm), a new one made */
    STORE_SET_ASIDE_FOREIGN, /* another machine's: renamed to portwatch.db.foreign-TIME, a new one made */
    STORE_NEWER,             /* written by a newer portwatch; left as it was */
    STORE_OLDER,             /* reader and requester: the daemon has not migrated it yet */
    STORE_DAMAGED,           /* reader and requester: damaged, only the daemon sets it aside */
    STORE_ABSENT,            /* reader and requester: no database */
    STORE_LOCKED,            /* another process holds it locked */
    STORE_UNWRITABLE,        /* permission, read-only file system, a directory in its place */
    STORE_NO_SPACE,
    STORE_UNREADABLE, /* I/O error and everything else; never taken for corruption */
} StoreOpening;

/* A failure of an operation on an open store. Nothing of the operation is in the database then; only if the disk failed
 * at the end of a commit and nothing was committed after it, the next store_open may find it there, whole. */
typedef enum StoreError {
    STORE_BUSY = 1, /* locked by another process: try again */
    STORE_FULL,     /* no space; the daemon's ballast has been released, so a second try may succeed */
    STORE_CORRUPT,  /* close it and open it anew: the daemon's store_open sets it aside */
    STORE_GONE, /* what was to be written to is no longer there: a request nobody waits for, a message not in flight */
    STORE_FAILED, /* anything else */
} StoreError;

/* Opens the database in `dir`. The daemon makes the directory if its parent exists. As root, reader and requester open
 * with the effective ids of the directory's owner, and return to their own before this function returns.
 *
 * Returns 0 with *ret_what set, *ret the handle or NULL, and *ret_reason one sentence naming the file and what to do
 * (NULL for STORE_OPENED and STORE_FRESH; the caller frees). -ENOMEM and other errno values: unexpected. */
int store_open(const char *dir, StoreMode mode, const StoreIdentity *identity, Store **ret, StoreOpening *ret_what,
    char **ret_reason);
/* Takes NULL. */
void store_close(Store *store);
DEFINE_CLEANUP(Store *, store_close);

/* Why the last operation failed: one sentence with the file's name. Valid until the next call on the store. */
const char *store_reason(const Store *store);
/* The write-ahead log's path, for inotify: modified (IN_MODIFY) just before a commit of another process can be seen,
 * its times touched (IN_ATTRIB) once a request can. Owned by the store. */
const char *store_wal_path(const Store *store);

/* Several reads of one state of the database. Do not hold it over a wait: it keeps the log from shrinking. */
int store_read_begin(Store *store);
void store_read_end(Store *store);

/* Takes a stored time to wait for, which was set at most `longest` ahead. One further away is of a clock that has been
 * set back since: how much of the wait is left cannot be known, so it is over. (Not `longest` from now: asked again
 * then, that would be anew as far away.) */
int64_t store_clamp_wait(int64_t until, int64_t now, int64_t longest);
