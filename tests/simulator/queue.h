/* One notifier's queue: a model of src/daemon/notifier.c and src/store/outbox.c without a database. Events wait for
 * group_wait after the first of them, at most max_per_hour messages are formed in an hour, one is in flight, back-off
 * is the real one (notify/retry.h), an incident is in a message once. */
#pragma once

#include "random.h"
#include "world.h"

typedef struct Waiting {
    int64_t queued;
    char incident[UUID_TEXT_MAX];
} Waiting;

typedef struct Queue {
    int64_t group_wait;
    unsigned max_per_hour;
    Random random;
    Waiting *waiting;
    size_t n_waiting;
    int64_t look; /* next time there is something to do; INT64_MAX: never */
    int64_t down_until;
    /* in flight */
    size_t in_flight; /* events */
    int64_t oldest;
    unsigned failures;
    /* of the last hour, in a ring */
    int64_t formed[64];
    size_t messages, events, sent_events, lines; /* lines: incidents in messages, an incident once in each */
    size_t per_day[400];
    int64_t longest; /* from event to its delivery */
} Queue;

void queue_init(Queue *queue, uint64_t seed);
void queue_done(Queue *queue);
void queue_add(Queue *queue, const Event *event, int64_t now);
void queue_look(Queue *queue, int64_t now);
