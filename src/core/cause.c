#include "core/cause.h"

#include <errno.h>
#include <string.h>

#include "core/answers.h"
#include "core/decision.h"
#include "core/step.h"

void cause_done(Cause *cause) {
    free(cause->document);
    owner_unref(cause->owner);
    memset(cause, 0, sizeof *cause);
}

static Cause *find(const State *state, const Surface *surface, int64_t start) {
    for (size_t i = 0; i < state->n_causes; i++) {
        Cause *c = &state->causes[i];
        if (c->start == start && surface_compare(&c->surface, surface) == 0) return c;
    }
    return NULL;
}

const Cause *state_cause(const State *state, const Surface *surface, int64_t start) {
    return find(state, surface, start);
}

int state_set_cause(State *state, Cause *cause) {
    Cause *old = find(state, &cause->surface, cause->start);
    if (old && old->document && !cause->document) {
        old->asked = cause->asked;
        cause_done(cause);
        return 0;
    }
    if (!old) {
        Cause *longer = reallocarray(state->causes, state->n_causes + 1, sizeof *longer);
        if (!longer) return -ENOMEM;
        state->causes = longer;
        old = &longer[state->n_causes++];
    } else
        cause_done(old);
    *old = *cause;
    *cause = (Cause){0};
    return 0;
}

/* Where to look for an owner. */
typedef struct Search {
    const Rules *rules;
    const Snapshot *snapshot;
    const Surface *surface;
} Search;

static bool is_on_surface(const Search *search, const Endpoint *e) {
    Surface its = surface_of(search->rules, search->snapshot, e);
    return surface_compare(&its, search->surface) == 0;
}

static bool holds_still(const Search *search, const Owner *owner) {
    const Endpoints *seen = &search->snapshot->endpoints;
    for (size_t i = 0; i < seen->n; i++)
        for (size_t o = 0; o < seen->items[i].n_owners; o++)
            if (owner_same(owner, seen->items[i].owners[o]) && is_on_surface(search, &seen->items[i])) return true;
    return false;
}

/* Of this list's endpoints on the surface, an owner of whom something can be asked. */
static Owner *owner_in(const Search *search, const Endpoints *list, bool all, bool gone) {
    for (size_t i = 0; i < list->n; i++) {
        const Endpoint *e = &list->items[i];
        if (!all && !is_on_surface(search, e)) continue;
        for (size_t o = 0; o < e->n_owners; o++) {
            bool speaks = e->owners[o]->unit || e->owners[o]->pid > 0;
            if (speaks && !(gone && holds_still(search, e->owners[o]))) return e->owners[o];
        }
    }
    return NULL;
}

Owner *state_asked_about(const State *state, const Rules *rules, const Snapshot *snapshot, const Snapshot *previous,
    const Settling *settling, bool *ret_seen) {
    const Surface *surface = &settling->surface;
    const Search search = {rules, snapshot, surface};
    const Cause *known = find(state, surface, settling->start);
    *ret_seen = known && known->owner && known->seen;
    if (known && known->owner) return known->owner;
    Owner *owner = owner_in(&search, &previous->endpoints, false, true);
    *ret_seen = owner != NULL;
    const Incident *incident = state_incident_at(state, surface);
    if (!owner && incident) owner = owner_in(&search, &incident->told, true, true);
    if (!owner) owner = owner_in(&search, &state->baseline, false, true);
    return owner ? owner : owner_in(&search, &state->baseline, false, false);
}

static bool pids_known(const Endpoint *e) {
    for (size_t o = 0; o < e->n_owners; o++)
        if (e->owners[o]->pid <= 0) return false;
    return e->n_owners > 0;
}

int snapshot_remember_holders(Snapshot *snapshot, const Snapshot *before) {
    int r = 0;
    for (size_t i = 0; i < snapshot->endpoints.n && r >= 0; i++) {
        Endpoint *e = &snapshot->endpoints.items[i];
        const Endpoint *was = pids_known(e) ? NULL : endpoints_find(&before->endpoints, e);
        if (was && pids_known(was) && owners_pass(was, e)) r = endpoint_share_owners(e, was);
    }
    return r;
}

bool owner_holds(const Rules *rules, const Snapshot *snapshot, const Surface *surface, const Owner *owner) {
    return holds_still(&(Search){rules, snapshot, surface}, owner);
}

void state_forget_causes(State *state) {
    size_t kept = 0;
    for (size_t i = 0; i < state->n_causes; i++) {
        Cause *c = &state->causes[i];
        bool settling = false;
        for (size_t k = 0; k < state->n_settling && !settling; k++) {
            const Settling *s = &state->settling[k];
            /* A unit on its way back may have opened only some of its sockets by now. */
            settling = (s->asks || c->fate == FATE_RETURNING) && s->start == c->start &&
                       surface_compare(&s->surface, &c->surface) == 0;
        }
        if (settling)
            state->causes[kept++] = *c;
        else
            cause_done(c);
    }
    state->n_causes = kept;
}
