/* portwatch baseline: what is expected. */
#include <errno.h>
#include <string.h>

#include "cli/baseline.h"
#include "notify/document.h"
#include "notify/moment.h"
#include "notify/phrase.h"
#include "notify/rows.h"
#include "store/state.h"

static json_t *loans_json(const State *state) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < state->n_loans; i++) {
        const Loan *loan = &state->loans[i];
        char subject[SURFACE_TEXT_MAX], iso[MOMENT_TEXT_MAX];
        json_t *one = json_pack("{s:s,s:b,s:s,s:o,s:o,s:o}", "subject", surface_subject(&loan->surface, subject),
            "ahead", loan->ahead, "until", moment_iso(loan->until, iso), "by", document_string(loan->by), "reason",
            document_string(loan->reason), "before", document_endpoints(&loan->before));
        if (json_array_append_new(list, one) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int print_json(const State *state, const json_t *endpoints) {
    _cleanup_json_ json_t *whole = json_pack(
        "{s:b,s:O,s:o}", "learned", state->learned, "endpoints", endpoints, "accepted_until", loans_json(state));
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

static void print_loans(const State *state) {
    for (size_t i = 0; i < state->n_loans; i++) {
        const Loan *loan = &state->loans[i];
        char surface[SURFACE_TEXT_MAX], clock[MOMENT_TEXT_MAX];
        _cleanup_json_ json_t *by = document_string_safe(loan->by);
        printf("%s%s: %s until %s, accepted by %s\n", i == 0 ? "\n" : "", surface_format(&loan->surface, surface),
            loan->ahead ? "what changes is accepted" : "as above", moment_clock(loan->until, cli_now(), clock),
            by ? json_string_value(by) : "");
    }
}

static int show(Cli *cli) {
    if (cli->n_arguments != 1 || cli->reason) return cli_usage("usage: portwatch baseline show");
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
    if (!cli->json) print_loans(&state);
    if (!cli->json && !state.learned) puts("\nportwatchd is still learning: more may come.");
    return EXIT_WELL;
}

int command_baseline(Cli *cli) {
    static const struct {
        const char *name;
        int (*run)(Cli *cli);
    } verbs[] = {{"show", show}, {"log", baseline_log}, {"diff", baseline_diff}, {"revert", baseline_revert},
        {"export", baseline_export}, {"import", baseline_import}};
    for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
        if (strcmp(cli->arguments[0], verbs[i].name) == 0) return verbs[i].run(cli);
    return cli_usage("usage: portwatch baseline show|log|diff|revert|export|import ...");
}
