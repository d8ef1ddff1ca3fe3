/* Decisions into the database, and into the log. */
#include <errno.h>
#include <string.h>

#include "core/filter.h"
#include "daemon/daemon.h"
#include "daemon/fault.h"
#include "daemon/log.h"
#include "notify/prose.h"
#include "notify/rows.h"

static int log_level(Severity severity) {
    return severity == SEVERITY_CRITICAL ? LOG_CRIT : severity == SEVERITY_WARNING ? LOG_WARNING : LOG_NOTICE;
}

/* Strings of a JSON array, borrowed. NULL: no memory, and the message goes without. */
static const char **strings_of(const json_t *rows) {
    const char **lines = calloc(json_array_size(rows) + 1, sizeof *lines);
    size_t i;
    const json_t *row;
    if (lines) json_array_foreach(rows, i, row) lines[i] = json_string_value(row);
    return lines;
}

static JournalMessage event_message(const Event *event) {
    if (event->incident.aspect == ASPECT_SELF) return event->type == EVENT_RESOLVED ? JOURNAL_SEEING : JOURNAL_BLIND;
    return event->type == EVENT_OPENED     ? JOURNAL_OPENED
           : event->type == EVENT_CHANGED  ? JOURNAL_CHANGED
           : event->type == EVENT_RESOLVED ? JOURNAL_RESOLVED
                                           : JOURNAL_REMINDER;
}

/* The subject a mail would have, without the host, and the rows below it. Notices are logged where they arise. */
static void log_event(const Event *event, const char *document, const char *host) {
    if (!event->has_incident) return;
    _cleanup_json_ json_t *json = document_parse(document);
    _cleanup_free_ char *subject = NULL, *text = NULL;
    const ProseOptions options = {.host = host, .formed = event->time};
    if (!json || prose_message(&json, 1, &options, &subject, &text) < 0) {
        log_no_memory();
        return;
    }
    const char *line = strstr(subject, "] ");
    char surface[SURFACE_TEXT_MAX];
    const json_t *data = json_object_get(json, "data");
    const char *self[] = {json_string_value(json_object_get(data, "summary")), NULL};
    bool about_port = event->incident.aspect == ASPECT_SURFACE;
    _cleanup_free_ const char **rows = strings_of(json_object_get(data, "diff"));
    const LogFields fields = {.incident = event->incident.token,
        .port = about_port ? surface_format(&event->surface, surface) : NULL,
        .severity = severity_name(event->severity),
        .lines = (char *const *)(about_port ? rows : self),
        .level = event->type == EVENT_RESOLVED ? 0 : log_level(event->severity)};
    log_write(event_message(event), &fields, "%s (%s)", line ? line + 2 : subject, event->incident.token);
}

static void log_transition(const Transition *t) {
    char surface[SURFACE_TEXT_MAX] = "";
    if (t->has_surface) surface_format(&t->surface, surface);
    if (t->kind == TRANSITION_LOGGED) {
        _cleanup_json_ json_t *data = json_pack("{s:o,s:o,s:s,s:o}", "before", document_endpoints(&t->before), "after",
            document_endpoints(&t->after), "protocol", protocol_name(t->surface.protocol), "port",
            t->surface.port ? json_integer(t->surface.port) : json_null());
        _cleanup_json_ json_t *rows = data ? rows_diff_strings(data) : NULL;
        _cleanup_free_ const char **lines = strings_of(rows);
        log_write(JOURNAL_UNTOLD, &(LogFields){.port = surface, .lines = (char *const *)lines},
            "%s: %s (unlisted, not told)", surface, change_name(t->change));
    } else if (t->kind == TRANSITION_ACCEPTED || t->kind == TRANSITION_ACKNOWLEDGED || t->kind == TRANSITION_PAUSED ||
               t->kind == TRANSITION_RESUMED || t->kind == TRANSITION_EXPIRED || t->kind == TRANSITION_REVERTED ||
               t->kind == TRANSITION_IMPORTED)
        log_write(JOURNAL_DECIDED,
            &(LogFields){.port = *surface ? surface : NULL, .incident = *t->token ? t->token : NULL}, "%s: %s %s",
            *surface ? surface : "all ports", transition_name(t->kind), t->text ? t->text : "");
}

static int add_wanted(Daemon *d, const NotifierRule *rule, const Event *event, char ***names) {
    Wanted wanted = filter_event(rule, event);
    bool wants = wanted == WANTED_YES;
    int r = wanted == WANTED_IF_TOLD ? outbox_told(d->store, event->incident.id, rule->name, &wants) : 0;
    return r == 0 && wants ? strv_append(names, rule->name) : r;
}

typedef struct Documents {
    EventDocument *items;
    size_t n;
} Documents;

static void documents_done(Documents *documents) {
    for (size_t i = 0; i < documents->n; i++) {
        free((char *)documents->items[i].document);
        strv_free((char **)documents->items[i].notifiers);
    }
    free(documents->items);
}

/* Only now, that somebody is told, and of all events together: each call may read all of dpkg's lists. Whoever was
 * there before comes first, for not everybody is looked up where many are new. */
static int find_packages(Daemon *d, const Decision *decision) {
    size_t n = 0;
    for (size_t i = 0; i < decision->n_events; i++) n += decision->events[i].before.n + decision->events[i].after.n;
    if (n == 0) return 0;
    _cleanup_free_ Endpoint *borrowed = malloc(n * sizeof *borrowed);
    if (!borrowed) return -ENOMEM;
    n = 0;
    for (size_t i = 0; i < 2 * decision->n_events; i++) {
        const Event *event = &decision->events[i % decision->n_events];
        const Endpoints *list = i < decision->n_events ? &event->before : &event->after;
        for (size_t k = 0; k < list->n; k++) borrowed[n++] = list->items[k];
    }
    return packages_fill(d->packages, &(Endpoints){.items = borrowed, .n = n});
}

static int make_documents(Daemon *d, const Decision *decision, Documents *ret) {
    ret->items = calloc(decision->n_events + 1, sizeof *ret->items);
    if (!ret->items) return -ENOMEM;
    int r = find_packages(d, decision);
    if (r < 0) return r;
    for (size_t i = 0; i < decision->n_events; i++) {
        const Event *event = &decision->events[i];
        char **names = NULL;
        for (size_t n = 0; n < d->n_notifiers && r == 0; n++) r = add_wanted(d, d->notifiers[n]->rule, event, &names);
        if (r != 0) {
            strv_free(names);
            return r;
        }
        ret->items[ret->n++] = (EventDocument){
            event->id, document_event(event, d->host.name, d->host.machine_id, d->coverage, d->rules), names};
        if (!ret->items[i].document) return -ENOMEM;
    }
    return 0;
}

/* The decision is in the database, but there was no memory to take it over: the database is right. */
static int load_again(Daemon *d) {
    State state = {0};
    int r = store_load_state(d->store, &state);
    if (r != 0) {
        log_write(
            JOURNAL_TROUBLE, NULL, "out of memory: what was decided cannot be taken over, starting anew is safer");
        sd_event_exit(d->event, EXIT_FAILURE);
        return -ENOMEM;
    }
    state.last_step = d->state.last_step;
    state.incomplete_runs = d->state.incomplete_runs;
    const Now now = daemon_now();
    state_start_loans(&state, &now);
    state_done(&d->state);
    d->state = state;
    return 0;
}

int daemon_commit(Daemon *d, Decision *decision, const RequestAnswer *answer) {
    bool writes = decision_writes(decision);
    if (!writes && !answer) return engine_apply(&d->state, decision, true);
    _cleanup_(documents_done) Documents documents = {0};
    int r = decision_identify(decision, &d->state, daemon_random);
    if (r == 0) r = make_documents(d, decision, &documents);
    if (r == 0) {
        const Commit commit = {.decision = decision,
            .documents = documents.items,
            .n_documents = documents.n,
            .answer = answer,
            .now = daemon_now().realtime};
        fault_point("before-commit");
        r = store_commit(d->store, &commit);
        if (r == STORE_FULL) r = store_commit(d->store, &commit); /* the ballast is gone now */
        fault_point("after-commit");
    }
    if (r != 0) {
        engine_apply(&d->state, decision, false);
        return r < 0 || r == STORE_GONE ? r : daemon_store_failed(d, r);
    }
    daemon_store_worked(d);
    for (size_t i = 0; i < decision->n_events; i++)
        log_event(&decision->events[i], documents.items[i].document, d->host.name);
    for (size_t i = 0; i < decision->n_transitions; i++) log_transition(&decision->transitions[i]);
    bool events = decision->n_events > 0, learned = decision->learned;
    r = engine_apply(&d->state, decision, true);
    if (r < 0) r = load_again(d);
    if (learned)
        log_write(JOURNAL_LEARNED, NULL, "learned what listens: %zu endpoint%s, the baseline from now on",
            d->state.baseline.n, d->state.baseline.n == 1 ? "" : "s");
    if (events || learned) {
        daemon_status(d);
        daemon_wake_all(d);
    }
    return r;
}

static int commit_event(Daemon *d, Event *event) {
    Decision decision = {.next_look = INT64_MAX};
    _cleanup_free_ Event *events = malloc(sizeof *events);
    _cleanup_free_ Transition *transitions = calloc(1, sizeof *transitions);
    if (!events || !transitions) return -ENOMEM;
    if (event->type == EVENT_SELF) {
        *transitions = (Transition){.kind = TRANSITION_NOTICE,
            .time = event->time,
            .text = text_escape(event->summary, strlen(event->summary))};
        if (!transitions->text) return -ENOMEM;
        decision.transitions = TAKE_PTR(transitions);
        decision.n_transitions = 1;
    }
    *events = *event;
    memset(event, 0, sizeof *event);
    decision.events = TAKE_PTR(events);
    decision.n_events = 1;
    return daemon_commit(d, &decision, NULL);
}

/* `like` has severity and what of the rest is not NULL; its texts are borrowed. */
static int notice(Daemon *d, const Event *like) {
    Now now = daemon_now();
    Event event = {0}, shown = *like;
    shown.type = EVENT_SELF;
    shown.time = shown.seen = now.realtime;
    int r = event_copy(&shown, &event);
    if (r == 0) r = commit_event(d, &event);
    event_done(&event);
    return r;
}

int daemon_notice(Daemon *d, Severity severity, const char *subject, const char *summary, char *const *names) {
    return notice(
        d, &(Event){
               .severity = severity, .subject = (char *)subject, .summary = (char *)summary, .notify = (char **)names});
}

int daemon_notice_about(Daemon *d, const char *notifier, bool works, const char *summary, char *const *names) {
    return notice(d, &(Event){.severity = SEVERITY_WARNING,
                         .subject = (char *)"delivery",
                         .summary = (char *)summary,
                         .about = (char *)notifier,
                         .about_works = works,
                         .notify = (char **)names});
}

int daemon_notice_refused(Daemon *d, const char *message, const char *summary, char *const *names) {
    return notice(d, &(Event){.severity = SEVERITY_WARNING,
                         .subject = (char *)"delivery",
                         .summary = (char *)summary,
                         .refused = (char *)message,
                         .notify = (char **)names});
}

int daemon_tell_learned(Daemon *d) {
    Now now = daemon_now();
    Decision decision;
    int r = engine_welcome(d->rules, &d->state, &d->snapshot, &now, d->unlearned, &decision);
    if (r == 0) r = daemon_commit(d, &decision, NULL);
    if (r == 0) {
        strv_free(d->unlearned);
        d->unlearned = NULL;
    }
    return r;
}

int daemon_set_coverage(Daemon *d) {
    if (!d->coverage) return 0;
    /* What the kernel shows, and beside it what portwatch itself is not right about. */
    _cleanup_json_ json_t *status = json_copy(d->coverage);
    if (!status || json_object_set_new(status, "configuration",
                       d->configuration_trouble ? document_string(d->configuration_trouble) : json_null()) < 0)
        return -ENOMEM;
    _cleanup_json_ json_t *walls = json_object();
    for (size_t i = 0; i < d->n_notifiers; i++) {
        char *const *missing = d->notifiers[i]->walls_missing;
        json_t *list = missing ? json_array() : NULL;
        for (; missing && *missing; missing++) json_array_append_new(list, document_string(*missing));
        if (list && json_object_set_new(walls, d->notifiers[i]->rule->name, list) < 0) return -ENOMEM;
    }
    if (json_object_set(status, "walls_missing", walls) < 0) return -ENOMEM;
    _cleanup_free_ char *text = document_text(status);
    if (!text) return -ENOMEM;
    if (d->coverage_stored && strcmp(text, d->coverage_stored) == 0) return 0;
    int r = store_set_coverage(d->store, text);
    d->coverage_unstored = r != 0;
    if (r == 0) {
        daemon_store_worked(d);
        free(d->coverage_stored);
        d->coverage_stored = TAKE_PTR(text);
    }
    return r;
}

int daemon_open_store(Daemon *d) {
    const StoreIdentity identity = {.machine_id = d->host.machine_id,
        .boot_id = *d->host.boot_id ? d->host.boot_id : NULL,
        .now = daemon_now().realtime};
    StoreOpening what;
    _cleanup_free_ char *reason = NULL;
    int r = store_open(d->options.state_dir, STORE_DAEMON, &identity, &d->store, &what, &reason);
    if (r < 0) {
        log_write(
            JOURNAL_DATABASE_UNUSABLE, NULL, "cannot open the database in %s: %s", d->options.state_dir, strerror(-r));
        return EXIT_FAILURE;
    }
    if (reason)
        log_write(what == STORE_NEWER ? JOURNAL_DATABASE_NEWER
                  : d->store          ? JOURNAL_DATABASE_ASIDE
                                      : JOURNAL_DATABASE_UNUSABLE,
            NULL, "%s", reason);
    if (!d->store) return what == STORE_NEWER ? EXIT_CONFIG : EXIT_FAILURE;
    free(d->coverage_stored); /* it was another database's */
    d->coverage_stored = NULL;
    d->coverage_unstored = true;
    r = store_load_state(d->store, &d->state);
    if (r != 0) {
        log_write(JOURNAL_DATABASE_UNUSABLE, NULL, "cannot load the baseline: %s",
            r < 0 ? strerror(-r) : store_reason(d->store));
        return EXIT_FAILURE;
    }
    const Now now = daemon_now();
    state_start_loans(&d->state, &now);
    if (what == STORE_SET_ASIDE_CORRUPT || what == STORE_SET_ASIDE_FOREIGN) {
        free(d->opening_reason);
        d->opening_reason = strdup(reason ? reason : "the database was set aside");
        d->opening_severity = what == STORE_SET_ASIDE_CORRUPT ? SEVERITY_CRITICAL : SEVERITY_INFO;
    }
    return 0;
}

int daemon_store_failed(Daemon *d, int error) {
    if (error < 0) {
        log_write(JOURNAL_TROUBLE, NULL, "database: %s", strerror(-error));
        return error;
    }
    if (!d->store_failing)
        log_write(JOURNAL_DATABASE_FAILING, NULL, "%s; what there is to tell waits and is tried again each tick",
            store_reason(d->store));
    if (!d->store_failing) {
        d->store_failing = true;
        daemon_status(d);
    }
    if (error == STORE_CORRUPT) d->reopen = true;
    return error;
}

void daemon_store_worked(Daemon *d) {
    if (!d->store_failing) return;
    log_write(JOURNAL_DATABASE_WORKS, NULL, "the database can be written again");
    d->store_failing = false;
    daemon_status(d);
}
