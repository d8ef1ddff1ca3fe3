/* A disk that fails: an SQLite VFS over the usual one, which counts the calls that can fail and lets the Nth of a kind
 * fail, once or from then on, or loses the power there. Nothing waits: syncs and naps return at once. One thread. */
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum FaultKind {
    FAULT_READ,
    FAULT_WRITE,
    FAULT_TRUNCATE,
    FAULT_SYNC,
    FAULT_SIZE,
    FAULT_OPEN,
    FAULT_DELETE,
    FAULT_LOCK,
    FAULT_SHARED_MAP,  /* the memory in which connections share the log's index */
    FAULT_SHARED_LOCK, /* taking one of the log's locks; giving them back never fails */
    FAULT_POWER,       /* a write, truncation, sync or removal: it and all later ones are not done, and fail */
    FAULT_KINDS,
} FaultKind;

typedef struct Fault {
    FaultKind kind;
    int code;   /* what SQLite is told */
    int system; /* the errno behind it */
    bool half;  /* a write writes half before it fails */
    bool place; /* a read: only this place fails, twice or for `ever`; read(2) fails there, too */
    bool ever;  /* from the Nth on */
    long at;    /* N, from 1; 0: never, calls are only counted */
} Fault;

/* Makes it the process's default VFS. SQLITE_OK or an error. */
int fault_vfs_register(void);
/* Counts from 0, and fails as told. */
void fault_arm(const Fault *fault);
/* Until the next fault_arm nothing fails and nothing is counted. */
void fault_disarm(void);
/* The same for a while, without an end to the fault. */
void fault_pause(void);
void fault_resume(void);
/* Whether a call has failed since fault_arm. */
bool fault_fired(void);
long fault_count(FaultKind kind);
/* Files that SQLite has open. */
unsigned fault_open_files(void);
/* After the loss of power, when every file is closed: what had been written since a file's last sync is there or not,
 * wholly or in sectors, by the seed. */
void fault_power_return(unsigned seed);
