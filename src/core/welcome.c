/* What a new notifier is told first. */
#include <errno.h>
#include <string.h>

#include "core/decision.h"

static int learned_event(
    const Rules *rules, const State *state, const Snapshot *snapshot, const Now *now, char *const *names, Event *e) {
    *e = (Event){.type = EVENT_LEARNED, .time = now->realtime, .seen = now->realtime, .severity = SEVERITY_INFO};
    e->notify = strv_copy(names);
    int r = e->notify ? 0 : -ENOMEM;
    for (size_t i = 0; i < state->baseline.n && r >= 0; i++) {
        const Endpoint *endpoint = &state->baseline.items[i];
        Surface surface = surface_of(rules, snapshot, endpoint);
        bool clients = surface.port == 0 && surface.protocol != PROTOCOL_TCP;
        bool listed = rules_find_in(rules, endpoint->namespace, endpoint->protocol, endpoint->port) != NULL;
        if (clients || (!listed && rules_ignores(rules, endpoint))) continue;
        r = endpoints_add(&e->after, endpoint);
    }
    return r;
}

/* A port's incident as it stands, to those of `names` who are told of its port. None of them: e->notify is NULL. */
static int standing_event(const Rules *rules, const Incident *incident, const Now *now, char *const *names, Event *e) {
    const Surface *at = &incident->surface;
    const PortRule *rule = at->port ? rules_find_in(rules, at->namespace, at->protocol, at->port) : NULL;
    char **told = rule && rule->notify ? rule->notify : rules->notify;
    *e = (Event){.type = EVENT_REMINDER,
        .time = now->realtime,
        .seen = incident->opened,
        .surface = incident->surface,
        .has_incident = true,
        .change = incident->change,
        .reach = incident->reach,
        .severity = incident->severity};
    for (char *const *name = names; *name; name++)
        if ((!told || strv_contains(told, *name)) && strv_append(&e->notify, *name) < 0) return -ENOMEM;
    if (!e->notify) return 0;
    int r = incident_copy(incident, &e->incident);
    if (r >= 0) r = endpoints_copy(&incident->before, &e->before);
    if (r >= 0) r = endpoints_copy(&incident->told, &e->after);
    if (r >= 0 && rule && rule->name && !(e->name = strdup(rule->name))) r = -ENOMEM;
    return r;
}

int engine_welcome(const Rules *rules, const State *state, const Snapshot *snapshot, const Now *now, char *const *names,
    Decision *ret) {
    *ret = (Decision){.next_look = INT64_MAX};
    Event e = {0};
    int r = learned_event(rules, state, snapshot, now, names, &e);
    if (r >= 0) r = decision_add_event(ret, &e);
    event_done(&e);
    for (size_t i = 0; i < state->n_incidents && r >= 0; i++) {
        /* That portwatch is blind is in the learned message's own coverage. */
        if (state->incidents[i].aspect != ASPECT_SURFACE) continue;
        r = standing_event(rules, &state->incidents[i], now, names, &e);
        if (r >= 0 && e.notify) r = decision_add_event(ret, &e);
        event_done(&e);
    }
    if (r < 0) decision_done(ret);
    return r;
}
