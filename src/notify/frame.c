#include "notify/frame.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "notify/wire.h"

static const char *const names[FRAME_TYPE_MAX] = {
    "hello", "broken", "configure", "configured", "deliver", "heartbeat", "result"};

static void jsonp(json_t **json) {
    json_decref(*json);
}

void frame_done(Frame *frame) {
    for (size_t i = 0; i < frame->n_keys; i++) free(frame->keys[i].name);
    free(frame->keys);
    strv_free(frame->missing);
    free(frame->reason);
    for (size_t i = 0; i < frame->n_settings; i++) {
        free(frame->settings[i].key);
        if (frame->settings[i].value) explicit_bzero(frame->settings[i].value, strlen(frame->settings[i].value));
        free(frame->settings[i].value);
    }
    free(frame->settings);
    for (size_t i = 0; i < frame->n_faults; i++) {
        free(frame->faults[i].key);
        free(frame->faults[i].reason);
    }
    free(frame->faults);
    strv_free(frame->recipients);
    message_done(&frame->message);
    free(frame->recipient);
    *frame = (Frame){0};
}

/* ---- parsing: each helper takes its member out, so that what is left over is unknown ---- */

static int take_string(json_t *object, const char *name, char **ret) {
    json_t *value = json_object_get(object, name);
    if (!json_is_string(value)) return -EBADMSG;
    char *text = strdup(json_string_value(value));
    if (!text) return -ENOMEM;
    json_object_del(object, name);
    *ret = text;
    return 0;
}

/* null or absent gives NULL */
static int take_optional(json_t *object, const char *name, char **ret) {
    json_t *value = json_object_get(object, name);
    if (value && !json_is_null(value)) return take_string(object, name, ret);
    json_object_del(object, name);
    return 0;
}

static int take_integer(json_t *object, const char *name, int64_t minimum, int64_t maximum, int64_t *ret) {
    json_t *value = json_object_get(object, name);
    if (!json_is_integer(value)) return -EBADMSG;
    int64_t number = json_integer_value(value);
    if (number < minimum || number > maximum) return -EBADMSG;
    json_object_del(object, name);
    *ret = number;
    return 0;
}

static int take_list(json_t *object, const char *name, char ***ret) {
    json_t *array = json_object_get(object, name);
    if (!json_is_array(array) || json_array_size(array) > FRAME_LIST_MAX) return -EBADMSG;
    for (size_t i = 0; i < json_array_size(array); i++) {
        json_t *value = json_array_get(array, i);
        if (!json_is_string(value)) return -EBADMSG;
        int r = strv_append(ret, json_string_value(value));
        if (r < 0) return r;
    }
    json_object_del(object, name);
    return 0;
}

/* An array of at most `max` objects: allocates that many zeroed elements. The array stays for the caller to walk. */
static int open_array(
    json_t *object, const char *name, size_t max, size_t size, json_t **ret_array, void *ret_elements) {
    json_t *array = json_object_get(object, name);
    size_t n = json_array_size(array);
    if (!json_is_array(array) || n > max) return -EBADMSG;
    void *elements = calloc(n ? n : 1, size);
    if (!elements) return -ENOMEM;
    *ret_array = array;
    *(void **)ret_elements = elements;
    return 0;
}

static int left_over(json_t *object) {
    return json_object_size(object) == 0 ? 0 : -EBADMSG;
}

static int parse_keys(json_t *root, Frame *frame) {
    json_t *array = NULL;
    int r = open_array(root, "keys", FRAME_KEYS_MAX, sizeof(FrameKey), &array, &frame->keys);
    for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
        json_t *item = json_array_get(array, i);
        int64_t flags = 0;
        frame->n_keys = i + 1;
        if (!json_is_object(item)) return -EBADMSG;
        r = take_string(item, "name", &frame->keys[i].name);
        if (r == 0) r = take_integer(item, "flags", 0, INT32_MAX, &flags);
        if (r == 0) r = left_over(item);
        frame->keys[i].flags = (unsigned)flags;
    }
    if (r == 0) json_object_del(root, "keys");
    return r;
}

static int parse_settings(json_t *root, Frame *frame) {
    json_t *array = NULL;
    int r = open_array(root, "settings", FRAME_SETTINGS_MAX, sizeof(FrameSetting), &array, &frame->settings);
    for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
        json_t *item = json_array_get(array, i);
        frame->n_settings = i + 1;
        if (!json_is_object(item)) return -EBADMSG;
        r = take_string(item, "key", &frame->settings[i].key);
        if (r == 0) r = take_string(item, "value", &frame->settings[i].value);
        if (r == 0) r = left_over(item);
    }
    if (r == 0) json_object_del(root, "settings");
    return r;
}

static int parse_faults(json_t *root, Frame *frame) {
    json_t *array = NULL;
    int r = open_array(root, "faults", FRAME_LIST_MAX, sizeof(FrameFault), &array, &frame->faults);
    for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
        json_t *item = json_array_get(array, i);
        int64_t setting = -1;
        frame->n_faults = i + 1;
        if (!json_is_object(item)) return -EBADMSG;
        r = take_string(item, "key", &frame->faults[i].key);
        if (r == 0) r = take_integer(item, "setting", -1, FRAME_SETTINGS_MAX - 1, &setting);
        if (r == 0) r = take_string(item, "reason", &frame->faults[i].reason);
        if (r == 0) r = left_over(item);
        frame->faults[i].setting = (int)setting;
    }
    if (r == 0) json_object_del(root, "faults");
    return r;
}

static int take_id(json_t *root, char id[static UUID_TEXT_MAX]) {
    _cleanup_free_ char *text = NULL;
    int r = take_string(root, "id", &text);
    if (r < 0) return r;
    if (strlen(text) >= UUID_TEXT_MAX) return -EBADMSG;
    memcpy(id, text, strlen(text) + 1);
    return 0;
}

static int parse_deliver(json_t *root, Frame *frame) {
    Message *m = &frame->message;
    int r = take_id(root, m->id);
    if (r == 0) r = take_string(root, "notifier", &m->notifier);
    if (r == 0) r = take_string(root, "host", &m->host);
    if (r == 0) r = take_integer(root, "formed", 0, INT64_MAX, &m->formed);
    if (r == 0) r = take_string(root, "subject", &m->subject);
    if (r == 0) r = take_string(root, "text", &m->text);
    if (r == 0) r = take_string(root, "document", &m->document);
    if (r == 0) r = take_list(root, "references", &m->references);
    if (r == 0) r = take_string(root, "recipient", &frame->recipient);
    if (r == 0) r = take_integer(root, "timeout", 1, INT64_MAX, &frame->timeout);
    return r;
}

static int parse_result(json_t *root, Frame *frame) {
    int64_t outcome = 0, code = 0;
    int r = take_id(root, frame->id);
    if (r == 0) r = take_string(root, "recipient", &frame->recipient);
    if (r == 0) r = take_integer(root, "outcome", OUTCOME_DELIVERED, OUTCOME_REFUSED, &outcome);
    if (r == 0) r = take_integer(root, "code", 0, INT32_MAX, &code);
    if (r == 0) r = take_integer(root, "retry_after", 0, INT64_MAX, &frame->retry_after);
    if (r == 0) r = take_optional(root, "reason", &frame->reason);
    frame->outcome = (Outcome)outcome;
    frame->code = (int)code;
    return r;
}

static int parse_body(json_t *root, Frame *frame) {
    switch (frame->type) {
    case FRAME_HELLO: {
        int r = parse_keys(root, frame);
        return r < 0 ? r : take_list(root, "missing", &frame->missing);
    }
    case FRAME_BROKEN:
        return take_string(root, "reason", &frame->reason);
    case FRAME_CONFIGURE:
        return parse_settings(root, frame);
    case FRAME_CONFIGURED: {
        int r = parse_faults(root, frame);
        return r < 0 ? r : take_list(root, "recipients", &frame->recipients);
    }
    case FRAME_DELIVER:
        return parse_deliver(root, frame);
    case FRAME_HEARTBEAT: {
        int r = take_id(root, frame->message.id);
        return r < 0 ? r : take_integer(root, "timeout", 1, INT64_MAX, &frame->timeout);
    }
    case FRAME_RESULT:
        return parse_result(root, frame);
    default:
        return -EBADMSG;
    }
}

int frame_parse(const char *payload, size_t length, Frame *ret) {
    _cleanup_(jsonp) json_t *root = json_loadb(payload, length, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root)) return -EBADMSG;
    _cleanup_(frame_done) Frame frame = {.type = FRAME_TYPE_MAX};
    _cleanup_free_ char *type = NULL;
    int r = take_string(root, "type", &type);
    if (r < 0) return r;
    for (size_t i = 0; i < FRAME_TYPE_MAX; i++)
        if (strcmp(type, names[i]) == 0) frame.type = (FrameType)i;
    r = parse_body(root, &frame);
    if (r == 0) r = left_over(root);
    if (r < 0) return r;
    *ret = frame;
    frame = (Frame){0};
    return 0;
}

/* ---- printing ---- */

static json_t *print_list(char *const *list) {
    json_t *array = json_array();
    for (; array && list && *list; list++)
        if (json_array_append_new(array, json_string(*list)) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *print_items(const Frame *frame) {
    json_t *array = json_array();
    size_t n = frame->type == FRAME_HELLO       ? frame->n_keys
               : frame->type == FRAME_CONFIGURE ? frame->n_settings
                                                : frame->n_faults;
    for (size_t i = 0; array && i < n; i++) {
        json_t *item = NULL;
        if (frame->type == FRAME_HELLO)
            item = json_pack("{s:s, s:i}", "name", frame->keys[i].name, "flags", (int)frame->keys[i].flags);
        else if (frame->type == FRAME_CONFIGURE)
            item = json_pack("{s:s, s:s}", "key", frame->settings[i].key, "value", frame->settings[i].value);
        else
            item = json_pack("{s:s, s:i, s:s}", "key", frame->faults[i].key, "setting", frame->faults[i].setting,
                "reason", frame->faults[i].reason);
        if (json_array_append_new(array, item) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *print_body(const Frame *frame) {
    const Message *m = &frame->message;
    switch (frame->type) {
    case FRAME_HELLO:
        return json_pack("{s:o, s:o}", "keys", print_items(frame), "missing", print_list(frame->missing));
    case FRAME_BROKEN:
        return json_pack("{s:s}", "reason", frame->reason);
    case FRAME_CONFIGURE:
        return json_pack("{s:o}", "settings", print_items(frame));
    case FRAME_CONFIGURED:
        return json_pack("{s:o, s:o}", "faults", print_items(frame), "recipients", print_list(frame->recipients));
    case FRAME_DELIVER:
        return json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:o, s:s, s:I}", "id", m->id, "notifier", m->notifier,
            "host", m->host, "formed", (json_int_t)m->formed, "subject", m->subject, "text", m->text, "document",
            m->document, "references", print_list(m->references), "recipient", frame->recipient, "timeout",
            (json_int_t)frame->timeout);
    case FRAME_HEARTBEAT:
        return json_pack("{s:s, s:I}", "id", m->id, "timeout", (json_int_t)frame->timeout);
    case FRAME_RESULT:
        return json_pack("{s:s, s:s, s:i, s:i, s:I, s:s?}", "id", frame->id, "recipient", frame->recipient, "outcome",
            (int)frame->outcome, "code", frame->code, "retry_after", (json_int_t)frame->retry_after, "reason",
            frame->reason);
    default:
        return NULL;
    }
}

int frame_print(const Frame *frame, size_t max, char **ret_bytes, size_t *ret_length) {
    _cleanup_(jsonp) json_t *root = print_body(frame);
    if (!root || json_object_set_new(root, "type", json_string(names[frame->type])) < 0) return -EINVAL;
    char *text = json_dumps(root, JSON_COMPACT);
    if (!text) return -ENOMEM;
    size_t length = strlen(text);
    int r = wire_pack(text, length, max, ret_bytes, ret_length);
    explicit_bzero(text, length);
    free(text);
    return r;
}
