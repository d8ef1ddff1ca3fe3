#include "cli/since.h"

#include <time.h>

#include "core/cleanup.h"
#include "core/text.h"
#include "notify/moment.h"

static bool date_parse(const char *text, int64_t *ret) {
    if (moment_parse(text, ret)) return true;
    static const char *const formats[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"};
    for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
        struct tm tm = {.tm_isdst = -1};
        const char *end = strptime(text, formats[i], &tm);
        if (!end || *end) continue;
        tm.tm_isdst = -1;
        *ret = (int64_t)mktime(&tm) * USEC_PER_SEC;
        return true;
    }
    return false;
}

bool since_parse(const char *text, int64_t now, int64_t *ret) {
    int64_t age;
    if (!duration_parse(text, &age)) return date_parse(text, ret);
    *ret = age < now ? now - age : 0;
    return true;
}

/* "18:00", "18:00:05": of the local day of `now`. */
static bool clock_parse(const char *text, int64_t now, int64_t *ret) {
    static const char *const formats[] = {"%H:%M:%S", "%H:%M"};
    time_t seconds = (time_t)(now / USEC_PER_SEC);
    for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
        struct tm tm = {0};
        localtime_r(&seconds, &tm);
        tm.tm_sec = 0;
        const char *end = strptime(text, formats[i], &tm);
        if (!end || *end) continue;
        tm.tm_isdst = -1;
        *ret = (int64_t)mktime(&tm) * USEC_PER_SEC;
        return true;
    }
    return false;
}

bool until_parse(const char *text, int64_t now, int64_t *ret) {
    int64_t lasts;
    if (!duration_parse(text, &lasts)) return clock_parse(text, now, ret) || date_parse(text, ret);
    *ret = lasts < INT64_MAX - now ? now + lasts : INT64_MAX;
    return true;
}
