/* An incoming webhook of Slack. Its documentation ("Sending messages using incoming webhooks", "Block Kit: header,
 * section", "Formatting text"): at most 50 blocks, 150 characters in a header, 3,000 in a section, and & < > as
 * entities everywhere, for <!channel> and <@U123> mention and <https://...> links. What no page says: all blocks
 * together are refused as too long from about 11,000 characters on (slackapi/bolt-js, issues 2509 and 2867). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/format.h"
#include "plugins/pieces.h"

#define FENCE "```"
#define FALLBACK_MAX 1000
#define HEADER_MAX 150

static const Limits limits = {.piece = 2900, .pieces = 3, .total = 8800};

static size_t escape_entity(const char *character, size_t n, char out[static ESCAPED_MAX]) {
    const char *entity = *character == '&' ? "&amp;" : *character == '<' ? "&lt;" : *character == '>' ? "&gt;" : NULL;
    return entity ? escape_nothing(entity, strlen(entity), out) : escape_nothing(character, n, out);
}

static size_t escape_code(const char *character, size_t n, char out[static ESCAPED_MAX]) {
    return *character == '`' ? escape_fenced(character, n, out) : escape_entity(character, n, out);
}

/* A block of code: its columns stand, and nothing in it is formatted. */
static json_t *section(const char *piece) {
    size_t size = strlen(piece) + sizeof(FENCE "\n\n" FENCE);
    char *text = malloc(size);
    if (!text) return NULL;
    snprintf(text, size, FENCE "\n%s\n" FENCE, piece);
    json_t *block =
        json_pack("{s:s, s:{s:s, s:s, s:b}}", "type", "section", "text", "type", "mrkdwn", "text", text, "verbatim", 1);
    free(text);
    return block;
}

static json_t *blocks(const pw_message *message) {
    Pieces pieces = {0};
    char *title = line_cut(message->subject, escape_entity, HEADER_MAX);
    json_t *array = title ? json_array() : NULL;
    int r = array ? pieces_cut(message->text, escape_code, &limits, &pieces) : -1;
    if (r == 0 && *title)
        r = json_array_append_new(array, json_pack("{s:s, s:{s:s, s:s, s:b}}", "type", "header", "text", "type",
                                             "plain_text", "text", title, "emoji", 0));
    for (size_t i = 0; r == 0 && i < pieces.n; i++) r = json_array_append_new(array, section(pieces.items[i]));
    pieces_done(&pieces);
    free(title);
    if (r == 0) return array;
    json_decref(array);
    return NULL;
}

char *slack_body(const pw_message *message) {
    /* What a notification shows, and who reads aloud. */
    char *fallback = line_cut(message->subject, escape_entity, FALLBACK_MAX);
    json_t *array = fallback ? blocks(message) : NULL;
    json_t *root = array ? json_pack("{s:s, s:o, s:b, s:b}", "text", fallback, "blocks", array, "unfurl_links", 0,
                               "unfurl_media", 0)
                         : NULL;
    char *body = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    free(fallback);
    return body;
}
