#include "config/value.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static unsigned min3(unsigned a, unsigned b, unsigned c) {
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits between two words, case aside; long ones are simply far. */
static unsigned word_distance(const char *a, const char *b) {
    unsigned row[32];
    size_t n = strlen(a), m = strlen(b);
    if (n >= ELEMENTSOF(row) || m >= ELEMENTSOF(row)) return ELEMENTSOF(row);

    for (unsigned j = 0; j <= m; j++) row[j] = j;
    for (unsigned i = 1; i <= n; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= m; j++) {
            unsigned change = tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]);
            unsigned next = min3(row[j] + 1, row[j - 1] + 1, diagonal + change);
            diagonal = row[j];
            row[j] = next;
        }
    }
    return row[m];
}

const char *value_near(const char *text, const char *const *words) {
    const char *best = NULL;
    unsigned best_distance = 3;

    for (; *words; words++) {
        unsigned distance = word_distance(text, *words);
        /* Two letters off make sense only where most of the word remains. */
        if (distance < best_distance && (size_t)distance * 2 < strlen(*words)) {
            best = *words;
            best_distance = distance;
        }
    }
    return best;
}

/* Why a value may look right and be refused: a comment or quotes in it. */
static const char *value_hint(const char *text) {
    if (strstr(text, " #")) return "; there are no inline comments";
    if (text[0] == '"' || text[0] == '\'') return "; values are written without quotes";
    return "";
}

bool value_duration(const Context *context, const char *text, const char *min, const char *max, int64_t *ret) {
    int64_t usec, least, most;

    if (!duration_parse(min, &least) || !duration_parse(max, &most)) return false;
    if (!duration_parse(text, &usec)) {
        context_error(context, "'%s' is no duration, as 500ms, 30s, 5m, 1h30m or 1d are%s", text, value_hint(text));
        return false;
    }
    if (usec < least || usec > most) {
        context_error(context, "'%s' is too %s: from %s to %s", text, usec < least ? "short" : "long", min, max);
        return false;
    }
    *ret = usec;
    return true;
}

bool value_number(const Context *context, const char *text, unsigned min, unsigned max, unsigned *ret) {
    size_t digits = strspn(text, "0123456789");

    if (text[digits] != '\0' || digits == 0) {
        context_error(context, "'%s' is no number%s", text, value_hint(text));
        return false;
    }
    unsigned long number = digits > 10 ? (unsigned long)max + 1 : strtoul(text, NULL, 10);
    if (number < min || number > max) {
        context_error(context, "'%s' is out of range: from %u to %u", text, min, max);
        return false;
    }
    *ret = (unsigned)number;
    return true;
}

bool value_word(const Context *context, const char *text, const char *const *words, int *ret) {
    char all[128] = "";

    for (int i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret = i;
            return true;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof(all) - used, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    const char *near = value_near(text, words);
    if (near)
        context_error(context, "'%s' is none of %s; did you mean %s?", text, all, near);
    else
        context_error(context, "'%s' is none of %s%s", text, all, value_hint(text));
    return false;
}

bool value_words(const Context *context, const char *text, char ***ret) {
    _cleanup_(list_free) char **list = NULL;
    _cleanup_free_ char *copy = strdup(text);
    char *state = NULL;
    int r = copy ? 0 : -1;

    for (char *word = copy ? strtok_r(copy, " \t,", &state) : NULL; word && r == 0;
         word = strtok_r(NULL, " \t,", &state)) {
        if (strv_contains(list, word)) {
            context_error(context, "'%s' is given twice", word);
            return false;
        }
        r = strv_append(&list, word);
    }
    if (r < 0) {
        context->complaints->no_memory = true;
        return false;
    }
    if (!list) {
        context_error(context, "an empty list");
        return false;
    }
    *ret = TAKE_PTR(list);
    return true;
}

bool value_address(const Context *context, const char *text, Address *ret) {
    const char *why = value_hint(text);

    if (address_parse(text, ret)) return true;
    if (strcmp(text, "*") == 0)
        why = "; all addresses are written 0.0.0.0, ::";
    else if (strcmp(text, "localhost") == 0)
        why = "; write 127.0.0.1, ::1";
    else if (text[0] == '[')
        why = "; IPv6 addresses are written without brackets";
    else if (strchr(text, '/'))
        why = "; networks are not taken, only single addresses";
    else if (strchr(text, '%'))
        why = "; addresses are written without an interface";
    context_error(context, "'%s' is no IP address%s", text, why);
    return false;
}

bool value_copy(const Context *context, const char *text, char **ret) {
    char *copy = strdup(text);
    if (!copy) {
        context->complaints->no_memory = true;
        return false;
    }
    *ret = copy;
    return true;
}

bool value_unit(const Context *context, const char *text, char **ret) {
    static const char *const endings[] = {".service", ".socket", ".scope", ".slice", ".mount", ".swap"};

    if (strcmp(text, OWNER_UNIT_ACTIVATION) == 0 || owner_unit_is_container(text))
        return value_copy(context, text, ret);
    if (strpbrk(text, " /\"'")) {
        context_error(context, "'%s' is no unit name%s", text, value_hint(text));
        return false;
    }
    size_t length = strlen(text);
    for (size_t i = 0; i < ELEMENTSOF(endings); i++) {
        size_t ending = strlen(endings[i]);
        if (length > ending && strcmp(text + length - ending, endings[i]) == 0) return value_copy(context, text, ret);
    }
    if (strchr(text, '.'))
        context_error(context, "'%s' is no unit name: it ends in .service, .socket, .scope or the like", text);
    else
        context_error(context, "'%s' is no full unit name; did you mean %s.service?", text, text);
    return false;
}

bool value_namespace(const Context *context, const char *text, char **ret) {
    size_t kind = strspn(text, "abcdefghijklmnopqrstuvwxyz");
    if (strcmp(text, "host") != 0 &&
        (kind == 0 || text[kind] != ':' || !text[kind + 1] || strlen(text) >= NAMESPACE_MAX)) {
        context_error(context,
            "'%s' is no network namespace: write host, or a kind and a name as portwatch list --json shows it "
            "(docker:web)",
            text);
        return false;
    }
    return value_copy(context, text, ret);
}

bool value_exe(const Context *context, const char *text, char **ret) {
    static const char deleted[] = " (deleted)";
    size_t length = strlen(text), n = sizeof(deleted) - 1;

    if (strcmp(text, OWNER_EXE_KERNEL) == 0) return value_copy(context, text, ret);
    if (text[0] != '/') {
        context_error(context, "'%s' is no absolute path (nor %s)%s", text, OWNER_EXE_KERNEL, value_hint(text));
        return false;
    }
    if (length >= n && strcmp(text + length - n, deleted) == 0) {
        context_error(context, "' (deleted)' is no part of the path: executables are compared without it");
        return false;
    }
    if (text[length - 1] == '/' || strstr(text, "//") || strstr(text, "/./") || strstr(text, "/../")) {
        context_error(context, "'%s' is no plain path to a file, as the kernel shows it", text);
        return false;
    }
    return value_copy(context, text, ret);
}

bool value_user(const Context *context, const char *text, char **ret) {
    size_t digits = strspn(text, "0123456789");

    if (text[digits] == '\0') {
        unsigned uid;
        if (!value_number(context, text, 0, UID_UNKNOWN - 1, &uid)) return false;
    } else if (strpbrk(text, " :,/\"'") || strlen(text) > 64) {
        context_error(context, "'%s' is no name of a user%s", text, value_hint(text));
        return false;
    }
    return value_copy(context, text, ret);
}

bool name_is_valid(const char *name) {
    if (name[0] < 'a' || name[0] > 'z' || strlen(name) > 32) return false;
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

bool host_is_valid(const char *host) {
    size_t label = 0, length = strlen(host);

    if (length == 0 || length > 253) return false;
    for (size_t i = 0; i < length; i++) {
        char c = host[i];
        if (c == '.') {
            if (label == 0 || host[i - 1] == '-') return false;
            label = 0;
            continue;
        }
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c != '-' || label == 0)) return false;
        if (++label > 63) return false;
    }
    return label > 0 && host[length - 1] != '-';
}
