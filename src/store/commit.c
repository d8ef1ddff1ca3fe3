#include <errno.h>
#include <string.h>

#include "store/encode.h"
#include "store/names.h"
#include "store/record.h"
#include "store/state.h"

static int commit_remove(Store *store, const Endpoint *key) {
    char address[INET6_ADDRSTRLEN];
    return db_run(store,
        "DELETE FROM baseline WHERE protocol = ? AND port = ? AND address = ? AND device = ? AND namespace = ?",
        "tdttt", protocol_name(key->protocol), (int)key->port, address_format(&key->address, address), key->device,
        key->namespace);
}

static int commit_expect(Store *store, const Endpoint *endpoint) {
    char address[INET6_ADDRSTRLEN];
    _cleanup_free_ char *owners = owners_encode(endpoint->owners, endpoint->n_owners, DETAIL_FULL);
    if (!owners) return -ENOMEM;
    return db_run(store,
        "INSERT OR REPLACE INTO baseline (protocol, port, address, device, v6only, count, since, owners,"
        " namespace) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "tdttdiitt", protocol_name(endpoint->protocol), (int)endpoint->port,
        address_format(&endpoint->address, address), endpoint->device, (int)endpoint->v6only, (int64_t)endpoint->count,
        endpoint->since, owners, endpoint->namespace);
}

static int commit_baseline(Store *store, const BaselineChange *change) {
    int r = 0;
    for (size_t i = 0; r == 0 && i < change->before.n; i++) r = commit_remove(store, &change->before.items[i]);
    for (size_t i = 0; r == 0 && i < change->after.n; i++) r = commit_expect(store, &change->after.items[i]);
    return r;
}

static int commit_incident(Store *store, const Incident *incident) {
    _cleanup_free_ char *before = endpoints_encode(&incident->before, DETAIL_FULL);
    _cleanup_free_ char *told = endpoints_encode(&incident->told, DETAIL_FULL);
    if (!before || !told) return -ENOMEM;
    const Surface *surface = incident->aspect == ASPECT_SURFACE ? &incident->surface : NULL;
    return db_run(store,
        "INSERT INTO incident (id, token, aspect, protocol, port, local, state, change, reach, severity, before, told,"
        " opened, last_event, next_reminder, remind_step, acknowledged, opening_event, namespace,"
        " returns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET state = excluded.state, change = excluded.change, reach = excluded.reach,"
        " severity = excluded.severity, before = excluded.before, told = excluded.told,"
        " last_event = excluded.last_event, next_reminder = excluded.next_reminder,"
        " remind_step = excluded.remind_step, acknowledged = excluded.acknowledged, returns = excluded.returns",
        "ttttddttttttiiiidttd", incident->id, incident->token, names_aspect[incident->aspect], names_protocol(surface),
        surface ? (int)surface->port : 0, surface ? (int)surface->local : 0, names_incident_state[incident->state],
        change_name(incident->change), names_reach[incident->reach], severity_name(incident->severity), before, told,
        incident->opened, incident->last_event, incident->next_reminder, incident->remind_step,
        (int)incident->acknowledged, incident->opening_event, names_namespace(surface), (int)incident->returns);
}

static int commit_queue(Store *store, const Event *event, int64_t seq, const char *notifier, size_t size, int64_t now) {
    int r = db_run(store, "INSERT OR IGNORE INTO notifier (name, since) VALUES (?, ?)", "ti", notifier, now);
    if (r == 0)
        r = db_run(store, "INSERT INTO queue (event, notifier, queued, severity, size) VALUES (?, ?, ?, ?, ?)", "itidi",
            seq, notifier, now, (int)event->severity, (int64_t)size);
    if (r == 0 && event->has_incident && event->incident.state == INCIDENT_OPEN)
        r = db_run(
            store, "INSERT OR IGNORE INTO told (incident, notifier) VALUES (?, ?)", "tt", event->incident.id, notifier);
    if (r == 0 && event->type == EVENT_LEARNED)
        r = db_run(store, "UPDATE notifier SET learned = 1 WHERE name = ?", "t", notifier);
    return r;
}

static const EventDocument *document_find(const Commit *commit, const char *id) {
    for (size_t i = 0; i < commit->n_documents; i++)
        if (strcmp(commit->documents[i].event_id, id) == 0) return &commit->documents[i];
    return NULL;
}

static int commit_event(Store *store, const Commit *commit, const Event *event) {
    const EventDocument *document = document_find(commit, event->id);
    if (!event->id[0] || !document || (event->has_incident && !event->incident.id[0])) return -EINVAL;
    int r = event->has_incident ? commit_incident(store, &event->incident) : 0;
    if (r == 0)
        r = db_run(store, "INSERT INTO event (id, incident, type, time, boot, document) VALUES (?, ?, ?, ?, ?, ?)",
            "tttiit", event->id, event->has_incident ? event->incident.id : NULL, event_type_name(event->type),
            event->time, store->boot, document->document);
    int64_t seq = sqlite3_last_insert_rowid(store->db);
    for (size_t i = 0; r == 0 && document->notifiers && document->notifiers[i]; i++)
        r = commit_queue(store, event, seq, document->notifiers[i], strlen(document->document), commit->now);
    if (r == 0 && event->about)
        r = db_run(store, "UPDATE notifier SET failing_told = ? WHERE name = ?", "it",
            event->about_works ? (int64_t)0 : event->time, event->about);
    if (r == 0 && event->refused) r = db_run(store, "UPDATE message SET untold = 0 WHERE id = ?", "t", event->refused);
    if (r == 0 && event->has_incident && event->incident.state != INCIDENT_OPEN)
        r = db_run(store, "DELETE FROM told WHERE incident = ?", "t", event->incident.id);
    return r;
}

static int commit_pauses(Store *store, const Decision *decision) {
    int r = db_run(store, "DELETE FROM pause", "");
    for (size_t i = 0; r == 0 && i < decision->n_pauses; i++) {
        const Pause *pause = &decision->pauses[i];
        r = db_run(store, "INSERT OR REPLACE INTO pause (every, protocol, port, local, until) VALUES (?, ?, ?, ?, ?)",
            "dtddi", (int)pause->all, protocol_name(pause->surface.protocol), (int)pause->surface.port,
            (int)pause->surface.local, pause->until);
    }
    return r;
}

static int commit_loans(Store *store, const Decision *decision) {
    int r = db_run(store, "DELETE FROM loan", "");
    for (size_t i = 0; r == 0 && i < decision->n_loans; i++) {
        const Loan *loan = &decision->loans[i];
        _cleanup_free_ char *before = endpoints_encode(&loan->before, DETAIL_FULL);
        if (!before) return -ENOMEM;
        r = db_run(store,
            "INSERT INTO loan (namespace, protocol, port, local, ahead, made, until, who, why, before)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            "ttdddiittt", loan->surface.namespace, names_protocol(&loan->surface), (int)loan->surface.port,
            (int)loan->surface.local, (int)loan->ahead, loan->made, loan->until, loan->by, loan->reason, before);
    }
    return r;
}

static int commit_decision(Store *store, const Commit *commit) {
    const Decision *decision = commit->decision;
    int r = version_record(store, decision, commit->now);
    for (size_t i = 0; r == 0 && i < decision->n_baseline; i++) r = commit_baseline(store, &decision->baseline[i]);
    for (size_t i = 0; r == 0 && i < decision->n_events; i++) r = commit_event(store, commit, &decision->events[i]);
    if (r == 0 && decision->n_events > 0) r = queues_bound(store);
    for (size_t i = 0; r == 0 && i < decision->n_updates; i++) r = commit_incident(store, &decision->updates[i]);
    for (size_t i = 0; r == 0 && i < decision->n_transitions; i++) r = history_record(store, &decision->transitions[i]);
    if (r == 0 && decision->pauses_changed) r = commit_pauses(store, decision);
    if (r == 0 && decision->loans_changed) r = commit_loans(store, decision);
    if (r == 0 && decision->namespaces_change)
        r = db_run(store, "DELETE FROM meta WHERE key = 'namespaces_learned'", "");
    if (r == 0 && decision->namespaces_change && decision->namespaces_learned)
        r = db_run(
            store, "INSERT INTO meta (key, value) VALUES ('namespaces_learned', CAST(? AS TEXT))", "i", commit->now);
    if (r == 0 && decision->learned)
        r = db_run(
            store, "INSERT OR IGNORE INTO meta (key, value) VALUES ('learned', CAST(? AS TEXT))", "i", commit->now);
    return r;
}

static int commit_answer(Store *store, const RequestAnswer *answer, int64_t now) {
    int r = db_run(store,
        "UPDATE request SET state = 'answered', code = ?, answer = ?, ended = ? WHERE id = ? AND state = 'waiting'",
        "dtii", answer->code, answer->text, now, answer->id);
    if (r == 0 && db_changes(store) == 0)
        return db_fail(store, STORE_GONE, "%s: nobody waits for the answer to request %lld any more.", store->path,
            (long long)answer->id);
    return r;
}

int store_commit(Store *store, const Commit *commit) {
    _cleanup_transaction_ Store *open = NULL;
    int r = db_begin(store, &open);
    if (r == 0 && commit->answer) r = commit_answer(store, commit->answer, commit->now);
    if (r == 0 && commit->decision) r = commit_decision(store, commit);
    return r == 0 ? db_commit(&open) : r;
}

int store_set_coverage(Store *store, const char *text) {
    int64_t same = 0;
    int r = db_integer(store, 0, &same, "SELECT 1 FROM meta WHERE key = 'coverage' AND value = ?", "t", text);
    if (r != 0 || same) return r;
    return db_run(store, "INSERT OR REPLACE INTO meta (key, value) VALUES ('coverage', ?)", "t", text);
}
