/* Times as people give them to --since and --until. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* "2h" (that long before `now`), "2026-03-01", "2026-03-01 14:00[:05]" (local), or RFC 3339. Realtime microseconds.
 * False: it is none of these. */
bool since_parse(const char *text, int64_t now, int64_t *ret);
/* Times to come, as people give them to --until: "18:00[:05]" (today, local), "2h" (from `now` on), and all of the
 * above but an age. May be past: then the caller refuses it. */
bool until_parse(const char *text, int64_t now, int64_t *ret);
