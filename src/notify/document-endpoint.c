/* Endpoints and their owners as JSON, and the strings and moments they are made of. */
#include <arpa/inet.h>
#include <string.h>

#include "notify/document-private.h"
#include "notify/moment.h"

void document_put(json_t **object, const char *key, json_t *value) {
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

json_t *document_moment(int64_t usec) {
    char buffer[MOMENT_TEXT_MAX];
    return usec ? json_string(moment_iso(usec, buffer)) : json_null();
}

json_t *document_owner(const Owner *owner) {
    json_t *object = json_object();
    document_put(&object, "unit", document_string(owner->unit));
    document_put(&object, "exe", document_string(owner->exe));
    document_put(&object, "user", document_string(owner->user));
    document_put(&object, "uid", owner->uid == UID_UNKNOWN ? json_null() : json_integer(owner->uid));
    document_put(&object, "pid", owner->pid > 0 ? json_integer(owner->pid) : json_null());
    document_put(&object, "comm", document_string(owner->comm));
    document_put(&object, "cmdline", document_string(owner->cmdline));
    document_put(&object, "started", document_moment(owner->started));
    if (owner->unit_shown) document_put(&object, "unit_shown", document_string(owner->unit_shown));
    if (owner->exe_shown) document_put(&object, "exe_shown", document_string(owner->exe_shown));
    if (owner->exe_deleted) document_put(&object, "exe_deleted", json_true());
    if (owner->exe_replaced) document_put(&object, "exe_replaced", json_true());
    if (owner->package) document_put(&object, "package", document_string(owner->package));
    if (owner->slice) document_put(&object, "slice", document_string(owner->slice));
    if (owner->user_unit) document_put(&object, "user_unit", json_true());
    if (owner->container) document_put(&object, "container", document_string(owner->container));
    if (owner->container_id) document_put(&object, "container_id", document_string(owner->container_id));
    return object;
}

json_t *document_namespace(const char *namespace) {
    return document_string(namespace[0] ? namespace : "host");
}

json_t *document_endpoint(const Endpoint *endpoint) {
    char address[INET6_ADDRSTRLEN];
    json_t *object = json_object();
    document_put(&object, "protocol", json_string(protocol_name(endpoint->protocol)));
    document_put(&object, "address", json_string(address_format(&endpoint->address, address)));
    document_put(&object, "port", json_integer(endpoint->port));
    document_put(&object, "device", endpoint->device[0] ? document_string(endpoint->device) : json_null());
    document_put(&object, "v6only", json_boolean(endpoint->address.family == AF_INET6 && endpoint->v6only));
    document_put(&object, "count", json_integer(endpoint->count ? endpoint->count : 1));
    document_put(&object, "namespace", document_namespace(endpoint->namespace));
    document_put(&object, "owner", endpoint->n_owners > 0 ? document_owner(endpoint->owners[0]) : json_null());
    if (endpoint->n_owners > 1) {
        json_t *owners = json_array();
        for (size_t i = 0; owners && i < endpoint->n_owners; i++) {
            if (json_array_append_new(owners, document_owner(endpoint->owners[i])) < 0) {
                json_decref(owners);
                owners = NULL;
            }
        }
        document_put(&object, "owners", owners);
    }
    if (endpoint->since) document_put(&object, "since", document_moment(endpoint->since));
    return object;
}

json_t *document_first(const Endpoints *endpoints, size_t max) {
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
