#include "core/flap.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "core/answers.h"

/* Ports whose returns are counted at a time; beyond that the one that came back longest ago is forgotten. */
#define FLAPS_MAX 1024

static const Flapping *flapping_of(const Step *step, const View *view) {
    return view->rule ? &view->rule->flapping : &step->rules->flapping;
}

static int64_t last_return(const Flap *flap) {
    return flap->n > 0 ? flap->returns[flap->n - 1].at : 0;
}

/* The decision's own list, so that nothing has been counted if it is not committed. */
static int flaps_begin(Step *step) {
    Decision *out = step->out;
    if (out->flaps_changed) return 0;
    out->flaps = malloc((step->state->n_flaps + 1) * sizeof *out->flaps);
    if (!out->flaps) return -ENOMEM;
    for (size_t i = 0; i < step->state->n_flaps; i++)
        if (step->state->flaps[i].n > 0) out->flaps[out->n_flaps++] = step->state->flaps[i];
    out->flaps_changed = true;
    return 0;
}

static int flap_of(Step *step, const Surface *surface, Flap **ret) {
    int r = flaps_begin(step);
    if (r < 0) return r;
    Decision *out = step->out;
    Flap *oldest = out->flaps;
    for (size_t i = 0; i < out->n_flaps; i++) {
        Flap *flap = &out->flaps[i];
        if (surface_compare(&flap->surface, surface) == 0) {
            *ret = flap;
            return 0;
        }
        if (last_return(flap) < last_return(oldest)) oldest = flap;
    }
    if (out->n_flaps < FLAPS_MAX) {
        Flap *longer = reallocarray(out->flaps, out->n_flaps + 1, sizeof *longer);
        if (!longer) return -ENOMEM;
        out->flaps = longer;
        oldest = &longer[out->n_flaps++];
    }
    *oldest = (Flap){.surface = *surface};
    *ret = oldest;
    return 0;
}

static void flap_drop(Flap *flap, unsigned n) {
    flap->n -= n;
    memmove(flap->returns, flap->returns + n, flap->n * sizeof *flap->returns);
}

int flap_return(
    Step *step, const View *view, const Incident *incident, const Settling *settling, int64_t left, bool *ret_told) {
    const Flapping *flapping = flapping_of(step, view);
    *ret_told = false;
    /* Of the ephemeral ports together no single one comes and goes. */
    if (flapping->returns == 0 || view->surface.port == 0) return 0;
    /* What people do in a pause, and what a boot does, is not counted. */
    if (step_paused_until(step, &view->surface) || step->now->boot_age < step->rules->boot_grace) return 0;
    Flap *flap = NULL;
    int r = flap_of(step, &view->surface, &flap);
    if (r < 0) return r;
    unsigned old = 0;
    while (old < flap->n && step->now->boottime - flap->returns[old].at > flapping->within) old++;
    if (old == 0 && flap->n == FLAPPING_RETURNS_MAX) old = 1;
    flap_drop(flap, old);
    flap->returns[flap->n].at = step->now->boottime;
    flap->returns[flap->n++].left = left;
    if (flap->n < flapping->returns) return 0;
    r = step_tell_flapping(step, view, incident, settling, flap->n, flap->returns[0].left);
    flap->n = 0;
    *ret_told = r >= 0;
    return r;
}

/* Has all of what is seen been there before? */
static bool is_known(const View *view, const Incident *incident) {
    for (size_t i = 0; i < view->seen.n; i++) {
        const Endpoint *seen = view->seen.items[i], *told = endpoints_find(&incident->told, seen);
        if (!told || !owners_pass(told, seen)) return false;
    }
    return true;
}

int64_t flap_steady(const Step *step, const View *view, const Incident *incident, const Settling *settling) {
    const Flapping *flapping = flapping_of(step, view);
    if (!incident_flaps(incident) || flapping->returns == 0) return 0;
    if (settling->back) return settling->start + flapping->within / 2;
    const Cause *cause = state_cause(step->state, &settling->surface, settling->start);
    if (!is_known(view, incident) || (cause && cause->fate == FATE_FAILED)) return 0;
    return settling->start + ENGINE_RETURN_WAIT;
}

int flap_again(Step *step, const Incident *incident) {
    Incident copy = {0};
    int r = incident_copy(incident, &copy);
    if (r < 0) return r;
    if (copy.returns < INT_MAX) copy.returns++;
    r = decision_add_update(step->out, &copy);
    incident_done(&copy);
    return r;
}
