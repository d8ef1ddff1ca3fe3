#include "cause/question.h"

#include <errno.h>
#include <string.h>

#include "cause/json.h"
#include "core/cleanup.h"

bool unit_name_valid(const char *name) {
    static const char *const suffixes[] = {
        ".service",
        ".socket",
        ".scope",
        ".slice",
        ".mount",
        ".target",
        ".timer",
        ".path",
        ".swap",
        ".device",
    };
    size_t n = strnlen(name, UNIT_NAME_MAX);
    if (n >= UNIT_NAME_MAX ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@") != n)
        return false;
    for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
        size_t m = strlen(suffixes[i]);
        if (n > m && strcmp(name + n - m, suffixes[i]) == 0) return true;
    }
    return false;
}

bool invocation_valid(const char *text) {
    return strspn(text, "0123456789abcdef") == INVOCATION_MAX - 1 && !text[INVOCATION_MAX - 1];
}

bool cause_question_valid(const CauseQuestion *q) {
    return (!q->unit[0] || unit_name_valid(q->unit)) && (!q->invocation[0] || invocation_valid(q->invocation)) &&
           q->pid >= 0 && q->started >= 0 && q->since >= 0 && q->process <= PROCESS_ALIVE;
}

int cause_question_print(uint64_t id, const CauseQuestion *q, char **ret_text) {
    if (!cause_question_valid(q)) return -EINVAL;
    _cleanup_json_ json_t *root = json_pack("{s:I, s:s, s:I, s:s, s:I, s:I, s:I, s:b, s:i}", "id", (json_int_t)id,
        "unit", q->unit, "user", q->user == USER_NONE ? (json_int_t)-1 : (json_int_t)q->user, "invocation",
        q->invocation, "pid", (json_int_t)q->pid, "started", (json_int_t)q->started, "since", (json_int_t)q->since,
        "open", q->open, "process", (int)q->process);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    if (!text) return -ENOMEM;
    *ret_text = text;
    return 0;
}

int cause_question_parse(const char *bytes, size_t length, uint64_t *ret_id, CauseQuestion *ret) {
    const char *unit, *invocation;
    json_int_t id, user, pid, started, since;
    int open, process;
    _cleanup_json_ json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL);
    if (!root || json_unpack_ex(root, NULL, JSON_STRICT, "{s:I, s:s, s:I, s:s, s:I, s:I, s:I, s:b, s:i}", "id", &id,
                     "unit", &unit, "user", &user, "invocation", &invocation, "pid", &pid, "started", &started, "since",
                     &since, "open", &open, "process", &process) < 0)
        return -EBADMSG;
    if (strlen(unit) >= UNIT_NAME_MAX || strlen(invocation) >= INVOCATION_MAX || user < -1 || user > UINT32_MAX ||
        pid < 0 || pid > INT32_MAX || process < 0 || process > PROCESS_ALIVE)
        return -EBADMSG;
    CauseQuestion q = {
        .user = user < 0 ? USER_NONE : (uid_t)user,
        .pid = (pid_t)pid,
        .started = started,
        .since = since,
        .open = open,
        .process = (CauseProcess)process,
    };
    memcpy(q.unit, unit, strlen(unit) + 1);
    memcpy(q.invocation, invocation, strlen(invocation) + 1);
    if (!cause_question_valid(&q)) return -EBADMSG;
    *ret_id = (uint64_t)id;
    *ret = q;
    return 0;
}
