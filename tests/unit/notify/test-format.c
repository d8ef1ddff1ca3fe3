/* The bodies for Slack, Discord and ntfy: cut at the services' limits, and names in them are only text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "plugins/format.h"
#include "plugins/pieces.h"

#define CRITICAL "{\"type\":\"portwatch.incident.opened\",\"data\":{\"severity\":\"critical\"}}"
#define WARNING "{\"type\":\"portwatch.incident.changed\",\"data\":{\"severity\":\"warning\"}}"
#define OVER "{\"type\":\"portwatch.incident.resolved\",\"data\":{\"severity\":\"critical\"}}"
#define TEST "{\"type\":\"portwatch.test\",\"data\":{\"severity\":\"info\"}}"
#define APART "`\u200b"

static json_t *body_of(Format format, const char *subject, const char *text, const char *document) {
    static const char *const nothing[] = {NULL};
    const pw_message message = {.size = sizeof(message),
        .id = "0b1c8e52-6f0a-4a63-9d3c-0d1f6f0e9a11",
        .subject = subject,
        .text = text,
        .document = document,
        .references = nothing};
    char *body = format_body(format, &message, "alerts"), *again = format_body(format, &message, "alerts");
    assert_non_null(body);
    assert_string_equal(body, again);
    json_t *root = json_loads(body, 0, NULL);
    assert_non_null(root); /* valid UTF-8 too */
    if (format == FORMAT_NTFY) assert_true(strlen(body) <= 8192);
    free(body);
    free(again);
    return root;
}

static const char *string_at(const json_t *root, const char *key) {
    return json_string_value(json_object_get(root, key));
}

static const char *slack_text(const json_t *root, size_t block) {
    return string_at(json_object_get(json_array_get(json_object_get(root, "blocks"), block), "text"), "text");
}

static const char *discord_text(const json_t *root, size_t embed) {
    return string_at(json_array_get(json_object_get(root, "embeds"), embed), "description");
}

/* `n` lines "line 0", ... with a foot, or one line of so many times `with`. */
static char *many(size_t n, const char *with) {
    char *text = malloc(n * (strlen(with) + 16) + 64), *to = text;
    for (size_t i = 0; i < n; i++) to += sprintf(to, "%s %zu\n", with, i);
    strcpy(to, "\nSeen: all host sockets.\n");
    return text;
}

static char *repeat(const char *with, size_t n) {
    char *text = malloc(strlen(with) * n + 1), *to = text;
    *to = '\0';
    for (size_t i = 0; i < n; i++) to = stpcpy(to, with);
    return text;
}

static void a_line_is_cut_at_characters_and_escapes(void **state) {
    static const char *const texts[] = {"plain text", "\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac", "```````", "a\u20acb`c"};
    for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
        char *whole = line_cut(texts[t], escape_fenced, 1000);
        for (size_t max = 3; max <= strlen(whole) + 3; max++) {
            char *line = line_cut(texts[t], escape_fenced, max);
            size_t n = strlen(line);
            assert_true(n <= max);
            if (strcmp(line, whole) != 0) {
                assert_true(n >= 3 && strcmp(line + n - 3, "...") == 0 && max < strlen(whole));
                assert_memory_equal(line, whole, n - 3);
                /* what is left begins with a whole character, not inside of an escape */
                assert_true(((unsigned char)whole[n - 3] & 0xc0) != 0x80);
                assert_true(strncmp(whole + n - 3, "\u200b", 3) != 0);
            }
            json_t *valid = json_string(line);
            assert_non_null(valid);
            json_decref(valid);
            free(line);
        }
        free(whole);
    }
    char *first = line_cut("one\ntwo", escape_nothing, 100);
    assert_string_equal(first, "one");
    free(first);
}

static void what_fits_is_whole(void **state) {
    const Limits limits = {.piece = 1000, .pieces = 2, .total = 2000};
    Pieces pieces;
    assert_int_equal(pieces_cut("a\n\nb\n", escape_nothing, &limits, &pieces), 0);
    assert_int_equal(pieces.n, 1);
    assert_string_equal(pieces.items[0], "a\n\nb");
    pieces_done(&pieces);
    assert_int_equal(pieces_cut("", escape_nothing, &limits, &pieces), 0);
    assert_int_equal(pieces.n, 0);
    char *text = repeat("0123456789012345678901234567890123456789012345678\n", 40); /* 2,000 bytes with the line ends */
    assert_int_equal(pieces_cut(text, escape_nothing, &limits, &pieces), 0);
    assert_int_equal(pieces.n, 2);
    assert_null(strstr(pieces.items[1], "did not fit"));
    assert_int_equal(strlen(pieces.items[0]) + 1 + strlen(pieces.items[1]) + 1, 2000);
    pieces_done(&pieces);
    free(text);
}

/* Every line is there, or counted as left out; whatever the limits and the lines' lengths. */
static void what_does_not_fit_is_counted(void **state) {
    for (size_t lines = 1; lines < 400; lines += 7)
        for (size_t pieces_max = 1; pieces_max <= 3; pieces_max++) {
            const Limits limits = {.piece = 1000 + lines, .pieces = pieces_max, .total = 1000 + lines * 5};
            char *text = many(lines, lines % 2 ? "line" : "a rather longer li\u20ace `x`");
            Pieces pieces;
            assert_int_equal(pieces_cut(text, escape_fenced, &limits, &pieces), 0);
            size_t shown = 0, total = 0, left = 0;
            bool foot = false;
            assert_true(pieces.n >= 1 && pieces.n <= pieces_max);
            for (size_t i = 0; i < pieces.n; i++) {
                const char *piece = pieces.items[i];
                assert_true(strlen(piece) > 0 && strlen(piece) <= limits.piece);
                total += strlen(piece);
                for (const char *p = piece; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL) {
                    if (strncmp(p, "Seen:", 5) == 0)
                        foot = true;
                    else if (*p == '(') {
                        assert_int_equal(sscanf(p, "(%zu more line", &left), 1);
                        assert_true(left > 0);
                    } else if (*p && *p != '\n')
                        shown++;
                }
            }
            assert_true(total <= limits.total && foot);
            assert_int_equal(shown + left, lines);
            pieces_done(&pieces);
            free(text);
        }
}

static void a_line_longer_than_everything(void **state) {
    static const Format formats[] = {FORMAT_SLACK, FORMAT_DISCORD, FORMAT_NTFY};
    static const char *const with[] = {"x", "\u20ac", "&", "`", "<@everyone>", "\\\""};
    for (size_t f = 0; f < 3; f++)
        for (size_t w = 0; w < sizeof(with) / sizeof(with[0]); w++) {
            char *text = repeat(with[w], 30000);
            json_decref(body_of(formats[f], text, text, CRITICAL));
            free(text);
        }
}

static void the_grade_is_that_of_the_worst_that_is_not_over(void **state) {
    assert_int_equal(format_grade(CRITICAL), GRADE_CRITICAL);
    assert_int_equal(format_grade(OVER), GRADE_RESOLVED);
    assert_int_equal(format_grade(TEST), GRADE_INFO);
    assert_int_equal(format_grade("[" OVER "," WARNING "," TEST "]"), GRADE_WARNING);
    assert_int_equal(format_grade("[" OVER "," OVER "]"), GRADE_RESOLVED);
    assert_int_equal(format_grade("no JSON"), GRADE_INFO);
    assert_int_equal(format_grade("[]"), GRADE_INFO);
}

static void slack(void **state) {
    json_t *root = body_of(FORMAT_SLACK, "[h] <!channel> & <@U1>", "a <!here> & ```x```\nb\n", CRITICAL);
    assert_string_equal(string_at(root, "text"), "[h] &lt;!channel&gt; &amp; &lt;@U1&gt;");
    assert_string_equal(slack_text(root, 0), "[h] &lt;!channel&gt; &amp; &lt;@U1&gt;");
    assert_string_equal(
        slack_text(root, 1), "```\na &lt;!here&gt; &amp; " APART APART APART "x" APART APART APART "\nb\n```");
    json_decref(root);

    char *text = many(2000, "line"), *subject = repeat("&", 400);
    root = body_of(FORMAT_SLACK, subject, text, CRITICAL);
    size_t total = 0, n = json_array_size(json_object_get(root, "blocks"));
    assert_int_equal(n, 4);
    for (size_t i = 0; i < n; i++) {
        assert_true(strlen(slack_text(root, i)) <= (i == 0 ? 150 : 3000));
        total += strlen(slack_text(root, i));
    }
    assert_true(total < 10000);
    assert_non_null(strstr(slack_text(root, n - 1), " more lines did not fit here"));
    assert_non_null(strstr(slack_text(root, n - 1), "Seen: all host sockets."));
    json_decref(root);
    free(text);
    free(subject);
}

static void discord(void **state) {
    json_t *root = body_of(FORMAT_DISCORD, "[h] *x* <@1> @everyone https://evil :x:", "a ```@everyone\n", OVER);
    assert_string_equal(
        string_at(root, "content"), "\\[h\\] \\*x\\* \\<\\@1\\> \\@everyone https\\:\\/\\/evil \\:x\\:");
    assert_string_equal(discord_text(root, 0), "```\na " APART APART APART "@everyone\n```");
    const json_t *parse = json_object_get(json_object_get(root, "allowed_mentions"), "parse");
    assert_true(json_is_array(parse) && json_array_size(parse) == 0);
    assert_int_equal(json_object_size(json_object_get(root, "allowed_mentions")), 1);
    json_decref(root);

    char *text = many(2000, "line"), *subject = repeat("*", 4000);
    root = body_of(FORMAT_DISCORD, subject, text, CRITICAL);
    assert_int_equal(json_array_size(json_object_get(root, "embeds")), 2);
    assert_true(strlen(string_at(root, "content")) <= 2000);
    assert_true(strlen(discord_text(root, 0)) <= 4096);
    assert_true(strlen(discord_text(root, 0)) + strlen(discord_text(root, 1)) <= 6000);
    assert_non_null(strstr(discord_text(root, 1), " more lines did not fit here"));
    json_decref(root);
    free(text);
    free(subject);
}

static void ntfy(void **state) {
    static const struct {
        const char *document, *tag;
        int priority;
    } grades[] = {{CRITICAL, "rotating_light", 5}, {WARNING, "warning", 4}, {TEST, "information_source", 3},
        {OVER, "white_check_mark", 3}};
    for (size_t i = 0; i < 4; i++) {
        json_t *root = body_of(FORMAT_NTFY, "[h] a\r: \"b\"", "x\ny\n", grades[i].document);
        assert_string_equal(string_at(root, "topic"), "alerts");
        assert_string_equal(string_at(root, "title"), "[h] a\r: \"b\"");
        assert_string_equal(string_at(root, "message"), "x\ny");
        assert_int_equal(json_integer_value(json_object_get(root, "priority")), grades[i].priority);
        assert_string_equal(json_string_value(json_array_get(json_object_get(root, "tags"), 0)), grades[i].tag);
        json_decref(root);
    }
    char *text = many(2000, "line \"\\\"");
    json_t *root = body_of(FORMAT_NTFY, "s", text, CRITICAL);
    assert_true(strlen(string_at(root, "message")) <= 4096);
    assert_non_null(strstr(string_at(root, "message"), " more lines did not fit here"));
    json_decref(root);
    free(text);
    assert_true(
        ntfy_topic_valid("a-B_9") && !ntfy_topic_valid("") && !ntfy_topic_valid("a/b") && !ntfy_topic_valid("a b"));
    text = repeat("a", 65);
    assert_false(ntfy_topic_valid(text));
    assert_true(ntfy_topic_valid(text + 1));
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_cut_at_characters_and_escapes),
        cmocka_unit_test(what_fits_is_whole),
        cmocka_unit_test(what_does_not_fit_is_counted),
        cmocka_unit_test(a_line_longer_than_everything),
        cmocka_unit_test(the_grade_is_that_of_the_worst_that_is_not_over),
        cmocka_unit_test(slack),
        cmocka_unit_test(discord),
        cmocka_unit_test(ntfy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
