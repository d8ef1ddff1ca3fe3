/* Moments in text: RFC 3339 for machines, the clock on the wall for people. libc only, no I/O; the local time zone is
 * the process's (TZ). Times are realtime microseconds. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MOMENT_TEXT_MAX 96

/* "2026-03-01T14:02:03.000000Z". Times outside the years 0 to 9999 are clamped. Returns buffer. */
char *moment_iso(int64_t usec, char buffer[static MOMENT_TEXT_MAX]);
/* The reverse; takes up to nine digits of fraction and Z or +hh:mm. False if the text is not such a moment. */
bool moment_parse(const char *text, int64_t *ret_usec);
/* "14:02:03 CET" where it is the local day of `now`, else "Mon 2 Mar 14:02:03 CET", with the year where that differs
 * too. Returns buffer. */
char *moment_clock(int64_t usec, int64_t now, char buffer[static MOMENT_TEXT_MAX]);
