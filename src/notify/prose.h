/* Prose: event documents as the subject and the text of a mail, for people. Pure but for the time zone (TZ). Relies on
 * documents' strings being escaped (notify/document.h) and escapes once more whatever would still act on a reader. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct ProseOptions {
    const char *host; /* as in subjects */
    int64_t formed;   /* when the message is formed, realtime microseconds */
    bool detail_full; /* command lines too, where the documents have them */
} ProseOptions;

/* Several documents of one incident are told as one. The subject is one line of UTF-8 of bounded length, the text has
 * lines ended by \n. 0, or -ENOMEM, or -EINVAL for n = 0. The caller frees both. */
int prose_message(json_t *const *documents, size_t n, const ProseOptions *options, char **ret_subject, char **ret_text);
