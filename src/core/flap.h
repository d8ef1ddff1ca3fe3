/* Flapping: a port that comes and goes is told once, and again when it is steady; private to core. */
#pragma once

#include "core/step.h"

/* The port is once more as it was before `settling`, which began at `left` (realtime). Where that has happened too
 * often it is told, with `incident` (NULL: none is open) as its next turn, and *ret_told is set. 0 or -ENOMEM. */
int flap_return(
    Step *step, const View *view, const Incident *incident, const Settling *settling, int64_t left, bool *ret_told);
/* While a flapping port is as it has been before, nothing is told until it is steady. Boottime of that moment, 0 where
 * there is nothing to wait for. */
int64_t flap_steady(const Step *step, const View *view, const Incident *incident, const Settling *settling);
/* It has come back once more. 0 or -ENOMEM. */
int flap_again(Step *step, const Incident *incident);

static inline bool incident_flaps(const Incident *incident) {
    return incident && incident->change == CHANGE_FLAPPING;
}
