#include "cause/answer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

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
    free(answer->cause);
    *answer = (CauseAnswer){0};
}

/* ---- making ---- */

static json_t *word(const char *text) {
    return text && *text ? json_string(text) : json_null();
}

static json_t *moment(int64_t usec) {
    char text[40];
    struct tm tm;
    time_t t = (time_t)(usec / USEC_PER_SEC);
    if (usec <= 0 || !gmtime_r(&t, &tm) || tm.tm_year > 9999 - 1900) return json_null();
    size_t n = strftime(text, sizeof(text), "%FT%T", &tm);
    snprintf(text + n, sizeof(text) - n, ".%06dZ", (int)(usec % USEC_PER_SEC));
    return json_string(text);
}

static json_t *signal_name(const Judgement *j) {
    if (j->code != CLD_KILLED && j->code != CLD_DUMPED) return json_null();
    const char *abbreviation = sigabbrev_np(j->status);
    return abbreviation ? json_sprintf("SIG%s", abbreviation) : json_sprintf("%d", j->status);
}

static json_t *lines(const JournalFacts *journal) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < journal->n_lines; i++)
        if (json_array_append_new(array, json_string(journal->lines[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

int cause_answer_make(const Facts *facts, CauseAnswer *ret) {
    const UnitFacts *unit = &facts->unit;
    Judgement j;
    cause_judge(facts, &j);
    _cleanup_free_ char *summary = cause_summary(facts, &j), *name = NULL;
    if (facts->question.unit[0]) name = text_escape(facts->question.unit, strlen(facts->question.unit));
    _cleanup_free_ char *missing = facts->missing ? text_escape(facts->missing, strlen(facts->missing)) : NULL;
    if (!summary || (facts->question.unit[0] && !name) || (facts->missing && !missing)) return -ENOMEM;
    _cleanup_json_ json_t *root = json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s?, s:b, s:s, s:o, s:o}",
        "unit", word(name), "state", word(unit->active), "sub", word(unit->sub), "result",
        word(j.ended ? j.result : NULL), "exit", j.code == CLD_EXITED ? json_integer(j.status) : json_null(), "signal",
        signal_name(&j), "restarts", unit->known && unit->restarts >= 0 ? json_integer(unit->restarts) : json_null(),
        "since", moment(j.since), "process",
        facts->process == PROCESS_GONE    ? "gone"
        : facts->process == PROCESS_ALIVE ? "alive"
                                          : NULL,
        "oom", j.oom, "summary", summary, "journal", lines(&facts->journal), "missing", word(missing));
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    if (!text) return -ENOMEM;
    *ret = (CauseAnswer){.fate = j.fate, .cause = text};
    return 0;
}

int cause_answer_print(uint64_t id, const CauseAnswer *answer, char **ret_text) {
    _cleanup_free_ char *text = text_printf(
        "{\"id\":%llu,\"fate\":\"%s\",\"cause\":%s}", (unsigned long long)id, fates[answer->fate], answer->cause);
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
    if (!json_is_array(array) || json_array_size(array) > LINES_MAX) return false;
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

int cause_answer_parse(const char *bytes, size_t length, uint64_t *ret_id, CauseAnswer *ret) {
    json_int_t id;
    const char *fate;
    json_t *cause;
    if (length > ANSWER_BYTES_MAX) return -EBADMSG;
    _cleanup_json_ json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL);
    if (!root ||
        json_unpack_ex(root, NULL, JSON_STRICT, "{s:I, s:s, s:o}", "id", &id, "fate", &fate, "cause", &cause) < 0 ||
        !cause_valid(cause))
        return -EBADMSG;
    for (size_t i = 0; i < ELEMENTSOF(fates); i++)
        if (strcmp(fate, fates[i]) == 0) {
            char *text = json_dumps(cause, JSON_COMPACT);
            if (!text) return -ENOMEM;
            *ret_id = (uint64_t)id;
            *ret = (CauseAnswer){.fate = (Fate)i, .cause = text};
            return 0;
        }
    return -EBADMSG;
}
