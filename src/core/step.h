/* One step of the engine and what it tells; private to core. Functions return 0 or -ENOMEM. */
#pragma once

#include "core/decision.h"

typedef struct Step {
    const Rules *rules;
    const State *state;
    const Snapshot *snapshot;
    const Now *now;
    int64_t patience; /* without a look for longer nobody can say that a difference lasted */
    bool gap;         /* that long since the last step */
    int64_t until;    /* of an acceptance that ends: when */
    Decision *out;
    Pause *over; /* pauses that end with this step */
    size_t n_over;
    const Incident **incidents; /* the state's, by surface */
    size_t n_incidents;
} Step;

/* Fills the index of incidents. */
int step_init(Step *step);
void step_done(Step *step);
/* The open incident of a surface, or NULL. */
const Incident *step_incident(const Step *step, const Surface *surface);
/* What is settling there, or NULL. */
const Settling *step_settling(const Step *step, const View *view);

static inline int64_t later_of(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static inline int64_t earlier_of(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The daemon is to look again at this time (boottime) at the latest. */
static inline void step_look_at(Step *step, int64_t boottime) {
    step->out->next_look = earlier_of(step->out->next_look, boottime);
}

/* Forgets what is known of differences that settle no more. */
void state_forget_causes(State *state);

/* First learning, and portwatch's own incident. */
int step_learn(Step *step);
/* Learns one view, as on the first start. */
int step_learn_view(Step *step, const View *view);
/* Whether other namespaces count as learned from now on. */
void step_namespaces(Step *step);
int step_blind(Step *step);

/* What is left of a pause, microseconds. */
int64_t pause_left(const Pause *pause, const Now *now);
/* Ends the pauses whose time has come; what they held back is told by this step. */
int step_end_pauses(Step *step);
/* Once all else is told: what changed during the pauses that ended, in one event. */
int step_sum_up_pauses(Step *step);
/* A difference that would have been told came to nothing while a pause covered it. */
int step_passed_in_pause(Step *step, const Surface *surface);
/* Boottime end of the pause that covers this surface, 0: none. */
int64_t step_paused_until(const Step *step, const Surface *surface);

/* Does the baseline roll here? Where nothing but the baseline is expected: what is stated cannot roll. */
bool step_rolls(const Step *step, const PortRule *rule);
/* What a loan says to a view, before anything else is decided. *ret_over: it was over, and the baseline is what it was
 * before: what differs then is seen at the next look. */
int step_loan(Step *step, const View *view, bool *ret_over);
/* The same of a difference that has settled: it was approved ahead, or what was lent came back early. *ret_done:
 * nothing is to be told of it. */
int step_settle_loan(Step *step, const View *view, const Incident *incident, const Settling *s, bool *ret_done);
/* Boottime microseconds that are left. */
int64_t loan_left(const Loan *loan, const Now *now);
/* Is what a section states no matter of the baseline? Then nothing can be accepted there. */
bool rule_states(const PortRule *rule);

/* The event, its line of history and the incident as it stands after it, for the view's difference: opened, or with
 * `old` changed. `settling` says since when, and whether its cause was asked for. With baseline = rolling the baseline
 * moves.
 */
int step_tell_difference(Step *step, const View *view, const Incident *old, const Settling *settling);
/* The port comes and goes: it has come back so often since `since` (realtime). Opened, or with `old` changed. */
int step_tell_flapping(
    Step *step, const View *view, const Incident *old, const Settling *settling, unsigned returns, int64_t since);
/* `by` and `reason` (NULL: nobody's) with ENDING_ACCEPTED. */
int step_tell_resolved(
    Step *step, const View *view, const Incident *old, Ending ending, int64_t seen, const char *by, const char *reason);
/* A reminder of an open incident, where one is due. */
int step_remind(Step *step, const View *view, const Incident *old);
