/* The network namespaces besides the caller's own: found through processes (/proc/PID/ns/net) and names (/run/netns, as
 * ip-netns(8) keeps them), told apart by the inode of nsfs, entered for a moment by setns(2) to open a socket there. */
#pragma once

#include "kernel/owners.h"
#include "kernel/tables.h"

typedef struct Space {
    uint64_t inode;
    char name[NAMESPACE_MAX]; /* core/endpoint.h; "" not known yet */
    bool open;                /* `tables` reads it, and it has a name */
    Tables tables;
    /* private */
    pid_t witness; /* a process that was in it when it was last looked at; 0: none known */
    pid_t oldest;  /* of the processes met there; 0: none */
    uint64_t oldest_started;
    char *file;          /* its name in /run/netns; NULL: none */
    int64_t named_until; /* boottime; later its name stays as it is. 0: no process was met there */
    uint64_t lost;       /* the sweep during which nothing was left that keeps it, 0: something is */
    int64_t retry;       /* boottime: when to try again to enter it */
    int error;           /* why it could not be entered */
} Space;

typedef struct NamespacesOptions {
    const char *names; /* "/run/netns"; must outlive them */
    bool enter;        /* else they are only counted */
} NamespacesOptions;

typedef struct Namespaces Namespaces;

/* 0 or a negative errno. `shared` must outlive them. */
int namespaces_new(TablesShared *shared, const NamespacesOptions *options, Namespaces **ret);
Namespaces *namespaces_free(Namespaces *namespaces); /* takes NULL, returns NULL */
DEFINE_CLEANUP(Namespaces *, namespaces_free);

/* Follows what came and went; enters what is new. The first call looks at every process (3 us each), later ones at
 * those that are new, at a few others in turn, and at one of each namespace. A namespace that neither a process nor a
 * name keeps any more is let go: an open socket would keep it for ever. Coming back from a namespace cannot fail; if it
 * does, the process is aborted, because it would go on in a stranger's network. 0 or -ENOMEM, -EMFILE, -ENFILE. */
int namespaces_update(Namespaces *namespaces, Owners *owners, int64_t now);

Space *namespaces_get(const Namespaces *namespaces, size_t i); /* NULL behind the last */
/* Why some cannot be seen, or there may be more than are known: one line, NULL: neither. */
const char *namespaces_trouble(const Namespaces *namespaces);
/* True if each one there is is known. */
bool namespaces_found(const Namespaces *namespaces);
