/* When to try again. Pure. */
#pragma once

#include <stdint.h>

#define RETRY_FIRST (2 * INT64_C(1000000))
#define RETRY_MAX (600 * INT64_C(1000000))
#define RETRY_AFTER_MAX (24 * 3600 * INT64_C(1000000))

/* The wait in microseconds before the next attempt, after `failures` (from 1) attempts in a row have failed: 2 s,
 * doubling, at most 10 minutes, less up to a quarter by `random` (any value; so that a fleet does not come back in
 * step). What the server asked for (`retry_after`, 0: nothing) is a minimum, obeyed up to a day. */
int64_t retry_wait(unsigned failures, int64_t retry_after, uint32_t random);

/* When the next heartbeat is due after the one that was due at `due` and went out at `now` (any clock): an interval
 * later, in step, but never in the past: those missed are missed. */
int64_t heartbeat_next(int64_t due, int64_t interval, int64_t now);
