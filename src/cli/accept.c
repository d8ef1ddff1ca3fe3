/* portwatch accept, ack: what stands now is fine. */
#include <errno.h>
#include <string.h>

#include "cli/accept.h"
#include "cli/port.h"
#include "cli/request.h"
#include "cli/since.h"
#include "notify/document.h"
#include "notify/moment.h"
#include "notify/phrase.h"
#include "notify/rows.h"

/* Four of A-Z and 2-9; whatever else it is, it is no port. */
static bool is_token(const char *text) {
    size_t n = strlen(text);
    bool letter = false;
    for (const char *p = text; *p; p++) {
        bool upper = *p >= 'A' && *p <= 'Z';
        if (!upper && !(*p >= '2' && *p <= '9')) return false;
        letter = letter || upper;
    }
    return n == 4 && letter;
}

/* A token as people type it: lower case is fine. False: it is none. */
static bool token_read(const char *text, char ret[static 8]) {
    size_t n = strlen(text);
    if (n != 4) return false;
    for (size_t i = 0; i <= n; i++) ret[i] = text[i] >= 'a' && text[i] <= 'z' ? (char)(text[i] - 32) : text[i];
    return is_token(ret);
}

int accept_print_rows(const Cli *cli, const json_t *before, const json_t *after, const char *indent) {
    _cleanup_(rows_diff_done) RowsDiff diff = {0};
    _cleanup_(grid_freep) Grid *grid = grid_new(3);
    int r = grid ? rows_diff(before, after, false, &diff) : -ENOMEM;
    if (r < 0) return r;
    rows_add(grid, "-", diff.minus, diff.detail, SIZE_MAX, 0);
    grid_paint_rows(grid, 0, cli->colours.red, cli->colours.reset);
    size_t plus = grid_rows(grid);
    rows_add(grid, "+", diff.plus, diff.detail, SIZE_MAX, 0);
    grid_paint_rows(grid, plus, cli->colours.green, cli->colours.reset);
    return grid_print(grid, stdout, indent);
}

static int print_list(const char *heading, const json_t *endpoints) {
    _cleanup_(grid_freep) Grid *grid = grid_new(3);
    if (!grid) return -ENOMEM;
    printf("%s\n", heading);
    if (json_array_size(endpoints) == 0) puts("  nothing");
    rows_add(grid, "", endpoints, PHRASE_NAME, SIZE_MAX, 0);
    return grid_print(grid, stdout, "  ");
}

static void print_until(const json_t *answer) {
    const json_t *until = json_object_get(answer, "until"), *ahead = json_object_get(answer, "ahead");
    const json_t *lent = json_object_get(answer, "lent");
    char clock[MOMENT_TEXT_MAX] = "";
    if (json_is_integer(until)) moment_clock(json_integer_value(until), cli_now(), clock);
    for (size_t i = 0; i < json_array_size(ahead); i++)
        printf("nothing differs on %s: what changes there until %s is accepted\n",
            json_string_value(json_array_get(ahead, i)), clock);
    for (size_t i = 0; i < json_array_size(lent); i++)
        printf(
            "%s: accepted %s%s\n", json_string_value(json_array_get(lent, i)), *clock ? "until " : "for good", clock);
    if (*clock && json_array_size(json_object_get(answer, "accepted")) > 0)
        printf("until %s; what was expected before is expected again then\n", clock);
}

static int print_answer(const Cli *cli, const json_t *answer, int code) {
    const json_t *accepted = json_object_get(answer, "accepted");
    int r = 0;
    for (size_t i = 0; i < json_array_size(accepted) && r >= 0; i++) {
        const json_t *one = json_array_get(accepted, i);
        const char *token = phrase_string(one, "token");
        printf(
            "accepted %s%s%s%s\n", phrase_string(one, "port"), *token ? " (incident " : "", token, *token ? ")" : "");
        r = accept_print_rows(cli, json_object_get(one, "before"), json_object_get(one, "after"), "  ");
    }
    print_until(answer);
    if (r >= 0 && json_object_get(answer, "told")) r = print_list("last told:", json_object_get(answer, "told"));
    if (r >= 0 && json_object_get(answer, "now")) r = print_list("now:", json_object_get(answer, "now"));
    const char *text = phrase_string(answer, "text");
    if (code != EXIT_WELL)
        cli_error("%s", text);
    else if (json_array_size(accepted) == 0 && !json_object_get(answer, "ahead") && !json_object_get(answer, "lent"))
        puts(text);
    return r;
}

static int print_json(json_t *answer) {
    const json_t *until = json_object_get(answer, "until");
    char iso[MOMENT_TEXT_MAX];
    if (json_is_integer(until) &&
        json_object_set_new(answer, "until", json_string(moment_iso(json_integer_value(until), iso))) < 0)
        return -ENOMEM;
    _cleanup_free_ char *text = document_text_pretty(answer);
    if (!text) return -ENOMEM;
    puts(text);
    return 0;
}

int accept_put_reason(const Cli *cli, json_t *arguments) {
    if (!cli->reason) return 0;
    /* JSON wants UTF-8; what is none travels escaped. */
    json_t *reason = json_string(cli->reason);
    if (!reason) reason = document_string(cli->reason);
    return json_object_set_new(arguments, "reason", reason) < 0 ? -ENOMEM : 0;
}

int command_accept(Cli *cli) {
    if (cli->all == (cli->n_arguments == 1)) return cli_usage("accept takes a TOKEN, a PORT or --all");
    json_t *arguments = NULL;
    int64_t until = 0;
    char token[8];
    Port port;
    if (cli->until && !until_parse(cli->until, cli_now(), &until))
        return cli_usage("--until takes a time (18:00, \"2026-03-01 18:00\") or how long (30m, 2h)");
    if (cli->until && until <= cli_now()) {
        cli_error("--until is past already: nothing changed");
        return EXIT_UNKNOWN;
    }
    if (cli->all)
        arguments = json_pack("{sb}", "all", 1);
    else if (token_read(cli->arguments[0], token))
        arguments = json_pack("{ss}", "token", token);
    else if (port_parse(cli->arguments[0], &port))
        arguments = json_pack("{so}", "port", port_json(&port));
    else {
        _cleanup_free_ char *escaped = text_escape(cli->arguments[0], strlen(cli->arguments[0]));
        return cli_usage("\"%s\" is neither a token (as K7Q2) nor a port (as 443/tcp)", escaped ? escaped : "");
    }
    if (accept_put_reason(cli, arguments) < 0 ||
        (until && json_object_set_new(arguments, "until", json_integer(until)) < 0)) {
        json_decref(arguments);
        return cli_failed(-ENOMEM);
    }
    _cleanup_json_ json_t *answer = NULL;
    int code = request_run(cli, "accept", arguments, REQUEST_WAIT, EXIT_UNKNOWN, &answer);
    if (!answer) return code;
    int r = cli->json ? print_json(answer) : print_answer(cli, answer, code);
    return r < 0 ? cli_failed(r) : code;
}

int command_ack(Cli *cli) {
    char token[8];
    if (!token_read(cli->arguments[0], token)) return cli_usage("ack takes the token of an incident, as K7Q2");
    _cleanup_json_ json_t *answer = NULL;
    int code = request_run(cli, "ack", json_pack("{ss}", "token", token), REQUEST_WAIT, EXIT_UNKNOWN, &answer);
    if (!answer) return code;
    int r = cli->json ? print_json(answer) : print_answer(cli, answer, code);
    return r < 0 ? cli_failed(r) : code;
}
