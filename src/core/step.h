/* One step of the engine and what it tells; private to core. Functions return 0 or -ENOMEM. */
#pragma once

#include "core/decision.h"

typedef struct Step {
    const Rules *rules;
    const State *state;
    const Snapshot *snapshot;
    const Now *now;
    bool gap; /* too long since the last step to say that a difference lasted */
    Decision *out;
} Step;

static inline int64_t later_of(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static inline int64_t earlier_of(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Realtime end of the pause that covers this surface, 0: none. */
int64_t step_paused_until(const Step *step, const Surface *surface);

/* The event, its line of history and the incident as it stands after it, for the view's difference: opened, or with
 * `old` changed. `seen`: realtime microseconds at which it was first seen. With baseline = rolling the baseline moves. */
int step_tell_difference(Step *step, const View *view, const Incident *old, int64_t seen);
/* `by` and `reason` (NULL: nobody's) with ENDING_ACCEPTED. */
int step_tell_resolved(Step *step, const View *view, const Incident *old, Ending ending, int64_t seen, const char *by,
    const char *reason);
/* A reminder of an open incident, where one is due. */
int step_remind(Step *step, const View *view, const Incident *old);
