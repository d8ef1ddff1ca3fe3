/* The report for people. */
#include <errno.h>
#include <string.h>

#include "cli/report.h"
#include "notify/document.h"
#include "notify/moment.h"
#include "notify/phrase.h"

/* "14:02:03 CET (5 min ago)"; "-" for never. */
static void cell_ago(Grid *grid, int64_t time, int64_t now) {
    char clock[MOMENT_TEXT_MAX], age[DURATION_TEXT_MAX];
    if (!time)
        grid_cell(grid, "-");
    else
        grid_cellf(grid, "%s (%s ago)", moment_clock(time, now, clock),
            duration_format((now - time) / USEC_PER_SEC * USEC_PER_SEC, age));
}

static void cell_safe(Grid *grid, const char *text) {
    _cleanup_json_ json_t *safe = document_string_safe(text ? text : "");
    grid_take(grid, safe ? strdup(json_string_value(safe)) : NULL);
}

static size_t count_ports(const Endpoints *endpoints) {
    size_t n = 0;
    for (size_t i = 0; i < endpoints->n; i++) {
        const Endpoint *before = i ? &endpoints->items[i - 1] : NULL, *here = &endpoints->items[i];
        if (!before || strcmp(before->namespace, here->namespace) != 0 || before->protocol != here->protocol ||
            before->port != here->port)
            n++;
    }
    return n;
}

static void print_line(const Cli *cli, const char *label, const char *colour, const char *text) {
    printf("%s%-13s%s  %s%s%s\n", cli->colours.bold, label, cli->colours.reset, colour, text,
        *colour ? cli->colours.reset : "");
}

static void print_daemon(const Cli *cli, const Report *report) {
    if (report->running == 1)
        print_line(cli, "portwatchd", cli->colours.green, "running");
    else if (report->running == 0) {
        print_line(cli, "portwatchd", cli->colours.red, "not running: nothing is watched");
    } else
        print_line(cli, "portwatchd", cli->colours.yellow, strerror(-report->running));
    if (report->store_reason) print_line(cli, "database", cli->colours.red, report->store_reason);
    const char *trouble = phrase_string(report->coverage, "configuration");
    char text[512];
    if (!report->rules->file)
        snprintf(text, sizeof text, "there is no %s: all defaults", cli->config);
    else
        snprintf(text, sizeof text, "%s: %zu port section%s, %zu notifier%s", cli->config, report->rules->n_ports,
            report->rules->n_ports == 1 ? "" : "s", report->rules->n_notifiers,
            report->rules->n_notifiers == 1 ? "" : "s");
    if (*trouble)
        print_line(cli, "configuration", cli->colours.red, trouble);
    else if (!report->rules_reason)
        print_line(cli, "configuration", "", text);
}

static void print_watch(const Cli *cli, const Report *report) {
    char text[512];
    size_t ports = count_ports(&report->state.baseline);
    if (!report->store_reason) {
        snprintf(text, sizeof text, "%zu port%s, %zu address%s%s", ports, ports == 1 ? "" : "s",
            report->state.baseline.n, report->state.baseline.n == 1 ? "" : "es",
            report->state.learned ? "" : ", still learning");
        print_line(cli, "baseline", "", text);
    }
    if (!report->coverage) return;
    bool complete = json_is_true(json_object_get(report->coverage, "complete"));
    print_line(cli, "seen", complete ? "" : cli->colours.red, phrase_string(report->coverage, "seen"));
    const json_t *unseen = json_object_get(report->coverage, "not_seen");
    for (size_t i = 0; i < json_array_size(unseen); i++)
        print_line(cli, i ? "" : "not seen", "", json_string_value(json_array_get(unseen, i)));
    json_int_t ignored = json_integer_value(json_object_get(report->coverage, "ignored"));
    snprintf(text, sizeof text, "%lld address%s", (long long)ignored, ignored == 1 ? "" : "es");
    if (ignored > 0) print_line(cli, "ignored", "", text);
}

static void print_pauses(const Cli *cli, const Report *report) {
    for (size_t i = 0; i < report->state.n_pauses; i++) {
        const Pause *pause = &report->state.pauses[i];
        char text[SURFACE_TEXT_MAX + 64], surface[SURFACE_TEXT_MAX], clock[MOMENT_TEXT_MAX];
        snprintf(text, sizeof text, "%s until %s", pause->all ? "every port" : surface_format(&pause->surface, surface),
            moment_clock(pause->until, report->now, clock));
        print_line(cli, "paused", cli->colours.yellow, text);
    }
}

static void print_loans(const Cli *cli, const Report *report) {
    for (size_t i = 0; i < report->state.n_loans; i++) {
        const Loan *loan = &report->state.loans[i];
        char surface[SURFACE_TEXT_MAX], clock[MOMENT_TEXT_MAX];
        surface_format(&loan->surface, surface);
        moment_clock(loan->until, report->now, clock);
        _cleanup_json_ json_t *by = document_string_safe(loan->by), *why = document_string_safe(loan->reason);
        _cleanup_free_ char *text = text_printf("%s, %s until %s by %s%s%s", surface,
            loan->ahead ? "what changes there" : "as it is now", clock, by ? json_string_value(by) : "",
            loan->reason ? ": " : "", loan->reason && why ? json_string_value(why) : "");
        if (text) print_line(cli, "accepted", cli->colours.yellow, text);
    }
}

/* The worst first, then the oldest. */
static int incident_compare(const void *a, const void *b) {
    const Incident *x = *(const Incident *const *)a, *y = *(const Incident *const *)b;
    if (x->severity != y->severity) return x->severity > y->severity ? -1 : 1;
    if (x->opened != y->opened) return x->opened < y->opened ? -1 : 1;
    return surface_compare(&x->surface, &y->surface);
}

static int print_incidents(const Cli *cli, const Report *report) {
    if (report->store_reason) return 0;
    if (report->state.n_incidents == 0) {
        print_line(cli, "incidents", cli->colours.green, "none open");
        return 0;
    }
    cli_heading(cli, "Open incidents");
    _cleanup_(grid_freep) Grid *grid = grid_new(5);
    if (!grid) return -ENOMEM;
    _cleanup_free_ const Incident **sorted = calloc(report->state.n_incidents, sizeof *sorted);
    if (!sorted) return -ENOMEM;
    for (size_t i = 0; i < report->state.n_incidents; i++) sorted[i] = &report->state.incidents[i];
    qsort(sorted, report->state.n_incidents, sizeof *sorted, incident_compare);
    for (size_t i = 0; i < report->state.n_incidents; i++) {
        const Incident *incident = sorted[i];
        bool critical = incident->severity == SEVERITY_CRITICAL;
        grid_cell(grid, incident->token);
        grid_cell(grid, severity_name(incident->severity));
        grid_paint(grid, critical ? cli->colours.red : cli->colours.yellow, cli->colours.reset);
        cell_ago(grid, incident->opened, report->now);
        grid_take(grid, report_incident(report, incident));
        grid_cell(grid, incident->acknowledged ? "acknowledged" : "");
    }
    return grid_print(grid, stdout, "  ");
}

/* What is wrong with one notifier, below its row. */
static void print_trouble(const Cli *cli, const Report *report, size_t i) {
    const NotifierHealth *health = &report->notifiers[i];
    const NotifierRule *rule = rules_notifier(report->rules, health->name);
    const char *walls = phrase_string(json_object_get(report->coverage, "walls_missing"), health->name);
    char clock[MOMENT_TEXT_MAX], age[DURATION_TEXT_MAX];
    if (health->last_error) {
        _cleanup_json_ json_t *safe = document_string_safe(health->last_error);
        printf("  %s: %s%s %s%s: %s\n", health->name, health->failing_since ? cli->colours.red : "",
            health->failing_since ? "failing, last error" : "last error",
            moment_clock(health->last_error_time, report->now, clock), health->failing_since ? cli->colours.reset : "",
            safe ? json_string_value(safe) : "");
    }
    if (health->failing_since)
        printf("  %s: nothing got through for %s\n", health->name,
            duration_format(report->now - health->failing_since, age));
    if (rule && rule->heartbeat && health->heartbeat)
        printf("  %s: last heartbeat %s ago\n", health->name, duration_format(report->now - health->heartbeat, age));
    else if (rule && rule->heartbeat)
        printf("  %s: no heartbeat was taken yet\n", health->name);
    const Hold *hold = &report->holds[i];
    if (hold->quiet_until)
        printf("  %s: quiet until %s; %u event%s wait%s\n", health->name,
            moment_clock(hold->quiet_until, report->now, clock), health->waiting, health->waiting == 1 ? "" : "s",
            health->waiting == 1 ? "s" : "");
    if (hold->limited && rule)
        printf("  %s: its limit of %u messages an hour is reached; what waits travels merged\n", health->name,
            rule->max_per_hour);
    if (health->left) printf("  %s: no longer configured; what waits for it is kept a while\n", health->name);
    if (*walls) printf("  %s: this system lacks walls around it: %s\n", health->name, walls);
}

static int print_notifiers(const Cli *cli, const Report *report) {
    static const char *const headings[] = {
        "NAME", "PLUGIN", "WAITING", "OLDEST", "LAST SUCCESS", "NEXT TRY", "REFUSED"};
    if (report->n_notifiers == 0) return 0;
    cli_heading(cli, "Notifiers");
    _cleanup_(grid_freep) Grid *grid = grid_new(ELEMENTSOF(headings));
    if (!grid) return -ENOMEM;
    for (size_t i = 0; i < ELEMENTSOF(headings); i++) grid_cell(grid, headings[i]);
    grid_paint_rows(grid, 0, cli->colours.bold, cli->colours.reset);
    for (size_t i = 0; i < report->n_notifiers; i++) {
        const NotifierHealth *health = &report->notifiers[i];
        const NotifierRule *rule = rules_notifier(report->rules, health->name);
        char wait[DURATION_TEXT_MAX];
        grid_cell(grid, health->name);
        grid_cell(grid, rule ? rule->plugin : "-");
        grid_cellf(grid, "%u", health->waiting);
        cell_ago(grid, health->oldest, report->now);
        cell_ago(grid, health->last_success, report->now);
        if (health->waiting == 0)
            grid_cell(grid, "-");
        else if (report->holds[i].quiet_holds)
            grid_cellf(grid, "in %s", duration_format(report->holds[i].quiet_until - report->now, wait));
        else if (health->next_try > report->now)
            grid_cellf(grid, "in %s", duration_format(health->next_try - report->now, wait));
        else
            grid_cell(grid, "now");
        grid_cellf(grid, "%u", health->failed);
    }
    int r = grid_print(grid, stdout, "  ");
    for (size_t i = 0; r >= 0 && i < report->n_notifiers; i++) print_trouble(cli, report, i);
    return r;
}

static int print_failed(const Cli *cli, const Report *report) {
    if (report->n_failed == 0) return 0;
    cli_heading(cli, "Refused messages, not tried again");
    _cleanup_(grid_freep) Grid *grid = grid_new(4);
    if (!grid) return -ENOMEM;
    for (size_t i = 0; i < report->n_failed; i++) {
        const FailedMessage *failed = &report->failed[i];
        cell_ago(grid, failed->failed, report->now);
        grid_cell(grid, failed->notifier);
        cell_safe(grid, failed->reason);
        cell_safe(grid, failed->subject);
    }
    return grid_print(grid, stdout, "  ");
}

int report_print(const Cli *cli, const Report *report) {
    print_daemon(cli, report);
    print_watch(cli, report);
    print_pauses(cli, report);
    print_loans(cli, report);
    int r = print_incidents(cli, report);
    if (r >= 0) r = print_notifiers(cli, report);
    if (r >= 0) r = print_failed(cli, report);
    for (char *const *note = report->notes; note && *note; note++)
        printf("%s%s%s%s\n", note == report->notes ? "\n" : "", cli->colours.yellow, *note, cli->colours.reset);
    return r;
}
