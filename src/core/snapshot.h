/* What the kernel's socket tables held at one time, and what of them could not be seen. */
#pragma once

#include "core/endpoint.h"

typedef enum Table {
    TABLE_TCP4,
    TABLE_TCP6,
    TABLE_UDP4,
    TABLE_UDP6,
    TABLE_UDPLITE4,
    TABLE_UDPLITE6,
    TABLE_MAX,
} Table;

typedef enum TableState {
    TABLE_COMPLETE,
    TABLE_INCOMPLETE, /* failed, interrupted or cut short: decides nothing for its ports */
    TABLE_ABSENT,     /* this kernel has no such protocol or diag module: coverage, not incompleteness */
} TableState;

/* A network namespace besides the host's; several of one name are one. */
typedef struct Namespace {
    char name[NAMESPACE_MAX];
    TableState tables[TABLE_MAX]; /* the worst of those of its name */
} Namespace;

typedef struct Snapshot {
    Endpoints endpoints; /* sorted, folded */
    TableState tables[TABLE_MAX];
    char *trouble[TABLE_MAX];                 /* why it is incomplete or absent, one line for people; else NULL */
    uint16_t ephemeral_first, ephemeral_last; /* net.ipv4.ip_local_port_range */
    unsigned without_owner;                   /* sockets whose owner was looked for and not found */
    char *owner_trouble;                      /* why owners cannot be seen (missing capability), one line; else NULL */
    bool all_namespaces;                      /* others than the host's were asked for */
    Namespace *namespaces;                    /* with all_namespaces: those there are besides the host's, by name */
    size_t n_namespaces;
    bool namespaces_found;      /* with all_namespaces: one that is not in the list is not there */
    unsigned namespaces_unseen; /* there, but their sockets are not seen */
    char *namespaces_trouble;   /* why not, or why there may be more; else NULL */
    unsigned looks_missed;      /* in the hour before this one; the daemon counts them */
} Snapshot;

const char *table_name(Table table); /* "tcp/IPv4" ... */
Protocol table_protocol(Table table);
/* The namespace of that name; NULL: not there, or not asked for. */
const Namespace *snapshot_namespace(const Snapshot *snapshot, const char *name);
/* False where a table of this protocol of that namespace is incomplete, or nobody knows whether there is such a one. */
bool snapshot_decides(const Snapshot *snapshot, const char *namespace, Protocol protocol);
/* Of the host's tables. */
bool snapshot_complete(const Snapshot *snapshot);
void snapshot_done(Snapshot *snapshot);
