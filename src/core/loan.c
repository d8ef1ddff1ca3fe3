/* Acceptances that end, and those that are given ahead. */
#include <errno.h>
#include <string.h>

#include "core/step.h"

void loan_done(Loan *loan) {
    endpoints_done(&loan->before);
    free(loan->by);
    free(loan->reason);
    memset(loan, 0, sizeof *loan);
}

int64_t loan_left(const Loan *loan, const Now *now) {
    return loan->ends ? loan->ends - now->boottime : loan->until - now->realtime;
}

void state_start_loans(State *state, const Now *now) {
    for (size_t i = 0; i < state->n_loans; i++) {
        Loan *loan = &state->loans[i];
        /* A clock that was set back must not prolong it. */
        int64_t left = earlier_of(loan->until - now->realtime, loan->until - loan->made);
        loan->ends = now->boottime + later_of(left, 0);
    }
}

const Loan *state_loan(const State *state, const Surface *surface) {
    for (size_t i = 0; i < state->n_loans; i++)
        if (surface_compare(&state->loans[i].surface, surface) == 0) return &state->loans[i];
    return NULL;
}

static int loan_copy(const Loan *loan, Loan *ret) {
    Loan copy = *loan;
    copy.before = (Endpoints){0};
    copy.by = loan->by ? strdup(loan->by) : NULL;
    copy.reason = loan->reason ? strdup(loan->reason) : NULL;
    if ((loan->by && !copy.by) || (loan->reason && !copy.reason) || endpoints_copy(&loan->before, &copy.before) < 0) {
        loan_done(&copy);
        return -ENOMEM;
    }
    *ret = copy;
    return 0;
}

int decision_copy_loans(Decision *decision, const State *state) {
    if (decision->loans_changed) return 0;
    Loan *loans = calloc(state->n_loans + 1, sizeof *loans);
    if (!loans) return -ENOMEM;
    decision->loans = loans;
    decision->loans_changed = true;
    for (size_t i = 0; i < state->n_loans; i++) {
        if (loan_copy(&state->loans[i], &loans[i]) < 0) return -ENOMEM;
        decision->n_loans++;
    }
    return 0;
}

int decision_put_loan(Decision *decision, const State *state, const Surface *surface, Loan *loan) {
    int r = decision_copy_loans(decision, state);
    if (r < 0) return r;
    size_t at = 0;
    while (at < decision->n_loans && surface_compare(&decision->loans[at].surface, surface) != 0) at++;
    if (at < decision->n_loans) {
        loan_done(&decision->loans[at]);
        decision->loans[at] = decision->loans[--decision->n_loans];
    }
    if (!loan) return 0;
    Loan *longer = reallocarray(decision->loans, decision->n_loans + 1, sizeof *longer);
    if (!longer) return -ENOMEM;
    decision->loans = longer;
    longer[decision->n_loans++] = *loan;
    memset(loan, 0, sizeof *loan);
    return 0;
}

bool rule_states(const PortRule *rule) {
    return rule && (rule->expect != EXPECT_BASELINE || rule->n_addresses || rule->unit || rule->exe || rule->user);
}

/* "accepted for 2h by ann: planned", with `how` in front; escaped. NULL: no memory. */
static char *loan_words(const Loan *loan, const char *how) {
    char lasts[DURATION_TEXT_MAX];
    _cleanup_free_ char *text =
        text_printf("%s for %s by %s%s%s", how, duration_format(loan->until - loan->made, lasts),
            loan->by ? loan->by : "somebody", loan->reason ? ": " : "", loan->reason ? loan->reason : "");
    return text ? text_escape(text, strlen(text)) : NULL;
}

/* What was expected before is expected again. */
static int give_back(Step *step, const View *view, const Loan *loan, const char *how) {
    Rows before = {0};
    int r = rows_borrow(&loan->before, &before);
    _cleanup_free_ char *words = r >= 0 ? loan_words(loan, how) : NULL;
    if (r >= 0 && !words) r = -ENOMEM;
    if (r >= 0)
        r = decision_add_transition(step->out, TRANSITION_EXPIRED, step->now, &view->surface, CHANGE_NONE,
            &view->baseline, &before, NULL, words);
    if (r >= 0) r = decision_set_baseline(step->out, &view->surface, &view->baseline, &before, step->now);
    if (r >= 0) r = decision_sign(step->out, VERSION_EXPIRED, NULL, words);
    if (r >= 0) r = decision_put_loan(step->out, step->state, &view->surface, NULL);
    free(before.items);
    return r;
}

int step_loan(Step *step, const View *view, bool *ret_over) {
    const Loan *loan = view->ignore || !step->state->n_loans ? NULL : state_loan(step->state, &view->surface);
    if (!loan) return 0;
    int64_t left = loan_left(loan, step->now);
    /* Where nobody looks any more there is nothing to come back. */
    bool unwatched = view->surface.namespace[0] && step->rules->namespaces != SCOPE_ALL;
    if (unwatched) return decision_put_loan(step->out, step->state, &view->surface, NULL);
    if (left > 0) {
        step_look_at(step, step->now->boottime + left);
        return 0;
    }
    if (!loan->ahead) {
        *ret_over = true;
        return give_back(step, view, loan, "it was accepted");
    }
    /* What began before the end may settle after it. */
    const Settling *old = step_settling(step, view);
    if (old && !old->quiet && old->start <= step->now->boottime + left) return 0;
    _cleanup_free_ char *words = loan_words(loan, "it was approved ahead");
    int r = words ? decision_add_transition(
                        step->out, TRANSITION_EXPIRED, step->now, &view->surface, CHANGE_NONE, NULL, NULL, NULL, words)
                  : -ENOMEM;
    return r < 0 ? r : decision_put_loan(step->out, step->state, &view->surface, NULL);
}

static int take_approved(Step *step, const View *view, const Incident *incident, const Loan *loan) {
    _cleanup_free_ char *words = loan_words(loan, "approved ahead");
    int r = words ? decision_add_transition(step->out, TRANSITION_ACCEPTED, step->now, &view->surface,
                        view->difference.change, &view->baseline, &view->seen, incident ? incident->token : NULL, words)
                  : -ENOMEM;
    if (r >= 0) r = decision_move_baseline(step->out, view, step->now, false);
    if (r >= 0) r = decision_sign(step->out, VERSION_ACCEPTED, loan->by, loan->reason);
    if (r >= 0 && incident)
        r = step_tell_resolved(step, view, incident, ENDING_ACCEPTED, step->now->realtime, loan->by, loan->reason);
    return r;
}

int step_settle_loan(Step *step, const View *view, const Incident *incident, const Settling *s, bool *ret_done) {
    const Loan *loan = view->ignore || !step->state->n_loans ? NULL : state_loan(step->state, &view->surface);
    if (!loan || view->difference.change == CHANGE_NONE) return 0;
    if (loan->ahead) {
        bool tells = incident || view->watch == WATCH_ALERT;
        if (!tells || rule_states(view->rule) || s->start > step->now->boottime + loan_left(loan, step->now)) return 0;
        *ret_done = true;
        return take_approved(step, view, incident, loan);
    }
    Rows before = {0};
    Difference left;
    int r = rows_borrow(&loan->before, &before);
    if (r >= 0) r = difference_make(&view->surface, view->rule, &before, &view->seen, &left);
    free(before.items);
    if (r < 0 || left.change != CHANGE_NONE) return r;
    *ret_done = true;
    r = give_back(step, view, loan, "it is as before already, though it was accepted");
    if (r >= 0 && incident)
        r = step_tell_resolved(step, view, incident, ENDING_RETURNED, s->start_realtime, NULL, NULL);
    return r;
}
