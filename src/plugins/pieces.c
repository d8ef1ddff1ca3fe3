#include "plugins/pieces.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FOOT_MAX 400
#define NOTE_MAX 160

size_t escape_nothing(const char *character, size_t n, char out[static ESCAPED_MAX]) {
    memcpy(out, character, n);
    return n;
}

size_t escape_fenced(const char *character, size_t n, char out[static ESCAPED_MAX]) {
    static const char apart[] = "`\u200b"; /* with a space of no width */
    if (*character != '`') return escape_nothing(character, n, out);
    memcpy(out, apart, sizeof(apart) - 1);
    return sizeof(apart) - 1;
}

/* Bytes of the character at `text`; of what is no UTF-8 one. Never reads past a NUL. */
static size_t character_length(const char *text) {
    unsigned char first = (unsigned char)*text;
    size_t n = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)text[i] & 0xc0) != 0x80) return 1;
    return n;
}

char *line_cut(const char *text, Escape escape, size_t max) {
    size_t length = strcspn(text, "\n"), used = 0, safe = 0;
    char *line = malloc((length * ESCAPED_MAX < max ? length * ESCAPED_MAX : max) + ESCAPED_MAX);
    if (!line) return NULL;
    for (size_t i = 0; i < length;) {
        char out[ESCAPED_MAX];
        size_t n = character_length(text + i), grown = escape(text + i, n, out);
        if (used + grown > max) {
            strcpy(line + safe, "...");
            return line;
        }
        memcpy(line + used, out, grown);
        used += grown;
        if (used + 3 <= max) safe = used; /* as far as this there is room for the dots */
        i += n;
    }
    line[used] = '\0';
    return line;
}

void pieces_done(Pieces *pieces) {
    for (size_t i = 0; i < pieces->n; i++) free(pieces->items[i]);
    free(pieces->items);
    *pieces = (Pieces){0};
}

/* What is being filled. */
typedef struct Cutter {
    const Limits *limits;
    Pieces pieces;
    size_t length; /* of the last piece */
    size_t total;
} Cutter;

/* Adds an escaped line where `reserve` bytes stay free, both in the piece and in all. 1: added, 0: it does not fit, -1:
 * no memory. */
static int cutter_add(Cutter *cutter, const char *line, size_t reserve) {
    const Limits *limits = cutter->limits;
    size_t length = strlen(line);
    bool fresh = cutter->pieces.n == 0 || cutter->length + 1 + length > limits->piece;
    if (fresh && length == 0) return 1; /* no piece begins with an empty line */
    size_t last = cutter->pieces.n + fresh == limits->pieces ? reserve : 0;
    if (cutter->total + 1 + length + reserve > limits->total) return 0;
    if ((fresh ? length : cutter->length + 1 + length) + last > limits->piece) return 0;
    if (fresh && cutter->pieces.n == limits->pieces) return 0;
    if (fresh) {
        char **items = reallocarray(cutter->pieces.items, cutter->pieces.n + 1, sizeof *items);
        if (!items) return -1;
        cutter->pieces.items = items;
        items[cutter->pieces.n] = calloc(1, limits->piece + 1);
        if (!items[cutter->pieces.n]) return -1;
        cutter->pieces.n++;
        cutter->length = 0;
    }
    char *to = cutter->pieces.items[cutter->pieces.n - 1];
    if (!fresh) to[cutter->length++] = '\n';
    memcpy(to + cutter->length, line, length + 1);
    cutter->length += length;
    cutter->total += length + 1;
    return 1;
}

/* Adds line by line until one does not fit. Returns where that one begins (the end: all did), NULL: no memory. */
static const char *cutter_fill(Cutter *cutter, const char *text, Escape escape, size_t reserve) {
    size_t longest = cutter->limits->piece - (reserve ? reserve : 1);
    if (longest > cutter->limits->total - reserve - 1) longest = cutter->limits->total - reserve - 1;
    while (*text) {
        char *line = line_cut(text, escape, longest);
        int r = line ? cutter_add(cutter, line, reserve) : -1;
        free(line);
        if (r < 0) return NULL;
        if (r == 0) break;
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return text;
}

static const char *foot_find(const char *text) {
    const char *foot = NULL;
    for (const char *p = strstr(text, "\nSeen: "); p; p = strstr(p + 1, "\nSeen: ")) foot = p + 1;
    return foot;
}

static size_t lines_count(const char *from, const char *to) {
    size_t n = 0;
    for (; from < to; from += *from == '\n') {
        if (*from != '\n') n++; /* empty ones are nobody's loss */
        from += strcspn(from, "\n");
    }
    return n;
}

/* The end of a text that did not fit. */
static int cutter_finish(Cutter *cutter, const char *rest, Escape escape) {
    char note[NOTE_MAX];
    const char *end = rest + strlen(rest), *foot = foot_find(rest);
    size_t left = lines_count(rest, foot ? foot : end) + (foot ? lines_count(strchrnul(foot, '\n'), end) : 0);
    snprintf(note, sizeof(note), "(%zu more line%s did not fit here; on the host: portwatch status, portwatch history)",
        left, left == 1 ? "" : "s");
    int r = cutter_add(cutter, note, 0);
    if (r <= 0 || !foot) return r < 0 ? -1 : 0;
    char *line = line_cut(foot, escape, FOOT_MAX);
    r = line ? cutter_add(cutter, line, 0) : -1;
    free(line);
    return r < 0 ? -1 : 0;
}

int pieces_cut(const char *text, Escape escape, const Limits *limits, Pieces *ret) {
    Cutter cutter = {.limits = limits};
    const char *rest = cutter_fill(&cutter, text, escape, 0);
    if (rest && *rest) {
        pieces_done(&cutter.pieces);
        cutter = (Cutter){.limits = limits};
        rest = cutter_fill(&cutter, text, escape, NOTE_MAX + FOOT_MAX + 2);
        if (rest && cutter_finish(&cutter, rest, escape) < 0) rest = NULL;
    }
    if (!rest) {
        pieces_done(&cutter.pieces);
        return -1;
    }
    *ret = cutter.pieces;
    return 0;
}
