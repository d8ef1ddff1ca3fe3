#include "cause/about.h"

#include <string.h>

#include "cause/json.h"
#include "core/text.h"

static const char *unit_of(const Owner *owner) {
    return owner->unit_shown ? owner->unit_shown : owner->unit;
}

bool cause_question_about(const Owner *owner, CauseQuestion *ret) {
    const char *unit = unit_of(owner);
    *ret = (CauseQuestion){.user = USER_NONE, .pid = owner->pid, .started = owner->started};
    if (owner->user_unit && owner->uid != UID_UNKNOWN) ret->user = owner->uid;
    if (unit && unit_name_valid(unit)) snprintf(ret->unit, sizeof ret->unit, "%s", unit);
    return *ret->unit || ret->pid > 0;
}

char *cause_unanswered(const Owner *owner, const char *why) {
    const char *unit = unit_of(owner);
    _cleanup_free_ char *name = unit ? text_escape(unit, strlen(unit)) : NULL, *reason = text_escape(why, strlen(why));
    if ((unit && !name) || !reason) return NULL;
    _cleanup_json_ json_t *cause = json_pack("{s:s?, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:b, s:n, s:[], s:s}",
        "unit", name, "state", "sub", "result", "exit", "signal", "restarts", "since", "process", "oom", 0, "summary",
        "journal", "missing", reason);
    return cause ? json_dumps(cause, JSON_COMPACT) : NULL;
}
