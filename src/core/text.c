#include "core/text.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"

/* Decodes one code point of strict UTF-8 (RFC 3629). Returns its length in bytes, 0 if the bytes are not UTF-8. */
static size_t utf8_decode(const unsigned char *s, size_t n, uint32_t *ret) {
    if (s[0] < 0x80) {
        *ret = s[0];
        return 1;
    }
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4 || n < length) return 0;
    uint32_t c = s[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80) return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return 0;
    *ret = c;
    return length;
}

/* Code points that a reader cannot see or that move what stands around them: format characters, separators, private
 * use, non-characters, tags and variation selectors. */
static bool is_deceptive(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || c == 0x180e ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
           (c >= 0xe000 && c <= 0xf8ff) || (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff ||
           (c >= 0xfff0 && c <= 0xfffb) || (c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef) || c >= 0xe0000;
}

char *text_escape(const char *text, size_t length) {
    if (!text) return NULL;
    /* The longest replacement, \u{10FFFF}, stands for four bytes; a lone byte becomes four. */
    char *out = malloc(length * 4 + 1), *o = out;
    if (!out) return NULL;
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < length;) {
        uint32_t c;
        size_t n = utf8_decode(s + i, length - i, &c);
        if (n == 0 || (n == 1 && (c < 0x20 || c == 0x7f))) {
            o += sprintf(o, "\\x%02x", s[i]);
            n = 1;
        } else if (c == '\\') {
            *o++ = '\\';
            *o++ = '\\';
        } else if (is_deceptive(c)) {
            o += sprintf(o, "\\u{%" PRIX32 "}", c);
        } else {
            memcpy(o, s + i, n);
            o += n;
        }
        i += n;
    }
    *o = '\0';
    return out;
}

char *text_vprintf(const char *format, va_list arguments) {
    char *text = NULL;
    return vasprintf(&text, format, arguments) < 0 ? NULL : text;
}

char *text_printf(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *text = text_vprintf(format, arguments);
    va_end(arguments);
    return text;
}

static bool unit_usec(const char *unit, size_t n, int64_t *ret) {
    static const struct {
        const char *name;
        int64_t usec;
    } units[] = {
        {"", USEC_PER_SEC},
        {"s", USEC_PER_SEC},
        {"ms", 1000},
        {"m", 60 * USEC_PER_SEC},
        {"min", 60 * USEC_PER_SEC},
        {"h", 3600 * USEC_PER_SEC},
        {"d", 86400 * USEC_PER_SEC},
        {"w", 7 * 86400 * USEC_PER_SEC},
    };
    for (size_t i = 0; i < ELEMENTSOF(units); i++)
        if (strlen(units[i].name) == n && strncmp(units[i].name, unit, n) == 0) {
            *ret = units[i].usec;
            return true;
        }
    return false;
}

bool duration_parse(const char *text, int64_t *ret_usec) {
    int64_t total = 0;
    const char *p = text;
    if (!*p) return false;
    while (*p) {
        int64_t number = 0, usec;
        const char *digits = p;
        for (; isdigit((unsigned char)*p); p++)
            if (__builtin_mul_overflow(number, 10, &number) || __builtin_add_overflow(number, *p - '0', &number))
                return false;
        if (p == digits) return false;
        const char *unit = p;
        while (isalpha((unsigned char)*p)) p++;
        /* A bare number is only allowed alone: "1h30" would be ambiguous. */
        if (p == unit && (*p || digits != text)) return false;
        if (!unit_usec(unit, (size_t)(p - unit), &usec)) return false;
        if (__builtin_mul_overflow(number, usec, &number) || __builtin_add_overflow(total, number, &total))
            return false;
    }
    *ret_usec = total;
    return true;
}

char *duration_format(int64_t usec, char buffer[static DURATION_TEXT_MAX]) {
    int64_t s = usec < 0 ? 0 : usec / USEC_PER_SEC;
    if (usec < USEC_PER_SEC)
        snprintf(buffer, DURATION_TEXT_MAX, "%" PRId64 " ms", usec < 0 ? 0 : usec / 1000);
    else if (s < 120)
        snprintf(buffer, DURATION_TEXT_MAX, "%" PRId64 " s", s);
    else if (s < 2 * 3600)
        snprintf(buffer, DURATION_TEXT_MAX, "%" PRId64 " min", s / 60);
    else if (s < 86400 && s % 3600 >= 60)
        snprintf(buffer, DURATION_TEXT_MAX, "%" PRId64 " h %" PRId64 " min", s / 3600, s % 3600 / 60);
    else if (s < 2 * 86400)
        snprintf(buffer, DURATION_TEXT_MAX, "%" PRId64 " h", s / 3600);
    else
        snprintf(buffer, DURATION_TEXT_MAX, "%" PRId64 " days", s / 86400);
    return buffer;
}

size_t strv_length(char *const *list) {
    size_t n = 0;
    if (list)
        while (list[n]) n++;
    return n;
}

int strv_append(char ***list, const char *text) {
    size_t n = strv_length(*list);
    char *copy = strdup(text);
    if (!copy) return -ENOMEM;
    char **longer = realloc(*list, (n + 2) * sizeof *longer);
    if (!longer) {
        free(copy);
        return -ENOMEM;
    }
    longer[n] = copy;
    longer[n + 1] = NULL;
    *list = longer;
    return 0;
}

char **strv_copy(char *const *list) {
    size_t n = strv_length(list);
    char **copy = calloc(n + 1, sizeof *copy);
    if (!copy) return NULL;
    for (size_t i = 0; i < n; i++) {
        copy[i] = strdup(list[i]);
        if (!copy[i]) {
            strv_free(copy);
            return NULL;
        }
    }
    return copy;
}

bool strv_contains(char *const *list, const char *text) {
    if (list)
        for (; *list; list++)
            if (strcmp(*list, text) == 0) return true;
    return false;
}

void strv_free(char **list) {
    if (!list) return;
    for (char **p = list; *p; p++) free(*p);
    free(list);
}
