/* Inside store/ only: enums as the database writes them, and surfaces as columns. */
#pragma once

#include <string.h>

#include "core/incident.h"
#include "store/db.h"

static const char *const names_aspect[] = {"surface", "self"};
static const char *const names_incident_state[] = {"open", "resolved", "accepted", "rolled"};
static const char *const names_reach[] = {"same", "widened", "narrowed"};

/* Index of a name, or -1. */
static inline int names_find(const char *const *names, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0) return (int)i;
    return -1;
}

/* The protocol column of a surface. An absent surface is '', port 0, local 0; so is the whole of a namespace, which has
 * a name. */
static inline const char *names_protocol(const Surface *surface) {
    return surface && !surface->whole ? protocol_name(surface->protocol) : "";
}

static inline const char *names_namespace(const Surface *surface) {
    return surface ? surface->namespace : "";
}

/* Reads protocol, port, local from three columns, and the namespace from another (-1: the host's). False if it is none.
 */
static inline bool names_surface(sqlite3_stmt *statement, int column, int namespace, Surface *ret) {
    Surface surface = {.port = (uint16_t)sqlite3_column_int(statement, column + 1),
        .local = sqlite3_column_int(statement, column + 2) != 0};
    if (namespace >= 0) db_copy(statement, namespace, surface.namespace, sizeof(surface.namespace));
    surface.whole = surface.namespace[0] && !db_text(statement, column)[0];
    if (!surface.whole && !protocol_parse(db_text(statement, column), &surface.protocol)) return false;
    *ret = surface;
    return true;
}
