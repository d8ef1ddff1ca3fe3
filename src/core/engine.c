#include "core/engine.h"

#include <errno.h>
#include <string.h>

#include "core/decision.h"
#include "core/step.h"

static void look_at(Step *step, int64_t boottime) {
    if (boottime < step->out->next_look) step->out->next_look = boottime;
}

static int expire_pauses(Step *step) {
    bool expired = false;
    for (size_t i = 0; i < step->state->n_pauses; i++)
        if (step->state->pauses[i].until <= step->now->realtime) expired = true;
    if (!expired) return 0;
    Decision *out = step->out;
    int r = decision_copy_pauses(out, step->state);
    if (r < 0) return r;
    out->pauses_changed = true;
    size_t kept = 0;
    for (size_t i = 0; i < out->n_pauses && r >= 0; i++) {
        Pause p = out->pauses[i];
        if (p.until > step->now->realtime)
            out->pauses[kept++] = p;
        else
            r = decision_add_transition(out, TRANSITION_RESUMED, step->now, p.all ? NULL : &p.surface, CHANGE_NONE, NULL,
                NULL, NULL, "the pause is over");
    }
    out->n_pauses = kept;
    return r;
}

static const Settling *find_settling(const Step *step, const View *view) {
    for (size_t i = 0; i < step->state->n_settling; i++) {
        const Settling *s = &step->state->settling[i];
        if (s->ignored == (view->ignore != NULL) && surface_compare(&s->surface, &view->surface) == 0) return s;
    }
    return NULL;
}

static int64_t settle_of(const Step *step, const View *view, bool closed) {
    if (closed) return view->rule ? view->rule->settle_closed : step->rules->settle_closed;
    return view->rule ? view->rule->settle : step->rules->settle;
}

static int compare_told(const View *view, const Incident *incident, Difference *ret) {
    Rows told = {0};
    int r = rows_borrow(&incident->told, &told);
    if (r >= 0) r = difference_make(&view->surface, NULL, &told, &view->seen, ret);
    free(told.items);
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

static int note_bounce(Step *step, const View *view, const Settling *settling) {
    char lasted[DURATION_TEXT_MAX], text[DURATION_TEXT_MAX + 64];
    duration_format(step->now->boottime - settling->start, lasted);
    if (settling->was_closed)
        snprintf(text, sizeof text, "gone for %s, then as before", lasted);
    else if (view->seen.n == 0)
        snprintf(text, sizeof text, "there for %s, then gone again", lasted);
    else
        snprintf(text, sizeof text, "different for %s, then as before", lasted);
    return decision_add_transition(step->out, TRANSITION_BOUNCED, step->now, &view->surface, CHANGE_NONE, NULL, &view->seen,
        NULL, text);
}

/* Is an open incident's port one that alerts, by today's rules? */
static bool still_watched(const Step *step, const View *view, const Incident *incident) {
    if (view->rule) return true;
    /* All its endpoints have moved behind an [ignore:] section. */
    if (view->seen.n == 0 && view->baseline.n == 0 && incident->told.n > 0) {
        bool ignored = true;
        for (size_t i = 0; i < incident->told.n; i++)
            if (!rules_ignores(step->rules, &incident->told.items[i])) ignored = false;
        if (ignored) return false;
    }
    if (step->rules->unlisted == WATCH_ALERT || view->watch == WATCH_ALERT) return true;
    if (incident->reach == REACH_WIDENED) return step->rules->unlisted != WATCH_IGNORE;
    for (size_t i = 0; i < incident->told.n; i++)
        if (!address_is_loopback(&incident->told.items[i].address)) return false;
    for (size_t i = 0; i < incident->before.n; i++)
        if (!address_is_loopback(&incident->before.items[i].address)) return false;
    return step->rules->unlisted_local == WATCH_ALERT;
}

/* The moment (boottime) at which this difference has settled. */
static int64_t deadline(const Step *step, const View *view, const Settling *s, bool returning) {
    int64_t settle = settle_of(step, view, false), settle_closed = settle_of(step, view, true);
    int64_t at = s->start + settle_closed;
    /* Back as something else: it gets its settle time from then, but flipping does not put it off for ever. */
    if (!s->closed) at = earlier_of(s->present + settle, s->start + settle_closed + settle);
    const Difference *d = &view->difference;
    bool patient = s->closed || d->change == CHANGE_OWNER || d->reach == REACH_NARROWED;
    if (patient && !returning && step->now->boot_age < step->rules->boot_grace)
        at = later_of(at, step->now->boottime + step->rules->boot_grace - step->now->boot_age);
    return at;
}

static Settling settling_next(const Step *step, const View *view, const Settling *old, bool closed) {
    const Now *now = step->now;
    Settling s = old ? *old : (Settling){0};
    if (!old || step->gap) {
        s = (Settling){.surface = view->surface, .ignored = view->ignore != NULL};
        s.start = s.present = now->boottime;
        s.start_realtime = now->realtime;
    } else if (s.closed && !closed)
        s.present = now->boottime;
    s.closed = closed;
    s.was_closed = s.was_closed || closed;
    s.snapshots++;
    return s;
}

static int act(Step *step, const View *view, const Incident *incident, const Settling *s) {
    if (incident) {
        if (view->difference.change == CHANGE_NONE)
            return step_tell_resolved(step, view, incident, ENDING_RETURNED, s->start_realtime, NULL, NULL);
        return step_tell_difference(step, view, incident, s->start_realtime);
    }
    if (view->difference.change != CHANGE_NONE && view->watch == WATCH_ALERT)
        return step_tell_difference(step, view, NULL, s->start_realtime);
    TransitionKind kind = view->difference.change == CHANGE_NONE ? TRANSITION_JOINED
                          : view->watch == WATCH_LOG             ? TRANSITION_LOGGED
                                                                 : TRANSITION_IGNORED;
    int r = decision_add_transition(step->out, kind, step->now, &view->surface, view->difference.change, &view->baseline,
        &view->seen, NULL, NULL);
    return r < 0 ? r : decision_move_baseline(step->out, view, step->now, kind == TRANSITION_JOINED);
}

static int settle(Step *step, const View *view, const Incident *incident, const Settling *old) {
    size_t expected = incident ? incident->told.n : view->baseline.n;
    bool returning = incident && view->difference.change == CHANGE_NONE;
    bool closed = !returning && view->seen.n == 0 &&
                  (expected > 0 || (!incident && view->difference.change == CHANGE_CLOSED));
    Settling s = settling_next(step, view, old, closed);
    s.quiet = !incident && view->difference.change == CHANGE_NONE;
    int64_t at = deadline(step, view, &s, returning);
    bool tells = incident || (!s.quiet && view->watch == WATCH_ALERT);
    int64_t pause = tells ? step_paused_until(step, &view->surface) : 0;
    if (pause) at = later_of(at, step->now->boottime + pause - step->now->realtime);
    if (s.snapshots >= 2 && step->now->boottime >= at) {
        int r = act(step, view, incident, &s);
        if (r < 0) return r;
        s.done = true;
    } else if (at > step->now->boottime)
        look_at(step, at);
    return decision_add_settling(step->out, &s);
}

static int step_view(Step *step, const View *view) {
    const Incident *incident = view->ignore ? NULL : state_incident_at(step->state, &view->surface);
    const Settling *old = find_settling(step, view);
    if (!view->decided) return old ? decision_add_settling(step->out, old) : 0;

    bool differs = view->difference.change != CHANGE_NONE || view->difference.quiet;
    if (incident) {
        if (!still_watched(step, view, incident)) {
            int r = step_tell_resolved(step, view, incident, ENDING_UNWATCHED, step->now->realtime, NULL, NULL);
            return r < 0 ? r : decision_move_baseline(step->out, view, step->now, false);
        }
        Difference since_told, restated;
        int r = compare_told(view, incident, &since_told);
        if (r >= 0) r = compare_restated(view, incident, &restated);
        if (r < 0) return r;
        differs = since_told.change != CHANGE_NONE;
        if (!differs && restated.change == CHANGE_NONE)
            return step_tell_resolved(step, view, incident, ENDING_RESTATED, step->now->realtime, NULL, NULL);
        if (!differs) {
            r = step_remind(step, view, incident);
            if (r < 0) return r;
        }
    }
    if (differs) return settle(step, view, incident, old);
    return old && !old->quiet ? note_bounce(step, view, old) : 0;
}

static char *describe_trouble(const Snapshot *snapshot) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    const char *separator = "";
    for (Table t = 0; t < TABLE_MAX; t++)
        if (snapshot->tables[t] == TABLE_INCOMPLETE) {
            fprintf(f, "%s%s: %s", separator, table_name(t), snapshot->trouble[t] ? snapshot->trouble[t] : "incomplete");
            separator = "; ";
        }
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* portwatch's own incident: it cannot see. */
static int step_blind(Step *step) {
    bool complete = snapshot_complete(step->snapshot);
    Decision *out = step->out;
    out->incomplete_runs = complete ? 0 : step->state->incomplete_runs + 1;
    const Incident *old = NULL;
    for (size_t i = 0; i < step->state->n_incidents; i++)
        if (step->state->incidents[i].aspect == ASPECT_SELF) old = &step->state->incidents[i];
    if (complete ? old == NULL : (old != NULL || out->incomplete_runs < ENGINE_BLIND_RUNS)) return 0;

    int64_t now = step->now->realtime;
    Event e = {.type = complete ? EVENT_RESOLVED : EVENT_OPENED, .time = now, .seen = now, .has_incident = true,
        .change = CHANGE_BLIND, .severity = SEVERITY_CRITICAL};
    int r = 0;
    if (old)
        r = incident_copy(old, &e.incident);
    else
        e.incident = (Incident){.aspect = ASPECT_SELF, .change = CHANGE_BLIND, .severity = SEVERITY_CRITICAL, .opened = now};
    e.incident.last_event = now;
    e.incident.state = complete ? INCIDENT_RESOLVED : INCIDENT_OPEN;
    e.ending = complete ? ENDING_RETURNED : ENDING_NONE;
    e.subject = strdup("blind");
    e.summary = complete ? strdup("the kernel's socket tables can be read again") : describe_trouble(step->snapshot);
    if (!e.subject || !e.summary) r = -ENOMEM;
    if (r >= 0)
        r = decision_add_transition(out, complete ? TRANSITION_RESOLVED : TRANSITION_OPENED, step->now, NULL, CHANGE_BLIND,
            NULL, NULL, old ? old->token : NULL, e.summary);
    if (r >= 0) r = decision_add_event(out, &e);
    event_done(&e);
    return r;
}

/* First start: what is seen until boot_grace ends is the baseline. */
static int step_learn(Step *step) {
    if (!snapshot_complete(step->snapshot)) return 0;
    Views views = {0};
    int r = views_make(step->rules, &step->state->baseline, step->snapshot, NULL, 0, &views);
    for (size_t i = 0; i < views.n && r >= 0; i++) {
        const View *view = &views.items[i];
        bool news = false;
        for (size_t s = 0; s < view->seen.n; s++) {
            const Endpoint *known = endpoints_find(&step->state->baseline, view->seen.items[s]);
            if (!known || (known->n_owners == 0 && view->seen.items[s]->n_owners > 0)) news = true;
        }
        if (!news) continue;
        r = decision_add_transition(
            step->out, TRANSITION_LEARNED, step->now, &view->surface, CHANGE_NONE, NULL, &view->seen, NULL, NULL);
        if (r >= 0) r = decision_learn(step->out, view, step->now);
    }
    views_done(&views);
    int64_t left = step->rules->boot_grace - step->now->boot_age;
    if (left > 0)
        look_at(step, step->now->boottime + left);
    else
        step->out->learned = true;
    return r;
}

static int step_views(Step *step) {
    const State *state = step->state;
    size_t n = 0;
    _cleanup_free_ Surface *more = malloc((state->n_incidents + state->n_settling + 1) * sizeof *more);
    if (!more) return -ENOMEM;
    for (size_t i = 0; i < state->n_incidents; i++)
        if (state->incidents[i].aspect == ASPECT_SURFACE) more[n++] = state->incidents[i].surface;
    for (size_t i = 0; i < state->n_settling; i++)
        if (!state->settling[i].ignored) more[n++] = state->settling[i].surface;
    Views views = {0};
    int r = views_make(step->rules, &state->baseline, step->snapshot, more, n, &views);
    for (size_t i = 0; i < views.n && r >= 0; i++) r = step_view(step, &views.items[i]);
    views_done(&views);
    return r;
}

int engine_step(const Rules *rules, const State *state, const Snapshot *snapshot, const Now *now, Decision *ret) {
    *ret = (Decision){.steps = true, .next_look = INT64_MAX, .now_boottime = now->boottime};
    int64_t gap = later_of(3 * rules->interval, USEC_PER_SEC);
    Step step = {.rules = rules, .state = state, .snapshot = snapshot, .now = now, .out = ret,
        .gap = state->last_step > 0 && now->boottime - state->last_step > gap};
    int r = step_blind(&step);
    if (r >= 0) r = expire_pauses(&step);
    if (r >= 0) r = state->learned ? step_views(&step) : step_learn(&step);
    if (r < 0) decision_done(ret);
    return r;
}
