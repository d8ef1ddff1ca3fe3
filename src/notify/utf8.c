#include "notify/utf8.h"

#include <string.h>

/* Length of the sequence at p, 0: not valid. Stops at the NUL of a text cut short. */
static size_t sequence_length(const unsigned char *p) {
    size_t n = p[0] < 0x80                    ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0  ? 2
               : (p[0] & 0xf0) == 0xe0        ? 3
               : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                              : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) return 0;
    if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) return 0;
    return n;
}

bool utf8_valid(const char *text) {
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        size_t n = sequence_length(p);
        if (n == 0) return false;
        p += n;
    }
    return true;
}

char *utf8_clean(const char *text, size_t length) {
    char *copy = strndup(text, length);
    if (!copy) return NULL;
    for (unsigned char *p = (unsigned char *)copy; *p;) {
        size_t n = sequence_length(p);
        if (n == 0) *p = '?';
        p += n ? n : 1;
    }
    return copy;
}
