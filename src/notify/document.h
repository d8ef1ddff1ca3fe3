/* Documents: what an event looks like as JSON, the form in which it is stored, posted and printed (the shipped schema
 * is conf/portwatch-event.schema.json). CloudEvents 1.0, structured mode; several events are its batch format.
 *
 * Every string that came from the kernel or from people passes text_escape on the way in: a document holds no control
 * character, no invalid UTF-8 and no "</". No I/O. Functions return a new reference or an allocated text that the
 * caller owns; NULL means that memory was short and nothing else, unless their comment says more. */
#pragma once

#include <jansson.h>

#include "core/incident.h"

static inline void document_unrefp(json_t **document) {
    json_decref(*document);
}
#define _cleanup_json_ _cleanup_(document_unrefp)

/* {unit, exe, user, uid, pid, comm, cmdline, started} with null for what is not known; also unit_shown, exe_shown,
 * exe_deleted, exe_replaced, package, slice, user_unit, container, container_id where they say more. */
json_t *document_owner(const Owner *owner);
/* {protocol, address, port, device, v6only, count, namespace, owner}; owner is the first or null, "owners" holds all
 * where there are several, "since" when it was learned. */
json_t *document_endpoint(const Endpoint *endpoint);
/* "host", or the name of another network namespace, escaped. */
json_t *document_namespace(const char *namespace);
json_t *document_endpoints(const Endpoints *endpoints);
/* {complete, tables: {"tcp/IPv4": "complete" | "incomplete" | "absent", ...}, seen, not_seen[],
 * namespaces_seen, namespaces_unseen, looks_missed, without_owner, ignored}. Rules may be NULL: nothing is ignored. A
 * NULL snapshot gives null. */
json_t *document_coverage(const Snapshot *snapshot, const Rules *rules);

/* The event as a JSON text. `coverage` (document_coverage's, NULL: null) is borrowed. Rules may be NULL; with them the
 * suggested commands know what the configuration states. */
char *document_event(
    const Event *event, const char *host, const char *machine_id, const json_t *coverage, const Rules *rules);

/* The commands an event suggests: [{label, command}]. They hold only what we made ourselves, never what an attacker
 * could choose. */
json_t *document_next(const Event *event, const Rules *rules);

/* Reads a stored document. NULL: it is not a JSON object or array (or memory was short). */
json_t *document_parse(const char *text);
/* One line of JSON, "</" written as "<\/" so that it can stand inside a script element. */
char *document_text(const json_t *document);
/* The same, indented for people. */
char *document_text_pretty(const json_t *document);
/* A copy without what may hold secrets: command lines and journal lines. Takes objects and arrays. */
json_t *document_minimal(const json_t *document);
/* Events that travel together, in their order: an incident once, at its first one's place and with its last state; the
 * events it stands for are in its data.merged[] as {id, type, time, summary}. Merging merged documents keeps all.
 * Returns an array. */
json_t *document_merge(json_t *const *documents, size_t n);
/* The body of a message: document_merge's array, or its only object. */
char *document_batch(json_t *const *documents, size_t n);

/* A JSON string of hostile text, escaped; null for NULL. */
json_t *document_string(const char *text);
/* The same for text that may be escaped already: what is escaped stays as it is. */
json_t *document_string_safe(const char *text);
