/* Discord's Execute Webhook. Its documentation (Webhook Resource; Message Resource: Embed Limits, Allowed Mentions) and
 * its OpenAPI description: 2,000 characters of content, 4,096 of an embed's description, 6,000 in all embeds together.
 * Content is marked up and could mention; allowed_mentions with an empty `parse` lets nothing in it reach anybody. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/format.h"
#include "plugins/pieces.h"

#define FENCE "```"
#define CONTENT_MAX 1900

static const Limits limits = {.piece = 4000, .pieces = 2, .total = 5800};

/* Markup, mentions, emoji (:x:) and links all need one of these. */
static size_t escape_markdown(const char *character, size_t n, char out[static ESCAPED_MAX]) {
    if (!strchr("\\*_~`|[]()<>@#:/", *character)) return escape_nothing(character, n, out);
    out[0] = '\\';
    out[1] = *character;
    return 2;
}

static int colour(Grade grade) {
    static const int colours[] = {
        [GRADE_RESOLVED] = 0x388e3c, [GRADE_INFO] = 0x1976d2, [GRADE_WARNING] = 0xf9a825, [GRADE_CRITICAL] = 0xd32f2f};
    return colours[grade];
}

/* A block of code: its columns stand, and nothing in it is marked up. */
static json_t *embed(const char *piece, Grade grade) {
    size_t size = strlen(piece) + sizeof(FENCE "\n\n" FENCE);
    char *text = malloc(size);
    if (!text) return NULL;
    snprintf(text, size, FENCE "\n%s\n" FENCE, piece);
    json_t *object = json_pack("{s:s, s:i}", "description", text, "color", colour(grade));
    free(text);
    return object;
}

char *discord_body(const pw_message *message) {
    Grade grade = format_grade(message->document);
    Pieces pieces = {0};
    char *content = line_cut(message->subject, escape_markdown, CONTENT_MAX), *body = NULL;
    json_t *embeds = content ? json_array() : NULL;
    int r = embeds ? pieces_cut(message->text, escape_fenced, &limits, &pieces) : -1;
    for (size_t i = 0; r == 0 && i < pieces.n; i++) r = json_array_append_new(embeds, embed(pieces.items[i], grade));
    json_t *root =
        r == 0 ? json_pack("{s:s, s:O, s:{s:[]}}", "content", content, "embeds", embeds, "allowed_mentions", "parse")
               : NULL;
    if (root) body = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    json_decref(embeds);
    pieces_done(&pieces);
    free(content);
    return body;
}
