/* portwatch diff: the baseline against a fresh look. */
#include <errno.h>

#include "cli/look.h"
#include "cli/port.h"
#include "notify/document.h"
#include "notify/phrase.h"
#include "notify/rows.h"

static bool wanted(const View *view, const Port *ports, size_t n) {
    if (view->ignore || view->watch == WATCH_IGNORE) return false;
    for (size_t i = 0; i < n; i++) {
        if (port_names(&ports[i], &view->surface)) return true;
        /* A number inside the ephemeral range is a part of its surface. */
        for (size_t k = 0; k < view->seen.n; k++)
            if (port_holds(&ports[i], &view->surface, view->seen.items[k])) return true;
        for (size_t k = 0; k < view->baseline.n; k++)
            if (port_holds(&ports[i], &view->surface, view->baseline.items[k])) return true;
    }
    return n == 0;
}

static int print_view(const Cli *cli, const Look *look, const View *view, bool first) {
    _cleanup_json_ json_t *document = look_document(look, view);
    _cleanup_free_ char *summary = document ? phrase_summary(document) : NULL;
    _cleanup_(grid_freep) Grid *grid = grid_new(3);
    _cleanup_(rows_diff_done) RowsDiff diff = {0};
    if (!summary || !grid) return -ENOMEM;
    int r = rows_diff_data(phrase_data(document), &diff);
    if (r < 0) return r;
    const Incident *incident = state_incident_at(&look->state, &view->surface);
    printf("%s%s%s%s", first ? "" : "\n", cli->colours.bold, summary, cli->colours.reset);
    if (incident) printf("  (incident %s)", incident->token);
    if (view->watch == WATCH_LOG) printf("  (only logged)");
    puts("");
    rows_add(grid, "-", diff.minus, diff.detail, SIZE_MAX, 0);
    grid_paint_rows(grid, 0, cli->colours.red, cli->colours.reset);
    size_t plus = grid_rows(grid);
    rows_add(grid, "+", diff.plus, diff.detail, SIZE_MAX, 0);
    grid_paint_rows(grid, plus, cli->colours.green, cli->colours.reset);
    return grid_print(grid, stdout, "");
}

static int add_json(const Look *look, const View *view, json_t *list) {
    _cleanup_json_ json_t *document = look_document(look, view);
    json_t *data = json_object_get(document, "data");
    _cleanup_free_ char *summary = document ? phrase_summary(document) : NULL;
    const Incident *incident = state_incident_at(&look->state, &view->surface);
    if (!summary || json_object_set_new(data, "summary", json_string(summary)) < 0 ||
        json_object_set_new(data, "diff", rows_diff_strings(data)) < 0 ||
        json_object_set_new(data, "incident", incident ? json_string(incident->token) : json_null()) < 0 ||
        json_object_set_new(data, "alerts", json_boolean(view->watch == WATCH_ALERT)) < 0 ||
        json_array_append(list, data) < 0)
        return -ENOMEM;
    return 0;
}

static int print_json(const Look *look, const json_t *list, bool told) {
    _cleanup_json_ json_t *whole = json_pack("{s:b,s:s?,s:O,s:O}", "complete", told, "no_baseline", look->state_reason,
        "differences", list, "coverage", look->coverage);
    _cleanup_free_ char *text = whole ? document_text_pretty(whole) : NULL;
    if (!text) return -ENOMEM;
    puts(text);
    return 0;
}

int command_diff(Cli *cli) {
    _cleanup_free_ Port *ports = calloc(cli->n_arguments + 1, sizeof *ports);
    _cleanup_json_ json_t *list = json_array();
    if (!ports || !list) return cli_failed(-ENOMEM);
    for (size_t i = 0; i < cli->n_arguments; i++)
        if (!port_read(cli->arguments[i], &ports[i])) return EXIT_USAGE;
    _cleanup_(look_done) Look look = {.rules = NULL};
    int r = look_take(cli, &look);
    if (r < 0) return cli_failed(r);
    /* Without the configuration what it states and ignores is not known: no answer is better than a wrong one. */
    bool told = !look.state_reason && !look.rules_reason;
    size_t n = 0;
    for (size_t i = 0; !look.state_reason && i < look.views.n && r >= 0; i++) {
        const View *view = &look.views.items[i];
        if (!wanted(view, ports, cli->n_arguments)) continue;
        if (!view->decided) {
            told = false;
            continue;
        }
        if (view->difference.change == CHANGE_NONE) continue;
        r = cli->json ? add_json(&look, view, list) : print_view(cli, &look, view, n == 0);
        n++;
    }
    if (!snapshot_complete(&look.snapshot) && cli->n_arguments == 0) told = false;
    if (r >= 0 && cli->json) r = print_json(&look, list, told);
    if (r < 0) return cli_failed(r);
    if (!cli->json) {
        if (n == 0 && told) puts("As expected.");
        if (n == 0 && !told) puts("Cannot tell whether all is as expected.");
        look_foot(cli, &look);
    }
    return n > 0 ? EXIT_DIFFERS : told ? EXIT_WELL : EXIT_UNKNOWN;
}
