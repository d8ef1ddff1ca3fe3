#include "cause/answer.h"

#include <errno.h>
#include <string.h>

#include "cause/json.h"
#include "core/text.h"

#define TEXT_MAX 2048

static const char *const fates[] = {
    [FATE_UNKNOWN] = "unknown",
    [FATE_STOPPED] = "stopped",
    [FATE_FAILED] = "failed",
    [FATE_RETURNING] = "returning",
};

void cause_answer_done(CauseAnswer *answer) {
    free(answer->document);
    *answer = (CauseAnswer){0};
}

int cause_answer_print(uint64_t id, bool final, const CauseAnswer *answer, char **ret_text) {
    _cleanup_free_ char *text = text_printf("{\"id\":%llu,\"final\":%s,\"fate\":\"%s\",\"cause\":%s}",
        (unsigned long long)id, final ? "true" : "false", fates[answer->fate], answer->document);
    if (!text) return -ENOMEM;
    if (strlen(text) > ANSWER_BYTES_MAX) return -EMSGSIZE;
    *ret_text = TAKE_PTR(text);
    return 0;
}

/* ---- checking ---- */

/* Escaped by text_escape: escaping it again would change nothing but double the backslashes. */
static bool is_escaped(const char *text) {
    size_t length = strlen(text);
    if (length > TEXT_MAX) return false;
    _cleanup_free_ char *again = text_escape(text, length);
    if (!again) return false;
    const char *a = again;
    for (const char *t = text; *t; t++, a++) {
        if (*t != *a) return false;
        if (*t == '\\') a++;
    }
    return !*a;
}

static bool is_text(const json_t *value, bool null_allowed) {
    if (json_is_null(value)) return null_allowed;
    return json_is_string(value) && json_string_length(value) == strlen(json_string_value(value)) &&
           is_escaped(json_string_value(value));
}

static bool is_lines(const json_t *array) {
    if (!json_is_array(array) || json_array_size(array) > CAUSE_LINES_MAX) return false;
    for (size_t i = 0; i < json_array_size(array); i++)
        if (!is_text(json_array_get(array, i), false)) return false;
    return true;
}

static bool cause_valid(json_t *cause) {
    static const char *const texts[] = {"unit", "state", "sub", "result", "signal", "since", "process", "missing"};
    static const char *const numbers[] = {"exit", "restarts"};
    size_t n = ELEMENTSOF(texts) + ELEMENTSOF(numbers) + 3;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        if (!is_text(json_object_get(cause, texts[i]), true)) return false;
    for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
        const json_t *value = json_object_get(cause, numbers[i]);
        if (!json_is_integer(value) && !json_is_null(value)) return false;
    }
    return json_object_size(cause) == n && json_is_boolean(json_object_get(cause, "oom")) &&
           is_text(json_object_get(cause, "summary"), false) && is_lines(json_object_get(cause, "journal"));
}

int cause_answer_parse(const char *bytes, size_t length, uint64_t *ret_id, bool *ret_final, CauseAnswer *ret) {
    json_int_t id;
    int final;
    const char *fate;
    json_t *cause;
    if (length > ANSWER_BYTES_MAX) return -EBADMSG;
    _cleanup_json_ json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL);
    if (!root ||
        json_unpack_ex(root, NULL, JSON_STRICT, "{s:I, s:b, s:s, s:o}", "id", &id, "final", &final, "fate", &fate,
            "cause", &cause) < 0 ||
        id < 0 || !cause_valid(cause))
        return -EBADMSG;
    for (size_t i = 0; i < ELEMENTSOF(fates); i++)
        if (strcmp(fate, fates[i]) == 0) {
            char *text = json_dumps(cause, JSON_COMPACT);
            if (!text) return -ENOMEM;
            *ret_id = (uint64_t)id;
            *ret_final = final;
            *ret = (CauseAnswer){.fate = (Fate)i, .document = text};
            return 0;
        }
    return -EBADMSG;
}
