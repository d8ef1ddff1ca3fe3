/* The report for programs. */
#include <errno.h>

#include "cli/report.h"
#include "notify/document.h"
#include "notify/moment.h"

static json_t *moment(int64_t time) {
    char text[MOMENT_TEXT_MAX];
    return time ? json_string(moment_iso(time, text)) : json_null();
}

/* An array of what `make` makes of each item. NULL: no memory. */
static json_t *array_of(const Report *report, size_t n, json_t *(*make)(const Report *, size_t)) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < n; i++) {
        if (json_array_append_new(array, make(report, i)) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *incident_json(const Report *report, size_t i) {
    const Incident *incident = &report->state.incidents[i];
    char subject[SURFACE_TEXT_MAX] = "";
    if (incident->aspect == ASPECT_SURFACE) surface_subject(&incident->surface, subject);
    _cleanup_free_ char *summary = report_incident(report, incident);
    return json_pack("{s:s,s:s,s:s?,s:s,s:s,s:s?,s:o,s:o,s:o,s:b,s:o,s:o}", "incident", incident->token, "incident_id",
        incident->id, "subject", *subject ? subject : NULL, "severity", severity_name(incident->severity), "change",
        change_name(incident->change), "summary", summary, "opened", moment(incident->opened), "last_event",
        moment(incident->last_event), "next_reminder", moment(incident->next_reminder), "acknowledged",
        incident->acknowledged, "before", document_endpoints(&incident->before), "after",
        document_endpoints(&incident->told));
}

static json_t *pause_json(const Report *report, size_t i) {
    const Pause *pause = &report->state.pauses[i];
    char subject[SURFACE_TEXT_MAX] = "";
    if (!pause->all) surface_subject(&pause->surface, subject);
    return json_pack("{s:s?,s:o}", "subject", *subject ? subject : NULL, "until", moment(pause->until));
}

static json_t *loan_json(const Report *report, size_t i) {
    const Loan *loan = &report->state.loans[i];
    char subject[SURFACE_TEXT_MAX];
    return json_pack("{s:s,s:b,s:o,s:o,s:o,s:o}", "subject", surface_subject(&loan->surface, subject), "ahead",
        loan->ahead, "made", moment(loan->made), "until", moment(loan->until), "by", document_string(loan->by),
        "reason", document_string(loan->reason));
}

static json_t *notifier_json(const Report *report, size_t i) {
    const NotifierHealth *health = &report->notifiers[i];
    const NotifierRule *rule = rules_notifier(report->rules, health->name);
    json_t *heartbeat = rule && rule->heartbeat ? json_integer(rule->heartbeat / USEC_PER_SEC) : json_null();
    return json_pack("{s:o,s:o,s:b,s:i,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:i,s:i,s:b,s:o}", "name",
        document_string(health->name), "plugin", document_string(rule ? rule->plugin : NULL), "configured",
        health->left == 0, "waiting", (int)health->waiting, "oldest", moment(health->oldest), "last_success",
        moment(health->last_success), "last_error", document_string_safe(health->last_error), "last_error_time",
        moment(health->last_error_time), "failing_since", moment(health->failing_since), "heartbeat", heartbeat,
        "last_heartbeat", moment(health->heartbeat), "next_try", moment(health->next_try), "attempts",
        (int)health->attempts, "refused", (int)health->failed, "hour_full", report->holds[i].limited, "quiet_until",
        moment(report->holds[i].quiet_until));
}

static json_t *failed_json(const Report *report, size_t i) {
    const FailedMessage *failed = &report->failed[i];
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", "id", failed->id, "notifier", document_string(failed->notifier),
        "subject", document_string_safe(failed->subject), "reason", document_string_safe(failed->reason), "formed",
        moment(failed->formed), "failed", moment(failed->failed));
}

static json_t *note_json(const Report *report, size_t i) {
    return document_string_safe(report->notes[i]);
}

int report_print_json(const Report *report) {
    json_t *incidents = array_of(report, report->state.n_incidents, incident_json);
    json_t *pauses = array_of(report, report->state.n_pauses, pause_json);
    json_t *loans = array_of(report, report->state.n_loans, loan_json);
    json_t *notifiers = array_of(report, report->n_notifiers, notifier_json);
    json_t *failed = array_of(report, report->n_failed, failed_json);
    json_t *notes = array_of(report, strv_length(report->notes), note_json);
    json_t *coverage = report->coverage ? json_incref(report->coverage) : json_null();
    _cleanup_json_ json_t *whole = json_pack("{s:b,s:o,s:{s:b,s:i},s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:i}", "running",
        report->running == 1, "database_error", document_string_safe(report->store_reason), "baseline", "learned",
        report->state.learned, "endpoints", (int)report->state.baseline.n, "coverage", coverage, "incidents", incidents,
        "pauses", pauses, "accepted_until", loans, "notifiers", notifiers, "refused_messages", failed, "notes", notes,
        "exit", report->exit_code);
    _cleanup_free_ char *text = whole ? document_text_pretty(whole) : NULL;
    if (!text) return -ENOMEM;
    puts(text);
    return 0;
}
