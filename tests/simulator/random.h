/* Numbers that a seed repeats. */
#pragma once

#include <stdint.h>

typedef struct Random {
    uint64_t state;
} Random;

static inline uint64_t random_next(Random *random) {
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static inline unsigned random_below(Random *random, unsigned n) {
    return (unsigned)(random_next(random) % n);
}

/* From `a` up to `b`, both in the same unit. */
static inline int64_t random_between(Random *random, int64_t a, int64_t b) {
    return a + (int64_t)(random_next(random) % (uint64_t)(b - a + 1));
}

/* As many of one order of magnitude as of the next. */
int64_t random_spread(Random *random, int64_t a, int64_t b);
