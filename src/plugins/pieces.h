/* Text made fit for a service: escaped character by character, cut where its limits are. Limits are counted in bytes,
 * which are never fewer than the characters that the services count. A cut falls neither into a character nor into an
 * escape, and says what was left out. Pure. */
#pragma once

#include <stddef.h>

#define ESCAPED_MAX 8

/* Writes one character (`n` bytes of UTF-8) as it must stand, at most ESCAPED_MAX bytes; returns how many. */
typedef size_t (*Escape)(const char *character, size_t n, char out[static ESCAPED_MAX]);

size_t escape_nothing(const char *character, size_t n, char out[static ESCAPED_MAX]);
/* For a block of code between three backticks: three never follow one another. */
size_t escape_fenced(const char *character, size_t n, char out[static ESCAPED_MAX]);

/* The text up to its first line end, at most `max` bytes (at least 3); where it is cut it ends in "...". The caller
 * frees. NULL: no memory. */
char *line_cut(const char *text, Escape escape, size_t max);

typedef struct Limits {
    size_t piece;  /* bytes of one piece, at least 1,000 */
    size_t pieces; /* how many there may be */
    size_t total;  /* bytes of all of them, at least 1,000 */
} Limits;

typedef struct Pieces {
    char **items; /* lines joined by \n, the last without one; none is empty */
    size_t n;
} Pieces;

void pieces_done(Pieces *pieces);

/* Cuts at the ends of lines; a line longer than a piece is cut like line_cut. What does not fit is left out at the end,
 * but for the last line that begins with "Seen:" (what portwatch could not see is always told), and a line says how
 * many lines are missing and where they are to be had. 0, or -1: no memory. */
int pieces_cut(const char *text, Escape escape, const Limits *limits, Pieces *ret);
