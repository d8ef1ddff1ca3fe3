/* A notifier that is dead for weeks: its queue stays small, and what made room is counted. */
#include "fixture.h"

#include <string.h>

#define EVENTS 6000
#define BYTES 6000

static char *const mail[] = {(char *)"mail", NULL};

static void tell(Store *store, unsigned serial, unsigned part, EventType type, Severity severity, const char *text) {
    _cleanup_(told_done) Told told;
    told_init(&told, serial, type, (uint16_t)(serial % 60000 + 1), mail);
    Event *event = told.decision.events;
    fixture_uuid('e', part, event->id);
    event->time = NOW + part;
    event->severity = severity;
    told.document.document = text;
    snprintf(event->incident.token, sizeof(event->incident.token), "%X", serial);
    Commit commit = told_commit(&told);
    int r = store_commit(store, &commit);
    if (r != 0) print_error("%s\n", store_reason(store));
    assert_int_equal(r, 0);
}

static int64_t waiting(Store *store) {
    return fixture_query(store, "SELECT count(*) FROM queue WHERE message IS NULL");
}

static Omitted omitted(Store *store) {
    Omitted ret;
    assert_int_equal(outbox_omitted(store, "mail", &ret), 0);
    return ret;
}

/* 40 incidents that change all the time: each keeps its first and its last event. */
static void test_changes(void **state) {
    Fixture *f = *state;
    fixture_exec(f->store, "PRAGMA synchronous = OFF");
    for (unsigned i = 1; i <= EVENTS; i++) {
        tell(f->store, i % 40 + 1, i, i <= 40 ? EVENT_OPENED : EVENT_CHANGED, SEVERITY_WARNING, "{}");
        if (i % 500 == 0) assert_true(waiting(f->store) <= OUTBOX_QUEUE_MAX);
    }
    fixture_reopen(f);
    Omitted gone = omitted(f->store);
    assert_int_equal(gone.count + waiting(f->store), EVENTS);
    assert_true(gone.from > NOW + 40 && gone.to < NOW + EVENTS && gone.from < gone.to);
    /* Every incident's opening and its last state wait. */
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue q JOIN event e ON e.seq = q.event"
                                             " WHERE e.type = 'opened'"),
        40);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue q JOIN event e ON e.seq = q.event"
                                             " WHERE e.time > 1700000000000000 + 5960"),
        40);
    assert_true(fixture_query(f->store, "SELECT count(*) FROM event") <= OUTBOX_QUEUE_MAX + 40);
    /* The message that is formed next has told it. */
    fixture_form(f->store, "mail", 1);
    assert_int_equal(omitted(f->store).count, 0);
}

/* As many incidents: the most severe and the latest wait; the file does not grow with what was omitted. */
static void test_incidents(void **state) {
    Fixture *f = *state;
    fixture_exec(f->store, "PRAGMA synchronous = OFF");
    static char text[BYTES + 1];
    memset(text, ' ', BYTES);
    memcpy(text, "{}", 2);
    for (unsigned i = 1; i <= EVENTS / 2; i++)
        tell(f->store, i, i, EVENT_OPENED, i == 7 ? SEVERITY_CRITICAL : SEVERITY_WARNING, text);
    int64_t bytes = fixture_query(f->store, "SELECT sum(size) FROM queue");
    assert_true(bytes <= OUTBOX_QUEUE_BYTES);
    assert_int_equal(omitted(f->store).count + waiting(f->store), EVENTS / 2);
    assert_int_equal(omitted(f->store).from, NOW + 1);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue WHERE severity = 2"), 1);
    OutboxRow *rows = NULL;
    size_t n = 0;
    assert_int_equal(outbox_waiting(f->store, "mail", false, OUTBOX_ROWS_MAX, &rows, &n), 0);
    assert_int_equal(rows[0].time, NOW + 7);
    outbox_rows_free(rows, n);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {TEST(test_changes), TEST(test_incidents)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
