/* What systemd and the journal say of whoever held the port, and of whoever holds it: asked through portwatch-cause. */
#include <errno.h>
#include <string.h>

#include "cause/client.h"
#include "cli/explain.h"
#include "notify/document.h"

#define ANSWER_WAIT (5 * USEC_PER_SEC)

static const Owner *asked_about(const Case *c) {
    if (c->before && (c->n_rows == 0 || !c->rows[0].endpoint->n_owners)) return c->before;
    return c->n_rows > 0 && c->rows[0].endpoint->n_owners > 0 ? c->rows[0].endpoint->owners[0] : NULL;
}

static void put_question(const Case *c, const Owner *owner, CauseQuestion *ret) {
    const char *unit = owner->unit_shown ? owner->unit_shown : owner->unit;
    *ret = (CauseQuestion){.user = USER_NONE, .pid = owner->pid, .started = owner->started, .open = c->n_rows > 0};
    if (owner->user_unit && owner->uid != UID_UNKNOWN) ret->user = owner->uid;
    if (unit && unit_name_valid(unit)) snprintf(ret->unit, sizeof ret->unit, "%s", unit);
}

/* What is known where nobody answers. */
static json_t *unanswered(const Owner *owner, const char *reason) {
    const char *unit = owner->unit_shown ? owner->unit_shown : owner->unit;
    return json_pack("{s:o, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:b, s:n, s:[], s:o}", "unit",
        document_string(unit), "state", "sub", "result", "exit", "signal", "restarts", "since", "process", "oom", 0,
        "summary", "journal", "missing", document_string(reason));
}

int explain_cause(const Cli *cli, Case *c) {
    const Owner *owner = asked_about(c);
    if (!owner) return 0;
    CauseQuestion question;
    CauseAnswer answer = {0};
    _cleanup_free_ char *why = NULL;
    put_question(c, owner, &question);
    if (!*question.unit && question.pid == 0) return 0;
    int r = cause_ask(cli->cause_program, &question, ANSWER_WAIT, &answer, &why);
    if (r == -ENOMEM) return r;
    if (r >= 0) c->cause = document_parse(answer.document);
    cause_answer_done(&answer);
    if (c->cause) return 0;
    _cleanup_free_ char *reason = text_printf("%s: %s", cli->cause_program, why ? why : strerror(-r));
    c->cause = reason ? unanswered(owner, reason) : NULL;
    return c->cause ? 0 : -ENOMEM;
}
