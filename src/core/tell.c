#include "core/step.h"

#include <errno.h>
#include <string.h>

#define REMIND_STEP_MAX (7 * 86400 * USEC_PER_SEC)

static int64_t remind_of(const Step *step, const PortRule *rule) {
    return earlier_of(rule ? rule->remind : step->rules->remind, REMIND_STEP_MAX);
}

/* Fills what every event of a surface has. */
static int event_fill(const Step *step, const View *view, const Difference *difference, int64_t seen, Event *ret) {
    Event e = {.time = step->now->realtime, .seen = seen, .surface = view->surface, .has_incident = true};
    e.change = difference->change;
    e.reach = difference->reach;
    e.severity = view->rule && view->rule->has_severity ? view->rule->severity : difference_severity(e.change, e.reach);
    int r = difference_expected(&view->surface, view->rule, &view->baseline, &e.before);
    if (r >= 0) r = rows_copy(&view->seen, &e.after);
    if (r >= 0 && view->rule && view->rule->name && !(e.name = strdup(view->rule->name))) r = -ENOMEM;
    char **notify = view->rule && view->rule->notify ? view->rule->notify : step->rules->notify;
    if (r >= 0 && notify && !(e.notify = strv_copy(notify))) r = -ENOMEM;
    if (r < 0) {
        event_done(&e);
        return r;
    }
    *ret = e;
    return 0;
}

static int add_event_transition(Step *step, TransitionKind kind, const Event *e, const char *text) {
    _cleanup_free_ const Endpoint **b = NULL, **a = NULL;
    Rows before = {0}, after = {0};
    int r = rows_borrow(&e->before, &before);
    b = before.items;
    if (r >= 0) r = rows_borrow(&e->after, &after);
    a = after.items;
    if (r < 0) return r;
    return decision_add_transition(step->out, kind, step->now, &e->surface, e->change, &before, &after,
        e->incident.token[0] ? e->incident.token : NULL, text);
}

static void set_reminder(const Step *step, const View *view, Incident *incident) {
    int64_t remind = remind_of(step, view->rule);
    bool wanted = remind > 0 && incident->severity > SEVERITY_INFO && !incident->acknowledged;
    incident->next_reminder = wanted ? step->now->realtime + remind : 0;
    incident->remind_step = earlier_of(remind * 2, REMIND_STEP_MAX);
}

bool step_rolls(const Step *step, const PortRule *rule) {
    if ((rule ? rule->mode : step->rules->mode) != MODE_ROLLING) return false;
    return !rule || (rule->expect == EXPECT_BASELINE && !rule->n_addresses && !rule->unit && !rule->exe && !rule->user);
}

/* The event of a difference that was seen at `seen`: a new incident, or with `old` another turn of that one. */
static int event_begin(const Step *step, const View *view, const Incident *old, const Settling *settling,
    const Difference *difference, int64_t seen, Event *ret) {
    Event e = {0};
    int r = event_fill(step, view, difference, seen, &e);
    if (r < 0) return r;
    e.type = old ? EVENT_CHANGED : EVENT_OPENED;
    if (old)
        r = incident_copy(old, &e.incident);
    else {
        e.incident = (Incident){.aspect = ASPECT_SURFACE, .surface = view->surface, .opened = seen};
        r = endpoints_copy(&e.before, &e.incident.before);
    }
    const Cause *cause = settling->asks ? state_cause(step->state, &settling->surface, settling->start) : NULL;
    if (r >= 0 && cause && cause->document && !(e.cause = strdup(cause->document))) r = -ENOMEM;
    if (r < 0) {
        event_done(&e);
        return r;
    }
    e.incident.change = e.change;
    e.incident.reach = e.reach;
    e.incident.severity = e.severity;
    e.incident.last_event = e.time;
    *ret = e;
    return 0;
}

int step_tell_difference(Step *step, const View *view, const Incident *old, const Settling *settling) {
    Event e = {0};
    int r = event_begin(step, view, old, settling, &view->difference, settling->start_realtime, &e);
    if (r < 0) return r;
    Incident *incident = &e.incident;
    endpoints_done(&incident->told);
    r = endpoints_copy(&e.after, &incident->told);
    bool rolling = e.change == CHANGE_PROGRAM || step_rolls(step, view->rule);
    incident->state = rolling ? INCIDENT_ROLLED : INCIDENT_OPEN;
    if (rolling)
        incident->next_reminder = 0;
    else
        set_reminder(step, view, incident);
    if (r >= 0) r = add_event_transition(step, old ? TRANSITION_CHANGED : TRANSITION_OPENED, &e, NULL);
    if (r >= 0 && rolling) r = decision_move_baseline(step->out, view, step->now, false);
    if (r >= 0 && rolling) r = decision_sign(step->out, VERSION_ROLLED, NULL, NULL);
    if (r >= 0) r = decision_add_event(step->out, &e);
    event_done(&e);
    return r;
}

/* What was told of a flapping port is everything that has stood there meanwhile. */
static int add_told(Endpoints *told, const Endpoints *more) {
    for (size_t i = 0; i < more->n; i++) {
        const Endpoint *e = &more->items[i];
        Endpoint *known = NULL;
        for (size_t k = 0; k < told->n && !known; k++)
            if (endpoint_compare(&told->items[k], e) == 0) known = &told->items[k];
        if (!known) {
            int r = endpoints_add(told, e);
            if (r < 0) return r;
            continue;
        }
        for (size_t o = 0; o < e->n_owners; o++) {
            bool same = false;
            for (size_t k = 0; k < known->n_owners && !same; k++) same = owner_same(known->owners[k], e->owners[o]);
            if (!same && endpoint_add_owner(known, e->owners[o]) < 0) return -ENOMEM;
        }
    }
    return endpoints_sort(told);
}

int step_tell_flapping(
    Step *step, const View *view, const Incident *old, const Settling *settling, unsigned returns, int64_t since) {
    Event e = {0};
    int r = event_begin(step, view, old, settling, &(Difference){.change = CHANGE_FLAPPING}, since, &e);
    if (r < 0) return r;
    e.incident.returns = returns;
    set_reminder(step, view, &e.incident);
    r = add_told(&e.incident.told, &e.before);
    if (r >= 0) r = add_told(&e.incident.told, &e.after);
    if (r >= 0) r = add_event_transition(step, old ? TRANSITION_CHANGED : TRANSITION_OPENED, &e, NULL);
    if (r >= 0) r = decision_add_event(step->out, &e);
    event_done(&e);
    return r;
}

int step_tell_resolved(Step *step, const View *view, const Incident *old, Ending ending, int64_t seen, const char *by,
    const char *reason) {
    static const char *const how[] = {[ENDING_RETURNED] = "returned",
        [ENDING_UNWATCHED] = "no longer watched by the configuration",
        [ENDING_RESTATED] = "now expected by the configuration"};
    Event e = {0};
    int r = event_fill(step, view, &(Difference){old->change, old->reach, false}, seen, &e);
    if (r < 0) return r;
    e.type = EVENT_RESOLVED;
    e.severity = old->severity;
    e.ending = ending;
    endpoints_done(&e.before);
    r = incident_copy(old, &e.incident);
    if (r >= 0) r = endpoints_copy(&old->told, &e.before);
    if (by && !(e.by = strdup(by))) r = -ENOMEM;
    if (reason && !(e.reason = strdup(reason))) r = -ENOMEM;
    if (ending == ENDING_ACCEPTED) e.until = step->until;
    e.incident.state = ending == ENDING_ACCEPTED ? INCIDENT_ACCEPTED : INCIDENT_RESOLVED;
    e.incident.last_event = e.time;
    e.incident.next_reminder = 0;
    /* Who accepted it, and why, is a line of its own already. */
    if (r >= 0 && ending != ENDING_ACCEPTED) r = add_event_transition(step, TRANSITION_RESOLVED, &e, how[ending]);
    if (r >= 0) r = decision_add_event(step->out, &e);
    event_done(&e);
    return r;
}

int step_remind(Step *step, const View *view, const Incident *old) {
    if (!old->next_reminder || old->acknowledged || remind_of(step, view->rule) <= 0) return 0;
    if (step_paused_until(step, &view->surface)) return 0;
    /* After the clock was set back the reminder must not stay away for years. */
    bool unlikely = old->next_reminder - step->now->realtime > REMIND_STEP_MAX;
    if (old->next_reminder > step->now->realtime && !unlikely) return 0;
    Event e = {0};
    int r = event_fill(step, view, &(Difference){old->change, old->reach, false}, old->opened, &e);
    if (r < 0) return r;
    e.type = EVENT_REMINDER;
    e.severity = old->severity;
    r = incident_copy(old, &e.incident);
    e.incident.last_event = e.time;
    int64_t pause = later_of(old->remind_step, USEC_PER_SEC);
    e.incident.next_reminder = step->now->realtime + pause;
    e.incident.remind_step = earlier_of(pause * 2, REMIND_STEP_MAX);
    if (r >= 0) r = add_event_transition(step, TRANSITION_REMINDED, &e, NULL);
    if (r >= 0) r = decision_add_event(step->out, &e);
    event_done(&e);
    return r;
}
