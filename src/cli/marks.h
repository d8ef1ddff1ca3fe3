/* Marks: how each endpoint of a snapshot stands to the baseline. Pure. */
#pragma once

#include "cli/look.h"

typedef struct Mark {
    const View *view; /* it belongs to */
    /* "match", "new", "address" (of a port whose addresses changed, this one came), "owner", "ignored", "unknown" (its
     * table could not be read completely); NULL: there is no baseline */
    const char *word;
} Mark;

/* Fills one mark for each of look->snapshot.endpoints, in their order. 0 or -ENOMEM. */
int marks_make(const Look *look, Mark *marks);
