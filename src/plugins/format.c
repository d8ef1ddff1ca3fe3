#include "plugins/format.h"

#include <jansson.h>
#include <string.h>

static const char *const names[FORMAT_MAX] = {"cloudevents", "slack", "discord", "ntfy"};

bool format_parse(const char *name, Format *ret) {
    for (int i = 0; i < FORMAT_MAX; i++)
        if (strcmp(names[i], name) == 0) {
            *ret = (Format)i;
            return true;
        }
    return false;
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static Grade grade_of(const json_t *event) {
    const char *severity = text_of(json_object_get(event, "data"), "severity");
    if (strcmp(text_of(event, "type"), "portwatch.incident.resolved") == 0) return GRADE_RESOLVED;
    if (strcmp(severity, "critical") == 0) return GRADE_CRITICAL;
    return strcmp(severity, "warning") == 0 ? GRADE_WARNING : GRADE_INFO;
}

Grade format_grade(const char *document) {
    json_t *root = json_loads(document, 0, NULL);
    Grade grade = root ? grade_of(json_is_array(root) ? json_array_get(root, 0) : root) : GRADE_INFO;
    for (size_t i = 1; i < json_array_size(root); i++) {
        Grade its = grade_of(json_array_get(root, i));
        if (its > grade) grade = its;
    }
    json_decref(root);
    return grade;
}

char *format_body(Format format, const pw_message *message, const char *topic) {
    switch (format) {
    case FORMAT_SLACK:
        return slack_body(message);
    case FORMAT_DISCORD:
        return discord_body(message);
    case FORMAT_NTFY:
        return ntfy_body(message, topic);
    default:
        return strdup(message->document);
    }
}
