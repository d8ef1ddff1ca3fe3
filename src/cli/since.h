/* Times as people give them to --since. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* "2h" (that long before `now`), "2026-03-01", "2026-03-01 14:00[:05]" (local), or RFC 3339. Realtime microseconds.
 * False: it is none of these. */
bool since_parse(const char *text, int64_t now, int64_t *ret);
