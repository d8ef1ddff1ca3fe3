#include "queue.h"

#include <string.h>

#include "notify/retry.h"

#define ROWS_MAX 500                      /* OUTBOX_ROWS_MAX */
#define LOOK_AGAIN SECONDS(30)            /* of src/daemon/notifier.c */
#define DELIVERY_TAKES (USEC_PER_SEC / 2) /* a server that works */

void queue_init(Queue *queue, uint64_t seed) {
    *queue = (Queue){.group_wait = SECONDS(5), .max_per_hour = 30, .random = {seed}, .look = INT64_MAX};
}

void queue_done(Queue *queue) {
    free(queue->waiting);
}

void queue_add(Queue *queue, const Event *event, int64_t now) {
    Waiting *longer = reallocarray(queue->waiting, queue->n_waiting + 1, sizeof *longer);
    if (!longer) abort();
    queue->waiting = longer;
    longer[queue->n_waiting] = (Waiting){.queued = now};
    memcpy(longer[queue->n_waiting++].incident, event->incident.id, UUID_TEXT_MAX);
    queue->events++;
    if (queue->look > now + queue->group_wait) queue->look = now + queue->group_wait;
}

static unsigned formed_within_hour(const Queue *queue, int64_t now) {
    unsigned n = 0;
    for (size_t i = 0; i < 64 && i < queue->messages; i++)
        if (queue->formed[i] > now - HOURS(1)) n++;
    return n;
}

static size_t count_lines(const Queue *queue, size_t n) {
    size_t lines = 0;
    for (size_t i = 0; i < n; i++) {
        bool again = false;
        for (size_t k = 0; k < i && !again; k++)
            again = strcmp(queue->waiting[i].incident, queue->waiting[k].incident) == 0;
        lines += !again;
    }
    return lines;
}

static void form(Queue *queue, int64_t now) {
    size_t n = queue->n_waiting < ROWS_MAX ? queue->n_waiting : ROWS_MAX;
    queue->lines += count_lines(queue, n);
    queue->oldest = queue->waiting[0].queued;
    queue->in_flight = n;
    queue->failures = 0;
    queue->n_waiting -= n;
    memmove(queue->waiting, queue->waiting + n, queue->n_waiting * sizeof *queue->waiting);
    queue->formed[queue->messages++ % 64] = now;
    queue->per_day[now / DAYS(1) % 400]++;
}

static void deliver(Queue *queue, int64_t now) {
    if (now < queue->down_until) {
        queue->look = now + retry_wait(++queue->failures, 0, (uint32_t)random_next(&queue->random));
        return;
    }
    if (now - queue->oldest > queue->longest) queue->longest = now - queue->oldest;
    queue->sent_events += queue->in_flight;
    queue->in_flight = 0;
    queue->look = now + DELIVERY_TAKES;
}

void queue_look(Queue *queue, int64_t now) {
    if (queue->look > now) return;
    if (queue->in_flight > 0) {
        deliver(queue, now);
        return;
    }
    if (queue->n_waiting == 0) {
        queue->look = INT64_MAX;
        return;
    }
    if (queue->waiting[0].queued + queue->group_wait > now) {
        queue->look = queue->waiting[0].queued + queue->group_wait;
        return;
    }
    if (formed_within_hour(queue, now) >= queue->max_per_hour) {
        queue->look = now + LOOK_AGAIN;
        return;
    }
    form(queue, now);
    deliver(queue, now);
}
