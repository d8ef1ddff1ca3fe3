/* What people ask through the database; the contract is cli/request.h. */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>

#include "core/view.h"
#include "daemon/answer.h"
#include "daemon/log.h"

static int add_accepted(Daemon *d, const Decision *decision, json_t *list) {
    for (size_t i = 0; i < decision->n_baseline; i++) {
        const BaselineChange *change = &decision->baseline[i];
        const Incident *incident = state_incident_at(&d->state, &change->surface);
        char surface[SURFACE_TEXT_MAX];
        json_t *entry = json_pack("{s:s?,s:s,s:o,s:o}", "token", incident ? incident->token : NULL, "port",
            surface_format(&change->surface, surface), "before", document_endpoints(&change->before), "after",
            document_endpoints(&change->after));
        if (!entry || json_array_append_new(list, entry) < 0) return -ENOMEM;
    }
    return 0;
}

static int answer_moved(Daemon *d, const Surface *at, Answer *answer) {
    const Incident *incident = state_incident_at(&d->state, at);
    Endpoints now = {0};
    int r = 0;
    for (size_t i = 0; i < d->snapshot.endpoints.n && r == 0; i++) {
        Surface surface = surface_of(d->rules, &d->snapshot, &d->snapshot.endpoints.items[i]);
        if (surface_compare(&surface, at) == 0) r = endpoints_add(&now, &d->snapshot.endpoints.items[i]);
    }
    json_t *told = incident ? document_endpoints(&incident->told) : json_array(), *there = document_endpoints(&now);
    if (json_object_set_new(answer->object, "told", told) < 0 || json_object_set_new(answer->object, "now", there) < 0)
        r = -ENOMEM;
    endpoints_done(&now);
    return r;
}

static int answer_refusal(Daemon *d, RequestResult result, const Surface *at, const char *token, Answer *answer) {
    char surface[SURFACE_TEXT_MAX];
    surface_format(at, surface);
    switch (result) {
    case REQUEST_UNKNOWN: {
        _cleanup_free_ char *escaped = text_escape(token, strlen(token));
        return answer_text(answer, 2, "no open incident has the token %s", escaped ? escaped : "");
    }
    case REQUEST_FLAPPING:
        return answer_text(answer, 2,
            "%s comes and goes, and is as expected now: there is nothing to accept. `portwatch ack` ends its reminders;"
            " `flapping = off` in a section of its own makes it a port like others",
            surface);
    case REQUEST_SELF:
        return answer_text(answer, 2, "that is portwatch's own trouble: it ends when the cause is gone");
    case REQUEST_UNSEEN:
        return answer_text(answer, 2, "%s cannot be read completely at the moment; nothing changed", surface);
    case REQUEST_MOVED:
        answer_text(answer, 2, "%s differs now from what was told; nothing changed", surface);
        return answer_moved(d, at, answer);
    case REQUEST_STATED: {
        const PortRule *rule = rules_find_in(d->rules, at->namespace, at->protocol, at->port);
        if (!rule) return answer_text(answer, 2, "%s is stated by the configuration; nothing changed", surface);
        const Place *place = rule->stated_place.file ? &rule->stated_place : &rule->expect_place;
        if (!place->file) place = &rule->place;
        char where[600];
        snprintf(where, sizeof where, "%s:%u", place->file, place->line);
        if (json_object_set_new(answer->object, "stated", document_string(where)) < 0) return -ENOMEM;
        return answer_text(
            answer, 2, "what %s must be is stated at %s: change it there; nothing changed", surface, where);
    }
    case REQUEST_POOLED:
        return answer_text(answer, 2,
            "%s is one of the ephemeral ports, which count together: approve %s/ephemeral, or give it a section",
            surface, protocol_name(at->protocol));
    default:
        return answer_text(answer, 2, "%s: nothing to accept: nothing differs", surface);
    }
}

/* What became of the surfaces of a port. */
typedef struct Accepting {
    json_t *accepted, *ahead;
    RequestResult refusal;
    Surface refused_at;
    size_t done;
} Accepting;

static int accept_surfaces(
    Daemon *d, const Surface *surfaces, size_t n, const Acceptance *wanted, Accepting *accepting) {
    for (size_t i = 0; i < n; i++) {
        Acceptance a = *wanted;
        a.surface = &surfaces[i];
        Now now = daemon_now();
        Decision decision;
        Surface at = surfaces[i];
        int r = engine_accept(d->rules, &d->state, &d->snapshot, &now, &a, &decision, &at);
        if (r < 0) return r;
        if (r != REQUEST_DONE) {
            if (r != REQUEST_NOTHING) accepting->refusal = r, accepting->refused_at = at;
            continue;
        }
        char surface[SURFACE_TEXT_MAX];
        bool ahead = decision.n_baseline == 0 && decision.n_events == 0;
        r = add_accepted(d, &decision, accepting->accepted);
        if (r == 0 && ahead &&
            json_array_append_new(accepting->ahead, json_string(surface_format(&surfaces[i], surface))) < 0)
            r = -ENOMEM;
        if (r < 0) decision_done(&decision);
        if (r == 0) r = daemon_commit(d, &decision, NULL);
        if (r != 0) return r;
        accepting->done++;
    }
    return 0;
}

static int accept_port(
    Daemon *d, const Request *request, const json_t *port, const Acceptance *wanted, Answer *answer) {
    Surface surfaces[2];
    size_t n = answer_port(port, surfaces);
    if (n == 0) return answer_text(answer, 2, "that is no port");
    _cleanup_json_ json_t *accepted = json_array(), *ahead = json_array(), *lent = json_array();
    if (!accepted || !ahead || !lent) return -ENOMEM;
    Accepting accepting = {accepted, lent, REQUEST_NOTHING, surfaces[0], 0};
    int r = accept_surfaces(d, surfaces, n, wanted, &accepting);
    if (r == 0 && wanted->until && accepting.done == 0 && accepting.refusal == REQUEST_NOTHING) {
        /* Only where nothing differs on any of them is it meant for what will. */
        Acceptance a = *wanted;
        a.ahead = true;
        accepting.ahead = ahead;
        r = accept_surfaces(d, surfaces, n, &a, &accepting);
    }
    if (r != 0) return r;
    if (accepting.done == 0) return answer_refusal(d, accepting.refusal, &accepting.refused_at, "", answer);
    if ((wanted->until && json_object_set_new(answer->object, "until", json_integer(wanted->until)) < 0) ||
        (json_array_size(ahead) && json_object_set(answer->object, "ahead", ahead) < 0) ||
        (json_array_size(lent) && json_object_set(answer->object, "lent", lent) < 0) ||
        json_object_set(answer->object, "accepted", accepted) < 0)
        return -ENOMEM;
    return answer_text(answer, 0, "accepted");
}

static int do_accept(Daemon *d, const Request *request, const json_t *arguments, Answer *answer) {
    const char *token = json_string_value(json_object_get(arguments, "token"));
    const json_t *port = json_object_get(arguments, "port");
    Acceptance a = {
        .token = token, .by = request->who, .reason = json_string_value(json_object_get(arguments, "reason"))};
    const json_t *until = json_object_get(arguments, "until");
    a.until = json_integer_value(until);
    int64_t left = a.until - daemon_now().realtime;
    if (until && (!json_is_integer(until) || left <= 0 || left > ENGINE_LOAN_MAX)) {
        int r = answer_text(answer, 2, "an acceptance ends later than now, and within 366 days");
        return r < 0 ? r : answer_reply(d, request, NULL, answer);
    }
    if (!token && port) {
        int r = accept_port(d, request, port, &a, answer);
        return r != 0 ? r : answer_reply(d, request, NULL, answer);
    }
    Now now = daemon_now();
    Decision decision;
    Surface at = {0};
    int r = engine_accept(d->rules, &d->state, &d->snapshot, &now, &a, &decision, &at);
    if (r < 0) return r;
    bool decided = decision_writes(&decision);
    _cleanup_json_ json_t *accepted = json_array();
    int e = add_accepted(d, &decision, accepted);
    if (e == 0 && decided && json_object_set(answer->object, "accepted", accepted) < 0) e = -ENOMEM;
    if (e == 0 && decided && a.until && json_object_set_new(answer->object, "until", json_integer(a.until)) < 0)
        e = -ENOMEM;
    if (e == 0 && r == REQUEST_DONE)
        e = answer_text(answer, 0, "accepted");
    else if (e == 0 && r == REQUEST_NOTHING)
        e = answer_text(answer, token ? 2 : 0, "nothing to accept");
    else if (e == 0 && decided)
        e = answer_text(answer, 2,
            "not everything could be accepted: what the configuration states, or cannot be read now, is left");
    else if (e == 0)
        e = answer_refusal(d, r, &at, token ? token : "", answer);
    if (e < 0 || !decided) decision_done(&decision);
    return e < 0 ? e : answer_reply(d, request, decided ? &decision : NULL, answer);
}

static int do_ack(Daemon *d, const Request *request, const json_t *arguments, Answer *answer) {
    const char *token = json_string_value(json_object_get(arguments, "token"));
    Now now = daemon_now();
    Decision decision;
    int r = engine_acknowledge(&d->state, &now, token ? token : "", request->who, &decision);
    if (r < 0) return r;
    if (r != REQUEST_DONE) {
        r = answer_refusal(d, r, &(Surface){0}, token ? token : "", answer);
        return r < 0 ? r : answer_reply(d, request, NULL, answer);
    }
    r = answer_text(answer, 0, "no more reminders for %s", decision.updates[0].token);
    if (r < 0) decision_done(&decision);
    return r < 0 ? r : answer_reply(d, request, &decision, answer);
}

/* A port without a protocol is paused and resumed for tcp and udp, as two pauses of one decision each. */
static int do_pause(Daemon *d, const Request *request, const json_t *arguments, Answer *answer) {
    const json_t *port = json_object_get(arguments, "port");
    json_int_t duration = json_integer_value(json_object_get(arguments, "duration"));
    Surface surfaces[2];
    size_t n = port ? answer_port(port, surfaces) : 1;
    if (n == 0 || duration <= 0 || duration > 366 * 86400 * USEC_PER_SEC) {
        int r = answer_text(answer, 2, "a pause lasts up to 366 days");
        return r < 0 ? r : answer_reply(d, request, NULL, answer);
    }
    Now now = daemon_now();
    int r = answer_text(answer, 0, "paused");
    if (json_object_set_new(answer->object, "until", json_integer(now.realtime + duration)) < 0) r = -ENOMEM;
    for (size_t i = 0; i < n && r == 0; i++) {
        Decision decision;
        r = engine_pause(&d->state, &now, port ? &surfaces[i] : NULL, duration, request->who, &decision);
        if (r == 0) r = i + 1 < n ? daemon_commit(d, &decision, NULL) : answer_reply(d, request, &decision, answer);
    }
    return r;
}

static int do_resume(Daemon *d, const Request *request, const json_t *arguments, Answer *answer) {
    const json_t *port = json_object_get(arguments, "port");
    Surface surfaces[2];
    size_t n = port ? answer_port(port, surfaces) : 1, resumed = 0;
    Now now = daemon_now();
    for (size_t i = 0; i < n; i++) {
        Decision decision;
        int r = engine_resume(&d->state, &now, port ? &surfaces[i] : NULL, request->who, &decision);
        if (r < 0) return r;
        if (r != REQUEST_DONE) continue;
        r = daemon_commit(d, &decision, NULL);
        if (r != 0) return r;
        resumed++;
    }
    int r = resumed ? answer_text(answer, 0, "resumed") : answer_text(answer, 2, "there was no such pause");
    return r < 0 ? r : answer_reply(d, request, NULL, answer);
}

static int execute(Daemon *d, const Request *request) {
    _cleanup_json_ json_t *arguments = json_loads(request->arguments ? request->arguments : "{}", 0, NULL);
    if (arguments && strcmp(request->command, "test") == 0) return test_start(d, request, arguments);
    _cleanup_json_ json_t *object = json_object();
    Answer answer = {.object = object};
    if (!object) return -ENOMEM;
    if (arguments && strcmp(request->command, "accept") == 0) return do_accept(d, request, arguments, &answer);
    if (arguments && strcmp(request->command, "ack") == 0) return do_ack(d, request, arguments, &answer);
    if (arguments && strcmp(request->command, "pause") == 0) return do_pause(d, request, arguments, &answer);
    if (arguments && strcmp(request->command, "resume") == 0) return do_resume(d, request, arguments, &answer);
    if (arguments && strcmp(request->command, "revert") == 0) return baseline_revert(d, request, arguments, &answer);
    if (arguments && strcmp(request->command, "import") == 0) return baseline_import(d, request, arguments, &answer);
    int r = answer_text(&answer, 2, "portwatchd does not know this request: are both of one version?");
    return r < 0 ? r : answer_reply(d, request, NULL, &answer);
}

/* Everything that waits, but no more than a bounded number at a time: the watch comes first. */
void daemon_look_at_requests(Daemon *d) {
    /* An empty snapshot that was never taken would say that everything is closed. */
    d->requests_wait = d->state.last_step == 0;
    for (unsigned n = 0; n < 16 && !d->requests_wait; n++) {
        Request request = {0};
        int r = request_next(d->store, d->requests_after, daemon_now().realtime, &request);
        if (r == 0 && request.id == 0) return;
        if (r == 0) {
            r = execute(d, &request);
            if (r == STORE_GONE) r = 0;
        }
        request_done(&request);
        if (r < 0) log_write(JOURNAL_TROUBLE, NULL, "cannot answer a request: %s", strerror(-r));
        d->requests_wait = r != 0;
    }
}

static int on_wal(sd_event_source *source, const struct inotify_event *event, void *userdata) {
    daemon_look_at_requests(userdata);
    return 0;
}

int daemon_start_requests(Daemon *d) {
    int r = sd_event_add_inotify(d->event, &d->requests, store_wal_path(d->store), IN_MODIFY | IN_ATTRIB, on_wal, d);
    if (r < 0) {
        log_write(JOURNAL_TROUBLE, NULL, "cannot watch %s: %s", store_wal_path(d->store), strerror(-r));
        return r;
    }
    daemon_look_at_requests(d);
    return 0;
}

void daemon_stop_requests(Daemon *d) {
    test_stop_all(d);
    d->requests = sd_event_source_disable_unref(d->requests);
    d->requests_after = 0; /* another database counts from the start; a test that was under way begins again */
}
