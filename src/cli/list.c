/* portwatch list: what is there now. */
#include <errno.h>
#include <string.h>

#include "cli/marks.h"
#include "cli/port.h"
#include "kernel/package.h"
#include "kernel/roots.h"
#include "notify/document.h"
#include "notify/moment.h"
#include "notify/phrase.h"
#include "notify/rows.h"

static const char *word_colour(const Cli *cli, const char *word) {
    if (!word || strcmp(word, "ignored") == 0) return cli->colours.dim;
    if (strcmp(word, "match") == 0) return cli->colours.green;
    return strcmp(word, "unknown") == 0 ? cli->colours.yellow : cli->colours.red;
}

/* Who, and in which network namespace where it is not the host's. */
static char *owner_in(const json_t *owner, const json_t *endpoint) {
    _cleanup_free_ char *who = look_owner_phrase(owner);
    char *text = NULL;
    size_t size;
    FILE *out = who ? open_memstream(&text, &size) : NULL;
    if (!out) return NULL;
    fputs(who, out);
    phrase_in(out, endpoint);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

static int add_rows(const Cli *cli, const Look *look, Grid *grid, const Endpoint *endpoint, const Mark *mark) {
    _cleanup_json_ json_t *json = document_endpoint(endpoint);
    _cleanup_json_ json_t *owners = json ? phrase_endpoint_owners(json) : NULL;
    if (!owners) return -ENOMEM;
    const Incident *incident = mark->view ? state_incident_at(&look->state, &mark->view->surface) : NULL;
    size_t n = json_array_size(owners);
    for (size_t i = 0; i < (n ? n : 1); i++) {
        const json_t *owner = json_array_get(owners, i), *pid = json_object_get(owner, "pid");
        const char *shown = phrase_string(owner, "unit_shown");
        if (i == 0) {
            grid_cellf(
                grid, "%s%s", protocol_name(endpoint->protocol), endpoint->address.family == AF_INET6 ? "6" : "");
            grid_take(grid, rows_address(json));
            if (endpoint->count > 1)
                grid_cellf(grid, "x%u", endpoint->count);
            else
                grid_cell(grid, "");
        } else
            for (unsigned k = 0; k < 3; k++) grid_cell(grid, "");
        grid_take(grid, owner_in(owner, json));
        grid_cell(grid, *shown ? shown : phrase_string(owner, "unit"));
        if (json_is_integer(pid))
            grid_cellf(grid, "%lld", (long long)json_integer_value(pid));
        else
            grid_cell(grid, "");
        bool first = i == 0 && mark->word;
        const Loan *loan = first && mark->view ? state_loan(&look->state, &mark->view->surface) : NULL;
        char clock[MOMENT_TEXT_MAX];
        if (first && incident && strcmp(mark->word, "match") != 0)
            grid_cellf(grid, "%s, incident %s", mark->word, incident->token);
        else if (loan && !loan->ahead)
            grid_cellf(grid, "%s, accepted until %s", mark->word, moment_clock(loan->until, cli_now(), clock));
        else
            grid_cell(grid, first ? mark->word : "");
        grid_paint(grid, word_colour(cli, mark->word), cli->colours.reset);
        grid_end(grid);
    }
    return 0;
}

/* What a look at one port adds: how the process was started, what stands behind the socket. */
static void print_details(const json_t *endpoint, int64_t now) {
    json_t *owners = phrase_endpoint_owners(endpoint);
    _cleanup_free_ char *address = rows_address(endpoint);
    for (size_t i = 0; i < json_array_size(owners); i++) {
        const json_t *owner = json_array_get(owners, i), *pid = json_object_get(owner, "pid");
        printf("\n%s  ", address ? address : "");
        if (json_is_integer(pid)) printf("pid %lld", (long long)json_integer_value(pid));
        int64_t started = phrase_time(owner, "started");
        char clock[MOMENT_TEXT_MAX], age[DURATION_TEXT_MAX];
        if (started) printf(", since %s (%s)", moment_clock(started, now, clock), duration_format(now - started, age));
        puts("");
        static const struct {
            const char *key, *label;
        } lines[] = {{"exe_shown", "serves"}, {"exe", "exe"}, {"package", "package"}, {"unit", "unit"},
            {"slice", "slice"}, {"container", "in"}, {"container_id", "id"}, {"user", "user"}, {"cmdline", "args"}};
        for (size_t k = 0; k < ELEMENTSOF(lines); k++)
            if (*phrase_string(owner, lines[k].key))
                printf("  %-7s  %s\n", lines[k].label, phrase_string(owner, lines[k].key));
        static const struct {
            const char *key, *text;
        } notes[] = {{"user_unit", "the unit is one of that user's own"},
            {"exe_deleted", "its executable's file is gone"},
            {"exe_replaced", "another file is at its executable's path by now: it runs the old one"}};
        for (size_t k = 0; k < ELEMENTSOF(notes); k++)
            if (json_is_true(json_object_get(owner, notes[k].key))) printf("  note     %s\n", notes[k].text);
    }
    json_decref(owners);
}

static int find_packages(const Look *look) {
    const KernelRoots roots = KERNEL_ROOTS_DEFAULT;
    _cleanup_(packages_freep) Packages *packages = NULL;
    int r = packages_new(roots.files, &packages);
    return r < 0 ? r : packages_fill(packages, &look->snapshot.endpoints);
}

/* Baseline rows of the ports asked for that are not there. */
static int missing(const Look *look, const Port *port, json_t **ret) {
    json_t *array = json_array();
    for (size_t i = 0; array && !look->state_reason && i < look->views.n; i++) {
        const View *view = &look->views.items[i];
        Endpoints expected = {0};
        if (view->ignore || view->watch == WATCH_IGNORE || view->difference.change == CHANGE_NONE || !view->decided)
            continue;
        int r = difference_expected(&view->surface, view->rule, &view->baseline, &expected);
        for (size_t k = 0; r >= 0 && k < expected.n; k++) {
            const Endpoint *row = &expected.items[k];
            if (port && !port_holds(port, &view->surface, row)) continue;
            if (endpoints_find(&look->snapshot.endpoints, row)) continue;
            if (json_array_append_new(array, document_endpoint(row)) < 0) r = -ENOMEM;
        }
        endpoints_done(&expected);
        if (r < 0) {
            json_decref(array);
            return r;
        }
    }
    if (!array) return -ENOMEM;
    *ret = array;
    return 0;
}

static int print_json(const Look *look, const Port *port, const Mark *marks, const json_t *gone, bool complete) {
    _cleanup_json_ json_t *list = json_array();
    for (size_t i = 0; i < look->snapshot.endpoints.n; i++) {
        const Endpoint *endpoint = &look->snapshot.endpoints.items[i];
        if (port && !port_holds(port, &marks[i].view->surface, endpoint)) continue;
        json_t *json = document_endpoint(endpoint);
        const Loan *loan = marks[i].view ? state_loan(&look->state, &marks[i].view->surface) : NULL;
        char iso[MOMENT_TEXT_MAX];
        if (!json ||
            json_object_set_new(json, "accepted_until",
                loan && !loan->ahead ? json_string(moment_iso(loan->until, iso)) : json_null()) < 0 ||
            json_object_set_new(json, "baseline", marks[i].word ? json_string(marks[i].word) : json_null()) < 0 ||
            json_array_append_new(list, json) < 0)
            return -ENOMEM;
    }
    _cleanup_json_ json_t *whole = json_pack(
        "{s:b,s:O,s:O,s:O}", "complete", complete, "endpoints", list, "missing", gone, "coverage", look->coverage);
    _cleanup_free_ char *text = whole ? document_text_pretty(whole) : NULL;
    if (!text) return -ENOMEM;
    puts(text);
    return 0;
}

static int print_grid(const Cli *cli, const Look *look, const Port *port, const Mark *marks, const json_t *gone) {
    static const char *const headings[] = {"PROTO", "ADDRESS", "", "OWNER", "UNIT", "PID", "BASELINE"};
    _cleanup_(grid_freep) Grid *grid = grid_new(ELEMENTSOF(headings));
    if (!grid) return -ENOMEM;
    for (size_t i = 0; i < ELEMENTSOF(headings); i++) grid_cell(grid, look->state_reason && i == 6 ? "" : headings[i]);
    grid_paint_rows(grid, 0, cli->colours.bold, cli->colours.reset);
    size_t n = 0;
    for (size_t i = 0; i < look->snapshot.endpoints.n; i++) {
        const Endpoint *endpoint = &look->snapshot.endpoints.items[i];
        if (port && !port_holds(port, &marks[i].view->surface, endpoint)) continue;
        int r = add_rows(cli, look, grid, endpoint, &marks[i]);
        if (r < 0) return r;
        n++;
    }
    char name[SURFACE_TEXT_MAX];
    if (n == 0 && port)
        printf("Nothing is there on %s.\n", port_format(port, name));
    else if (grid_print(grid, stdout, "") < 0)
        return -ENOMEM;
    for (size_t i = 0; port && i < look->snapshot.endpoints.n; i++) {
        if (!port_holds(port, &marks[i].view->surface, &look->snapshot.endpoints.items[i])) continue;
        _cleanup_json_ json_t *json = document_endpoint(&look->snapshot.endpoints.items[i]);
        print_details(json, cli_now());
    }
    if (json_array_size(gone) == 0) return 0;
    cli_heading(cli, "Expected, but not there:");
    _cleanup_(grid_freep) Grid *rows = grid_new(3);
    if (!rows) return -ENOMEM;
    rows_add(rows, "-", gone, PHRASE_NAME, SIZE_MAX, 0);
    grid_paint_rows(rows, 0, cli->colours.red, cli->colours.reset);
    return grid_print(rows, stdout, "");
}

int command_list(Cli *cli) {
    Port port;
    if (cli->n_arguments > 0 && !port_read(cli->arguments[0], &port)) return EXIT_USAGE;
    const Port *wanted = cli->n_arguments > 0 ? &port : NULL;
    _cleanup_(look_done) Look look = {.rules = NULL};
    int r = look_take(cli, &look);
    if (r < 0) return cli_failed(r);
    /* The table has no room for them. */
    if (wanted || cli->json) r = find_packages(&look);
    if (r < 0) return cli_failed(r);
    _cleanup_free_ Mark *marks = calloc(look.snapshot.endpoints.n + 1, sizeof *marks);
    _cleanup_json_ json_t *gone = NULL;
    r = marks ? marks_make(&look, marks) : -ENOMEM;
    if (r >= 0) r = missing(&look, wanted, &gone);
    bool complete = snapshot_complete(&look.snapshot);
    if (r >= 0 && cli->json)
        r = print_json(&look, wanted, marks, gone, complete);
    else if (r >= 0) {
        r = print_grid(cli, &look, wanted, marks, gone);
        if (r >= 0) look_foot(cli, &look);
    }
    if (r < 0) return cli_failed(r);
    return complete ? EXIT_WELL : EXIT_UNKNOWN;
}
