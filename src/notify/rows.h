/* Rows: endpoints of a document as lines with - and +, as in a diff. Pure. */
#pragma once

#include <jansson.h>

#include "notify/grid.h"
#include "notify/phrase.h"

/* What differs in an event: endpoints that went, came and stayed, as new arrays of borrowed endpoints. */
typedef struct RowsDiff {
    json_t *minus, *plus, *same;
    PhraseDetail detail; /* in which rows that differ read differently */
    bool same_owners;    /* the owners of minus and plus read the same in any detail */
} RowsDiff;

/* Endpoints are the same row by protocol, address, port, device and owner (unknown fields never differ); with
 * `any_port` the port is left out. 0 or -ENOMEM. */
int rows_diff(const json_t *before, const json_t *after, bool any_port, RowsDiff *ret);
/* The same for an event's `data`: what was expected against what stands; where it returned, what was told against
 * what stands. */
int rows_diff_data(const json_t *data, RowsDiff *ret);
void rows_diff_done(RowsDiff *diff);

/* Adds rows of three cells: "- tcp", "127.0.0.1:5432", "postgres". `sign` goes before the protocol; "" for none. Of
 * more than `max` the last row says how many are left out, `omitted` ones with them. */
void rows_add(Grid *grid, const char *sign, const json_t *endpoints, PhraseDetail detail, size_t max, size_t omitted);
/* ["- tcp 127.0.0.1:5432 postgres", ...]. NULL: no memory. */
json_t *rows_diff_strings(const json_t *data);
/* "127.0.0.1:5432", ":::5432", "0.0.0.0%eth0:68". Allocated; NULL: no memory. */
char *rows_address(const json_t *endpoint);
