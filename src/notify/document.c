#include "notify/document.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <string.h>

#include "notify/extent.h"
#include "notify/moment.h"
#include "notify/phrase.h"
#include "notify/rows.h"

/* Sets a member; a NULL value (memory was short) makes the whole object NULL, so that callers check once. */
static void put(json_t **object, const char *key, json_t *value) {
    if (!*object) {
        json_decref(value);
        return;
    }
    if (!value || json_object_set_new(*object, key, value) < 0) {
        json_decref(*object);
        *object = NULL;
    }
}

json_t *document_string(const char *text) {
    if (!text) return json_null();
    _cleanup_free_ char *escaped = text_escape(text, strlen(text));
    return escaped ? json_string(escaped) : NULL;
}

json_t *document_string_safe(const char *text) {
    if (!text) return json_null();
    _cleanup_free_ char *escaped = text_escape(text, strlen(text));
    if (!escaped) return NULL;
    /* text_escape doubles every backslash there was; halving them again leaves earlier escapes alone. */
    char *to = escaped;
    for (const char *from = escaped; *from; from++) {
        if (from[0] == '\\' && from[1] == '\\') from++;
        *to++ = *from;
    }
    *to = '\0';
    return json_string(escaped);
}

static json_t *document_moment(int64_t usec) {
    char buffer[MOMENT_TEXT_MAX];
    return usec ? json_string(moment_iso(usec, buffer)) : json_null();
}

json_t *document_owner(const Owner *owner) {
    json_t *object = json_object();
    put(&object, "unit", document_string(owner->unit));
    put(&object, "exe", document_string(owner->exe));
    put(&object, "user", document_string(owner->user));
    put(&object, "uid", owner->uid == UID_UNKNOWN ? json_null() : json_integer(owner->uid));
    put(&object, "pid", owner->pid > 0 ? json_integer(owner->pid) : json_null());
    put(&object, "comm", document_string(owner->comm));
    put(&object, "cmdline", document_string(owner->cmdline));
    put(&object, "started", document_moment(owner->started));
    if (owner->unit_shown) put(&object, "unit_shown", document_string(owner->unit_shown));
    if (owner->exe_shown) put(&object, "exe_shown", document_string(owner->exe_shown));
    if (owner->exe_deleted) put(&object, "exe_deleted", json_true());
    return object;
}

json_t *document_endpoint(const Endpoint *endpoint) {
    char address[INET6_ADDRSTRLEN];
    json_t *object = json_object();
    put(&object, "protocol", json_string(protocol_name(endpoint->protocol)));
    put(&object, "address", json_string(address_format(&endpoint->address, address)));
    put(&object, "port", json_integer(endpoint->port));
    put(&object, "device", endpoint->device[0] ? document_string(endpoint->device) : json_null());
    put(&object, "v6only", json_boolean(endpoint->address.family == AF_INET6 && endpoint->v6only));
    put(&object, "count", json_integer(endpoint->count ? endpoint->count : 1));
    put(&object, "namespace", json_string("host"));
    put(&object, "owner", endpoint->n_owners > 0 ? document_owner(endpoint->owners[0]) : json_null());
    if (endpoint->n_owners > 1) {
        json_t *owners = json_array();
        for (size_t i = 0; owners && i < endpoint->n_owners; i++) {
            if (json_array_append_new(owners, document_owner(endpoint->owners[i])) < 0) {
                json_decref(owners);
                owners = NULL;
            }
        }
        put(&object, "owners", owners);
    }
    if (endpoint->since) put(&object, "since", document_moment(endpoint->since));
    return object;
}

static json_t *document_rows(const Endpoint *const *rows, size_t n) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < n; i++) {
        if (json_array_append_new(array, document_endpoint(rows[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *document_first(const Endpoints *endpoints, size_t max) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < endpoints->n && i < max; i++) {
        if (json_array_append_new(array, document_endpoint(&endpoints->items[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

json_t *document_endpoints(const Endpoints *endpoints) {
    return document_first(endpoints, SIZE_MAX);
}

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
    good = good && append_text(array, "other network namespaces");
    return good ? TAKE_PTR(array) : NULL;
}

json_t *document_coverage(const Snapshot *snapshot, const Rules *rules) {
    if (!snapshot) return json_null();
    json_t *tables = json_object();
    for (unsigned i = 0; i < TABLE_MAX; i++)
        put(&tables, table_name((Table)i), json_string(table_state_name(snapshot->tables[i])));
    json_int_t ignored = 0;
    for (size_t i = 0; rules && i < snapshot->endpoints.n; i++) {
        const Endpoint *endpoint = &snapshot->endpoints.items[i];
        if (!rules_find(rules, endpoint->protocol, endpoint->port) && rules_ignores(rules, endpoint)) ignored++;
    }
    bool complete = snapshot_complete(snapshot);
    json_t *object = json_object();
    put(&object, "complete", json_boolean(complete));
    put(&object, "tables", tables);
    put(&object, "seen", json_string(complete ? "all host sockets" : "a part of the host's sockets"));
    put(&object, "not_seen", document_not_seen(snapshot));
    put(&object, "without_owner", json_integer(snapshot->without_owner));
    put(&object, "ignored", json_integer(ignored));
    return object;
}

static const char *status_name(const Event *event) {
    if (!event->has_incident) return NULL;
    switch (event->incident.state) {
    case INCIDENT_OPEN:
        return "open";
    case INCIDENT_RESOLVED:
        return "resolved";
    case INCIDENT_ACCEPTED:
        return "accepted";
    case INCIDENT_ROLLED:
        return "rolled";
    }
    return NULL;
}

static const char *ending_name(Ending ending) {
    switch (ending) {
    case ENDING_NONE:
        break;
    case ENDING_RETURNED:
        return "returned";
    case ENDING_ACCEPTED:
        return "accepted";
    case ENDING_UNWATCHED:
        return "unwatched";
    case ENDING_RESTATED:
        return "restated";
    case ENDING_ROLLED:
        return "rolled";
    }
    return NULL;
}

static const char *reach_name(Reach reach) {
    switch (reach) {
    case REACH_SAME:
        return "same";
    case REACH_WIDENED:
        return "widened";
    case REACH_NARROWED:
        return "narrowed";
    }
    return "same";
}

static const char *type_prefix(EventType type) {
    switch (type) {
    case EVENT_OPENED:
    case EVENT_CHANGED:
    case EVENT_RESOLVED:
    case EVENT_REMINDER:
        return "portwatch.incident.";
    case EVENT_LEARNED:
        return "portwatch.baseline.";
    case EVENT_SELF:
    case EVENT_TEST:
    case EVENT_TYPE_MAX:
        break;
    }
    return "portwatch.";
}

/* A URI-reference (RFC 3986 network path); a host's name is checked by nobody, so all but plain characters go. */
static json_t *document_source(const char *host) {
    char name[256];
    size_t n = 0;
    for (const char *p = host; *p && n + 1 < sizeof name; p++) {
        bool plain = (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') || *p == '.' ||
                     *p == '-' || *p == '_';
        name[n++] = plain ? *p : '-';
    }
    name[n] = '\0';
    return json_sprintf("//%s/portwatch", name);
}

static json_t *nullable(const char *text) {
    return text ? json_string(text) : json_null();
}

/* `before` and `after`, and how many rows of each were left out where there are very many. */
static void put_rows(json_t **data, const Event *event) {
    Extent extent;
    if (extent_init(&event->before, &event->after, event->has_incident && event->surface.port == 0, &extent) < 0) {
        json_decref(*data);
        *data = NULL;
        return;
    }
    put(data, "before", document_rows(extent.before, extent.n_before));
    put(data, "after", document_rows(extent.after, extent.n_after));
    if (extent.omitted_before || extent.omitted_after)
        put(data, "omitted",
            json_pack(
                "{sIsI}", "before", (json_int_t)extent.omitted_before, "after", (json_int_t)extent.omitted_after));
    extent_done(&extent);
}

static const char *expect_name(const Rules *rules, const Surface *surface) {
    const PortRule *rule = rules && surface->port ? rules_find(rules, surface->protocol, surface->port) : NULL;
    if (!rule || rule->expect == EXPECT_BASELINE) return "baseline";
    return rule->expect == EXPECT_OPEN ? "open" : "closed";
}

static json_t *document_data(
    const Event *event, const char *host, const char *machine_id, const json_t *coverage, const Rules *rules) {
    bool incident = event->has_incident;
    bool surface = incident ? event->incident.aspect == ASPECT_SURFACE : false;
    bool ephemeral = surface && event->surface.port == 0;
    json_t *data = json_object();
    put(&data, "schema", json_integer(1));
    put(&data, "host", document_string(host));
    put(&data, "machine_id", machine_id && *machine_id ? document_string(machine_id) : json_null());
    put(&data, "incident", incident ? document_string(event->incident.token) : json_null());
    put(&data, "incident_id", incident ? document_string(event->incident.id) : json_null());
    put(&data, "status", nullable(status_name(event)));
    put(&data, "change", incident ? json_string(change_name(event->change)) : json_null());
    put(&data, "reach", surface ? json_string(reach_name(event->reach)) : json_null());
    put(&data, "severity", json_string(severity_name(event->severity)));
    put(&data, "protocol", surface ? json_string(protocol_name(event->surface.protocol)) : json_null());
    put(&data, "port", surface && !ephemeral ? json_integer(event->surface.port) : json_null());
    if (ephemeral) put(&data, "local", json_boolean(event->surface.local));
    put(&data, "name", document_string(event->name));
    put(&data, "expect", surface ? json_string(expect_name(rules, &event->surface)) : json_null());
    put(&data, "opened", incident ? document_moment(event->incident.opened) : json_null());
    put(&data, "seen", document_moment(event->seen));
    put_rows(&data, event);
    if (event->type == EVENT_RESOLVED) {
        put(&data, "expected", document_first(&event->incident.before, EXTENT_ROWS_MAX));
        put(&data, "ending", nullable(ending_name(event->ending)));
        put(&data, "by", document_string(event->by));
        put(&data, "reason", document_string(event->reason));
    }
    put(&data, "cause", json_null());
    put(&data, "coverage", coverage ? json_deep_copy(coverage) : json_null());
    put(&data, "next", document_next(event, rules));
    return data;
}

char *document_event(
    const Event *event, const char *host, const char *machine_id, const json_t *coverage, const Rules *rules) {
    char subject[SURFACE_TEXT_MAX];
    bool surface = event->has_incident && event->incident.aspect == ASPECT_SURFACE;
    json_t *data = document_data(event, host, machine_id, coverage, rules);
    put(&data, "diff", data ? rows_diff_strings(data) : NULL);

    json_t *document = json_object();
    put(&document, "specversion", json_string("1.0"));
    put(&document, "id", json_string(event->id));
    put(&document, "source", document_source(host));
    put(&document, "type", json_sprintf("%s%s", type_prefix(event->type), event_type_name(event->type)));
    if (surface)
        put(&document, "subject", json_string(surface_subject(&event->surface, subject)));
    else if (event->subject)
        put(&document, "subject", document_string_safe(event->subject));
    else
        put(&document, "subject",
            json_string(event->type == EVENT_LEARNED ? "baseline"
                        : event->type == EVENT_TEST  ? "test"
                        : event->has_incident        ? change_name(event->change)
                                                     : "portwatch"));
    put(&document, "time", document_moment(event->time ? event->time : 1));
    put(&document, "datacontenttype", json_string("application/json"));
    put(&document, "data", data);
    if (document) {
        json_t *summary = NULL;
        if (event->summary)
            summary = document_string_safe(event->summary);
        else {
            _cleanup_free_ char *text = phrase_summary(document);
            summary = text ? document_string_safe(text) : NULL;
        }
        if (!summary || json_object_set_new(json_object_get(document, "data"), "summary", summary) < 0) {
            json_decref(document);
            document = NULL;
        }
    }
    char *text = document ? document_text(document) : NULL;
    json_decref(document);
    return text;
}
