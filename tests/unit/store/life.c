#include "life.h"

#include <string.h>

#include "store/schema.h"

#define LATER (100 * DAYS) /* the first day of the second part */
#define OLD_INCIDENT "11111111-1111-4111-8111-111111111111"

static char *const both[] = {(char *)"admin", (char *)"chat", NULL}, *const admin[] = {(char *)"admin", NULL};

void life_begin(Fixture *f) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(fixture_path(f, STORE_FILE), &db), SQLITE_OK);
    Store *old = calloc(1, sizeof(Store));
    assert_non_null(old);
    old->db = db;
    fixture_exec(old, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL");
    assert_int_equal(schema_upgrade(old, schema_migrations, 1, NOW), 0);
    fixture_exec(old,
        "INSERT INTO meta VALUES ('machine_id', '" MACHINE "'), ('learned', '1');"
        "INSERT INTO boot VALUES (1, '11111111-6d6f-4c1c-9d45-7d0b8a6f0c11', 5);"
        "INSERT INTO baseline VALUES ('tcp', 22, '0.0.0.0', '', 0, 1, 77, 'owner unit=ssh.service uid=0' || char(10));"
        "INSERT INTO incident VALUES ('" OLD_INCIDENT "', 'K7Q2', 'surface', 'tcp', 5432, 0, 'open', 'closed', 'same',"
        " 'warning', 'tcp 5432 127.0.0.1 count=1' || char(10), '', 10, 11, 12, 13, 0,"
        " '22222222-2222-4222-8222-222222222222');"
        "INSERT INTO event VALUES (1, '22222222-2222-4222-8222-222222222222', '" OLD_INCIDENT
        "', 'opened', 11, 1, '{}');"
        "INSERT INTO notifier (name, since) VALUES ('admin', 3), ('chat', 3);"
        "INSERT INTO queue VALUES (1, 1, 'admin', 11, NULL), (2, 1, 'chat', 11, NULL);");
    store_close(old);
}

/* A small cache and a short log: pages are read in the midst of transactions, and written to the file at their end. */
static int step_open(Life *life, const Step *step) {
    if (life->store) return 0;
    int r = life_open(life, STORE_DAEMON, &life->store);
    if (life->store)
        sqlite3_exec(life->store->db, "PRAGMA cache_size = 8; PRAGMA wal_autocheckpoint = 30", NULL, NULL, NULL);
    return r;
}

static int step_reopen(Life *life, const Step *step) {
    store_close(TAKE_PTR(life->store));
    return step_open(life, step);
}

static int step_sync(Life *life, const Step *step) {
    return store_notifiers_sync(life->store, both, NOW);
}

static void told_baseline(Told *told, uint16_t port) {
    BaselineChange *change = calloc(1, sizeof(BaselineChange));
    assert_non_null(change);
    _cleanup_(endpoint_done) Endpoint endpoint = fixture_endpoint(PROTOCOL_TCP, port, "::", "/usr/bin/java");
    change->surface = (Surface){.protocol = PROTOCOL_TCP, .port = port};
    assert_int_equal(endpoints_take(&change->after, &endpoint), 0);
    told->decision.baseline = change;
    told->decision.n_baseline = 1;
}

/* An event of this number, of this incident (0: of none). */
static void life_told(Told *told, unsigned number, EventType type, unsigned incident, char *const *notifiers) {
    told_init(told, incident, type, (uint16_t)(8000 + incident), notifiers);
    Event *event = told->decision.events;
    fixture_uuid('v', number, event->id);
    fixture_uuid('v', incident * 100, event->incident.opening_event);
    event->has_incident = incident != 0;
    event->time = event->incident.last_event = NOW + number;
    told->decision.transitions[0].time = event->time;
}

static int told_finish(Life *life, Told *told, const RequestAnswer *answer) {
    Commit commit = told_commit(told);
    commit.answer = answer;
    int r = store_commit(life->store, &commit);
    told_done(told);
    return r;
}

static int step_tell(Life *life, const Step *step) {
    Told told;
    life_told(&told, step->number, step->type, step->incident, step->text ? admin : both);
    return told_finish(life, &told, NULL);
}

static int step_learn(Life *life, const Step *step) {
    Told told;
    life_told(&told, 1, EVENT_LEARNED, 0, both);
    told_baseline(&told, 443);
    told.decision.learned = true;
    told.decision.namespaces_change = told.decision.namespaces_learned = true;
    return told_finish(life, &told, NULL);
}

/* Many rows at once: more than the cache holds. */
static int step_transitions(Life *life, const Step *step) {
    Told told;
    life_told(&told, 201, EVENT_REMINDER, 2, both);
    Transition *list = reallocarray(told.decision.transitions, 61, sizeof(Transition));
    assert_non_null(list);
    for (size_t i = 1; i <= 60; i++) {
        list[i] = (Transition){.kind = i % 3 ? TRANSITION_BOUNCED : TRANSITION_LOGGED, .time = NOW + (int64_t)i / 2};
        list[i].has_surface = true;
        list[i].surface = (Surface){.protocol = PROTOCOL_TCP, .port = (uint16_t)(20000 + i / 2)};
        _cleanup_(endpoint_done) Endpoint endpoint =
            fixture_endpoint(PROTOCOL_TCP, list[i].surface.port, "::1", "/opt/a-longer-path/that-fills-the-page/java");
        assert_int_equal(endpoints_take(&list[i].after, &endpoint), 0);
    }
    told.decision.transitions = list;
    told.decision.n_transitions = 61;
    return told_finish(life, &told, NULL);
}

static int step_form(Life *life, const Step *step) {
    const char *notifier = step->text;
    OutboxLook look = {0};
    OutboxRow *rows = NULL;
    size_t n = 0;
    int r = outbox_look(life->store, notifier, NOW, &look);
    if (r == 0) r = outbox_waiting(life->store, notifier, false, OUTBOX_ROWS_MAX, &rows, &n);
    if (r != 0) return r;
    int64_t ids[OUTBOX_ROWS_MAX];
    life_see_number(life, look.waiting);
    for (size_t i = 0; i < n; i++) life_see(life, rows[i].event);
    for (size_t i = 0; i < n; i++) life_see(life, rows[i].document);
    for (size_t i = 0; i < n; i++) ids[i] = rows[i].id;
    outbox_rows_free(rows, n);
    Message message = {.notifier = (char *)notifier,
        .host = (char *)"db1",
        .formed = NOW + step->number,
        .subject = (char *)"[db1] WARNING 8001/tcp",
        .text = (char *)"line\n",
        .document = (char *)"[{}]"};
    fixture_uuid('m', step->number, message.id);
    return outbox_form(life->store, &message, ids, n);
}

static int step_recipients(Life *life, const Step *step) {
    char id[UUID_TEXT_MAX];
    char *const list[] = {(char *)"a@example.com", (char *)"b@example.com", NULL};
    return outbox_set_recipients(life->store, fixture_uuid('m', 1, id), list);
}

static int result(Life *life, unsigned number, const Delivery *deliveries, size_t n, MessageState expected) {
    char id[UUID_TEXT_MAX];
    MessageState state = MESSAGE_WAITING;
    int r = outbox_result(
        life->store, fixture_uuid('m', number, id), deliveries, n, "nothing came back", NOW + MINUTE, NOW, &state);
    if (r == 0) assert_int_equal(state, expected);
    return r;
}

static int step_result_half(Life *life, const Step *step) {
    const Delivery answers[] = {{.recipient = (char *)"a@example.com", .outcome = OUTCOME_DELIVERED, .code = 250},
        {.recipient = (char *)"b@example.com", .outcome = OUTCOME_RETRY, .code = 451, .reason = (char *)"later"}};
    return result(life, 1, answers, 2, MESSAGE_WAITING);
}

static int step_result_sent(Life *life, const Step *step) {
    const Delivery answer = {.recipient = (char *)"b@example.com", .outcome = OUTCOME_DELIVERED, .code = 250};
    return result(life, 1, &answer, 1, MESSAGE_SENT);
}

static int step_result_refused(Life *life, const Step *step) {
    const Delivery answer = {.recipient = (char *)"", .outcome = OUTCOME_REFUSED, .code = 422, .reason = (char *)"no"};
    return result(life, 2, &answer, 1, MESSAGE_FAILED);
}

static int step_result_none(Life *life, const Step *step) {
    return result(life, 3, NULL, 0, MESSAGE_WAITING);
}

static int step_result_last(Life *life, const Step *step) {
    const Delivery answer = {.recipient = (char *)"", .outcome = OUTCOME_DELIVERED};
    return result(life, 4, &answer, 1, MESSAGE_SENT);
}

static int step_ask(Life *life, const Step *step) {
    _cleanup_(store_closep) Store *requester = NULL;
    int64_t id = 0;
    int r = life_open(life, STORE_REQUESTER, &requester);
    if (r == 0) r = request_put(requester, step->text, "{\"token\":\"0002\"}", "root", MINUTE, NOW + step->time, &id);
    if (r == 0) life_see_number(life, id);
    return r;
}

static int step_accept(Life *life, const Step *step) {
    Told told;
    life_told(&told, 202, EVENT_RESOLVED, 2, both);
    told.decision.events[0].incident.state = INCIDENT_ACCEPTED;
    told_baseline(&told, 8002);
    return told_finish(life, &told, &(RequestAnswer){.id = 1, .code = 0, .text = "accepted"});
}

static int step_pause(Life *life, const Step *step) {
    Pause *pause = calloc(1, sizeof(Pause));
    assert_non_null(pause);
    *pause = (Pause){.all = true, .until = NOW + HOURS};
    Told told = {.decision = {.pauses = pause, .n_pauses = 1, .pauses_changed = true}};
    Commit commit = {.decision = &told.decision, .answer = &(RequestAnswer){.id = 2, .text = "paused"}, .now = NOW};
    int r = store_commit(life->store, &commit);
    told_done(&told);
    return r;
}

/* The command line, which has waited long enough; and the daemon's answer, which comes too late. */
static int step_withdraw(Life *life, const Step *step) {
    _cleanup_(store_closep) Store *requester = NULL;
    _cleanup_free_ char *text = NULL;
    bool answered = true;
    int code = 0;
    int r = life_open(life, STORE_REQUESTER, &requester);
    if (r == 0) r = request_wait(requester, 3, 0, &answered, &code, &text);
    if (r != 0) return r;
    assert_false(answered);
    r = request_answer(life->store, &(RequestAnswer){.id = 3, .text = "done"}, NOW);
    assert_int_not_equal(r, 0);
    return r == STORE_GONE ? 0 : r;
}

static int step_coverage(Life *life, const Step *step) {
    return store_set_coverage(life->store, "{\"namespaces\": 2}");
}

static int step_expire(Life *life, const Step *step) {
    return store_expire(life->store, NOW + step->time, 90 * DAYS, NULL);
}

static int step_tested(Life *life, const Step *step) {
    return store_notifier_result(life->store, "chat", step->text, NOW + step->number);
}

static int step_wake(Life *life, const Step *step) {
    return outbox_wake(life->store, "chat");
}

static int step_left(Life *life, const Step *step) {
    return store_notifiers_sync(life->store, admin, NOW + LATER);
}

/* clang-format off */
const Step life_steps[] = {
    {"open", step_open},
    {"sync", step_sync},
    {"load", life_load},
    {"learn", step_learn},
    {"open incident 1", step_tell, .number = 100, .incident = 1, .type = EVENT_OPENED},
    {"open incident 2", step_tell, .number = 200, .incident = 2, .type = EVENT_OPENED},
    {"change incident 1", step_tell, .number = 101, .incident = 1, .type = EVENT_CHANGED},
    {"form message 1", step_form, .number = 1, .text = "admin"},
    {"recipients", step_recipients},
    {"half a result", step_result_half},
    {"form message 2", step_form, .number = 2, .text = "chat"},
    {"in flight", life_in_flight},
    {"sent", step_result_sent},
    {"refused", step_result_refused},
    {"notice", step_tell, .number = 2, .type = EVENT_SELF, .text = "admin"},
    {"resolve incident 1", step_tell, .number = 102, .incident = 1, .type = EVENT_RESOLVED},
    {"many transitions", step_transitions},
    {"ask to accept", step_ask, .text = "accept"},
    {"next request", life_next, .parts = true},
    {"accept", step_accept},
    {"answered", life_answered, .number = 1},
    {"ask to pause", step_ask, .text = "pause"},
    {"pause", step_pause},
    {"ask", step_ask, .text = "ack"},
    {"withdraw", step_withdraw, .parts = true},
    {"ask from the future", step_ask, .text = "ack", .time = HOURS},
    {"nothing to execute", life_next, .parts = true},
    {"coverage", step_coverage},
    {"status", life_status},
    {"test failed", step_tested, .text = "connection refused"},
    {"form message 3", step_form, .number = 3, .text = "chat"},
    {"no result", step_result_none},
    {"wake", step_wake},
    {"test passed", step_tested, .number = 1},
    {"expire", step_expire, .time = LATER},
    {"chat leaves", step_left},
    {"expire what waits for chat", step_expire, .time = 2 * LATER},
    {"open again", step_reopen},
    {"load again", life_load},
    {"open incident 3", step_tell, .number = 300, .incident = 3, .type = EVENT_OPENED},
    {"form message 4", step_form, .number = 4, .text = "admin"},
    {"last result", step_result_last},
    {"status again", life_status},
};
const size_t life_n_steps = ELEMENTSOF(life_steps);

const Step life_fresh[] = {
    {"open", step_open},
    {"sync", step_sync},
    {"learn", step_learn},
    {"open incident 1", step_tell, .number = 100, .incident = 1, .type = EVENT_OPENED},
    {"form message 1", step_form, .number = 1, .text = "admin"},
    {"open again", step_reopen},
    {"load", life_load},
};
const size_t life_n_fresh = ELEMENTSOF(life_fresh);
/* clang-format on */
