/* The explanation for people. */
#include <errno.h>
#include <string.h>

#include "cli/explain-words.h"
#include "notify/document.h"
#include "notify/moment.h"
#include "notify/phrase.h"
#include "notify/rows.h"

static const char *weight_colour(const Cli *cli, Weight weight) {
    switch (weight) {
    case WEIGHT_FAULT:
        return cli->colours.red;
    case WEIGHT_UNKNOWN:
        return cli->colours.yellow;
    case WEIGHT_WELL:
        return cli->colours.green;
    case WEIGHT_NOTE:
        break;
    }
    return "";
}

/* A fact: its label, dim, and one line. `text` is taken; NULL is remembered as want of memory. */
static void fact(const Cli *cli, Grid *facts, const char *label, char *text) {
    grid_cell(facts, label);
    grid_paint(facts, cli->colours.dim, cli->colours.reset);
    grid_take(facts, text);
}

/* Each row of another grid as a fact; the first has the label. */
static int fact_grid(const Cli *cli, Grid *facts, const char *label, const Grid *grid) {
    _cleanup_free_ char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return -ENOMEM;
    int r = grid_print(grid, out, "");
    if (fclose(out) != 0) r = -ENOMEM;
    char *state = NULL;
    for (char *line = r < 0 ? NULL : strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
        fact(cli, facts, label, strdup(line));
        label = "";
    }
    return r;
}

static char *since_words(int64_t time, int64_t now) {
    char clock[MOMENT_TEXT_MAX], age[DURATION_TEXT_MAX];
    if (!time) return strdup("");
    return text_printf("since %s (%s)", moment_clock(time, now, clock), duration_format(now - time, age));
}

static void backlog_cell(Grid *grid, const BoundRow *row) {
    if (row->backlog_known)
        grid_cellf(grid, "backlog %u of %u", row->backlog.waiting, row->backlog.limit);
    else
        grid_cell(grid, "");
}

static int print_bound(const Cli *cli, const Case *c, Grid *facts) {
    if (c->n_rows == 0) {
        fact(cli, facts, "bound", strdup(c->decided ? "nothing" : "not known"));
        return 0;
    }
    _cleanup_(grid_freep) Grid *rows = grid_new(6);
    if (!rows) return -ENOMEM;
    for (size_t i = 0; i < c->n_rows; i++) {
        const Endpoint *endpoint = c->rows[i].endpoint;
        _cleanup_json_ json_t *json = document_endpoint(endpoint);
        if (!json) return -ENOMEM;
        grid_cellf(rows, "%s%s", protocol_name(endpoint->protocol), endpoint->address.family == AF_INET6 ? "6" : "");
        grid_take(rows, rows_address(json));
        if (endpoint->count > 1)
            grid_cellf(rows, "x%u", endpoint->count);
        else
            grid_cell(rows, "");
        grid_take(rows, look_owner_phrase(json_object_get(json, "owner")));
        grid_cell(rows, c->rows[i].word);
        backlog_cell(rows, &c->rows[i]);
    }
    return fact_grid(cli, facts, "bound", rows);
}

static int print_expected(const Cli *cli, const Explanation *e, const Case *c, Grid *facts) {
    if (c->rule && c->rule->expect != EXPECT_BASELINE) {
        _cleanup_free_ char *place = words_place(&c->rule->expect_place);
        fact(cli, facts, "expected",
            place ? text_printf("%s, by %s", c->rule->expect == EXPECT_CLOSED ? "closed" : "open", place) : NULL);
        if (c->expected.n == 0) return 0;
    }
    if (c->expected.n == 0) {
        fact(cli, facts, "expected", strdup(c->known ? "nothing" : "not known"));
        return 0;
    }
    _cleanup_(grid_freep) Grid *rows = grid_new(4);
    if (!rows) return -ENOMEM;
    for (size_t i = 0; i < c->expected.n; i++) {
        const Endpoint *endpoint = &c->expected.items[i];
        _cleanup_json_ json_t *json = document_endpoint(endpoint);
        if (!json) return -ENOMEM;
        grid_cellf(rows, "%s%s", protocol_name(endpoint->protocol), endpoint->address.family == AF_INET6 ? "6" : "");
        grid_take(rows, rows_address(json));
        if (case_states_holder(c))
            grid_take(rows, words_expected_holders(c));
        else
            grid_take(rows, endpoint->n_owners ? look_owner_phrase(json_object_get(json, "owner")) : strdup(""));
        grid_take(rows, since_words(endpoint->since, e->now));
    }
    return fact_grid(cli, facts, "expected", rows);
}

static void print_process(const Cli *cli, const Explanation *e, const Owner *owner, const char *state, Grid *facts) {
    char *since = since_words(owner->started, e->now);
    if (owner->pid > 0)
        fact(cli, facts, "process",
            since ? text_printf("pid %d%s%s%s%s", owner->pid, *state ? ", " : "", state, *since ? ", " : "", since)
                  : NULL);
    free(since);
    _cleanup_json_ json_t *exe = document_string(owner->exe), *line = document_string(owner->cmdline);
    if (json_is_string(exe)) fact(cli, facts, "program", strdup(json_string_value(exe)));
    if (json_is_string(line) && owner->cmdline[0]) fact(cli, facts, "args", strdup(json_string_value(line)));
}

static void print_holders(const Cli *cli, const Explanation *e, const Case *c, Grid *facts) {
    const Owner *told = NULL;
    for (size_t i = 0; i < c->n_rows; i++) {
        const Endpoint *endpoint = c->rows[i].endpoint;
        const char *state = c->rows[i].state == 'T' ? "stopped" : c->rows[i].state == 't' ? "held by a debugger" : "";
        for (size_t k = 0; k < endpoint->n_owners; k++) {
            if (told && told->pid == endpoint->owners[k]->pid) continue;
            told = endpoint->owners[k];
            print_process(cli, e, told, state, facts);
        }
    }
    if (c->n_sharers > 1) {
        const char *label = "holders";
        size_t at = 0;
        for (char *line; (line = explain_sharers_line(c, &at)); label = "") fact(cli, facts, label, line);
    }
    const char *fate = phrase_string(c->cause, "process");
    if (!told && c->before) print_process(cli, e, c->before, fate, facts);
}

static bool has_line(const json_t *lines, const json_t *line) {
    for (size_t i = 0; i < json_array_size(lines); i++)
        if (json_equal(json_array_get(lines, i), line)) return true;
    return false;
}

/* Those that are not in `shown` (may be NULL). */
static void print_lines(const Cli *cli, const char *label, const json_t *lines, const json_t *shown, Grid *facts) {
    for (size_t i = 0; i < json_array_size(lines); i++) {
        if (has_line(shown, json_array_get(lines, i))) continue;
        _cleanup_json_ json_t *line = document_string_safe(json_string_value(json_array_get(lines, i)));
        fact(cli, facts, label, line ? strdup(json_string_value(line)) : NULL);
        label = "";
    }
}

/* "failed (failed), result exit-code, exit status 1, 5 restarts, since ...". */
static int print_unit(const Cli *cli, const Explanation *e, const Case *c, Grid *facts) {
    const char *unit = phrase_string(c->cause, "unit"), *state = phrase_string(c->cause, "state");
    const char *missing = phrase_string(c->cause, "missing"), *result = phrase_string(c->cause, "result");
    const char *killed = phrase_string(c->cause, "signal");
    const json_t *code = json_object_get(c->cause, "exit"), *restarts = json_object_get(c->cause, "restarts");
    if (*unit) {
        _cleanup_free_ char *since = since_words(phrase_time(c->cause, "since"), e->now);
        char *text = NULL;
        size_t size;
        FILE *out = since ? open_memstream(&text, &size) : NULL;
        if (!out) return -ENOMEM;
        fputs(unit, out);
        if (*state) fprintf(out, ", %s (%s)", state, phrase_string(c->cause, "sub"));
        if (*result) fprintf(out, ", result %s", result);
        if (json_is_integer(code)) fprintf(out, ", exit status %lld", (long long)json_integer_value(code));
        if (*killed) fprintf(out, ", killed by %s", killed);
        if (json_is_true(json_object_get(c->cause, "oom"))) fputs(", out of memory", out);
        if (json_integer_value(restarts) > 0)
            fprintf(out, ", restarted %lld times", (long long)json_integer_value(restarts));
        if (*since) fprintf(out, ", %s", since);
        if (fclose(out) != 0) {
            free(text);
            return -ENOMEM;
        }
        fact(cli, facts, "unit", text);
    }
    const json_t *journal = json_object_get(c->cause, "journal");
    const json_t *told = json_object_get(json_object_get(c->told, "cause"), "journal");
    print_lines(cli, "then", told, journal, facts);
    print_lines(cli, "journal", journal, NULL, facts);
    if (*missing) fact(cli, facts, "unseen", strdup(missing));
    return 0;
}

static int print_host(const Cli *cli, const HostFacts *host, Grid *facts) {
    char *text = NULL;
    size_t size, said = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) return -ENOMEM;
    for (size_t i = 0; i < host->n; i++) {
        char address[INET6_ADDRSTRLEN];
        _cleanup_json_ json_t *device = document_string(host->addresses[i].device);
        if (address_is_link_local(&host->addresses[i].address)) continue;
        if (said < 4)
            fprintf(out, "%s%s on %s", said ? ", " : "up: ", address_format(&host->addresses[i].address, address),
                device ? json_string_value(device) : "");
        said++;
    }
    if (said > 4) fprintf(out, " and %zu more", said - 4);
    if (said == 0) fputs(host->unread ? "its addresses cannot be listed" : "no address is up but loopback", out);
    if (fclose(out) != 0) {
        free(text);
        return -ENOMEM;
    }
    fact(cli, facts, "host", text);
    return 0;
}

static void print_firewall(const Cli *cli, const Explanation *e, const Case *c, Grid *facts) {
    if (!e->firewall.ruleset) {
        fact(cli, facts, "firewall", text_printf("not read: %s", e->firewall.reason));
        return;
    }
    const char *label = "firewall";
    if (c->quotes.n == 0) fact(cli, facts, label, strdup("no rule names this port"));
    for (size_t i = 0; i < c->quotes.n; i++) {
        fact(cli, facts, label, text_printf("%s: %s", c->quotes.items[i].where, c->quotes.items[i].text));
        label = "";
    }
    if (c->quotes.more > 0) fact(cli, facts, label, text_printf("and %zu more", c->quotes.more));
}

static int print_case(const Cli *cli, const Explanation *e, const Case *c) {
    _cleanup_json_ json_t *name = document_string(c->rule ? c->rule->name : NULL);
    _cleanup_(grid_freep) Grid *facts = grid_new(2);
    if (!facts) return -ENOMEM;
    printf("%s%s%s%s%s %s%s%s", cli->colours.bold, c->title, json_is_string(name) ? " (" : "",
        json_is_string(name) ? json_string_value(name) : "", json_is_string(name) ? ")" : "",
        weight_colour(cli, c->findings[0].weight), c->findings[0].text, cli->colours.reset);
    if (c->incident) printf("  (incident %s)", c->incident->token);
    puts("\n");
    for (size_t i = 1; i < c->n_findings; i++) {
        const Finding *finding = &c->findings[i];
        fact(cli, facts, finding->weight == WEIGHT_NOTE ? "note" : "also", strdup(finding->text));
        grid_paint(facts, weight_colour(cli, finding->weight), cli->colours.reset);
    }
    int r = print_bound(cli, c, facts);
    if (r >= 0) r = print_expected(cli, e, c, facts);
    print_holders(cli, e, c, facts);
    if (r >= 0) r = print_unit(cli, e, c, facts);
    if (r >= 0) r = print_host(cli, &e->host, facts);
    print_firewall(cli, e, c, facts);
    return r < 0 ? r : grid_print(facts, stdout, "  ");
}

int explain_print(const Cli *cli, const Explanation *e) {
    for (size_t i = 0; i < e->n_cases; i++) {
        if (i) puts("");
        int r = print_case(cli, e, &e->cases[i]);
        if (r < 0) return r;
    }
    if (e->next) printf("\n%snext%s  %s\n", cli->colours.bold, cli->colours.reset, e->next);
    look_foot(cli, &e->look);
    return 0;
}
