#include "cause/about.h"

#include <string.h>

#include "cause/json.h"
#include "core/text.h"

static const char *unit_of(const Owner *owner) {
    return owner->unit_shown ? owner->unit_shown : owner->unit;
}

/* The user of "user-1000.slice", whoever the process runs as by now. */
static bool user_of_slice(const char *slice, uid_t *ret) {
    char text[32];
    unsigned user;
    if (!slice || sscanf(slice, "user-%u.slice", &user) != 1) return false;
    snprintf(text, sizeof text, "user-%u.slice", user);
    if (strcmp(text, slice) != 0 || user == USER_NONE) return false;
    *ret = user;
    return true;
}

bool cause_question_about(const Owner *owner, bool seen, CauseQuestion *ret) {
    const char *unit = unit_of(owner);
    *ret = (CauseQuestion){.user = USER_NONE, .pid = owner->pid, .started = owner->started};
    /* A name that a user chose is never taken for the system's unit of that name. */
    bool known = !owner->user_unit || user_of_slice(owner->slice, &ret->user);
    if (unit && known && unit_name_valid(unit)) snprintf(ret->unit, sizeof ret->unit, "%s", unit);
    if (seen && *ret->unit && owner->invocation && invocation_valid(owner->invocation))
        memcpy(ret->invocation, owner->invocation, sizeof ret->invocation);
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
