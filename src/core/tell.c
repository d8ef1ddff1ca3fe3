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

/* Rolling works where nothing but the baseline is expected: what is stated cannot roll. */
static bool rolls(const Step *step, const PortRule *rule) {
    if ((rule ? rule->mode : step->rules->mode) != MODE_ROLLING) return false;
    return !rule || (rule->expect == EXPECT_BASELINE && !rule->n_addresses && !rule->unit && !rule->exe && !rule->user);
}

int step_tell_difference(Step *step, const View *view, const Incident *old, const Settling *settling) {
    Event e = {0};
    int64_t seen = settling->start_realtime;
    int r = event_fill(step, view, &view->difference, seen, &e);
    if (r < 0) return r;
    e.type = old ? EVENT_CHANGED : EVENT_OPENED;
    if (old)
        r = incident_copy(old, &e.incident);
    else {
        e.incident = (Incident){.aspect = ASPECT_SURFACE, .surface = view->surface, .opened = seen};
        r = endpoints_copy(&e.before, &e.incident.before);
    }
    Incident *incident = &e.incident;
    const Cause *cause = settling->asks ? state_cause(step->state, &settling->surface, settling->start) : NULL;
    if (r >= 0 && cause && cause->document && !(e.cause = strdup(cause->document))) r = -ENOMEM;
    endpoints_done(&incident->told);
    if (r >= 0) r = endpoints_copy(&e.after, &incident->told);
    incident->change = e.change;
    incident->reach = e.reach;
    incident->severity = e.severity;
    incident->last_event = e.time;
    bool rolling = e.change == CHANGE_PROGRAM || rolls(step, view->rule);
    incident->state = rolling ? INCIDENT_ROLLED : INCIDENT_OPEN;
    if (rolling)
        incident->next_reminder = 0;
    else
        set_reminder(step, view, incident);
    if (r >= 0) r = add_event_transition(step, old ? TRANSITION_CHANGED : TRANSITION_OPENED, &e, NULL);
    if (r >= 0 && rolling) r = decision_move_baseline(step->out, view, step->now, false);
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
