/* What goes with time, and what never does. */
#include "fixture.h"

#include <string.h>

static char *const mail[] = {(char *)"mail", NULL};
static char *const both[] = {(char *)"mail", (char *)"chat", NULL};
static char *const nobody[] = {NULL};

static void expire(Store *store, int64_t now) {
    bool more = true;
    for (int i = 0; more; i++) {
        assert_true(i < 10000);
        int r = store_expire(store, now, 90 * DAYS, &more);
        if (r != 0) print_error("%s\n", store_reason(store));
        assert_int_equal(r, 0);
    }
}

static void deliver(Store *store, unsigned serial, Outcome outcome) {
    char id[UUID_TEXT_MAX];
    MessageState state;
    Delivery delivery = {.recipient = (char *)"a@b", .outcome = outcome, .reason = (char *)"no"};
    assert_int_equal(outbox_result(store, fixture_uuid('m', serial, id), &delivery, 1, NULL, 0, NOW, &state), 0);
}

static void resolve(Store *store, unsigned serial, uint16_t port) {
    _cleanup_(told_done) Told told;
    told_init(&told, serial, EVENT_RESOLVED, port, mail);
    Commit commit = told_commit(&told);
    assert_int_equal(store_commit(store, &commit), 0);
}

static void test_life(void **state) {
    Fixture *f = *state;
    char *const names[] = {(char *)"mail", NULL};
    assert_int_equal(store_notifiers_sync(f->store, names, NOW), 0);
    fixture_tell(f->store, 1, 443, mail); /* delivered and over */
    fixture_form(f->store, "mail", 1);
    deliver(f->store, 1, OUTCOME_DELIVERED);
    resolve(f->store, 1, 443);
    fixture_form(f->store, "mail", 2);
    deliver(f->store, 2, OUTCOME_REFUSED);
    fixture_tell(f->store, 3, 80, mail); /* delivered and still open */
    fixture_form(f->store, "mail", 3);
    deliver(f->store, 3, OUTCOME_DELIVERED);
    fixture_tell(f->store, 4, 22, mail); /* over, but nobody has been told */
    resolve(f->store, 4, 22);
    fixture_form(f->store, "mail", 4);
    fixture_tell(f->store, 5, 25, mail); /* not even in a message */
    resolve(f->store, 5, 25);

    expire(f->store, NOW + 89 * DAYS);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), 7);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM message"), 4);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM history"), 7);

    expire(f->store, NOW + 91 * DAYS);
    char query[256], id[UUID_TEXT_MAX];
    snprintf(query, sizeof(query), "SELECT count(*) FROM incident WHERE id = '%s'", fixture_uuid('i', 1, id));
    assert_int_equal(fixture_query(f->store, query), 0);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM incident"), 3);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), 5);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM message"), 2);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue"), 5);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM recipient"), 1);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM history"), 0);
    /* The open incident's thread is still known. */
    char **threads = NULL;
    assert_int_equal(outbox_threads(f->store, fixture_uuid('i', 3, id), "mail", &threads), 0);
    assert_int_equal(strv_length(threads), 1);
    strv_free(threads);
    OutboxLook look;
    assert_int_equal(outbox_look(f->store, "mail", NOW, &look), 0);
    assert_true(look.in_flight);
    assert_int_equal(look.waiting, 2);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

static void test_orphan(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, both);
    fixture_tell(f->store, 2, 80, both);
    fixture_form(f->store, "chat", 1);
    fixture_tell(f->store, 3, 81, both);
    assert_int_equal(store_notifiers_sync(f->store, mail, NOW + 10 * DAYS), 0);
    expire(f->store, NOW + 99 * DAYS);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue WHERE notifier = 'chat'"), 3);
    expire(f->store, NOW + 101 * DAYS);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue WHERE notifier = 'chat'"), 0);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM message"), 0);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM notifier"), 1);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue WHERE notifier = 'mail'"), 3);
    HistoryRow *rows = NULL;
    size_t n = 0;
    HistoryFilter filter = {.limit = 10};
    assert_int_equal(history_query(f->store, &filter, &rows, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(rows[0].transition.kind, TRANSITION_NOTICE);
    assert_non_null(strstr(rows[0].transition.text, "3 events that waited for the notifier chat"));
    history_rows_free(rows, n);
}

static void test_cap(void **state) {
    Fixture *f = *state;
    fixture_exec(f->store,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 101234)"
        " INSERT INTO history (time, boot, kind, protocol, port, local, change, before, after, token, shape, last)"
        " SELECT 1700000000000000, 1, 'logged', 'tcp', 80, 0, 'opened', '', '', '', 0, 1700000000000000 FROM n");
    bool more = false;
    assert_int_equal(store_expire(f->store, NOW, 90 * DAYS, &more), 0);
    assert_true(more);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM history"), 101234 - 500);
    expire(f->store, NOW);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM history"), HISTORY_ROWS_MAX);
    assert_int_equal(fixture_query(f->store, "SELECT max(id) FROM history"), 101234);
    /* The space comes back. */
    int64_t pages = fixture_query(f->store, "PRAGMA page_count");
    expire(f->store, NOW + 91 * DAYS);
    for (int i = 0; i < 40; i++) expire(f->store, NOW + 91 * DAYS);
    assert_true(fixture_query(f->store, "PRAGMA page_count") < pages / 4);
}

/* Near the size limit, what waits stays and what is only kept goes. */
static void test_pressure(void **state) {
    Fixture *f = *state;
    assert_int_equal(store_notifiers_sync(f->store, both, NOW), 0);
    fixture_tell(f->store, 1, 80, both);
    fixture_form(f->store, "chat", 1);
    fixture_exec(f->store, "PRAGMA synchronous = OFF");
    fixture_exec(f->store,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
        " INSERT INTO message (id, notifier, host, formed, boot, subject, text, document, refs, state, ended)"
        " SELECT 'big' || i, 'mail', 'h', 1700000000000000, 1, '', hex(zeroblob(50000)), '', '', 'sent',"
        " 1700000000000000 + i FROM n");
    assert_true(fixture_query(f->store, "PRAGMA page_count") > DB_PAGES_MAX / 4 * 3 - 1000);
    expire(f->store, NOW + DAYS);
    int64_t used = fixture_query(f->store, "PRAGMA page_count") - fixture_query(f->store, "PRAGMA freelist_count");
    assert_true(used < DB_PAGES_MAX / 4 * 3);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue"), 2);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM message WHERE state = 'waiting'"), 1);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM incident"), 1);
    /* The newest of the sent ones are still there. */
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM message WHERE id = 'big2000'"), 1);
}

/* The database says that it is full; with room made it goes on. */
static void test_limit(void **state) {
    Fixture *f = *state;
    fixture_exec(f->store, "PRAGMA max_page_count = 100");
    int r = 0;
    _cleanup_(told_done) Told told;
    unsigned i = 0;
    do {
        if (i++) told_done(&told);
        told_init(&told, i, EVENT_OPENED, (uint16_t)i, nobody);
        Commit commit = told_commit(&told);
        r = store_commit(f->store, &commit);
    } while (r == 0 && i < 5000);
    assert_int_equal(r, STORE_FULL);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), i - 1);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM history"), i - 1);
    fixture_exec(f->store, "PRAGMA max_page_count = 200");
    Commit commit = told_commit(&told);
    assert_int_equal(store_commit(f->store, &commit), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_life), TEST(test_orphan), TEST(test_cap), TEST(test_pressure), TEST(test_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
