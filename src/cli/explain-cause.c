/* What systemd and the journal say of whoever held the port, and of whoever holds it: asked through portwatch-cause. */
#include <errno.h>
#include <string.h>

#include "cause/about.h"
#include "cause/client.h"
#include "cli/explain.h"
#include "notify/document.h"

#define ANSWER_WAIT (5 * USEC_PER_SEC)

static const Owner *asked_about(const Case *c) {
    if (c->before && (c->n_rows == 0 || !c->rows[0].endpoint->n_owners)) return c->before;
    return c->n_rows > 0 && c->rows[0].endpoint->n_owners > 0 ? c->rows[0].endpoint->owners[0] : NULL;
}

int explain_cause(const Cli *cli, Case *c) {
    const Owner *owner = asked_about(c);
    if (!owner) return 0;
    CauseQuestion question;
    CauseAnswer answer = {0};
    _cleanup_free_ char *why = NULL;
    if (!cause_question_about(owner, owner != c->before, &question)) return 0;
    question.open = c->n_rows > 0;
    int r = cause_ask(cli->cause_program, &question, ANSWER_WAIT, &answer, &why);
    if (r == -ENOMEM) return r;
    if (r >= 0) c->cause = document_parse(answer.document);
    cause_answer_done(&answer);
    if (c->cause) return 0;
    _cleanup_free_ char *reason = text_printf("%s: %s", cli->cause_program, why ? why : strerror(-r));
    _cleanup_free_ char *document = reason ? cause_unanswered(owner, reason) : NULL;
    c->cause = document ? document_parse(document) : NULL;
    return c->cause ? 0 : -ENOMEM;
}
