#include "cli/since.h"

#include <time.h>

#include "core/cleanup.h"
#include "core/text.h"
#include "notify/moment.h"

bool since_parse(const char *text, int64_t now, int64_t *ret) {
    int64_t age;
    if (duration_parse(text, &age)) {
        *ret = age < now ? now - age : 0;
        return true;
    }
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
