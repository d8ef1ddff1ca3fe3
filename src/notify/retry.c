#include "notify/retry.h"

int64_t retry_wait(unsigned failures, int64_t retry_after, uint32_t random) {
    int64_t wait = RETRY_FIRST;
    for (unsigned i = 1; i < failures && wait < RETRY_MAX; i++) wait *= 2;
    if (wait > RETRY_MAX) wait = RETRY_MAX;
    wait -= wait / 4 * (int64_t)(random % 1024) / 1024;
    if (retry_after > RETRY_AFTER_MAX) retry_after = RETRY_AFTER_MAX;
    return wait > retry_after ? wait : retry_after;
}

int64_t heartbeat_next(int64_t due, int64_t interval, int64_t now) {
    return due + interval > now ? due + interval : now + interval;
}
