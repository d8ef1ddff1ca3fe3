#include "core/quiet.h"

#include "core/text.h"

/* "7:00", "07:00", "24:00" */
static bool clock_parse(const char **text, unsigned *ret) {
    const char *p = *text;
    unsigned parts[2] = {0}, digits;
    for (int i = 0; i < 2; i++) {
        for (digits = 0; *p >= '0' && *p <= '9' && digits < 3; p++, digits++)
            parts[i] = parts[i] * 10 + (unsigned)(*p - '0');
        if (i == 0 ? digits < 1 || digits > 2 || *p++ != ':' : digits != 2) return false;
    }
    unsigned minute = parts[0] * 60 + parts[1];
    if (parts[1] > 59 || minute > QUIET_DAY) return false;
    *text = p;
    *ret = minute;
    return true;
}

static void skip_blanks(const char **text) {
    while (**text == ' ' || **text == '\t') (*text)++;
}

QuietResult quiet_parse(const char *text, Quiet *ret) {
    Quiet quiet = {0};
    for (;; text++) {
        QuietSpan span = {0};
        skip_blanks(&text);
        if (!clock_parse(&text, &span.begin)) return QUIET_BAD_FORM;
        skip_blanks(&text);
        if (*text++ != '-') return QUIET_BAD_FORM;
        skip_blanks(&text);
        if (!clock_parse(&text, &span.end)) return QUIET_BAD_FORM;
        skip_blanks(&text);
        if (*text && *text != ',') return QUIET_BAD_FORM;
        if (span.begin % QUIET_DAY == span.end % QUIET_DAY) return span.begin == span.end ? QUIET_EMPTY : QUIET_FULL;
        if (quiet.n == QUIET_SPANS_MAX) return QUIET_TOO_MANY;
        quiet.spans[quiet.n++] = (QuietSpan){span.begin % QUIET_DAY, span.end % QUIET_DAY};
        if (!*text) break;
    }
    if (quiet_left(&quiet, quiet.spans[0].begin) >= QUIET_DAY) return QUIET_FULL;
    *ret = quiet;
    return QUIET_GOOD;
}

/* Minutes of this span from `minute` on; 0: it does not hold it. */
static unsigned span_left(const QuietSpan *span, unsigned minute) {
    unsigned length = (span->end + QUIET_DAY - span->begin) % QUIET_DAY;
    unsigned passed = (minute + QUIET_DAY - span->begin) % QUIET_DAY;
    return passed < length ? length - passed : 0;
}

unsigned quiet_left(const Quiet *quiet, unsigned minute) {
    unsigned left = 0;
    for (size_t i = 0; i < quiet->n && left < QUIET_DAY;) {
        unsigned more = span_left(&quiet->spans[i], (minute + left) % QUIET_DAY);
        left += more;
        i = more ? 0 : i + 1; /* from the first again: another may follow upon this one */
    }
    return left < QUIET_DAY ? left : QUIET_DAY;
}

int64_t quiet_until(const Quiet *quiet, int64_t now) {
    if (quiet->n == 0) return 0;
    time_t seconds = (time_t)(now / USEC_PER_SEC);
    struct tm local;
    if (now < 0 || !localtime_r(&seconds, &local)) return 0;
    unsigned left = quiet_left(quiet, (unsigned)(local.tm_hour * 60 + local.tm_min));
    if (left == 0) return 0;
    /* The end as people read it, whatever the clock does in between. */
    struct tm end = local;
    end.tm_min += (int)left;
    end.tm_sec = 0;
    end.tm_isdst = -1;
    int64_t until = (int64_t)mktime(&end) * USEC_PER_SEC;
    if (until <= now) until = now + 60 * USEC_PER_SEC; /* in the hour that comes twice: looked at again then */
    return until - now > QUIET_LONGEST ? now + QUIET_LONGEST : until;
}
