/* Documents as they travel: texts, without secrets, several in one message. */
#include <string.h>

#include "notify/document.h"

json_t *document_parse(const char *text) {
    return json_loads(text, JSON_REJECT_DUPLICATES, NULL);
}

static char *document_dump(const json_t *document, size_t flags) {
    _cleanup_free_ char *plain = json_dumps(document, flags | JSON_ENCODE_ANY);
    if (!plain) return NULL;
    /* '<' stands only inside strings, where "\/" is the same as "/". */
    size_t extra = 0;
    for (const char *p = strstr(plain, "</"); p; p = strstr(p + 2, "</")) extra++;
    char *text = malloc(strlen(plain) + extra + 1);
    if (!text) return NULL;
    char *to = text;
    for (const char *from = plain; *from; from++) {
        *to++ = *from;
        if (from[0] == '<' && from[1] == '/') *to++ = '\\';
    }
    *to = '\0';
    return text;
}

char *document_text(const json_t *document) {
    return document_dump(document, JSON_COMPACT);
}

char *document_text_pretty(const json_t *document) {
    return document_dump(document, JSON_INDENT(2));
}

/* Depth is bounded by jansson's parser (2048) and in practice by what document_event makes. */
static int strip(json_t *value) {
    if (json_is_array(value)) {
        for (size_t i = 0; i < json_array_size(value); i++) strip(json_array_get(value, i));
    } else if (json_is_object(value)) {
        json_object_del(value, "cmdline");
        json_object_del(value, "journal");
        const char *key;
        json_t *member;
        json_object_foreach(value, key, member) strip(member);
    }
    return 0;
}

json_t *document_minimal(const json_t *document) {
    json_t *copy = json_deep_copy(document);
    if (copy) strip(copy);
    return copy;
}

/* What makes two events one incident; NULL: an event that stands alone. */
static const char *incident_key(const json_t *document) {
    const json_t *data = json_object_get(document, "data");
    const char *id = json_string_value(json_object_get(data, "incident_id"));
    if (id && *id) return id;
    const char *token = json_string_value(json_object_get(data, "incident"));
    return token && *token ? token : NULL;
}

/* Writes into `later` that it also stands for `earlier`: first what that one stood for itself. 0 or -1. */
static int absorb(json_t *later, const json_t *earlier) {
    json_t *data = json_object_get(later, "data");
    const json_t *earlier_data = json_object_get(earlier, "data");
    _cleanup_json_ json_t *merged = json_array();
    _cleanup_json_ json_t *row =
        json_pack("{sOsOsOsO?}", "id", json_object_get(earlier, "id"), "type", json_object_get(earlier, "type"), "time",
            json_object_get(earlier, "time"), "summary", json_object_get(earlier_data, "summary"));
    if (!merged || !row) return -1;
    const json_t *former = json_object_get(earlier_data, "merged"), *own = json_object_get(data, "merged");
    if (json_is_array(former) && json_array_extend(merged, (json_t *)former) < 0) return -1;
    if (json_array_append(merged, row) < 0) return -1;
    if (json_is_array(own) && json_array_extend(merged, (json_t *)own) < 0) return -1;
    return json_object_set(data, "merged", merged);
}

json_t *document_merge(json_t *const *documents, size_t n) {
    _cleanup_json_ json_t *array = json_array();
    _cleanup_json_ json_t *places = json_object(); /* incident -> index in array */
    if (!array || !places) return NULL;
    for (size_t i = 0; i < n; i++) {
        const char *key = incident_key(documents[i]);
        const json_t *place = key ? json_object_get(places, key) : NULL;
        if (!place) {
            if (json_array_append(array, documents[i]) < 0) return NULL;
            if (key && json_object_set_new(places, key, json_integer((json_int_t)json_array_size(array) - 1)) < 0)
                return NULL;
            continue;
        }
        size_t index = (size_t)json_integer_value(place);
        const json_t *earlier = json_array_get(array, index);
        const char *id = json_string_value(json_object_get(documents[i], "id"));
        const char *earlier_id = json_string_value(json_object_get(earlier, "id"));
        if (id && earlier_id && strcmp(id, earlier_id) == 0) continue; /* the same event twice */
        _cleanup_json_ json_t *later = json_deep_copy(documents[i]);
        if (!later || absorb(later, earlier) < 0 || json_array_set(array, index, later) < 0) return NULL;
    }
    return TAKE_PTR(array);
}

char *document_batch(json_t *const *documents, size_t n) {
    _cleanup_json_ json_t *merged = document_merge(documents, n);
    if (!merged) return NULL;
    return document_text(json_array_size(merged) == 1 ? json_array_get(merged, 0) : merged);
}
