/* What people ask for: accept, ack, pause, resume. */
#include <errno.h>
#include <string.h>

#include "core/answers.h"
#include "core/step.h"

#define PAUSE_MAX (10 * 365 * 86400 * USEC_PER_SEC)

/* Has the port left what was told? */
static int compare_told(const View *view, const Incident *incident, bool *ret_moved) {
    Rows told = {0};
    Difference moved;
    int r = rows_borrow(&incident->told, &told);
    if (r >= 0) r = difference_make(&view->surface, NULL, &told, &view->seen, &moved);
    free(told.items);
    if (r >= 0) *ret_moved = moved.change != CHANGE_NONE;
    return r;
}

/* What is there, with the owners that were told where fewer can be seen at this moment. */
static int told_rows(const View *view, const Incident *incident, Endpoints *ret) {
    Endpoints list = {0};
    int r = rows_copy(&view->seen, &list);
    for (size_t i = 0; i < list.n && r >= 0; i++) {
        Endpoint *e = &list.items[i];
        const Endpoint *told = endpoints_find(&incident->told, e);
        if (told && (told->n_owners > e->n_owners || owners_known_better(e, told))) r = endpoint_share_owners(e, told);
    }
    if (r < 0)
        endpoints_done(&list);
    else
        *ret = list;
    return r;
}

static int move_baseline(Step *step, const View *view, const Incident *incident) {
    bool moved = true;
    int r = incident ? compare_told(view, incident, &moved) : 0;
    if (r < 0) return r;
    if (moved) return decision_move_baseline(step->out, view, step->now, false);
    _cleanup_(endpoints_done) Endpoints list = {0};
    View told = *view;
    r = told_rows(view, incident, &list);
    if (r >= 0) r = rows_borrow(&list, &told.seen);
    if (r < 0) return r;
    r = decision_move_baseline(step->out, &told, step->now, false);
    free(told.seen.items);
    return r;
}

/* "for 2h by ann: planned", escaped. NULL: no memory. */
static char *acceptance_words(const Step *step, const Acceptance *a, const char *how) {
    char lasts[DURATION_TEXT_MAX] = "";
    if (a->until) duration_format(a->until - step->now->realtime, lasts);
    _cleanup_free_ char *text = text_printf("%s%s%s%sby %s%s%s", how, a->until ? "for " : "", lasts,
        a->until ? " " : "", a->by, a->reason ? ": " : "", a->reason ? a->reason : "");
    return text ? text_escape(text, strlen(text)) : NULL;
}

/* Until when; what was lent before stays what returns. `before` NULL: given ahead. */
static int lend(Step *step, const Surface *surface, const Acceptance *a, const Rows *before) {
    const Loan *old = state_loan(step->state, surface);
    if (!a->until) return old && before ? decision_put_loan(step->out, step->state, surface, NULL) : 0;
    const Now *now = step->now;
    int64_t until = earlier_of(a->until, now->realtime + ENGINE_LOAN_MAX);
    Loan loan = {.surface = *surface,
        .ahead = !before,
        .made = now->realtime,
        .until = until,
        .ends = now->boottime + until - now->realtime};
    int r = 0;
    if (before && old && !old->ahead)
        r = endpoints_copy(&old->before, &loan.before);
    else if (before)
        r = rows_copy(before, &loan.before);
    if (!(loan.by = strdup(a->by)) || (a->reason && !(loan.reason = strdup(a->reason)))) r = -ENOMEM;
    if (r >= 0) r = decision_put_loan(step->out, step->state, surface, &loan);
    loan_done(&loan);
    return r;
}

static int accept_view(Step *step, const View *view, const Incident *incident, const Acceptance *a, Surface *ret_at) {
    if (ret_at) *ret_at = view->surface;
    if (!view->decided) return REQUEST_UNSEEN;
    Difference left;
    int r = difference_make(&view->surface, view->rule, &view->seen, &view->seen, &left);
    if (r < 0) return r;
    if (left.change != CHANGE_NONE) return REQUEST_STATED;
    _cleanup_free_ char *escaped = acceptance_words(step, a, "");
    if (!escaped) return -ENOMEM;
    step->until = a->until;
    r = decision_add_transition(step->out, TRANSITION_ACCEPTED, step->now, &view->surface, view->difference.change,
        &view->baseline, &view->seen, incident ? incident->token : NULL, escaped);
    if (r >= 0) r = move_baseline(step, view, incident);
    if (r >= 0) r = decision_sign(step->out, VERSION_ACCEPTED, a->by, a->reason);
    if (r >= 0) r = lend(step, &view->surface, a, &view->baseline);
    if (r >= 0 && incident)
        r = step_tell_resolved(step, view, incident, ENDING_ACCEPTED, step->now->realtime, a->by, a->reason);
    return r;
}

static int accept_surface(Step *step, const View *view, const Acceptance *a, Surface *ret_at) {
    const Incident *incident = step_incident(step, &view->surface);
    if (!view->decided && view->difference.change != CHANGE_NONE) return REQUEST_UNSEEN;
    if (view->difference.change == CHANGE_NONE && !incident) return REQUEST_NOTHING;
    if (view->difference.change == CHANGE_NONE && incident->change == CHANGE_FLAPPING) return REQUEST_FLAPPING;
    return accept_view(step, view, incident, a, ret_at);
}

static int accept_token(Step *step, const Views *views, const Acceptance *a, Surface *ret_at) {
    const Incident *incident = state_incident(step->state, a->token);
    if (!incident) return REQUEST_UNKNOWN;
    if (incident->aspect == ASPECT_SELF) return REQUEST_SELF;
    const View *view = views_find(views, &incident->surface);
    if (!view) return REQUEST_UNSEEN;
    if (ret_at) *ret_at = view->surface;
    if (!view->decided) return REQUEST_UNSEEN;
    if (incident->change == CHANGE_FLAPPING) return accept_surface(step, view, a, ret_at);
    bool moved;
    int r = compare_told(view, incident, &moved);
    if (r < 0) return r;
    return moved ? REQUEST_MOVED : accept_view(step, view, incident, a, ret_at);
}

/* What is accepted for a time already: for longer, for less, or for good. */
static int accept_lent(Step *step, const Loan *loan, const Acceptance *a) {
    Rows before = {0};
    _cleanup_free_ char *words = acceptance_words(step, a, a->until ? "" : "for good ");
    int r = words ? rows_borrow(&loan->before, &before) : -ENOMEM;
    if (r >= 0)
        r = decision_add_transition(
            step->out, TRANSITION_ACCEPTED, step->now, &loan->surface, CHANGE_NONE, NULL, NULL, NULL, words);
    if (r >= 0) r = lend(step, &loan->surface, a, &before);
    free(before.items);
    return r;
}

/* Nothing differs: what will is accepted. */
static int accept_ahead(Step *step, const Acceptance *a) {
    const Endpoint row = {.protocol = a->surface->protocol, .port = a->surface->port};
    Surface at = a->surface->port ? surface_of(step->rules, step->snapshot, &row) : *a->surface;
    if (surface_compare(&at, a->surface) != 0) return REQUEST_POOLED;
    if (a->surface->port && rule_states(rules_find_in(step->rules, "", a->surface->protocol, a->surface->port)))
        return REQUEST_STATED;
    _cleanup_free_ char *words = acceptance_words(step, a, "ahead ");
    int r = words ? decision_add_transition(
                        step->out, TRANSITION_ACCEPTED, step->now, a->surface, CHANGE_NONE, NULL, NULL, NULL, words)
                  : -ENOMEM;
    return r < 0 ? r : lend(step, a->surface, a, NULL);
}

static int accept_port(Step *step, const Views *views, const Acceptance *a, Surface *ret_at) {
    const View *view = views_find(views, a->surface);
    int r = view ? accept_surface(step, view, a, ret_at) : REQUEST_NOTHING;
    if (r != REQUEST_NOTHING) return r;
    const Loan *loan = state_loan(step->state, a->surface);
    if (loan && !loan->ahead) return accept_lent(step, loan, a);
    if (!a->until || !a->ahead) return REQUEST_NOTHING;
    if (ret_at) *ret_at = *a->surface;
    return accept_ahead(step, a);
}

static int accept_all(Step *step, const Views *views, const Acceptance *a, Surface *ret_at) {
    int result = REQUEST_NOTHING;
    for (size_t i = 0; i < views->n; i++) {
        const View *view = &views->items[i];
        if (view->ignore || surface_of_clients(&view->surface)) continue;
        if (view->surface.whole && view->difference.change == CHANGE_NONE) continue; /* its ports speak for it */
        int r = accept_surface(step, &views->items[i], a, ret_at);
        if (r < 0) return r;
        /* What can be accepted is; what cannot is said of the rest. */
        if (r == REQUEST_STATED || r == REQUEST_UNSEEN) result = r;
        if (r == REQUEST_DONE && result == REQUEST_NOTHING) result = REQUEST_DONE;
    }
    return result;
}

int engine_accept(const Rules *rules, const State *state, const Snapshot *snapshot, const Now *now,
    const Acceptance *acceptance, Decision *ret, Surface *ret_at) {
    *ret = (Decision){.next_look = INT64_MAX};
    _cleanup_(step_done) Step step = {.rules = rules, .state = state, .snapshot = snapshot, .now = now, .out = ret};
    _cleanup_free_ Surface *more = malloc((state->n_incidents + 1) * sizeof *more);
    if (!more) return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < state->n_incidents; i++)
        if (state->incidents[i].aspect == ASPECT_SURFACE) more[n++] = state->incidents[i].surface;
    _cleanup_(views_done) Views views = {0};
    int r = step_init(&step);
    if (r >= 0) r = views_make(rules, &state->baseline, snapshot, more, n, &views);
    if (r < 0) return r;
    if (acceptance->token)
        r = accept_token(&step, &views, acceptance, ret_at);
    else if (acceptance->surface)
        r = accept_port(&step, &views, acceptance, ret_at);
    else
        r = accept_all(&step, &views, acceptance, ret_at);
    /* Of --all what could be accepted stays decided; a single refusal decides nothing. */
    if (r < 0 || (r > 0 && (acceptance->token || acceptance->surface))) decision_done(ret);
    return r;
}

int engine_acknowledge(const State *state, const Now *now, const char *token, const char *by, Decision *ret) {
    *ret = (Decision){.next_look = INT64_MAX};
    const Incident *incident = state_incident(state, token);
    if (!incident) return REQUEST_UNKNOWN;
    Incident copy = {0};
    int r = incident_copy(incident, &copy);
    if (r < 0) return r;
    copy.acknowledged = true;
    copy.next_reminder = 0;
    _cleanup_free_ char *escaped = text_escape(by, strlen(by));
    r = escaped ? decision_add_transition(ret, TRANSITION_ACKNOWLEDGED, now,
                      incident->aspect == ASPECT_SURFACE ? &incident->surface : NULL, incident->change, NULL, NULL,
                      incident->token, escaped)
                : -ENOMEM;
    if (r >= 0) r = decision_add_update(ret, &copy);
    incident_done(&copy);
    if (r < 0) decision_done(ret);
    return r;
}

static bool pause_is(const Pause *pause, const Surface *surface) {
    return surface ? !pause->all && surface_compare(&pause->surface, surface) == 0 : pause->all;
}

int engine_pause(
    const State *state, const Now *now, const Surface *surface, int64_t duration, const char *by, Decision *ret) {
    *ret = (Decision){.next_look = INT64_MAX};
    int r = decision_copy_pauses(ret, state);
    if (r < 0) return r;
    duration = earlier_of(duration, PAUSE_MAX);
    size_t at = 0;
    while (at < ret->n_pauses && !pause_is(&ret->pauses[at], surface)) at++;
    if (at == ret->n_pauses) ret->n_pauses++;
    const Pause old = at < state->n_pauses ? ret->pauses[at] : (Pause){0};
    ret->pauses[at] = (Pause){.all = !surface, .until = now->realtime + duration, .ends = now->boottime + duration};
    if (surface) ret->pauses[at].surface = *surface;
    /* Prolonged, it is still the same pause. */
    ret->pauses[at].n_passed = old.n_passed;
    memcpy(ret->pauses[at].passed, old.passed, sizeof old.passed);
    ret->pauses_changed = true;
    char lasts[DURATION_TEXT_MAX], text[256];
    snprintf(text, sizeof text, "for %s by %s", duration_format(duration, lasts), by);
    _cleanup_free_ char *escaped = text_escape(text, strlen(text));
    r = escaped ? decision_add_transition(ret, TRANSITION_PAUSED, now, surface, CHANGE_NONE, NULL, NULL, NULL, escaped)
                : -ENOMEM;
    if (r < 0) decision_done(ret);
    return r;
}

int engine_resume(const State *state, const Now *now, const Surface *surface, const char *by, Decision *ret) {
    *ret = (Decision){.next_look = INT64_MAX};
    int r = decision_copy_pauses(ret, state);
    if (r < 0) return r;
    size_t ended = 0;
    for (size_t i = 0; i < ret->n_pauses; i++) {
        Pause *p = &ret->pauses[i];
        /* Without a port every pause ends. */
        if ((surface && !pause_is(p, surface)) || pause_left(p, now) <= 0) continue;
        /* The next step lets it go, with what it held back. */
        p->until = now->realtime;
        p->ends = now->boottime;
        p->resumed = true;
        ended++;
    }
    if (ended == 0) {
        decision_done(ret);
        return REQUEST_NOTHING;
    }
    ret->pauses_changed = true;
    _cleanup_free_ char *escaped = text_escape(by, strlen(by));
    r = escaped ? decision_add_transition(ret, TRANSITION_RESUMED, now, surface, CHANGE_NONE, NULL, NULL, NULL, escaped)
                : -ENOMEM;
    if (r < 0) decision_done(ret);
    return r;
}
