/* What endpoints answer on, address by address: the unit of comparison; private to core. */
#pragma once

#include "core/difference.h"

/* One address that an endpoint answers on. */
typedef struct Answer {
    Address address; /* an IPv4-mapped one is written as IPv4 */
    const char *device;
    const Endpoint *endpoint; /* NULL: stated in the configuration, owners are those of the whole baseline */
} Answer;

typedef struct Answers {
    Answer *items;
    size_t n;
} Answers;

void answers_done(Answers *answers);
/* Dual-stack [::] answers for 0.0.0.0 too. Two endpoints that answer for the same address stay two answers. */
int answers_make(const Rows *rows, Answers *ret);
bool answers_link_local(const Answers *answers);      /* every one of them */
int answer_compare(const Answer *a, const Answer *b); /* address and device */

/* Is every owner of `seen` one of `expected`'s, by owner_same? Nobody known on one side passes. */
bool owners_pass(const Endpoint *expected, const Endpoint *seen);
/* Is more known about the owner of `seen` than was learned with `expected`? */
bool owners_known_better(const Endpoint *expected, const Endpoint *seen);
/* Is somebody known, and of everybody everything? */
bool owners_known(const Endpoint *endpoint);

typedef struct PoolTally {
    size_t added, removed, quiet; /* quiet: link-local ones */
} PoolTally;

/* Ephemeral TCP ports: the number does not count, each (address, device, owners) may be there as often as it was
 * learned. What is known exactly finds its match first. n log n. 0 or -ENOMEM. */
int pool_match(const Answers *expected, const Answers *seen, PoolTally *ret);
/* Ephemeral UDP ports: is there a known owner who was never seen on one? */
bool pool_has_news(const Rows *baseline, const Rows *seen);
