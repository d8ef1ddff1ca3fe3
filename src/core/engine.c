#include "core/engine.h"

#include <errno.h>
#include <string.h>

#include "core/answers.h"
#include "core/exposure.h"
#include "core/flap.h"
#include "core/step.h"

/* Where nothing but the second snapshot is missing. */
#define SECOND_LOOK (USEC_PER_SEC / 10)

static int64_t settle_of(const Step *step, const View *view, bool closed) {
    if (closed) return view->rule ? view->rule->settle_closed : step->rules->settle_closed;
    return view->rule ? view->rule->settle : step->rules->settle;
}

static int compare_told(const View *view, const Incident *incident, Difference *ret) {
    Rows told = {0};
    int r = rows_borrow(&incident->told, &told);
    if (r >= 0) r = difference_make(&view->surface, NULL, &told, &view->seen, ret);
    free(told.items);
    if (r >= 0 && ret->change == CHANGE_PROGRAM) ret->change = CHANGE_NONE;
    return r;
}

/* Would what was told be as expected by now? Then the configuration has moved, not the port. */
static int compare_restated(const View *view, const Incident *incident, Difference *ret) {
    Rows told = {0};
    int r = rows_borrow(&incident->told, &told);
    if (r >= 0) r = difference_make(&view->surface, view->rule, &view->baseline, &told, ret);
    free(told.items);
    return r;
}

static bool rows_known(const Rows *rows) {
    for (size_t i = 0; i < rows->n; i++)
        if (!owners_known(rows->items[i])) return false;
    return true;
}

/* What is seen passes for what was told and for what is expected. Is the difference over (a member of a group that
 * should not have been there has left), or is only too little known to see it? */
static int compare_return(const View *view, const Incident *incident, bool *ret) {
    Rows told = {0};
    Difference missing;
    int r = rows_borrow(&incident->told, &told);
    if (r >= 0) r = difference_make(&view->surface, NULL, &view->seen, &told, &missing);
    free(told.items);
    if (r >= 0) *ret = missing.change != CHANGE_NONE || rows_known(&view->seen);
    return r;
}

static const char upgraded_text[] = "its program runs from another file at the same path: an upgrade";

static int note_bounce(Step *step, const View *view, const Settling *settling) {
    char lasted[DURATION_TEXT_MAX], text[DURATION_TEXT_MAX + 128];
    duration_format(step->now->boottime - settling->start, lasted);
    bool upgraded = view->difference.upgraded;
    if (!settling->was_closed && view->seen.n == 0)
        snprintf(text, sizeof text, "there for %s, then gone again", lasted);
    else
        snprintf(text, sizeof text, "%s for %s, then as before%s%s", settling->was_closed ? "gone" : "different",
            lasted, upgraded ? ", but " : "", upgraded ? upgraded_text : "");
    return decision_add_transition(
        step->out, TRANSITION_BOUNCED, step->now, &view->surface, CHANGE_NONE, NULL, &view->seen, NULL, text);
}

/* It is as it was before a difference that nobody was told of. That is counted where something is expected. */
static int bounce(Step *step, const View *view, const Incident *incident, const Settling *settling) {
    bool told, counts = incident || view->rule || view->baseline.n > 0;
    int r = note_bounce(step, view, settling);
    if (r < 0 || !settling->tells || settling->program) return r;
    int64_t lasted = step->now->boottime - settling->start;
    if (lasted >= settle_of(step, view, settling->was_closed)) r = step_passed_in_pause(step, &view->surface);
    if (r < 0 || !counts) return r;
    return flap_return(step, view, incident, settling, settling->start_realtime, &told);
}

static bool endpoints_local(const Endpoints *list) {
    for (size_t i = 0; i < list->n; i++)
        if (!exposure_is_local(&list->items[i])) return false;
    return true;
}

/* Does an unlisted port's difference alert? `local`: on loopback only, before and after. */
static bool unlisted_alerts(const Rules *rules, Reach reach, bool local) {
    if (rules->unlisted == WATCH_ALERT) return true;
    if (reach == REACH_WIDENED) return rules->unlisted != WATCH_IGNORE;
    return local && rules->unlisted_local == WATCH_ALERT;
}

/* Do all these belong to another surface by now? A section has come or gone, or the range of ephemeral ports was set.
 */
static bool moved_elsewhere(const Step *step, const View *view, const Endpoints *rows) {
    if (view->surface.protocol != PROTOCOL_TCP || view->seen.n > 0 || view->baseline.n > 0) return false;
    for (size_t i = 0; i < rows->n; i++) {
        Surface at = surface_of(step->rules, step->snapshot, &rows->items[i]);
        if (surface_compare(&at, &view->surface) == 0) return false;
    }
    return rows->n > 0;
}

/* Is an open incident's port one that alerts, by today's rules? */
static bool still_watched(const Step *step, const View *view, const Incident *incident) {
    if (view->rule) return true;
    /* All its endpoints have moved behind an [ignore:] section. */
    const Endpoints *rows = incident->told.n ? &incident->told : &incident->before;
    if (view->seen.n == 0 && view->baseline.n == 0 && rows->n > 0) {
        bool ignored = true;
        for (size_t i = 0; i < rows->n; i++)
            if (!rules_ignores(step->rules, &rows->items[i])) ignored = false;
        if (ignored) return false;
    }
    if (moved_elsewhere(step, view, rows)) return false;
    if (view->watch == WATCH_ALERT) return true;
    bool local = endpoints_local(&incident->told) && endpoints_local(&incident->before);
    return unlisted_alerts(step->rules, incident->reach, local);
}

static bool rows_pending(const Rows *rows) {
    for (size_t i = 0; i < rows->n; i++)
        if (rows->items[i]->owner_pending) return true;
    return false;
}

/* The moment (boottime) at which this difference has settled. */
static int64_t deadline(const Step *step, const View *view, const Settling *s, bool returning) {
    int64_t settle = settle_of(step, view, false), settle_closed = settle_of(step, view, true);
    const Cause *cause = state_cause(step->state, &s->surface, s->start);
    const Difference *d = &view->difference;
    int64_t at = s->start + settle_closed;
    if (s->closed && cause && cause->fate == FATE_FAILED) at = s->start + earlier_of(settle, settle_closed);
    if (cause && cause->fate == FATE_RETURNING) at = later_of(at, s->start + ENGINE_RETURN_WAIT);
    /* Back as something else: it gets its settle time from then, but flipping does not put it off for ever. */
    if (!s->closed && d->change != CHANGE_PROGRAM) at = earlier_of(s->present + settle, at + settle);
    /* The look-up of its owner is bounded; a name in the mail is worth the wait. */
    if (rows_pending(&view->seen)) at += ENGINE_OWNER_WAIT;
    bool patient = s->closed || d->change == CHANGE_OWNER || d->reach == REACH_NARROWED;
    if (patient && !returning && step->now->boot_age < step->rules->boot_grace)
        at = later_of(at, step->now->boottime + step->rules->boot_grace - step->now->boot_age);
    return s->asks && cause && !cause->answered ? at + ENGINE_CAUSE_WAIT : at;
}

/* `change`: from what was told to what is seen. `flaps`: of a flapping port each turn is waited for by itself. */
static Settling settling_next(
    const Step *step, const View *view, const Settling *old, Change change, bool returning, bool flaps) {
    const Now *now = step->now;
    Settling s = old ? *old : (Settling){0};
    bool quiet = change == CHANGE_NONE, closed = change == CHANGE_CLOSED && !returning;
    /* What joins without a word is no head start for what is told, nor is an upgrade for the restart after it. */
    bool anew = old && (old->quiet != quiet || (old->program && change != CHANGE_PROGRAM));
    if (flaps && old && (old->back != returning || old->closed != closed)) anew = true;
    if (!old || step->gap || anew) {
        s = (Settling){.surface = view->surface, .ignored = view->ignore != NULL};
        s.start = s.present = now->boottime;
        s.start_realtime = now->realtime;
    } else if (s.closed && !closed)
        s.present = now->boottime;
    s.quiet = quiet;
    s.back = returning;
    s.closed = closed;
    s.was_closed = s.was_closed || closed;
    s.owner = change == CHANGE_OWNER;
    s.program = change == CHANGE_PROGRAM;
    s.last = now->boottime;
    s.snapshots++;
    return s;
}

static int end_unwatched(Step *step, const View *view, const Incident *incident, int64_t seen) {
    int r = step_tell_resolved(step, view, incident, ENDING_UNWATCHED, seen, NULL, NULL);
    return r < 0 ? r : decision_move_baseline(step->out, view, step->now, false);
}

/* Is this how the port was before something that was told: as expected, or there again? */
static bool returns(const Step *step, const View *view, const Incident *incident) {
    if (incident_flaps(incident)) return false;
    if (incident && view->difference.change == CHANGE_NONE) return true;
    if (view->seen.n == 0) return false;
    return incident ? incident->told.n == 0 : view->baseline.n == 0 && step_rolls(step, view->rule);
}

static int act_on_incident(Step *step, const View *view, const Incident *incident, const Settling *s) {
    if (view->difference.change == CHANGE_NONE)
        return step_tell_resolved(step, view, incident, ENDING_RETURNED, s->start_realtime, NULL, NULL);
    /* What stands now would be no incident, so it is not told as a new turn of this one. */
    bool local = rows_local(&view->seen) && endpoints_local(&incident->before);
    if (view->watch != WATCH_ALERT && !unlisted_alerts(step->rules, view->difference.reach, local))
        return end_unwatched(step, view, incident, s->start_realtime);
    return step_tell_difference(step, view, incident, s);
}

static int act(Step *step, const View *view, const Incident *incident, const Settling *s) {
    bool lent = false;
    int done = step_settle_loan(step, view, incident, s, &lent);
    if (done < 0 || lent) return done;
    if ((incident || view->watch == WATCH_ALERT) && returns(step, view, incident)) {
        bool told;
        int r = flap_return(step, view, incident, s, incident ? incident->opened : s->start_realtime, &told);
        if (r < 0 || told) return r;
    }
    if (incident) return act_on_incident(step, view, incident, s);
    if (view->difference.change != CHANGE_NONE && view->watch == WATCH_ALERT)
        return step_tell_difference(step, view, NULL, s);
    TransitionKind kind = view->difference.change == CHANGE_NONE ? TRANSITION_JOINED
                          : view->watch == WATCH_LOG             ? TRANSITION_LOGGED
                                                                 : TRANSITION_IGNORED;
    const char *text = view->difference.upgraded ? upgraded_text : NULL;
    bool noted = kind == TRANSITION_JOINED && s->noted;
    int r = noted ? 0
                  : decision_add_transition(step->out, kind, step->now, &view->surface, view->difference.change,
                        &view->baseline, &view->seen, NULL, text);
    return r < 0 ? r : decision_move_baseline(step->out, view, step->now, kind == TRANSITION_JOINED);
}

static int settle(Step *step, const View *view, const Incident *incident, const Settling *old, Change change) {
    bool returning = incident && view->difference.change == CHANGE_NONE;
    Settling s = settling_next(step, view, old, change, returning, incident_flaps(incident));
    if (old && !old->quiet && s.quiet) {
        int r = bounce(step, view, incident, old);
        if (r < 0) return r;
        s.noted = view->difference.upgraded;
    }
    bool tells = incident || (!s.quiet && view->watch == WATCH_ALERT);
    s.tells = tells;
    s.asks = tells && !returning && !view->surface.whole && (s.closed || s.owner);
    int64_t at = deadline(step, view, &s, returning);
    at = later_of(at, flap_steady(step, view, incident, &s));
    if (tells) at = later_of(at, step_paused_until(step, &view->surface));
    if (s.snapshots >= 2 && step->now->boottime >= at) {
        int r = act(step, view, incident, &s);
        if (r < 0) return r;
        s.done = true;
    } else
        step_look_at(step, later_of(at, step->now->boottime + SECOND_LOOK));
    return decision_add_settling(step->out, &s);
}

/* Nothing differs from what was told, as far as can be seen. */
static int rest(Step *step, const View *view, const Incident *incident, const Settling *old) {
    if (!old || old->quiet) return 0;
    /* Owners that cannot be seen for a moment have not returned. */
    if (old->owner && view->seen.n > 0 && !rows_known(&view->seen) && step->now->boottime - old->last <= step->patience)
        return decision_add_settling(step->out, old);
    return bounce(step, view, incident, old);
}

/* It comes and goes: nothing is told until it is steady, or something is there that was not before. */
static int step_flapping(Step *step, const View *view, const Incident *incident, const Settling *old) {
    bool back = view->difference.change == CHANGE_NONE;
    bool again = old && !old->back && (back || (old->closed && view->seen.n > 0));
    int r = again ? flap_again(step, incident) : step_remind(step, view, incident);
    return r < 0 ? r : settle(step, view, incident, old, back ? CHANGE_ADDRESS : view->difference.change);
}

static int step_incident_view(Step *step, const View *of, const Incident *incident, const Settling *old) {
    /* While a port differs otherwise, its program's file is no matter. */
    View own = *of;
    const View *view = &own;
    if (own.difference.change == CHANGE_PROGRAM) own.difference.change = CHANGE_NONE;
    if (!still_watched(step, view, incident)) return end_unwatched(step, view, incident, step->now->realtime);
    if (incident_flaps(incident)) return step_flapping(step, view, incident, old);
    Difference told, restated;
    int r = compare_told(view, incident, &told);
    if (r < 0) return r;
    if (told.change != CHANGE_NONE) return settle(step, view, incident, old, told.change);
    r = compare_restated(view, incident, &restated);
    if (r < 0) return r;
    if (restated.change == CHANGE_NONE)
        return step_tell_resolved(step, view, incident, ENDING_RESTATED, step->now->realtime, NULL, NULL);
    bool returned = false;
    if (view->difference.change == CHANGE_NONE) r = compare_return(view, incident, &returned);
    if (r < 0) return r;
    if (returned) return settle(step, view, incident, old, CHANGE_OWNER);
    r = step_remind(step, view, incident);
    return r < 0 ? r : rest(step, view, incident, old);
}

/* Other namespaces are not watched any more: what was learned of them is no baseline for the day they are again. */
static int forget(Step *step, const View *view, const Incident *incident) {
    if (incident) return end_unwatched(step, view, incident, step->now->realtime);
    return view->baseline.n > 0 ? decision_move_baseline(step->out, view, step->now, false) : 0;
}

static int step_view(Step *step, const View *view) {
    bool over = false;
    int lent = step_loan(step, view, &over);
    if (lent < 0 || over) return lent;
    const Incident *incident = view->ignore ? NULL : step_incident(step, &view->surface);
    const Settling *old = step_settling(step, view);
    if (view->surface.namespace[0] && step->rules->namespaces != SCOPE_ALL) return forget(step, view, incident);
    if (view->surface.namespace[0] && !step->state->namespaces_learned && !incident) return step_learn_view(step, view);
    if (!view->decided) return old ? decision_add_settling(step->out, old) : 0;
    if (incident) return step_incident_view(step, view, incident, old);
    if (view->difference.change != CHANGE_NONE || view->difference.quiet)
        return settle(step, view, NULL, old, view->difference.change);
    return rest(step, view, NULL, old);
}

/* What the baseline has of another namespace is looked at without being asked for; and where nothing is left there,
 * with all else of it, not alone because it went first. */
static bool settles_with_namespace(const Step *step, const Surface *surface) {
    if (!surface->namespace[0] || surface->whole || surface_of_clients(surface)) return false;
    const Endpoints *baseline = &step->state->baseline;
    Endpoint first = {.protocol = surface->protocol, .port = surface->port};
    if (first.port == 0) first.port = step->snapshot->ephemeral_first;
    memcpy(first.namespace, surface->namespace, sizeof first.namespace);
    for (size_t i = endpoints_lower_bound(baseline, &first); i < baseline->n; i++) {
        const Endpoint *e = &baseline->items[i];
        if (e->protocol != surface->protocol || strcmp(e->namespace, surface->namespace) != 0) break;
        Surface its = surface_of(step->rules, step->snapshot, e);
        if (surface_compare(&its, surface) == 0) return true;
        if (surface->port && e->port != surface->port) break;
    }
    return false;
}

static int step_views(Step *step) {
    const State *state = step->state;
    size_t n = 0;
    _cleanup_free_ Surface *more = malloc((state->n_incidents + state->n_settling + state->n_loans + 1) * sizeof *more);
    if (!more) return -ENOMEM;
    for (size_t i = 0; i < state->n_loans; i++) more[n++] = state->loans[i].surface;
    for (size_t i = 0; i < state->n_incidents; i++)
        if (state->incidents[i].aspect == ASPECT_SURFACE) more[n++] = state->incidents[i].surface;
    for (size_t i = 0; i < state->n_settling; i++)
        if (!state->settling[i].ignored && !settles_with_namespace(step, &state->settling[i].surface))
            more[n++] = state->settling[i].surface;
    Views views = {0};
    int r = views_make(step->rules, &state->baseline, step->snapshot, more, n, &views);
    for (size_t i = 0; i < views.n && r >= 0; i++) r = step_view(step, &views.items[i]);
    views_done(&views);
    if (r >= 0) step_namespaces(step);
    return r;
}

int engine_step(const Rules *rules, const State *state, const Snapshot *snapshot, const Now *now, Decision *ret) {
    *ret = (Decision){.steps = true, .next_look = INT64_MAX, .now_boottime = now->boottime};
    _cleanup_(step_done) Step step = {.rules = rules,
        .state = state,
        .snapshot = snapshot,
        .now = now,
        .out = ret,
        .patience = later_of(3 * rules->interval, USEC_PER_SEC)};
    step.gap = state->last_step > 0 && now->boottime - state->last_step > step.patience;
    int r = step_init(&step);
    if (r >= 0) r = step_blind(&step);
    if (r >= 0) r = step_end_pauses(&step);
    if (r >= 0) r = state->learned ? step_views(&step) : step_learn(&step);
    if (r >= 0) r = step_sum_up_pauses(&step);
    if (r < 0) decision_done(ret);
    return r;
}
