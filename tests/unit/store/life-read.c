/* What the steps of a life read. */
#include "life.h"

#include <string.h>

static uint64_t hash(uint64_t sum, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    if (sum == 0) sum = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++) sum = (sum ^ p[i]) * UINT64_C(0x100000001b3);
    return sum;
}

void life_see(Life *life, const char *text) {
    life->seen = hash(life->seen, text ? text : "-", text ? strlen(text) + 1 : 1);
}

void life_see_number(Life *life, int64_t number) {
    life->seen = hash(life->seen, &number, sizeof(number));
}

static uint64_t digest_rows(sqlite3 *db, const char *sql, uint64_t sum) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            const void *text = sqlite3_column_text(statement, i);
            int n = sqlite3_column_bytes(statement, i);
            sum = hash(hash(sum, &n, sizeof(n)), text, (size_t)n);
        }
    if (code != SQLITE_DONE) print_error("%s: %s\n", sql, sqlite3_errmsg(db));
    assert_int_equal(code, SQLITE_DONE);
    sqlite3_finalize(statement);
    return sum;
}

uint64_t life_digest(Store *store) {
    sqlite3_stmt *statement = NULL;
    const char *tables = "SELECT 'SELECT * FROM ' || name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    assert_int_equal(sqlite3_prepare_v2(store->db, tables, -1, &statement, NULL), SQLITE_OK);
    uint64_t sum = digest_rows(store->db, "SELECT sql FROM sqlite_schema ORDER BY name", 0);
    while (sqlite3_step(statement) == SQLITE_ROW)
        sum = digest_rows(store->db, (const char *)sqlite3_column_text(statement, 0), sum);
    sqlite3_finalize(statement);
    return sum;
}

int life_open(Life *life, StoreMode mode, Store **ret) {
    const StoreIdentity identity = {.machine_id = MACHINE, .boot_id = BOOT, .now = NOW};
    StoreOpening what = STORE_OPENED;
    _cleanup_free_ char *reason = NULL;
    int r = store_open(life->dir, mode, &identity, ret, &what, &reason);
    if (r != 0) return r;
    assert_true((what <= STORE_FRESH) == (reason == NULL));
    snprintf(life->reason, sizeof(life->reason), "%s", reason ? reason : "");
    return what <= STORE_FRESH ? 0 : LIFE_OPENING + (int)what;
}

int life_load(Life *life, const Step *step) {
    State state = {0};
    int r = store_load_state(life->store, &state);
    if (r != 0) return r;
    life_see_number(life, state.learned * 2 + state.namespaces_learned);
    for (size_t i = 0; i < state.baseline.n; i++) {
        life_see_number(life, state.baseline.items[i].port);
        life_see_number(life, (int64_t)state.baseline.items[i].n_owners);
    }
    for (size_t i = 0; i < state.n_incidents; i++) {
        life_see(life, state.incidents[i].token);
        life_see_number(life, (int64_t)state.incidents[i].told.n);
    }
    for (size_t i = 0; i < state.n_pauses; i++) life_see_number(life, state.pauses[i].until);
    state_done(&state);
    return 0;
}

static int in_flight(Life *life, const char *notifier) {
    InFlight found = {0};
    int r = outbox_in_flight(life->store, notifier, NOW, &found);
    if (r != 0) return r;
    life_see_number(life, found.found);
    life_see_number(life, found.attempts);
    life_see_number(life, found.next_try);
    life_see(life, found.message.text);
    for (size_t i = 0; i < found.n_recipients; i++) life_see(life, found.recipients[i].address);
    for (size_t i = 0; i < found.n_recipients; i++) life_see_number(life, found.recipients[i].state);
    in_flight_done(&found);
    return 0;
}

int life_in_flight(Life *life, const Step *step) {
    int r = in_flight(life, "admin");
    return r == 0 ? in_flight(life, "chat") : r;
}

int life_next(Life *life, const Step *step) {
    Request request = {0};
    int r = request_next(life->store, 0, NOW, &request);
    if (r != 0) return r;
    life_see_number(life, request.id);
    life_see(life, request.command);
    life_see(life, request.arguments);
    request_done(&request);
    return 0;
}

int life_answered(Life *life, const Step *step) {
    _cleanup_(store_closep) Store *requester = NULL;
    _cleanup_free_ char *text = NULL;
    bool answered = false;
    int code = 0;
    int r = life_open(life, STORE_REQUESTER, &requester);
    if (r == 0) r = request_wait(requester, step->number, MINUTE, &answered, &code, &text);
    if (r != 0) return r;
    assert_true(answered);
    life_see(life, text);
    return 0;
}

static int read_history(Life *life, Store *reader) {
    HistoryRow *rows = NULL;
    size_t n = 0;
    int r = history_query(reader, &(HistoryFilter){.limit = 100}, &rows, &n);
    if (r != 0) return r;
    for (size_t i = 0; i < n; i++) life_see_number(life, rows[i].transition.time + rows[i].count);
    for (size_t i = 0; i < n; i++) life_see_number(life, (int64_t)rows[i].transition.after.n);
    history_rows_free(rows, n);
    return 0;
}

static int read_health(Life *life, Store *reader) {
    NotifierHealth *health = NULL;
    size_t n = 0;
    int r = store_notifiers(reader, NOW, &health, &n);
    if (r != 0) return r;
    for (size_t i = 0; i < n; i++) life_see(life, health[i].last_error);
    for (size_t i = 0; i < n; i++) life_see_number(life, health[i].waiting + 1000 * health[i].failed);
    notifier_health_free(health, n);
    return 0;
}

static int read_messages(Life *life, Store *reader) {
    FailedMessage *failed = NULL;
    char **threads = NULL, id[UUID_TEXT_MAX];
    size_t n = 0;
    int r = outbox_failed(reader, 10, &failed, &n);
    if (r != 0) return r;
    for (size_t i = 0; i < n; i++) life_see(life, failed[i].reason);
    failed_messages_free(failed, n);
    r = outbox_threads(reader, fixture_uuid('i', 1, id), "admin", &threads);
    for (size_t i = 0; threads && threads[i]; i++) life_see(life, threads[i]);
    strv_free(threads);
    return r;
}

/* `portwatch status`: several reads of one state. */
int life_status(Life *life, const Step *step) {
    _cleanup_(store_closep) Store *reader = NULL;
    _cleanup_free_ char *coverage = NULL;
    int64_t last = 0;
    int r = life_open(life, STORE_READER, &reader);
    if (r == 0) r = store_read_begin(reader);
    if (r == 0) r = read_history(life, reader);
    if (r == 0) r = read_health(life, reader);
    if (r == 0) r = read_messages(life, reader);
    if (r == 0) r = history_last(reader, &last);
    if (r == 0) r = store_coverage(reader, &coverage);
    if (reader) store_read_end(reader);
    if (r != 0) return r;
    life_see_number(life, last);
    life_see(life, coverage);
    return 0;
}
