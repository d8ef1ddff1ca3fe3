/* What an event's reader may want to do next. */
#include <stdarg.h>
#include <string.h>

#include "notify/document.h"

/* Adds {label, command}. The command holds only what we made ourselves: never text an attacker could choose. */
static bool next_add(json_t *array, const char *label, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool next_add(json_t *array, const char *label, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    _cleanup_free_ char *command = text_vprintf(format, arguments);
    va_end(arguments);
    if (!command) return false;
    return json_array_append_new(array, json_pack("{ssss}", "label", label, "command", command)) == 0;
}

static bool token_plain(const char *token) {
    if (!*token) return false;
    for (const char *p = token; *p; p++)
        if (!((*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9'))) return false;
    return true;
}

static bool path_plain(const char *path) {
    if (!path || *path != '/') return false;
    for (const char *p = path; *p; p++)
        if (!strchr("/._-+", *p) && !((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')))
            return false;
    return true;
}

/* A name that needs no quotes in a shell. */
static bool unit_plain(const char *unit) {
    size_t n = strlen(unit);
    bool known = (n > 8 && strcmp(unit + n - 8, ".service") == 0) || (n > 7 && strcmp(unit + n - 7, ".socket") == 0);
    for (const char *p = unit; *p && known; p++)
        known = strchr(":@._-", *p) || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9');
    return known && *unit != '-';
}

/* A unit that systemd has told to have failed or to be stopped can be started again. Only the system's own have a state
 * here, and their names are root's choice. One that ran only once (systemd-run) is forgotten when it is over. */
static bool add_start(json_t *array, const Event *event) {
    if (event->change != CHANGE_CLOSED || !event->cause || event->surface.namespace[0]) return true;
    _cleanup_json_ json_t *cause = json_loads(event->cause, 0, NULL);
    const char *unit = json_string_value(json_object_get(cause, "unit"));
    const char *state = json_string_value(json_object_get(cause, "state"));
    const char *result = json_string_value(json_object_get(cause, "result"));
    const char *summary = json_string_value(json_object_get(cause, "summary"));
    if (!unit || !state || !unit_plain(unit) || strncmp(unit, "run-", 4) == 0) return true;
    if (summary && strstr(summary, " masked")) return true;
    if (strcmp(state, "failed") == 0) return next_add(array, "start", "sudo systemctl restart %s", unit);
    if (strcmp(state, "inactive") == 0 && result) return next_add(array, "start", "sudo systemctl start %s", unit);
    return true;
}

/* Where the configuration states what this port must be: `accept` cannot change that. NULL: it does not. */
static const Place *stated_place(const Event *event, const Rules *rules) {
    if (!rules || event->surface.port == 0) return NULL;
    const PortRule *rule = rules_find_in(rules, event->surface.namespace, event->surface.protocol, event->surface.port);
    if (!rule) return NULL;
    if (rule->stated_place.file) return &rule->stated_place;
    if (rule->expect != EXPECT_BASELINE && rule->expect_place.file) return &rule->expect_place;
    return NULL;
}

json_t *document_next(const Event *event, const Rules *rules) {
    _cleanup_json_ json_t *array = json_array();
    if (!array) return NULL;
    bool good = true;
    if (event->type == EVENT_TEST) return TAKE_PTR(array);
    if (event->type == EVENT_LEARNED)
        good = next_add(array, "look", "portwatch list");
    else if (event->type == EVENT_SELF || event->incident.aspect == ASPECT_SELF) {
        bool configuration = event->subject && strcmp(event->subject, "configuration") == 0;
        bool pause = event->subject && strcmp(event->subject, "pause") == 0;
        good = next_add(array, "look",
            configuration ? "portwatch check-config"
            : pause       ? "portwatch history"
                          : "portwatch status");
    } else {
        char surface[SURFACE_TEXT_MAX];
        if (event->surface.namespace[0]) /* its name is somebody's choice */
            good = next_add(array, "look", "portwatch list");
        else if (event->surface.port != 0 && event->surface.protocol == PROTOCOL_TCP)
            good = next_add(array, "look", "portwatch explain %u", event->surface.port);
        else if (event->surface.port != 0)
            good = next_add(array, "look", "portwatch explain %s", surface_format(&event->surface, surface));
        else /* the ephemeral ports together: explain takes one */
            good = next_add(array, "look", "portwatch list %s", surface_format(&event->surface, surface));
        good = good && add_start(array, event);
        const Place *place = stated_place(event, rules);
        bool open = event->has_incident && event->incident.state == INCIDENT_OPEN && token_plain(event->incident.token);
        bool flaps = event->change == CHANGE_FLAPPING; /* there is no state to keep */
        if (open && !place && !flaps)
            good = good && next_add(array, "keep", "sudo portwatch accept %s --reason \"...\"", event->incident.token);
        else if (open && place && path_plain(place->file))
            good = good && next_add(array, "keep", "sudoedit %s   # line %u states it", place->file, place->line);
        if (open && !event->incident.acknowledged)
            good = good && next_add(array, "later", "sudo portwatch ack %s", event->incident.token);
    }
    return good ? TAKE_PTR(array) : NULL;
}
