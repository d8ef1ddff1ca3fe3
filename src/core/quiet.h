/* A notifier's quiet times: what is decided then is delivered after. A pure function of the clock on the wall, so that
 * a clock that is set, or changes to summer time, leaves nothing behind: whoever looks again gets the answer of then.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define QUIET_SPANS_MAX 8
#define QUIET_DAY 1440 /* minutes */

/* Minutes of the local day; begin < end, or begin > end over midnight. The end is no longer quiet; 0 and QUIET_DAY as
 * an end are midnight. */
typedef struct QuietSpan {
    unsigned begin, end;
} QuietSpan;

typedef struct Quiet {
    QuietSpan spans[QUIET_SPANS_MAX];
    size_t n; /* 0: never */
} Quiet;

typedef enum QuietResult {
    QUIET_GOOD,
    QUIET_BAD_FORM, /* not HH:MM-HH:MM */
    QUIET_EMPTY,    /* begins when it ends */
    QUIET_TOO_MANY, /* more than QUIET_SPANS_MAX */
    QUIET_FULL,     /* together they leave no minute of the day */
} QuietResult;

/* "22:00-07:00, 12:00-13:00". *ret is written only for QUIET_GOOD. */
QuietResult quiet_parse(const char *text, Quiet *ret);

/* Minutes until no span holds `minute` of the day any more, through spans that follow upon each other; 0: none does. */
unsigned quiet_left(const Quiet *quiet, unsigned minute);

/* When the quiet time that holds `now` (realtime microseconds, local time of the process's TZ) is over; 0: it is not
 * quiet. At most QUIET_LONGEST later. */
#define QUIET_LONGEST (25 * INT64_C(3600000000)) /* a day of 25 hours */
int64_t quiet_until(const Quiet *quiet, int64_t now);
