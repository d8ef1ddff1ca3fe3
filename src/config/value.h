/* Single values: text -> number, duration, word, port, address; each with a reason people can act on. */
#pragma once

#include "config/draft.h"

/* What a value is part of, for its complaints. */
typedef struct Context {
    Complaints *complaints;
    const Section *section;
    const Entry *entry;
} Context;

#define context_error(context, ...)                                                                                    \
    complaint_error(                                                                                                   \
        (context)->complaints, (context)->entry->spot, (context)->section->header, (context)->entry->key, __VA_ARGS__)
#define context_warning(context, ...)                                                                                  \
    complaint_warning(                                                                                                 \
        (context)->complaints, (context)->entry->spot, (context)->section->header, (context)->entry->key, __VA_ARGS__)

/* The word of a NULL-terminated list that `text` was most likely meant to be (case aside, two letters off at most), or
 * NULL. */
const char *value_near(const char *text, const char *const *words);

/* The functions below return false after a complaint; *ret is written only where they return true. */

/* `min` and `max` are durations in their text form. */
bool value_duration(const Context *context, const char *text, const char *min, const char *max, int64_t *ret);
bool value_number(const Context *context, const char *text, unsigned min, unsigned max, unsigned *ret);
/* The index of `text` in a NULL-terminated list. */
bool value_word(const Context *context, const char *text, const char *const *words, int *ret);
/* Words parted by spaces or commas, each once, at least one. The caller frees with strv_free. */
bool value_words(const Context *context, const char *text, char ***ret);
bool value_address(const Context *context, const char *text, Address *ret);
/* A systemd unit, an executable, a user, checked for what could never match. */
bool value_unit(const Context *context, const char *text, char **ret);
/* "host", or a kind, a colon and a name: "docker:web", "netns:blue". */
bool value_namespace(const Context *context, const char *text, char **ret);
bool value_exe(const Context *context, const char *text, char **ret);
bool value_user(const Context *context, const char *text, char **ret);
bool value_copy(const Context *context, const char *text, char **ret);

/* [a-z][a-z0-9-]{0,31}: names of notifiers and plugins. */
bool name_is_valid(const char *name);
/* RFC 1123: labels of letters, digits and inner hyphens, at most 253 bytes. */
bool host_is_valid(const char *host);
