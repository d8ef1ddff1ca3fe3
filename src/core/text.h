/* Small text helpers: hostile bytes made harmless, durations, string lists. libc only, no I/O.
 * All functions that allocate return NULL (or -ENOMEM) when memory is short and nothing else. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USEC_PER_SEC INT64_C(1000000)

/* Returns a new string in which everything a terminal, a mail header or a log could act on is written as \xNN (or
 * \u{NNNN} for code points): C0 and C1 controls, DEL, invalid UTF-8, bidirectional overrides, line and paragraph
 * separators, and the backslash itself as \\. Plain printable UTF-8 passes unchanged. The result is valid UTF-8 on one
 * line. `length` bytes are read; NULL text gives NULL. The caller frees. */
char *text_escape(const char *text, size_t length);

/* printf into a new string, which the caller frees. */
__attribute__((format(printf, 1, 2))) char *text_printf(const char *format, ...);
__attribute__((format(printf, 1, 0))) char *text_vprintf(const char *format, va_list arguments);

/* Parses "90", "90s", "5m", "2h", "1d", "100ms" or sums like "1h30m" (no unit: seconds) into microseconds. False if it
 * is not a duration or does not fit. */
bool duration_parse(const char *text, int64_t *ret_usec);

/* Writes a duration for people: "45 s", "12 min", "3 h 5 min", "41 days". Returns `buffer`. */
#define DURATION_TEXT_MAX 48
char *duration_format(int64_t usec, char buffer[static DURATION_TEXT_MAX]);

/* NULL-terminated string lists. strv_append copies `text`; 0 or -ENOMEM. strv_free takes NULL. */
int strv_append(char ***list, const char *text);
char **strv_copy(char *const *list);
size_t strv_length(char *const *list);
bool strv_contains(char *const *list, const char *text);
void strv_free(char **list);
