#include "cause/document.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "cause/json.h"
#include "cause/judge.h"
#include "core/text.h"

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

int cause_document(const Facts *facts, CauseAnswer *ret) {
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
    *ret = (CauseAnswer){.fate = j.fate, .document = text};
    return 0;
}
