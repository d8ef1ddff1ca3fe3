#include "core/engine.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

const Incident *state_incident_at(const State *state, const Surface *surface) {
    for (size_t i = 0; i < state->n_incidents; i++) {
        const Incident *incident = &state->incidents[i];
        if (incident->aspect == ASPECT_SURFACE && surface_compare(&incident->surface, surface) == 0) return incident;
    }
    return NULL;
}

const Incident *state_incident(const State *state, const char *token) {
    for (size_t i = 0; i < state->n_incidents; i++)
        if (strcasecmp(state->incidents[i].token, token) == 0) return &state->incidents[i];
    return NULL;
}

void state_done(State *state) {
    endpoints_done(&state->baseline);
    for (size_t i = 0; i < state->n_incidents; i++) incident_done(&state->incidents[i]);
    free(state->incidents);
    free(state->pauses);
    free(state->settling);
    memset(state, 0, sizeof *state);
}

static void baseline_remove(Endpoints *baseline, const Endpoints *rows) {
    for (size_t i = 0; i < rows->n; i++) {
        const Endpoint *found = endpoints_find(baseline, &rows->items[i]);
        if (!found) continue;
        size_t at = (size_t)(found - baseline->items);
        endpoint_done(&baseline->items[at]);
        memmove(&baseline->items[at], &baseline->items[at + 1], (baseline->n - at - 1) * sizeof *baseline->items);
        baseline->n--;
    }
}

static int apply_baseline(Endpoints *baseline, BaselineChange *change) {
    baseline_remove(baseline, &change->before);
    baseline_remove(baseline, &change->after);
    for (size_t i = 0; i < change->after.n; i++) {
        int r = endpoints_take(baseline, &change->after.items[i]);
        if (r < 0) return r;
    }
    return endpoints_sort(baseline);
}

static int apply_incident(State *state, Incident *incident) {
    size_t at = 0;
    while (at < state->n_incidents && strcmp(state->incidents[at].id, incident->id) != 0) at++;
    bool open = incident->state == INCIDENT_OPEN;
    if (at < state->n_incidents) {
        incident_done(&state->incidents[at]);
        state->incidents[at] = open ? *incident : state->incidents[--state->n_incidents];
    } else if (open) {
        Incident *longer = reallocarray(state->incidents, state->n_incidents + 1, sizeof *longer);
        if (!longer) return -ENOMEM;
        longer[state->n_incidents++] = *incident;
        state->incidents = longer;
    }
    if (open)
        memset(incident, 0, sizeof *incident);
    return 0;
}

/* Somebody accepted what was settling: it has come to rest. */
static void forget_settling(State *state, const Surface *surface) {
    size_t kept = 0;
    for (size_t i = 0; i < state->n_settling; i++)
        if (surface_compare(&state->settling[i].surface, surface) != 0) state->settling[kept++] = state->settling[i];
    state->n_settling = kept;
}

static int apply_committed(State *state, Decision *decision) {
    int r = 0;
    state->learned = state->learned || decision->learned;
    for (size_t i = 0; i < decision->n_baseline && !decision->steps; i++)
        forget_settling(state, &decision->baseline[i].surface);
    for (size_t i = 0; i < decision->n_baseline && r >= 0; i++)
        r = apply_baseline(&state->baseline, &decision->baseline[i]);
    for (size_t i = 0; i < decision->n_events && r >= 0; i++)
        if (decision->events[i].has_incident) r = apply_incident(state, &decision->events[i].incident);
    for (size_t i = 0; i < decision->n_updates && r >= 0; i++) r = apply_incident(state, &decision->updates[i]);
    if (decision->pauses_changed) {
        free(state->pauses);
        state->pauses = TAKE_PTR(decision->pauses);
        state->n_pauses = decision->n_pauses;
    }
    return r;
}

/* What has been acted upon has settled only if it was committed. */
static void apply_settling(State *state, Decision *decision, bool committed) {
    size_t kept = 0;
    for (size_t i = 0; i < decision->n_settling; i++)
        if (!decision->settling[i].done || !committed) {
            decision->settling[kept] = decision->settling[i];
            decision->settling[kept++].done = false;
        }
    free(state->settling);
    state->settling = TAKE_PTR(decision->settling);
    state->n_settling = kept;
    state->last_step = decision->now_boottime;
    state->incomplete_runs = decision->incomplete_runs;
}

int engine_apply(State *state, Decision *decision, bool committed) {
    int r = committed ? apply_committed(state, decision) : 0;
    if (decision->steps) apply_settling(state, decision, committed);
    decision_done(decision);
    return r;
}
