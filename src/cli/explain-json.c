/* The explanation for programs. */
#include <errno.h>

#include "cli/explain.h"
#include "notify/document.h"
#include "notify/moment.h"

static json_t *moment(int64_t time) {
    char text[MOMENT_TEXT_MAX];
    return time ? json_string(moment_iso(time, text)) : json_null();
}

/* Appends; a NULL item (no memory) empties the array for good. */
static void append(json_t **array, json_t *item) {
    if (*array && json_array_append_new(*array, item) == 0) return;
    json_decref(*array);
    *array = NULL;
}

static json_t *row_json(const BoundRow *row) {
    json_t *object = document_endpoint(row->endpoint);
    json_t *backlog = row->backlog_known ? json_pack("{s:i,s:i,s:b}", "waiting", (int)row->backlog.waiting, "limit",
                                               (int)row->backlog.limit, "full", backlog_full(&row->backlog))
                                         : json_null();
    char state[2] = {row->state, '\0'};
    if (json_object_set_new(object, "backlog", backlog) < 0 ||
        json_object_set_new(object, "process_state", row->state ? json_string(state) : json_null()) < 0 ||
        json_object_set_new(object, "baseline", row->word ? json_string(row->word) : json_null()) < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *findings_json(const Case *c) {
    static const char *const weights[] = {"note", "well", "unknown", "fault"};
    json_t *array = json_array();
    for (size_t i = 0; i < c->n_findings; i++)
        append(&array, json_pack("{s:s,s:s,s:s,s:s?}", "kind", c->findings[i].kind, "weight",
                           weights[c->findings[i].weight], "text", c->findings[i].text, "next", c->findings[i].next));
    return array;
}

static json_t *quotes_json(const Quotes *quotes) {
    json_t *array = json_array();
    for (size_t i = 0; i < quotes->n; i++)
        append(&array, json_pack("{s:s,s:s,s:b,s:b}", "where", quotes->items[i].where, "rule", quotes->items[i].text,
                           "policy", quotes->items[i].policy, "forwards", quotes->items[i].forwards));
    return array;
}

static json_t *sharers_json(const Case *c) {
    json_t *array = json_array();
    for (size_t i = 0; i < c->n_sharers; i++)
        append(&array, json_pack("{s:i,s:i,s:o}", "pid", (int)c->sharers[i].pid, "ppid", (int)c->sharers[i].ppid,
                           "comm", document_string(c->sharers[i].comm)));
    return array;
}

static json_t *elsewhere_json(const Case *c) {
    json_t *array = json_array();
    for (size_t i = 0; i < c->n_elsewhere; i++) {
        const Elsewhere *one = &c->elsewhere[i];
        char address[INET6_ADDRSTRLEN];
        append(&array, json_pack("{s:i,s:o,s:o,s:s}", "pid", (int)one->pid, "comm", document_string(one->comm), "netns",
                           document_string(one->netns), "address", address_format(&one->address, address)));
    }
    return array;
}

static json_t *told_json(const Case *c) {
    if (!c->told) return json_null();
    return json_pack("{s:O,s:O,s:O}", "time", json_object_get(c->told, "seen"), "change",
        json_object_get(c->told, "change"), "cause", json_object_get(c->told, "cause"));
}

static json_t *case_json(const Case *c) {
    static const char *const verdicts[] = {"well", "well", "unknown", "fault"};
    json_t *rows = json_array();
    for (size_t i = 0; i < c->n_rows; i++) append(&rows, row_json(&c->rows[i]));
    json_t *before = c->before ? document_owner(c->before) : json_null();
    json_t *cause = c->cause ? json_incref(c->cause) : json_null();
    return json_pack("{s:s,s:i,s:s,s:s,s:b,s:b,s:o,s:o,s:s?,s:o,s:o,s:o,s:o,s:o,s:o,s:b,s:o,s:i,s:o}", "protocol",
        protocol_name(c->protocol), "port", c->port, "verdict", verdicts[c->weight], "summary", c->findings[0].text,
        "complete", c->decided, "expectation_known", c->known, "endpoints", rows, "expected",
        document_endpoints(&c->expected), "incident", c->incident ? c->incident->token : NULL, "before", before,
        "before_time", moment(c->last), "cause", cause, "told", told_json(c), "findings", findings_json(c), "holders",
        sharers_json(c), "holders_complete", c->n_rows == 0 || c->all_sharers, "elsewhere", elsewhere_json(c),
        "namespaces_unseen", (int)c->unseen, "firewall_rules", quotes_json(&c->quotes));
}

static json_t *host_json(const HostFacts *host) {
    if (host->unread) return json_null();
    json_t *array = json_array();
    for (size_t i = 0; i < host->n; i++) {
        char address[INET6_ADDRSTRLEN];
        append(&array, json_pack("{s:s,s:o}", "address", address_format(&host->addresses[i].address, address), "device",
                           document_string(host->addresses[i].device)));
    }
    return array;
}

int explain_print_json(const Explanation *e) {
    json_t *cases = json_array();
    for (size_t i = 0; i < e->n_cases; i++) append(&cases, case_json(&e->cases[i]));
    _cleanup_json_ json_t *whole =
        json_pack("{s:i,s:o,s:o,s:{s:b,s:s?},s:s?,s:o,s:o,s:O,s:i}", "port", e->port, "protocols", cases, "addresses",
            host_json(&e->host), "firewall", "read", e->firewall.ruleset != NULL, "reason", e->firewall.reason, "next",
            e->next, "no_baseline", document_string_safe(e->look.state_reason), "no_configuration",
            document_string_safe(e->look.rules_reason), "coverage", e->look.coverage, "exit", e->exit_code);
    _cleanup_free_ char *text = whole ? document_text_pretty(whole) : NULL;
    if (!text) return -ENOMEM;
    puts(text);
    return 0;
}
