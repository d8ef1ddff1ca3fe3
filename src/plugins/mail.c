#include "plugins/mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SUBJECT_BYTES_MAX 998
#define REFERENCES_MAX 40
#define LINE_FOLD 76
#define LINE_PLAIN 900

/* RFC 5322 atext and the dot; what else a local part may hold nobody uses and every gateway breaks. */
static bool local_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-/=?^_`{|}~.", c));
}

static bool domain_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

bool address_valid(const char *text) {
    const char *at = strrchr(text, '@');
    size_t length = strlen(text);
    if (!at || at == text || !at[1] || length > 254 || at - text > 64) return false;
    if (text[0] == '.' || at[-1] == '.' || text[0] == '-') return false;
    for (const char *p = text; p < at; p++)
        if (!local_char(*p) || (*p == '.' && p[1] == '.')) return false;
    if (at[1] == '.' || at[1] == '-') return false;
    for (const char *p = at + 1; *p; p++)
        if (!domain_char(*p) || (*p == '.' && p[1] == '.')) return false;
    return true;
}

/* Length of the valid UTF-8 sequence at `p`, 0 if there is none. */
static size_t sequence_length(const unsigned char *p) {
    size_t n = p[0] < 0x80                   ? 1
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
               : (p[0] & 0xf0) == 0xe0       ? 3
               : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                             : 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if (n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0))) return 0;
    if (n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90))) return 0;
    /* C1 controls are two bytes in UTF-8, and some terminals obey them */
    if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) return 0;
    return n;
}

/* Copies text with everything replaced that a header or a terminal could act on. `newlines`: \n is kept, CRLF becomes
 * \n, tabs stay. At most `max` bytes, cut between characters. */
static char *clean(const char *text, size_t max, bool newlines) {
    size_t length = strlen(text), n = 0;
    char *out = malloc(length + 1);
    if (!out) return NULL;
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        size_t k = sequence_length(p);
        char c = '?';
        if (newlines && p[0] == '\r' && p[1] == '\n') {
            p++;
            continue;
        }
        if (k == 1 && ((*p >= 0x20 && *p != 0x7f) || (newlines && (*p == '\n' || *p == '\t')))) c = (char)*p;
        if (n + (k > 1 ? k : 1) > max) break;
        if (k > 1) {
            memcpy(out + n, p, k);
            n += k;
            p += k;
        } else {
            out[n++] = c;
            p++;
        }
    }
    out[n] = '\0';
    return out;
}

static bool is_ascii(const char *text) {
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80) return false;
    return true;
}

/* A subject that may stand as it is: ASCII, short enough for one line, nothing a decoder would take for an encoded
 * word, no blanks at the ends. */
static bool subject_is_plain(const char *subject) {
    size_t n = strlen(subject);
    return is_ascii(subject) && n <= LINE_FOLD - strlen("Subject: ") && !strstr(subject, "=?") &&
           (n == 0 || (subject[0] != ' ' && subject[n - 1] != ' '));
}

/* The same for a longer one that can be folded at single spaces so that no line exceeds LINE_FOLD. */
static bool subject_folds(const char *subject) {
    size_t word = 0;
    if (!is_ascii(subject) || strstr(subject, "=?") || strstr(subject, "  ")) return false;
    if (subject[0] == ' ' || subject[0] == '\0' || subject[strlen(subject) - 1] == ' ') return false;
    for (const char *p = subject; *p; p++) {
        word = *p == ' ' ? 0 : word + 1;
        if (word > LINE_FOLD - strlen("Subject: ")) return false;
    }
    return true;
}

static void subject_fold(FILE *out, const char *subject) {
    size_t column = strlen("Subject: ");
    fputs("Subject: ", out);
    for (const char *p = subject; *p;) {
        size_t word = strcspn(p, " ");
        if (p != subject) {
            bool fold = column + 1 + word > LINE_FOLD;
            fputs(fold ? "\r\n " : " ", out);
            column = fold ? 1 : column + 1;
        }
        fwrite(p, 1, word, out);
        column += word;
        p += word;
        if (*p == ' ') p++;
    }
    fputs("\r\n", out);
}

/* RFC 2047, B encoding: 45 bytes make 60 characters, 72 with the frame; each word ends between characters. */
static void subject_encode(FILE *out, const char *subject) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = (const unsigned char *)subject;
    bool first = true;
    fputs("Subject:", out);
    while (*p) {
        size_t n = 0, limit = first ? 39 : 45;
        while (p[n]) {
            size_t k = sequence_length(p + n);
            if (k == 0) k = 1;
            if (n + k > limit) break;
            n += k;
        }
        fputs(first ? " =?utf-8?B?" : "\r\n =?utf-8?B?", out);
        for (size_t i = 0; i < n; i += 3) {
            unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
            fputc(digits[v >> 18], out);
            fputc(digits[v >> 12 & 63], out);
            fputc(i + 1 < n ? digits[v >> 6 & 63] : '=', out);
            fputc(i + 2 < n ? digits[v & 63] : '=', out);
        }
        fputs("?=", out);
        p += n;
        first = false;
    }
    fputs("\r\n", out);
}

static void subject_write(FILE *out, const char *subject) {
    if (subject_is_plain(subject))
        fprintf(out, "Subject: %s\r\n", subject);
    else if (subject_folds(subject))
        subject_fold(out, subject);
    else
        subject_encode(out, subject);
}

/* strftime would speak the locale's language; RFC 5322 speaks English. */
static void date_write(FILE *out, int64_t usec) {
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(usec / 1000000);
    struct tm t = {.tm_mday = 1, .tm_year = 70, .tm_wday = 4};
    gmtime_r(&seconds, &t);
    fprintf(out, "Date: %.3s, %02d %.3s %04d %02d:%02d:%02d +0000\r\n", days + 3 * t.tm_wday, t.tm_mday,
        months + 3 * t.tm_mon, 1900 + t.tm_year, t.tm_hour, t.tm_min, t.tm_sec);
}

static void message_id_write(FILE *out, const char *id, const char *host) {
    fputc('<', out);
    for (size_t i = 0; i < 64 && id[i]; i++) fputc(domain_char(id[i]) ? id[i] : '-', out);
    fputc('@', out);
    size_t n = 0;
    /* a domain in a Message-ID is a dot-atom: no dot at the ends, none doubled */
    for (const char *p = host; *p && n < 255; p++) {
        if (*p == '.' && (n == 0 || !p[1] || p[1] == '.')) continue;
        fputc(domain_char(*p) ? *p : '-', out);
        n++;
    }
    if (n == 0) fputs("localhost", out);
    fputc('>', out);
}

static void references_write(FILE *out, const pw_message *message) {
    const char *last = NULL;
    size_t n = 0;
    for (const char *const *r = message->references; r && *r && n < REFERENCES_MAX; r++) {
        if (strcmp(*r, message->id) == 0) continue;
        fputs(n == 0 ? "References: " : "\r\n ", out);
        message_id_write(out, *r, message->host);
        last = *r;
        n++;
    }
    if (!last) return;
    fputs("\r\nIn-Reply-To: ", out);
    message_id_write(out, last, message->host);
    fputs("\r\n", out);
}

static bool body_is_plain(const char *text) {
    size_t column = 0;
    for (const char *p = text; *p; p++) {
        if ((unsigned char)*p >= 0x80) return false;
        /* mbox writers turn this into ">From " */
        if (column == 0 && strncmp(p, "From ", 5) == 0) return false;
        column = *p == '\n' ? 0 : column + 1;
        if (column > LINE_PLAIN) return false;
    }
    return true;
}

static void body_plain(FILE *out, const char *text) {
    const char *p = text;
    for (; *p; p++) {
        if (*p == '\n')
            fputs("\r\n", out);
        else
            fputc(*p, out);
    }
    if (p != text && p[-1] != '\n') fputs("\r\n", out);
}

static void body_quoted(FILE *out, const char *text) {
    size_t column = 0;
    for (const char *p = text; *p; p++) {
        if (*p == '\n') {
            fputs("\r\n", out);
            column = 0;
            continue;
        }
        unsigned char c = (unsigned char)*p;
        bool end = p[1] == '\n' || !p[1];
        bool raw = (c > 0x20 && c < 0x7f && c != '=') || ((c == ' ' || c == '\t') && !end);
        /* also a lone dot and mbox's From, for gateways that get either wrong */
        if (column == 0 && (strncmp(p, "From ", 5) == 0 || c == '.')) raw = false;
        if (column + (raw ? 1 : 3) > LINE_FOLD - 1) {
            fputs("=\r\n", out);
            column = 0;
        }
        if (raw)
            fputc(c, out);
        else
            fprintf(out, "=%02X", c);
        column += raw ? 1 : 3;
    }
    if (column > 0) fputs("\r\n", out);
}

char *mail_form(const pw_message *message, const char *from, const char *const *to) {
    char *buffer = NULL;
    size_t size = 0;
    char *subject = clean(message->subject, SUBJECT_BYTES_MAX, false);
    char *text = clean(message->text, SIZE_MAX, true);
    FILE *out = subject && text ? open_memstream(&buffer, &size) : NULL;
    if (!out) {
        free(subject);
        free(text);
        return NULL;
    }
    date_write(out, message->formed_usec);
    fprintf(out, "From: %s\r\n", from);
    for (size_t i = 0; to[i]; i++) fprintf(out, "%s%s", i == 0 ? "To: " : ",\r\n ", to[i]);
    fputs("\r\n", out);
    subject_write(out, subject);
    fputs("Message-ID: ", out);
    message_id_write(out, message->id, message->host);
    fputs("\r\n", out);
    references_write(out, message);
    bool plain = body_is_plain(text);
    fprintf(out,
        "Auto-Submitted: auto-generated\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: %s\r\n"
        "\r\n",
        plain ? "7bit" : "quoted-printable");
    if (plain)
        body_plain(out, text);
    else
        body_quoted(out, text);
    free(subject);
    free(text);
    if (ferror(out) || fclose(out) != 0) {
        free(buffer);
        return NULL;
    }
    return buffer;
}
