#include "cli/report.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "cli/look.h"
#include "notify/document.h"
#include "notify/phrase.h"
#include "store/lock.h"
#include "store/state.h"

#define FAILING_MAX (3600 * USEC_PER_SEC)

void report_done(Report *report) {
    free(report->store_reason);
    rules_free(report->rules);
    free(report->rules_reason);
    state_done(&report->state);
    json_decref(report->coverage);
    notifier_health_free(report->notifiers, report->n_notifiers);
    free(report->holds);
    failed_messages_free(report->failed, report->n_failed);
    strv_free(report->notes);
    *report = (Report){0};
}

static int note(Report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int note(Report *report, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    _cleanup_free_ char *text = text_vprintf(format, arguments);
    va_end(arguments);
    if (!text) return -ENOMEM;
    return strv_append(&report->notes, text);
}

static int read_holds(Store *store, Report *report) {
    report->holds = calloc(report->n_notifiers + 1, sizeof *report->holds);
    if (!report->holds) return -ENOMEM;
    for (size_t i = 0; i < report->n_notifiers; i++) {
        const NotifierRule *rule = rules_notifier(report->rules, report->notifiers[i].name);
        OutboxLook look;
        int r = outbox_look(store, report->notifiers[i].name, report->now, &look);
        if (r != 0) return r;
        if (!rule) continue;
        unsigned passing = rule->quiet_critical_waits ? 0 : look.critical;
        int64_t until = quiet_until(&rule->quiet, report->now);
        report->holds[i] = (Hold){.limited = look.waiting > 0 && look.formed >= rule->max_per_hour,
            .quiet_until = until,
            .quiet_holds = until > 0 && !look.in_flight && look.waiting > 0 && passing == 0};
    }
    return 0;
}

/* The daemon ends them with its next look. */
static void forget_pauses_that_are_over(Report *report) {
    State *state = &report->state;
    size_t kept = 0;
    for (size_t i = 0; i < state->n_pauses; i++)
        if (state->pauses[i].until > report->now) state->pauses[kept++] = state->pauses[i];
    state->n_pauses = kept;
}

static int read_store(Store *store, Report *report) {
    _cleanup_free_ char *coverage = NULL;
    int r = store_read_begin(store);
    if (r != 0) return r;
    r = store_load_state(store, &report->state);
    if (r == 0) forget_pauses_that_are_over(report);
    if (r == 0) r = store_coverage(store, &coverage);
    if (r == 0) r = store_notifiers(store, report->now, &report->notifiers, &report->n_notifiers);
    if (r == 0) r = read_holds(store, report);
    if (r == 0) r = outbox_failed(store, REPORT_FAILED_MAX, &report->failed, &report->n_failed);
    store_read_end(store);
    if (r == 0 && coverage) report->coverage = document_parse(coverage);
    return r;
}

static int open_and_read(const Cli *cli, Report *report) {
    _cleanup_(store_closep) Store *store = NULL;
    int r = cli_open_store(cli, STORE_READER, &store, &report->store_reason);
    if (r != 0) return r < 0 ? r : 0;
    r = read_store(store, report);
    if (r <= 0) return r;
    report->store_reason = strdup(store_reason(store));
    return report->store_reason ? 0 : -ENOMEM;
}

/* The worst of it all. */
int report_judge(const Report *report) {
    if (report->running != 1 || report->store_reason) return EXIT_UNKNOWN;
    int code = EXIT_WELL;
    for (size_t i = 0; i < report->state.n_incidents; i++) {
        if (report->state.incidents[i].aspect == ASPECT_SELF) return EXIT_UNKNOWN;
        code = EXIT_DIFFERS;
    }
    for (size_t i = 0; i < report->n_notifiers; i++) {
        const NotifierHealth *health = &report->notifiers[i];
        if (!health->left && health->failing_since && report->now - health->failing_since > FAILING_MAX)
            return EXIT_UNKNOWN;
    }
    if (json_is_string(json_object_get(report->coverage, "configuration"))) code = EXIT_DIFFERS;
    return code;
}

static int add_notes(const Cli *cli, Report *report) {
    if (report->rules_reason) {
        int r = note(report, "The configuration cannot be used: %s", report->rules_reason);
        return r;
    }
    /* What the daemon runs counts, which a file changed since then may not say. */
    size_t configured = 0;
    for (size_t i = 0; i < report->n_notifiers; i++) configured += report->notifiers[i].left == 0;
    if (report->rules->n_notifiers == 0 && configured > 0)
        return note(report, "%s has no notifier any more, but portwatchd still runs with %zu: reload it.", cli->config,
            configured);
    return report_note_notifiers(cli, report->rules, &report->notes);
}

int report_make(const Cli *cli, Report *ret) {
    _cleanup_(report_done) Report report = {.now = cli_now()};
    report.running = state_lock_held(cli->state_dir);
    int r = look_rules(cli, &report.rules, &report.rules_reason);
    if (r >= 0) r = open_and_read(cli, &report);
    if (r >= 0) r = add_notes(cli, &report);
    if (r < 0) return r;
    report.exit_code = report_judge(&report);
    *ret = report;
    report = (Report){0};
    return 0;
}

char *report_incident(const Report *report, const Incident *incident) {
    bool port = incident->aspect == ASPECT_SURFACE;
    const PortRule *rule = port && incident->surface.port ? rules_find_in(report->rules, incident->surface.namespace,
                                                                incident->surface.protocol, incident->surface.port)
                                                          : NULL;
    _cleanup_json_ json_t *document =
        look_document_of("opened", port ? &incident->surface : NULL, incident->change, incident->reach,
            rule ? rule->name : NULL, document_endpoints(&incident->before), document_endpoints(&incident->told));
    return document ? phrase_summary(document) : NULL;
}

int command_status(Cli *cli) {
    _cleanup_(report_done) Report report = {0};
    int r = report_make(cli, &report);
    if (r >= 0) r = cli->json ? report_print_json(&report) : report_print(cli, &report);
    return r < 0 ? cli_failed(r) : report.exit_code;
}
