/* The engine: (rules, state, snapshot, now) -> what to write. Pure: no I/O, no clock, no globals.
 *
 * The caller takes a snapshot, asks engine_step, gives ids to the new events, commits the decision in one transaction
 * and only then lets engine_apply change the state. If the commit fails nothing is applied but the settling timers,
 * and the next step decides the same again. */
#pragma once

#include "core/incident.h"

/* The time of a step. */
typedef struct Now {
    int64_t boottime; /* CLOCK_BOOTTIME, microseconds: for waits */
    int64_t realtime; /* CLOCK_REALTIME, microseconds: for dates */
    int64_t boot_age; /* microseconds since PID 1 started */
} Now;

/* A difference on its way to being told. Kept in memory only. */
typedef struct Settling {
    Surface surface;
    int64_t start; /* boottime: first snapshot that differed from the told state */
    int64_t start_realtime;
    int64_t present; /* boottime: since when it is not "closed"; equal to start unless it came back as something else */
    bool closed;
    unsigned snapshots; /* that differed since start */
} Settling;

typedef struct Pause {
    bool all;
    Surface surface; /* port of the pause where not all */
    int64_t until; /* realtime microseconds */
} Pause;

/* What the daemon knows; the stored part is loaded by store/ at start. Zero-initialised is "first start". */
typedef struct State {
    bool learned; /* first learning is over */
    Endpoints baseline; /* sorted; `since` set */
    Incident *incidents; /* open ones */
    size_t n_incidents;
    Pause *pauses;
    size_t n_pauses;
    /* memory only */
    Settling *settling;
    size_t n_settling;
    int64_t last_step; /* boottime; 0: none yet */
    unsigned incomplete_runs; /* snapshots in a row in which some table was incomplete */
} State;

void state_done(State *state);

/* The new expected rows of one surface: they replace every baseline row of that surface. */
typedef struct BaselineChange {
    Surface surface;
    Endpoints before; /* rows to remove, by key */
    Endpoints after; /* rows to add; `since` set */
} BaselineChange;

typedef struct Decision {
    Event *events;
    size_t n_events;
    BaselineChange *baseline;
    size_t n_baseline;
    Transition *transitions;
    size_t n_transitions;
    Pause *pauses; /* the whole new list, if pauses_changed */
    size_t n_pauses;
    bool pauses_changed;
    bool learned; /* first learning ends with this decision */
    /* memory only */
    Settling *settling;
    size_t n_settling;
    int64_t now_boottime;
    unsigned incomplete_runs;
    int64_t next_look; /* boottime of the next deadline, INT64_MAX: none */
} Decision;

/* True if there is something to commit. */
bool decision_writes(const Decision *decision);
void decision_done(Decision *decision);

/* Decides. `ret` is zeroed and filled; 0 or -ENOMEM. */
int engine_step(const Rules *rules, const State *state, const Snapshot *snapshot, const Now *now, Decision *ret);
/* Takes the decision's effects into the state. `committed` false: only the settling timers. Empties the decision. */
int engine_apply(State *state, Decision *decision, bool committed);
