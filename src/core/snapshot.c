#include "core/snapshot.h"

#include <stdlib.h>
#include <string.h>

const char *table_name(Table table) {
    static const char *const names[TABLE_MAX] = {
        [TABLE_TCP4] = "tcp/IPv4",
        [TABLE_TCP6] = "tcp/IPv6",
        [TABLE_UDP4] = "udp/IPv4",
        [TABLE_UDP6] = "udp/IPv6",
        [TABLE_UDPLITE4] = "udplite/IPv4",
        [TABLE_UDPLITE6] = "udplite/IPv6",
    };
    return names[table];
}

Protocol table_protocol(Table table) {
    return table <= TABLE_TCP6 ? PROTOCOL_TCP : table <= TABLE_UDP6 ? PROTOCOL_UDP : PROTOCOL_UDPLITE;
}

static int compare_name(const void *name, const void *namespace) {
    return strcmp(name, ((const Namespace *)namespace)->name);
}

const Namespace *snapshot_namespace(const Snapshot *snapshot, const char *name) {
    if (snapshot->n_namespaces == 0) return NULL;
    return bsearch(name, snapshot->namespaces, snapshot->n_namespaces, sizeof *snapshot->namespaces, compare_name);
}

bool snapshot_decides(const Snapshot *snapshot, const char *namespace, Protocol protocol) {
    const TableState *tables = snapshot->tables;
    if (namespace[0]) {
        const Namespace *found = snapshot_namespace(snapshot, namespace);
        if (!found) return snapshot->all_namespaces && snapshot->namespaces_found;
        tables = found->tables;
    }
    for (Table t = 0; t < TABLE_MAX; t++)
        if (table_protocol(t) == protocol && tables[t] == TABLE_INCOMPLETE) return false;
    return true;
}

bool snapshot_complete(const Snapshot *snapshot) {
    for (Table t = 0; t < TABLE_MAX; t++)
        if (snapshot->tables[t] == TABLE_INCOMPLETE) return false;
    return true;
}

void snapshot_done(Snapshot *snapshot) {
    endpoints_done(&snapshot->endpoints);
    for (Table t = 0; t < TABLE_MAX; t++) free(snapshot->trouble[t]);
    free(snapshot->owner_trouble);
    free(snapshot->namespaces);
    free(snapshot->namespaces_trouble);
    memset(snapshot, 0, sizeof *snapshot);
}
