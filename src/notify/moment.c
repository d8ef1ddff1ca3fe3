#include "notify/moment.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/text.h"

/* The first moment of year 0 and the last second of year 9999, proleptic. */
#define SECONDS_FIRST INT64_C(-62167219200)
#define SECONDS_LAST INT64_C(253402300799)

static void moment_split(int64_t usec, time_t *ret_seconds, int *ret_fraction) {
    int64_t seconds = usec / USEC_PER_SEC, fraction = usec % USEC_PER_SEC;
    if (fraction < 0) {
        fraction += USEC_PER_SEC;
        seconds--;
    }
    if (seconds < SECONDS_FIRST) seconds = SECONDS_FIRST;
    if (seconds > SECONDS_LAST) seconds = SECONDS_LAST;
    *ret_seconds = (time_t)seconds;
    *ret_fraction = (int)fraction;
}

char *moment_iso(int64_t usec, char buffer[static MOMENT_TEXT_MAX]) {
    time_t seconds;
    int fraction;
    moment_split(usec, &seconds, &fraction);
    struct tm tm = {0};
    gmtime_r(&seconds, &tm);
    char date[32];
    strftime(date, sizeof date, "%H:%M:%S", &tm);
    snprintf(buffer, MOMENT_TEXT_MAX, "%04d-%02d-%02dT%s.%06dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, date,
        fraction);
    return buffer;
}

/* Exactly `n` decimal digits at *text, which moves on. */
static bool moment_digits(const char **text, unsigned n, int *ret) {
    int value = 0;
    for (unsigned i = 0; i < n; i++, (*text)++) {
        if (**text < '0' || **text > '9') return false;
        value = value * 10 + (**text - '0');
    }
    *ret = value;
    return true;
}

static bool moment_skip(const char **text, char expected) {
    if (**text != expected) return false;
    (*text)++;
    return true;
}

bool moment_parse(const char *text, int64_t *ret_usec) {
    if (!text) return false;
    struct tm tm = {0};
    const char *p = text;
    if (!moment_digits(&p, 4, &tm.tm_year) || !moment_skip(&p, '-') || !moment_digits(&p, 2, &tm.tm_mon) ||
        !moment_skip(&p, '-') || !moment_digits(&p, 2, &tm.tm_mday))
        return false;
    if (*p != 'T' && *p != 't' && *p != ' ') return false;
    p++;
    if (!moment_digits(&p, 2, &tm.tm_hour) || !moment_skip(&p, ':') || !moment_digits(&p, 2, &tm.tm_min) ||
        !moment_skip(&p, ':') || !moment_digits(&p, 2, &tm.tm_sec))
        return false;
    if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 ||
        tm.tm_sec > 60)
        return false;
    int64_t fraction = 0;
    if (*p == '.') {
        unsigned digits = 0;
        for (p++; *p >= '0' && *p <= '9'; p++) {
            if (++digits > 9) return false;
            if (digits <= 6) fraction = fraction * 10 + (*p - '0');
        }
        if (digits == 0) return false;
        for (; digits < 6; digits++) fraction *= 10;
    }
    int offset = 0;
    if (*p == 'Z' || *p == 'z')
        p++;
    else {
        int sign = *p == '-' ? -1 : 1, hours, minutes;
        if (*p != '+' && *p != '-') return false;
        p++;
        if (!moment_digits(&p, 2, &hours) || !moment_skip(&p, ':') || !moment_digits(&p, 2, &minutes)) return false;
        if (hours > 23 || minutes > 59) return false;
        offset = sign * (hours * 60 + minutes) * 60;
    }
    if (*p) return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_usec = ((int64_t)timegm(&tm) - offset) * USEC_PER_SEC + fraction;
    return true;
}

char *moment_clock(int64_t usec, int64_t now, char buffer[static MOMENT_TEXT_MAX]) {
    time_t seconds, today;
    int fraction;
    moment_split(now, &today, &fraction);
    moment_split(usec, &seconds, &fraction);
    struct tm tm = {0}, tm_now = {0};
    localtime_r(&seconds, &tm);
    localtime_r(&today, &tm_now);
    /* Names of days and months are the mail's language, not the daemon's locale. */
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char date[32] = "", clock[32];
    strftime(clock, sizeof clock, "%H:%M:%S %Z", &tm);
    if (tm.tm_year != tm_now.tm_year)
        snprintf(date, sizeof date, "%s %d %s %d ", days[tm.tm_wday % 7], tm.tm_mday, months[tm.tm_mon % 12],
            tm.tm_year + 1900);
    else if (tm.tm_yday != tm_now.tm_yday)
        snprintf(date, sizeof date, "%s %d %s ", days[tm.tm_wday % 7], tm.tm_mday, months[tm.tm_mon % 12]);
    snprintf(buffer, MOMENT_TEXT_MAX, "%s%s", date, clock);
    return buffer;
}
