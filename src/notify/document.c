#include "notify/document.h"

#include "core/exposure.h"
#include "notify/document-private.h"
#include "notify/extent.h"
#include "notify/phrase.h"
#include "notify/rows.h"

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
    if (extent_init(&event->before, &event->after,
            event->has_incident && event->surface.port == 0 && !event->surface.whole, &extent) < 0) {
        json_decref(*data);
        *data = NULL;
        return;
    }
    document_put(data, "before", document_rows(extent.before, extent.n_before));
    document_put(data, "after", document_rows(extent.after, extent.n_after));
    if (extent.omitted_before || extent.omitted_after)
        document_put(data, "omitted",
            json_pack(
                "{sIsI}", "before", (json_int_t)extent.omitted_before, "after", (json_int_t)extent.omitted_after));
    extent_done(&extent);
}

/* How exposed the port was and is. */
static json_t *document_exposure(const Event *event) {
    return json_pack("{ssss}", "before", exposure_name(exposure_of_endpoints(&event->before)), "after",
        exposure_name(exposure_of_endpoints(&event->after)));
}

static const char *expect_name(const Rules *rules, const Surface *surface) {
    const PortRule *rule =
        rules && surface->port ? rules_find_in(rules, surface->namespace, surface->protocol, surface->port) : NULL;
    if (!rule || rule->expect == EXPECT_BASELINE) return "baseline";
    return rule->expect == EXPECT_OPEN ? "open" : "closed";
}

/* The same value with every string fit for a document. Its depth is bounded by jansson's parser. */
static json_t *made_safe(const json_t *value) {
    if (json_is_string(value)) return document_string_safe(json_string_value(value));
    if (json_is_array(value)) {
        json_t *array = json_array();
        for (size_t i = 0; array && i < json_array_size(value); i++)
            if (json_array_append_new(array, made_safe(json_array_get(value, i))) < 0) {
                json_decref(array);
                array = NULL;
            }
        return array;
    }
    if (!json_is_object(value)) return json_deep_copy(value);
    json_t *object = json_object(), *member;
    const char *key;
    json_object_foreach((json_t *)value, key, member) document_put(&object, key, made_safe(member));
    return object;
}

static json_t *document_cause(const char *text) {
    _cleanup_json_ json_t *cause = text ? json_loads(text, 0, NULL) : NULL;
    return json_is_object(cause) ? made_safe(cause) : json_null();
}

static json_t *document_data(
    const Event *event, const char *host, const char *machine_id, const json_t *coverage, const Rules *rules) {
    bool incident = event->has_incident;
    bool surface = incident ? event->incident.aspect == ASPECT_SURFACE : false;
    bool whole = surface && event->surface.whole, ephemeral = surface && !whole && event->surface.port == 0;
    json_t *data = json_object();
    document_put(&data, "schema", json_integer(1));
    document_put(&data, "host", document_string(host));
    document_put(&data, "machine_id", machine_id && *machine_id ? document_string(machine_id) : json_null());
    document_put(&data, "incident", incident ? document_string(event->incident.token) : json_null());
    document_put(&data, "incident_id", incident ? document_string(event->incident.id) : json_null());
    document_put(&data, "status", nullable(status_name(event)));
    document_put(&data, "change", incident ? json_string(change_name(event->change)) : json_null());
    document_put(&data, "reach", surface ? json_string(reach_name(event->reach)) : json_null());
    document_put(&data, "exposure", surface ? document_exposure(event) : json_null());
    document_put(&data, "severity", json_string(severity_name(event->severity)));
    document_put(&data, "namespace", surface ? document_namespace(event->surface.namespace) : json_null());
    document_put(
        &data, "protocol", surface && !whole ? json_string(protocol_name(event->surface.protocol)) : json_null());
    document_put(&data, "port", surface && event->surface.port ? json_integer(event->surface.port) : json_null());
    if (ephemeral) document_put(&data, "local", json_boolean(event->surface.local));
    document_put(&data, "name", document_string(event->name));
    document_put(&data, "expect", surface ? json_string(expect_name(rules, &event->surface)) : json_null());
    document_put(&data, "opened", incident ? document_moment(event->incident.opened) : json_null());
    document_put(&data, "seen", document_moment(event->seen));
    if (incident && event->incident.returns > 0) document_put(&data, "returns", json_integer(event->incident.returns));
    put_rows(&data, event);
    if (event->type == EVENT_RESOLVED) {
        document_put(&data, "expected", document_first(&event->incident.before, EXTENT_ROWS_MAX));
        document_put(&data, "ending", nullable(ending_name(event->ending)));
        document_put(&data, "by", document_string(event->by));
        document_put(&data, "reason", document_string(event->reason));
        document_put(&data, "until", event->until ? document_moment(event->until) : json_null());
    }
    document_put(&data, "cause", document_cause(event->cause));
    document_put(&data, "coverage", coverage ? json_deep_copy(coverage) : json_null());
    document_put(&data, "next", document_next(event, rules));
    return data;
}

char *document_event(
    const Event *event, const char *host, const char *machine_id, const json_t *coverage, const Rules *rules) {
    char subject[SURFACE_TEXT_MAX];
    bool surface = event->has_incident && event->incident.aspect == ASPECT_SURFACE;
    json_t *data = document_data(event, host, machine_id, coverage, rules);
    document_put(&data, "diff", data ? rows_diff_strings(data) : NULL);

    json_t *document = json_object();
    document_put(&document, "specversion", json_string("1.0"));
    document_put(&document, "id", json_string(event->id));
    document_put(&document, "source", document_source(host));
    document_put(&document, "type", json_sprintf("%s%s", type_prefix(event->type), event_type_name(event->type)));
    if (surface)
        document_put(&document, "subject", json_string(surface_subject(&event->surface, subject)));
    else if (event->subject)
        document_put(&document, "subject", document_string_safe(event->subject));
    else
        document_put(&document, "subject",
            json_string(event->type == EVENT_LEARNED ? "baseline"
                        : event->type == EVENT_TEST  ? "test"
                        : event->has_incident        ? change_name(event->change)
                                                     : "portwatch"));
    document_put(&document, "time", document_moment(event->time ? event->time : 1));
    document_put(&document, "datacontenttype", json_string("application/json"));
    document_put(&document, "data", data);
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
