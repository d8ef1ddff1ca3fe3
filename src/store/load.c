#include <errno.h>

#include "store/encode.h"
#include "store/names.h"
#include "store/state.h"

static int unreadable(Store *store, const char *what, const char *which) {
    return db_fail(store, STORE_CORRUPT, "%s: the %s %s cannot be read.", store->path, what, which);
}

static int decode(Store *store, sqlite3_stmt *statement, int column, const char *id, Endpoints *ret) {
    const char *text = db_text(statement, column);
    int r = endpoints_decode(text, (size_t)sqlite3_column_bytes(statement, column), ret);
    return r == -EBADMSG ? unreadable(store, "incident", id) : r;
}

static int load_baseline_row(Store *store, sqlite3_stmt *statement, Endpoints *list) {
    _cleanup_(endpoint_done) Endpoint endpoint = {
        .port = (uint16_t)sqlite3_column_int(statement, 1),
        .v6only = sqlite3_column_int(statement, 4) != 0,
        .count = (unsigned)sqlite3_column_int64(statement, 5),
        .since = sqlite3_column_int64(statement, 6),
    };
    if (!protocol_parse(db_text(statement, 0), &endpoint.protocol) ||
        !address_parse(db_text(statement, 2), &endpoint.address))
        return unreadable(store, "baseline's address", db_text(statement, 2));
    db_copy(statement, 3, endpoint.device, sizeof(endpoint.device));
    db_copy(statement, 8, endpoint.namespace, sizeof(endpoint.namespace));
    const char *owners = db_text(statement, 7);
    int r = owners_decode(owners, (size_t)sqlite3_column_bytes(statement, 7), &endpoint);
    if (r == -EBADMSG) return unreadable(store, "baseline's owner of", db_text(statement, 2));
    return r < 0 ? r : endpoints_take(list, &endpoint);
}

static int load_baseline(Store *store, Endpoints *ret) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT protocol, port, address, device, v6only, count, since, owners, namespace FROM baseline", "");
    while (r == 0 && (r = db_step(store, statement, &row)) == 0 && row) r = load_baseline_row(store, statement, ret);
    return r == 0 ? endpoints_sort(ret) : r;
}

static int load_incident(Store *store, sqlite3_stmt *statement, Incident *incident) {
    db_copy(statement, 0, incident->id, sizeof(incident->id));
    db_copy(statement, 1, incident->token, sizeof(incident->token));
    int aspect = names_find(names_aspect, ELEMENTSOF(names_aspect), db_text(statement, 2));
    int reach = names_find(names_reach, ELEMENTSOF(names_reach), db_text(statement, 7));
    if (aspect < 0 || reach < 0 || !change_parse(db_text(statement, 6), &incident->change) ||
        !severity_parse(db_text(statement, 8), &incident->severity) ||
        (aspect == ASPECT_SURFACE && !names_surface(statement, 3, 17, &incident->surface)))
        return unreadable(store, "incident", incident->id);
    incident->aspect = (Aspect)aspect;
    incident->reach = (Reach)reach;
    incident->state = INCIDENT_OPEN;
    incident->opened = sqlite3_column_int64(statement, 11);
    incident->last_event = sqlite3_column_int64(statement, 12);
    incident->next_reminder = sqlite3_column_int64(statement, 13);
    incident->remind_step = sqlite3_column_int64(statement, 14);
    incident->acknowledged = sqlite3_column_int(statement, 15) != 0;
    incident->returns = (unsigned)sqlite3_column_int64(statement, 18);
    db_copy(statement, 16, incident->opening_event, sizeof(incident->opening_event));
    int r = decode(store, statement, 9, incident->id, &incident->before);
    return r == 0 ? decode(store, statement, 10, incident->id, &incident->told) : r;
}

static int load_incidents(Store *store, State *state) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT id, token, aspect, protocol, port, local, change, reach, severity, before, told, opened, last_event,"
        " next_reminder, remind_step, acknowledged, opening_event, namespace, returns FROM incident"
        " WHERE state = 'open' ORDER BY opened, id",
        "");
    while (r == 0 && (r = db_step(store, statement, &row)) == 0 && row) {
        Incident *incidents = reallocarray(state->incidents, state->n_incidents + 1, sizeof(Incident));
        if (!incidents) return -ENOMEM;
        state->incidents = incidents;
        incidents[state->n_incidents] = (Incident){0};
        r = load_incident(store, statement, &incidents[state->n_incidents++]);
    }
    return r;
}

static int load_pauses(Store *store, State *state) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement, "SELECT every, protocol, port, local, until FROM pause", "");
    while (r == 0 && (r = db_step(store, statement, &row)) == 0 && row) {
        Pause pause = {.all = sqlite3_column_int(statement, 0) != 0, .until = sqlite3_column_int64(statement, 4)};
        if (!names_surface(statement, 1, -1, &pause.surface))
            return unreadable(store, "pause of", db_text(statement, 1));
        Pause *pauses = reallocarray(state->pauses, state->n_pauses + 1, sizeof(Pause));
        if (!pauses) return -ENOMEM;
        state->pauses = pauses;
        pauses[state->n_pauses++] = pause;
    }
    return r;
}

static int load_loans(Store *store, State *state) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT protocol, port, local, namespace, ahead, made, until, who, why, before FROM loan"
        " ORDER BY namespace, protocol, port, local",
        "");
    while (r == 0 && (r = db_step(store, statement, &row)) == 0 && row) {
        Loan *loans = reallocarray(state->loans, state->n_loans + 1, sizeof(Loan));
        if (!loans) return -ENOMEM;
        state->loans = loans;
        Loan *loan = &loans[state->n_loans++];
        *loan = (Loan){.ahead = sqlite3_column_int(statement, 4) != 0,
            .made = sqlite3_column_int64(statement, 5),
            .until = sqlite3_column_int64(statement, 6)};
        const char *before = db_text(statement, 9);
        r = endpoints_decode(before, (size_t)sqlite3_column_bytes(statement, 9), &loan->before);
        if (r == -EBADMSG || !names_surface(statement, 0, 3, &loan->surface))
            return unreadable(store, "time-limited acceptance of", db_text(statement, 0));
        if (r == 0) r = endpoints_sort(&loan->before);
        if (r == 0) r = db_string(statement, 7, &loan->by);
        if (r == 0) r = db_string(statement, 8, &loan->reason);
    }
    return r;
}

int store_load_state(Store *store, State *ret) {
    _cleanup_(state_done) State state = {0};
    _cleanup_(db_unsnapshotp) Store *open = NULL;
    int64_t learned = 0, namespaces = 0;
    int r = db_snapshot(store, &open);
    if (r == 0) r = db_integer(store, 0, &learned, "SELECT 1 FROM meta WHERE key = 'learned'", "");
    if (r == 0) r = db_integer(store, 0, &namespaces, "SELECT 1 FROM meta WHERE key = 'namespaces_learned'", "");
    if (r == 0) r = load_baseline(store, &state.baseline);
    if (r == 0) r = load_incidents(store, &state);
    if (r == 0) r = load_pauses(store, &state);
    if (r == 0) r = load_loans(store, &state);
    if (r != 0) return r;
    state.learned = learned != 0;
    state.namespaces_learned = namespaces != 0;
    *ret = state;
    state = (State){0};
    return 0;
}

int store_coverage(Store *store, char **ret) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement, "SELECT value FROM meta WHERE key = 'coverage'", "");
    if (r == 0) r = db_step(store, statement, &row);
    if (r != 0) return r;
    if (!row) {
        *ret = NULL;
        return 0;
    }
    return db_string(statement, 0, ret);
}
