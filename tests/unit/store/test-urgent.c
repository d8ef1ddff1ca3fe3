/* What waits knows how urgent it is, and who was told of an incident. */
#include "fixture.h"

#include <string.h>

static char *const both[] = {(char *)"mail", (char *)"chat", NULL};
static char *const mail[] = {(char *)"mail", NULL};

/* An event of incident `serial`: its `part` is what tells its events apart. */
static void tell(Store *store, unsigned serial, unsigned part, EventType type, Severity severity, char *const *to) {
    _cleanup_(told_done) Told told;
    told_init(&told, serial, type, (uint16_t)serial, to);
    Event *event = told.decision.events;
    fixture_uuid('e', serial * 100 + part, event->id);
    event->severity = event->incident.severity = severity;
    event->time = NOW + part;
    Commit commit = told_commit(&told);
    assert_int_equal(store_commit(store, &commit), 0);
}

/* The events that wait, by their numbers, as "101 102". */
static const char *waiting(Store *store, bool critical) {
    static char text[256];
    OutboxRow *rows = NULL;
    size_t n = 0, length = 0;
    assert_int_equal(outbox_waiting(store, "mail", critical, OUTBOX_ROWS_MAX, &rows, &n), 0);
    *text = '\0';
    for (size_t i = 0; i < n; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%lu", i ? " " : "",
            strtoul(rows[i].event + strlen(rows[i].event) - 12, NULL, 16));
    outbox_rows_free(rows, n);
    return text;
}

static void test_order(void **state) {
    Store *store = ((Fixture *)*state)->store;
    OutboxLook look;
    tell(store, 1, 1, EVENT_OPENED, SEVERITY_WARNING, mail);
    tell(store, 2, 2, EVENT_OPENED, SEVERITY_INFO, mail);
    assert_string_equal(waiting(store, true), "");
    assert_int_equal(outbox_look(store, "mail", NOW + 9, &look), 0);
    assert_int_equal(look.critical, 0);
    assert_int_equal(look.oldest_critical, 0);
    /* What went before it in its incident goes along, what comes after waits. */
    tell(store, 1, 3, EVENT_CHANGED, SEVERITY_CRITICAL, mail);
    tell(store, 3, 4, EVENT_OPENED, SEVERITY_CRITICAL, both);
    tell(store, 1, 5, EVENT_CHANGED, SEVERITY_WARNING, mail);
    assert_string_equal(waiting(store, true), "101 103 304");
    assert_string_equal(waiting(store, false), "101 202 103 304 105");
    assert_int_equal(outbox_look(store, "mail", NOW + 9, &look), 0);
    assert_int_equal(look.waiting, 5);
    assert_int_equal(look.critical, 2);
    assert_int_equal(look.oldest, NOW + 1);
    assert_int_equal(look.oldest_critical, NOW + 3);
    /* After a jump backwards neither waits for the clock. */
    assert_int_equal(outbox_look(store, "mail", NOW - DAYS, &look), 0);
    assert_int_equal(store_clamp_wait(look.oldest_critical + 5, NOW - DAYS, 5), NOW - DAYS);
}

static bool told(Store *store, unsigned serial, const char *notifier) {
    char id[UUID_TEXT_MAX];
    bool ret = false;
    assert_int_equal(outbox_told(store, fixture_uuid('i', serial, id), notifier, &ret), 0);
    return ret;
}

static void test_told(void **state) {
    Fixture *f = *state;
    assert_false(told(f->store, 1, "mail"));
    tell(f->store, 1, 1, EVENT_OPENED, SEVERITY_WARNING, mail);
    assert_true(told(f->store, 1, "mail"));
    assert_false(told(f->store, 1, "chat"));
    tell(f->store, 1, 2, EVENT_CHANGED, SEVERITY_CRITICAL, both);
    fixture_reopen(f);
    assert_true(told(f->store, 1, "chat"));
    /* Kept for as long as it is open, however long ago the messages went; forgotten with its end. */
    fixture_form(f->store, "mail", 1);
    assert_true(told(f->store, 1, "mail"));
    tell(f->store, 1, 3, EVENT_RESOLVED, SEVERITY_WARNING, both);
    assert_false(told(f->store, 1, "mail"));
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM told"), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {TEST(test_order), TEST(test_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
