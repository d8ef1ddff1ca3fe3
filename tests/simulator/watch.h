/* portwatchd in the simulated world: looks, decides by the real core, commits, hands events to reader and queue.
 *
 * While nothing changes and nothing settles a look every interval decides nothing, so these looks are left out: the
 * clock goes on by whole intervals and the engine is told that its last look was an interval ago. While something
 * settles, the look before the next deadline is taken again, as the last one of those left out. `every_look` leaves out
 * none; both ways must give the same `digest`. */
#pragma once

#include "queue.h"
#include "reader.h"
#include "script.h"

typedef struct Daemon {
    World *world;
    Reader reader;
    Queue queue;
    Script script;
    State state;
    Snapshot snapshot, previous;
    bool every_look;
    bool up, asleep;
    int64_t booted, last, next; /* of looks; next INT64_MAX: none */
    uint64_t version;           /* of the world, at the last look */
    bool still;                 /* and at the one before */
    int64_t moved;              /* the last look at which it was another */
    int64_t answer_at;          /* portwatch-cause answers then; 0: nothing asked */
    int64_t blind_until, locked_until;
    int64_t deadline; /* next_look of the last step, INT64_MAX: none */
    Random random;
    uint64_t digest; /* of every event and when it was decided */
    size_t looks, transitions[TRANSITION_MAX], history, history_per_day[400];
    size_t event_types[EVENT_TYPE_MAX], open_most;
} Daemon;

void watch_init(Daemon *watch, World *world, uint64_t seed);
void watch_done(Daemon *watch);
/* The whole year. */
void watch_run(Daemon *watch);
