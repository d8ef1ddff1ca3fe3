/* Extent: which rows of an event its document holds. Pure. */
#pragma once

#include "core/endpoint.h"

/* Of an event that compares, and of one that only lists what is there. */
#define EXTENT_ROWS_MAX 250
#define EXTENT_LIST_MAX 4000

typedef struct Extent {
    const Endpoint **before, **after; /* rows borrowed */
    size_t n_before, n_after;
    size_t omitted_before, omitted_after; /* rows that differ and still found no room */
} Extent;

/* All rows where they are few. Else first those go that both sides have (with `any_port` whatever their port is), then
 * those past the limit. Takes a bounded time. 0 or -ENOMEM. */
int extent_init(const Endpoints *before, const Endpoints *after, bool any_port, Extent *ret);
void extent_done(Extent *extent);
