/* portwatch baseline: what is expected. */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "notify/document.h"
#include "notify/moment.h"
#include "notify/phrase.h"
#include "notify/rows.h"
#include "store/state.h"

static int print_json(const State *state, const json_t *endpoints) {
    _cleanup_json_ json_t *whole = json_pack("{s:b,s:O}", "learned", state->learned, "endpoints", endpoints);
    _cleanup_free_ char *text = whole ? document_text_pretty(whole) : NULL;
    if (!text) return -ENOMEM;
    puts(text);
    return 0;
}

static char *owners_phrase(json_t *endpoint) {
    char *text = NULL;
    size_t size;
    _cleanup_json_ json_t *one = json_pack("[O]", endpoint);
    FILE *out = one ? open_memstream(&text, &size) : NULL;
    if (!out) return NULL;
    phrase_owners(out, one, PHRASE_NAME);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

static int print_grid(const Cli *cli, const json_t *endpoints) {
    static const char *const headings[] = {"PROTO", "ADDRESS", "OWNER", "UNIT", "SINCE"};
    _cleanup_(grid_freep) Grid *grid = grid_new(ELEMENTSOF(headings));
    if (!grid) return -ENOMEM;
    for (size_t i = 0; i < ELEMENTSOF(headings); i++) grid_cell(grid, headings[i]);
    grid_paint_rows(grid, 0, cli->colours.bold, cli->colours.reset);
    for (size_t i = 0; i < json_array_size(endpoints); i++) {
        json_t *endpoint = json_array_get(endpoints, i);
        const char *address = phrase_string(endpoint, "address");
        int64_t since = phrase_time(endpoint, "since");
        char clock[MOMENT_TEXT_MAX];
        grid_cellf(grid, "%s%s", phrase_string(endpoint, "protocol"), strchr(address, ':') ? "6" : "");
        grid_take(grid, rows_address(endpoint));
        grid_take(grid, owners_phrase(endpoint));
        grid_cell(grid, phrase_string(json_object_get(endpoint, "owner"), "unit"));
        grid_cell(grid, since ? moment_clock(since, cli_now(), clock) : "");
    }
    return grid_print(grid, stdout, "");
}

int command_baseline(Cli *cli) {
    if (strcmp(cli->arguments[0], "show") != 0) return cli_usage("usage: portwatch baseline show");
    _cleanup_(store_closep) Store *store = NULL;
    _cleanup_free_ char *reason = NULL;
    _cleanup_(state_done) State state = {0};
    int r = cli_open_store(cli, STORE_READER, &store, &reason);
    if (r < 0) return cli_failed(r);
    if (r == 0) r = store_load_state(store, &state);
    if (r > 0) {
        cli_error("%s", reason ? reason : store_reason(store));
        return EXIT_UNKNOWN;
    }
    _cleanup_json_ json_t *endpoints = r < 0 ? NULL : document_endpoints(&state.baseline);
    if (!endpoints) return cli_failed(r < 0 ? r : -ENOMEM);
    r = cli->json ? print_json(&state, endpoints) : print_grid(cli, endpoints);
    if (r < 0) return cli_failed(r);
    if (!cli->json && !state.learned) puts("\nportwatchd is still learning: more may come.");
    return EXIT_WELL;
}
