#include "kernel/json.h"

#include <string.h>

static void skip_blanks(Json *j) {
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r')) j->at++;
}

static bool take(Json *j, char c) {
    skip_blanks(j);
    if (j->at == j->end || *j->at != c) return false;
    j->at++;
    return true;
}

/* Past a string, which begins here. */
static bool skip_string(Json *j) {
    if (!take(j, '"')) return false;
    while (j->at < j->end) {
        char c = *j->at++;
        if (c == '"') return true;
        if (c == '\\') {
            if (j->at == j->end) return false;
            j->at++;
        }
    }
    return false;
}

/* Past any value. Brackets are counted, not matched: a file that is wrong there is wrong anyway. */
static bool skip_value(Json *j) {
    size_t depth = 0;
    skip_blanks(j);
    while (j->at < j->end) {
        char c = *j->at;
        if (c == '"') {
            if (!skip_string(j)) return false;
            if (depth == 0) return true;
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']') {
            if (depth == 0) return true; /* the end of what holds this number or word */
            if (--depth == 0) {
                j->at++;
                return true;
            }
        } else if (c == ',' && depth == 0)
            return true;
        j->at++;
    }
    return depth == 0;
}

bool json_member(Json object, const char *key, Json *ret) {
    size_t n = strlen(key);
    if (!take(&object, '{')) return false;
    for (;;) {
        skip_blanks(&object);
        const char *name = object.at;
        if (!skip_string(&object)) return false;
        bool same = (size_t)(object.at - name) == n + 2 && memcmp(name + 1, key, n) == 0;
        if (!take(&object, ':')) return false;
        skip_blanks(&object);
        Json value = {object.at, object.end};
        if (!skip_value(&object)) return false;
        if (same) {
            *ret = (Json){value.at, object.at};
            return true;
        }
        if (!take(&object, ',')) return false;
    }
}

bool json_element(Json *rest, Json *ret) {
    if (!take(rest, '[') && !take(rest, ',')) return false;
    skip_blanks(rest);
    const char *at = rest->at;
    if (!skip_value(rest) || rest->at == at) return false;
    *ret = (Json){at, rest->at};
    return true;
}

bool json_text(Json value, char *buffer, size_t size) {
    skip_blanks(&value);
    const char *at = value.at;
    if (!skip_string(&value)) return false;
    size_t n = (size_t)(value.at - at) - 2;
    if (n >= size || memchr(at + 1, '\\', n) || memchr(at + 1, '\0', n)) return false;
    memcpy(buffer, at + 1, n);
    buffer[n] = '\0';
    return true;
}
