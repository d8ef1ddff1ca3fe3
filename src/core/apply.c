#include "core/engine.h"
#include "core/step.h"

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
    for (size_t i = 0; i < state->n_loans; i++) loan_done(&state->loans[i]);
    free(state->loans);
    free(state->settling);
    for (size_t i = 0; i < state->n_causes; i++) cause_done(&state->causes[i]);
    free(state->causes);
    free(state->flaps);
    memset(state, 0, sizeof *state);
}

static int compare_keys(const void *a, const void *b) {
    const Endpoint *const *x = a, *const *y = b;
    return endpoint_compare(*x, *y);
}

/* All of a decision's changes at once: tens of thousands of rows may go and come. */
static int apply_baseline(Endpoints *baseline, const Decision *decision) {
    size_t n = 0, kept = 0;
    for (size_t i = 0; i < decision->n_baseline; i++)
        n += decision->baseline[i].before.n + decision->baseline[i].after.n;
    if (n == 0) return 0;
    _cleanup_free_ const Endpoint **gone = malloc(n * sizeof *gone);
    if (!gone) return -ENOMEM;
    n = 0;
    for (size_t i = 0; i < decision->n_baseline; i++) {
        const Endpoints *before = &decision->baseline[i].before, *after = &decision->baseline[i].after;
        for (size_t k = 0; k < before->n; k++) gone[n++] = &before->items[k];
        for (size_t k = 0; k < after->n; k++) gone[n++] = &after->items[k];
    }
    qsort(gone, n, sizeof *gone, compare_keys);
    for (size_t i = 0; i < baseline->n; i++) {
        const Endpoint *e = &baseline->items[i];
        if (bsearch(&e, gone, n, sizeof *gone, compare_keys))
            endpoint_done(&baseline->items[i]);
        else
            baseline->items[kept++] = baseline->items[i];
    }
    baseline->n = kept;
    for (size_t i = 0; i < decision->n_baseline; i++)
        for (size_t k = 0; k < decision->baseline[i].after.n; k++) {
            int r = endpoints_take(baseline, &decision->baseline[i].after.items[k]);
            if (r < 0) return r;
        }
    return endpoints_sort(baseline);
}

const char *version_kind_name(VersionKind kind) {
    static const char *const names[VERSION_MAX] = {
        [VERSION_LEARNED] = "learned",
        [VERSION_ACCEPTED] = "accepted",
        [VERSION_JOINED] = "joined",
        [VERSION_ROLLED] = "rolled",
        [VERSION_REVERTED] = "reverted",
        [VERSION_IMPORTED] = "imported",
        [VERSION_EXPIRED] = "expired",
    };
    return names[kind];
}

/* A stored incident by id. */
typedef struct Slot {
    char id[UUID_TEXT_MAX];
    size_t at;
} Slot;

static int compare_slots(const void *a, const void *b) {
    return strcmp(((const Slot *)a)->id, ((const Slot *)b)->id);
}

/* Takes the incident in the place of the one with its id, or as a new one. There is room. */
static void put_incident(State *state, Slot *slots, size_t n_slots, Incident *incident) {
    Slot key = {0};
    memcpy(key.id, incident->id, sizeof key.id);
    const Slot *found = n_slots ? bsearch(&key, slots, n_slots, sizeof key, compare_slots) : NULL;
    if (!found && incident->state != INCIDENT_OPEN) return;
    Incident *to = &state->incidents[found ? found->at : state->n_incidents++];
    if (found) incident_done(to);
    *to = *incident;
    memset(incident, 0, sizeof *incident);
}

static int apply_incidents(State *state, Decision *decision) {
    size_t n_slots = state->n_incidents, kept = 0, most = n_slots + decision->n_events + decision->n_updates;
    if (decision->n_events + decision->n_updates == 0) return 0;
    _cleanup_free_ Slot *slots = malloc((n_slots + 1) * sizeof *slots);
    Incident *longer = slots ? reallocarray(state->incidents, most, sizeof *longer) : NULL;
    if (!longer) return -ENOMEM;
    state->incidents = longer;
    for (size_t i = 0; i < n_slots; i++) {
        memcpy(slots[i].id, longer[i].id, sizeof slots[i].id);
        slots[i].at = i;
    }
    qsort(slots, n_slots, sizeof *slots, compare_slots);
    for (size_t i = 0; i < decision->n_events; i++)
        if (decision->events[i].has_incident) put_incident(state, slots, n_slots, &decision->events[i].incident);
    for (size_t i = 0; i < decision->n_updates; i++) put_incident(state, slots, n_slots, &decision->updates[i]);
    for (size_t i = 0; i < state->n_incidents; i++) {
        if (longer[i].state == INCIDENT_OPEN)
            longer[kept++] = longer[i];
        else
            incident_done(&longer[i]);
    }
    state->n_incidents = kept;
    return 0;
}

static int compare_changes(const void *a, const void *b) {
    const BaselineChange *x = a, *y = b;
    return surface_compare(&x->surface, &y->surface);
}

/* What somebody accepted has come to rest. A decision's changes are in the order of their surfaces. */
static void forget_settling(State *state, const Decision *decision) {
    size_t kept = 0;
    if (decision->n_baseline == 0) return;
    for (size_t i = 0; i < state->n_settling; i++) {
        BaselineChange key = {.surface = state->settling[i].surface};
        if (!bsearch(&key, decision->baseline, decision->n_baseline, sizeof key, compare_changes))
            state->settling[kept++] = state->settling[i];
    }
    state->n_settling = kept;
}

static int apply_committed(State *state, Decision *decision) {
    state->learned = state->learned || decision->learned;
    if (decision->namespaces_change) state->namespaces_learned = decision->namespaces_learned;
    if (!decision->steps) forget_settling(state, decision);
    int r = apply_baseline(&state->baseline, decision);
    if (r >= 0) r = apply_incidents(state, decision);
    if (decision->flaps_changed) {
        free(state->flaps);
        state->flaps = TAKE_PTR(decision->flaps);
        state->n_flaps = decision->n_flaps;
    }
    if (decision->pauses_changed) {
        free(state->pauses);
        state->pauses = TAKE_PTR(decision->pauses);
        state->n_pauses = decision->n_pauses;
    }
    if (decision->loans_changed) {
        for (size_t i = 0; i < state->n_loans; i++) loan_done(&state->loans[i]);
        free(state->loans);
        state->loans = TAKE_PTR(decision->loans);
        state->n_loans = decision->n_loans;
        decision->n_loans = 0;
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
    state_forget_causes(state);
    decision_done(decision);
    return r;
}
