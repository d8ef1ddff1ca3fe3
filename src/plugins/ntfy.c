/* Publishing to ntfy as JSON (its documentation, "Publish as JSON", "Message priority", "Limitations"), to the root of
 * the server: text of any language without headers to inject into. A message of more than 4,096 bytes would become an
 * attachment, and a body of more than twice that is refused: with every byte doubled by JSON this stays below. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/format.h"
#include "plugins/pieces.h"

#define TITLE_MAX 250

static const Limits limits = {.piece = 3600, .pieces = 1, .total = 3600};

bool ntfy_topic_valid(const char *topic) {
    size_t n = strspn(topic, "-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
    return n > 0 && n <= NTFY_TOPIC_MAX && !topic[n];
}

char *ntfy_body(const pw_message *message, const char *topic) {
    static const struct {
        int priority; /* 3: as any message, 5: breaks through */
        const char *tag;
    } grades[] = {
        [GRADE_RESOLVED] = {3, "white_check_mark"},
        [GRADE_INFO] = {3, "information_source"},
        [GRADE_WARNING] = {4, "warning"},
        [GRADE_CRITICAL] = {5, "rotating_light"},
    };
    Grade grade = format_grade(message->document);
    Pieces pieces = {0};
    char *title = line_cut(message->subject, escape_nothing, TITLE_MAX), *body = NULL;
    int r = title ? pieces_cut(message->text, escape_nothing, &limits, &pieces) : -1;
    json_t *root =
        r == 0 ? json_pack("{s:s, s:s, s:s, s:i, s:[s]}", "topic", topic, "title", title, "message",
                     pieces.n ? pieces.items[0] : title, "priority", grades[grade].priority, "tags", grades[grade].tag)
               : NULL;
    if (root) body = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    pieces_done(&pieces);
    free(title);
    return body;
}
