/* portwatch's own incident: it cannot see. */
#include <errno.h>
#include <string.h>

#include "core/step.h"

static char *describe_trouble(const Snapshot *snapshot) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    const char *separator = "";
    for (Table t = 0; t < TABLE_MAX; t++)
        if (snapshot->tables[t] == TABLE_INCOMPLETE) {
            fprintf(
                f, "%s%s: %s", separator, table_name(t), snapshot->trouble[t] ? snapshot->trouble[t] : "incomplete");
            separator = "; ";
        }
    if (fclose(f) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* One complete snapshot among many others does not end it: that would be two mails each time. */
static unsigned count_runs(unsigned runs, bool complete, bool blind) {
    if (!complete) return runs < ENGINE_BLIND_RUNS ? runs + 1 : runs;
    return blind && runs > 0 ? runs - 1 : 0;
}

static int fill(const Step *step, const Incident *old, Event *e) {
    char **notify = step->rules->notify;
    int r = 0;
    if (old)
        r = incident_copy(old, &e->incident);
    else
        e->incident =
            (Incident){.aspect = ASPECT_SELF, .change = CHANGE_BLIND, .severity = SEVERITY_CRITICAL, .opened = e->time};
    e->incident.last_event = e->time;
    e->incident.state = old ? INCIDENT_RESOLVED : INCIDENT_OPEN;
    e->ending = old ? ENDING_RETURNED : ENDING_NONE;
    e->subject = strdup("blind");
    e->summary = old ? strdup("the kernel's socket tables can be read again") : describe_trouble(step->snapshot);
    if (notify) e->notify = strv_copy(notify);
    return r < 0 || !e->subject || !e->summary || (notify && !e->notify) ? -ENOMEM : 0;
}

int step_blind(Step *step) {
    Decision *out = step->out;
    const Incident *old = NULL;
    for (size_t i = 0; i < step->state->n_incidents; i++)
        if (step->state->incidents[i].aspect == ASPECT_SELF) old = &step->state->incidents[i];
    out->incomplete_runs = count_runs(step->state->incomplete_runs, snapshot_complete(step->snapshot), old != NULL);
    if (old ? out->incomplete_runs > 0 || !snapshot_complete(step->snapshot) : out->incomplete_runs < ENGINE_BLIND_RUNS)
        return 0;

    int64_t now = step->now->realtime;
    Event e = {.type = old ? EVENT_RESOLVED : EVENT_OPENED,
        .time = now,
        .seen = now,
        .has_incident = true,
        .change = CHANGE_BLIND,
        .severity = SEVERITY_CRITICAL};
    int r = fill(step, old, &e);
    if (r >= 0)
        r = decision_add_transition(out, old ? TRANSITION_RESOLVED : TRANSITION_OPENED, step->now, NULL, CHANGE_BLIND,
            NULL, NULL, old ? old->token : NULL, e.summary);
    if (r >= 0) r = decision_add_event(out, &e);
    event_done(&e);
    return r;
}
