/* portwatch test: a message through the daemon and the real channel. */
#include <errno.h>
#include <string.h>

#include "cli/request.h"
#include "notify/document.h"
#include "notify/phrase.h"

static void add_result(const Cli *cli, Grid *grid, const char *name, const json_t *result) {
    bool delivered = json_is_true(json_object_get(result, "delivered"));
    const char *reason = phrase_string(result, "reason");
    json_int_t code = json_integer_value(json_object_get(result, "code"));
    grid_cell(grid, name);
    grid_cell(grid, delivered ? "delivered" : "not delivered");
    grid_paint(grid, delivered ? cli->colours.green : cli->colours.red, cli->colours.reset);
    if (!delivered && code > 0)
        grid_cellf(grid, "%lld %s", (long long)code, reason);
    else
        grid_cell(grid, delivered ? "" : *reason ? reason : "no reason is known");
    grid_end(grid);
}

static int print_results(const Cli *cli, const json_t *results) {
    _cleanup_(grid_freep) Grid *grid = grid_new(3);
    if (!grid) return -ENOMEM;
    for (size_t i = 0; i < json_array_size(results); i++) {
        const json_t *result = json_array_get(results, i), *recipients = json_object_get(result, "recipients");
        add_result(cli, grid, phrase_string(result, "notifier"), result);
        for (size_t k = 0; k < json_array_size(recipients); k++) {
            const json_t *one = json_array_get(recipients, k);
            char name[320];
            if (!*phrase_string(one, "recipient")) continue;
            snprintf(name, sizeof name, "  %s", phrase_string(one, "recipient"));
            add_result(cli, grid, name, one);
        }
    }
    return grid_print(grid, stdout, "");
}

int command_test(Cli *cli) {
    json_t *names = json_array();
    for (size_t i = 0; names && i < cli->n_arguments; i++) {
        if (json_array_append_new(names, document_string(cli->arguments[i])) < 0) {
            json_decref(names);
            names = NULL;
        }
    }
    _cleanup_json_ json_t *answer = NULL;
    int code = request_run(cli, "test", json_pack("{so}", "notifiers", names), REQUEST_TEST, EXIT_DIFFERS, &answer);
    if (!answer) return code;
    int r = 0;
    if (cli->json) {
        _cleanup_free_ char *text = document_text_pretty(answer);
        r = text ? puts(text), 0 : -ENOMEM;
    } else {
        r = print_results(cli, json_object_get(answer, "results"));
        if (code != EXIT_WELL) cli_error("%s", phrase_string(answer, "text"));
    }
    return r < 0 ? cli_failed(r) : code;
}
