/* What was seen and what was not, as JSON. */
#include <stdarg.h>

#include "notify/document-private.h"

static const char *table_state_name(TableState state) {
    switch (state) {
    case TABLE_COMPLETE:
        return "complete";
    case TABLE_INCOMPLETE:
        return "incomplete";
    case TABLE_ABSENT:
        return "absent";
    }
    return "incomplete";
}

static bool append_text(json_t *array, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool append_text(json_t *array, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    _cleanup_free_ char *text = text_vprintf(format, arguments);
    va_end(arguments);
    if (!text) return false;
    return json_array_append_new(array, document_string_safe(text)) == 0;
}

static bool append_namespaces(json_t *array, const Snapshot *snapshot) {
    const char *trouble = snapshot->namespaces_trouble;
    unsigned n = snapshot->namespaces_unseen;
    if (n > 0 && !append_text(array, "%u %snetwork namespace%s%s%s%s", n, snapshot->n_namespaces > n ? "" : "other ",
                     n == 1 ? "" : "s", trouble ? " (" : "", trouble ? trouble : "", trouble ? ")" : ""))
        return false;
    if (n == 0 && trouble && !append_text(array, "perhaps other network namespaces (%s)", trouble)) return false;
    unsigned parts = 0;
    for (size_t i = 0; i < snapshot->n_namespaces; i++)
        for (Table t = 0; t < TABLE_MAX; t++)
            if (snapshot->namespaces[i].tables[t] == TABLE_INCOMPLETE) {
                parts++;
                break;
            }
    return parts <= n || append_text(array, "parts of %u network namespace%s", parts - n, parts - n == 1 ? "" : "s");
}

/* What a reader must not take for watched. A protocol both of whose tables are absent is named once. */
static json_t *document_not_seen(const Snapshot *snapshot) {
    _cleanup_json_ json_t *array = json_array();
    if (!array) return NULL;
    bool good = true;
    for (unsigned i = 0; i < TABLE_MAX; i++) {
        if (snapshot->tables[i] == TABLE_COMPLETE) continue;
        const char *trouble = snapshot->trouble[i];
        /* Tables come in pairs, IPv4 first. */
        bool pair = i % 2 == 0 && i + 1 < TABLE_MAX && snapshot->tables[i] == snapshot->tables[i + 1];
        const char *name = pair ? protocol_name(table_protocol((Table)i)) : table_name((Table)i);
        good = good &&
               append_text(array, "%s%s%s%s", name, trouble ? " (" : "", trouble ? trouble : "", trouble ? ")" : "");
        if (pair) i++;
    }
    if (snapshot->without_owner > 0)
        good = good && append_text(array, "the owner%s of %u socket%s%s%s%s", snapshot->without_owner == 1 ? "" : "s",
                           snapshot->without_owner, snapshot->without_owner == 1 ? "" : "s",
                           snapshot->owner_trouble ? " (" : "", snapshot->owner_trouble ? snapshot->owner_trouble : "",
                           snapshot->owner_trouble ? ")" : "");
    else if (snapshot->owner_trouble)
        good = good && append_text(array, "some owners (%s)", snapshot->owner_trouble);
    good = good && append_namespaces(array, snapshot);
    if (snapshot->looks_missed > 0)
        good = good && append_text(array, "%u look%s that did not take place within the last hour",
                           snapshot->looks_missed, snapshot->looks_missed == 1 ? "" : "s");
    return good ? TAKE_PTR(array) : NULL;
}

static size_t seen_namespaces(const Snapshot *snapshot) {
    size_t n = 0;
    for (size_t i = 0; i < snapshot->n_namespaces; i++)
        n += snapshot->namespaces[i].tables[TABLE_TCP4] != TABLE_INCOMPLETE;
    return n;
}

static json_t *seen_text(const Snapshot *snapshot, bool complete) {
    const char *host = complete ? "all host sockets" : "a part of the host's sockets";
    size_t n = seen_namespaces(snapshot);
    if (n == 0) return json_string(host);
    return json_sprintf("%s, and those of %zu other network namespace%s", host, n, n == 1 ? "" : "s");
}

json_t *document_coverage(const Snapshot *snapshot, const Rules *rules) {
    if (!snapshot) return json_null();
    json_t *tables = json_object();
    for (unsigned i = 0; i < TABLE_MAX; i++)
        document_put(&tables, table_name((Table)i), json_string(table_state_name(snapshot->tables[i])));
    json_int_t ignored = 0;
    for (size_t i = 0; rules && i < snapshot->endpoints.n; i++) {
        const Endpoint *endpoint = &snapshot->endpoints.items[i];
        if (!rules_find_in(rules, endpoint->namespace, endpoint->protocol, endpoint->port) &&
            rules_ignores(rules, endpoint))
            ignored++;
    }
    bool complete = snapshot_complete(snapshot);
    json_t *object = json_object();
    document_put(&object, "complete", json_boolean(complete));
    document_put(&object, "tables", tables);
    document_put(&object, "seen", seen_text(snapshot, complete));
    document_put(&object, "not_seen", document_not_seen(snapshot));
    document_put(&object, "namespaces_seen", json_integer((json_int_t)seen_namespaces(snapshot)));
    document_put(&object, "namespaces_unseen", json_integer(snapshot->namespaces_unseen));
    document_put(&object, "looks_missed", json_integer(snapshot->looks_missed));
    document_put(&object, "without_owner", json_integer(snapshot->without_owner));
    document_put(&object, "ignored", json_integer(ignored));
    return object;
}
