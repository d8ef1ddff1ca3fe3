/* The outbox: events wait, become one message, which keeps its bytes until somebody has taken or refused it. */
#include "fixture.h"

#include <string.h>

static char *const both[] = {(char *)"mail", (char *)"chat", NULL};
static char *const mail[] = {(char *)"mail", NULL};

static OutboxLook look(Store *store, const char *notifier, int64_t now) {
    OutboxLook ret = {0};
    assert_int_equal(outbox_look(store, notifier, now, &ret), 0);
    return ret;
}

static MessageState result(Store *store, unsigned serial, const Delivery *deliveries, size_t n, const char *reason,
    int64_t next_try, int64_t now) {
    char id[UUID_TEXT_MAX];
    MessageState state = MESSAGE_WAITING;
    int r = outbox_result(store, fixture_uuid('m', serial, id), deliveries, n, reason, next_try, now, &state);
    if (r != 0) print_error("%s\n", store_reason(store));
    assert_int_equal(r, 0);
    return state;
}

static NotifierHealth *health(Store *store, int64_t now, size_t expected) {
    NotifierHealth *list = NULL;
    size_t n = 0;
    assert_int_equal(store_notifiers(store, now, &list, &n), 0);
    assert_int_equal(n, expected);
    return list;
}

static void test_waiting(void **state) {
    Fixture *f = *state;
    assert_int_equal(look(f->store, "mail", NOW).waiting, 0);
    for (unsigned i = 1; i <= 3; i++) fixture_tell(f->store, i, (uint16_t)i, i == 2 ? mail : both);
    OutboxLook seen = look(f->store, "mail", NOW + 5);
    assert_int_equal(seen.waiting, 3);
    assert_int_equal(seen.oldest, NOW + 1);
    assert_false(seen.in_flight);
    assert_int_equal(look(f->store, "chat", NOW + 5).waiting, 2);
    assert_int_equal(look(f->store, "nobody", NOW + 5).waiting, 0);
    /* The clock went back by a day: what waits is due, and stays so. */
    const int64_t wait = 5 * USEC_PER_SEC;
    for (int64_t now = NOW - DAYS; now < NOW - DAYS + 2 * wait; now += USEC_PER_SEC)
        assert_true(store_clamp_wait(look(f->store, "mail", now).oldest + wait, now, wait) <= now);

    OutboxRow *rows = NULL;
    size_t n = 0;
    char id[UUID_TEXT_MAX];
    assert_int_equal(outbox_waiting(f->store, "mail", false, 2, &rows, &n), 0);
    assert_int_equal(n, 2);
    assert_string_equal(rows[1].event, fixture_uuid('e', 4, id));
    assert_string_equal(rows[1].incident, fixture_uuid('i', 2, id));
    assert_int_equal(rows[1].type, EVENT_OPENED);
    assert_int_equal(rows[1].time, NOW + 2);
    assert_string_equal(rows[1].document, "{\"port\":2,\"serial\":2}");
    outbox_rows_free(rows, n);
}

static void test_form(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, both);
    OutboxRow *rows = NULL;
    size_t n = 0;
    assert_int_equal(outbox_waiting(f->store, "mail", false, OUTBOX_ROWS_MAX, &rows, &n), 0);
    int64_t row = rows[0].id;
    outbox_rows_free(rows, n);
    char first[UUID_TEXT_MAX], second[UUID_TEXT_MAX], third[UUID_TEXT_MAX];
    char *references[] = {fixture_uuid('m', 98, second) ? second : NULL, (char *)fixture_uuid('m', 99, third), NULL};
    Message message = {.notifier = (char *)"mail",
        .host = (char *)"db1.example.com",
        .formed = NOW + 7,
        .subject = (char *)"[db1] \xc3\xa9 \\x0a",
        .text = (char *)"a\n\nb\n",
        .document = (char *)"[{}]",
        .references = references};
    fixture_uuid('m', 1, message.id);
    memcpy(first, message.id, sizeof(first));
    assert_int_equal(outbox_form(f->store, &message, &row, 1), 0);
    /* One in flight, and a row goes once. */
    fixture_uuid('m', 2, message.id);
    assert_int_equal(outbox_form(f->store, &message, &row, 1), STORE_GONE);
    message.notifier = (char *)"chat";
    assert_int_equal(outbox_form(f->store, &message, &row, 1), STORE_GONE);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM message"), 1);

    fixture_reopen(f);
    OutboxLook seen = look(f->store, "mail", NOW + 8);
    assert_int_equal(seen.waiting, 0);
    assert_true(seen.in_flight);
    assert_int_equal(seen.formed, 1);
    assert_int_equal(look(f->store, "mail", NOW + 7 + 3600 * USEC_PER_SEC).formed, 0);
    assert_int_equal(look(f->store, "chat", NOW + 8).waiting, 1);

    _cleanup_(in_flight_done) InFlight flight = {0}, none = {0};
    assert_int_equal(outbox_in_flight(f->store, "mail", NOW, &flight), 0);
    assert_true(flight.found);
    assert_string_equal(flight.message.id, first);
    assert_string_equal(flight.message.notifier, "mail");
    assert_string_equal(flight.message.host, "db1.example.com");
    assert_string_equal(flight.message.subject, "[db1] \xc3\xa9 \\x0a");
    assert_string_equal(flight.message.text, "a\n\nb\n");
    assert_string_equal(flight.message.document, "[{}]");
    assert_int_equal(flight.message.formed, NOW + 7);
    assert_string_equal(flight.message.references[0], second);
    assert_string_equal(flight.message.references[1], third);
    assert_null(flight.message.references[2]);
    assert_int_equal(flight.attempts, 0);
    assert_int_equal(flight.n_recipients, 0);
    assert_int_equal(outbox_in_flight(f->store, "chat", NOW, &none), 0);
    assert_false(none.found);
    assert_int_not_equal(sqlite3_exec(f->store->db, "UPDATE message SET text = ''", NULL, NULL, NULL), SQLITE_OK);
}

static void test_recipients(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, mail);
    fixture_form(f->store, "mail", 1);
    char id[UUID_TEXT_MAX];
    fixture_uuid('m', 1, id);
    /* Connecting fails before anybody is known. */
    Delivery lost = {.recipient = (char *)"", .outcome = OUTCOME_RETRY, .reason = (char *)"connection refused"};
    assert_int_equal(result(f->store, 1, &lost, 1, NULL, NOW + 2, NOW), MESSAGE_WAITING);
    char *const first[] = {(char *)"root@localhost", (char *)"ops@example.com", (char *)"gone@example.com", NULL};
    char *const later[] = {(char *)"else@example.com", NULL};
    assert_int_equal(outbox_set_recipients(f->store, id, first), 0);
    assert_int_equal(outbox_set_recipients(f->store, id, later), 0);
    Delivery mixed[] = {
        {.recipient = (char *)"root@localhost", .outcome = OUTCOME_DELIVERED, .code = 250},
        {.recipient = (char *)"ops@example.com", .outcome = OUTCOME_RETRY, .code = 451, .reason = (char *)"greylisted"},
        {.recipient = (char *)"gone@example.com",
            .outcome = OUTCOME_REFUSED,
            .code = 550,
            .reason = (char *)"no such user"},
    };
    assert_int_equal(result(f->store, 1, mixed, 3, NULL, NOW + 4 * USEC_PER_SEC, NOW + 1), MESSAGE_WAITING);
    fixture_reopen(f);

    InFlight flight = {0};
    assert_int_equal(outbox_in_flight(f->store, "mail", NOW + 1, &flight), 0);
    assert_int_equal(flight.attempts, 2);
    assert_int_equal(flight.next_try, NOW + 4 * USEC_PER_SEC);
    assert_int_equal(flight.n_recipients, 3);
    assert_string_equal(flight.recipients[0].address, "root@localhost");
    assert_int_equal(flight.recipients[0].state, RECIPIENT_DELIVERED);
    assert_int_equal(flight.recipients[1].state, RECIPIENT_WAITING);
    assert_int_equal(flight.recipients[1].code, 451);
    assert_string_equal(flight.recipients[1].reason, "greylisted");
    assert_int_equal(flight.recipients[2].state, RECIPIENT_REFUSED);
    in_flight_done(&flight);
    NotifierHealth *list = health(f->store, NOW + 1, 1);
    assert_int_equal(list[0].last_success, NOW + 1);
    assert_int_equal(list[0].failing_since, NOW);
    assert_string_equal(list[0].last_error, "no such user");
    assert_int_equal(list[0].waiting, 1);
    assert_int_equal(list[0].attempts, 2);
    notifier_health_free(list, 1);

    /* A late word about somebody who has it changes nothing; the last one takes it; one refused it. */
    Delivery rest[] = {{.recipient = (char *)"root@localhost", .outcome = OUTCOME_REFUSED, .code = 550},
        {.recipient = (char *)"ops@example.com", .outcome = OUTCOME_DELIVERED, .code = 250}};
    assert_int_equal(result(f->store, 1, rest, 2, NULL, 0, NOW + 5), MESSAGE_FAILED);
    FailedMessage *failed = NULL;
    size_t n = 0;
    assert_int_equal(outbox_failed(f->store, 10, &failed, &n), 0);
    assert_int_equal(n, 1);
    assert_string_equal(failed[0].id, id);
    assert_string_equal(failed[0].notifier, "mail");
    assert_string_equal(failed[0].reason, "gone@example.com: no such user");
    assert_int_equal(failed[0].failed, NOW + 5);
    failed_messages_free(failed, n);
    list = health(f->store, NOW + 6, 1);
    assert_int_equal(list[0].failing_since, 0);
    assert_int_equal(list[0].waiting, 0);
    assert_int_equal(list[0].failed, 1);
    notifier_health_free(list, 1);
    MessageState ignored;
    assert_int_equal(outbox_result(f->store, id, rest, 2, NULL, 0, NOW, &ignored), STORE_GONE);
    assert_int_equal(outbox_set_recipients(f->store, id, later), STORE_GONE);
}

static void test_without_recipients(void **state) {
    Fixture *f = *state;
    for (unsigned i = 1; i <= 3; i++) {
        fixture_tell(f->store, i, (uint16_t)i, mail);
        fixture_form(f->store, "mail", i);
        Delivery answer = {
            .recipient = (char *)"", .outcome = OUTCOME_RETRY, .code = 503, .reason = (char *)"HTTP 503"};
        assert_int_equal(result(f->store, i, &answer, 1, NULL, NOW + 2, NOW), MESSAGE_WAITING);
        /* The child died without a word. */
        assert_int_equal(result(f->store, i, NULL, 0, "the plugin crashed", NOW + 4, NOW + 1), MESSAGE_WAITING);
        answer.outcome = i == 2 ? OUTCOME_REFUSED : OUTCOME_DELIVERED;
        if (i == 3) answer.recipient = NULL;
        assert_int_equal(result(f->store, i, &answer, 1, NULL, 0, NOW + 2), i == 2 ? MESSAGE_FAILED : MESSAGE_SENT);
        OutboxLook seen = look(f->store, "mail", NOW + 4);
        assert_false(seen.in_flight);
        assert_int_equal(seen.formed, i);
    }
    NotifierHealth *list = health(f->store, NOW + 6, 1);
    assert_int_equal(list[0].failing_since, 0);
    assert_int_equal(list[0].last_success, NOW + 2);
    assert_string_equal(list[0].last_error, "the plugin crashed");
    notifier_health_free(list, 1);
}

/* "" stands for all who wait. */
static void test_everybody(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, mail);
    fixture_form(f->store, "mail", 1);
    char id[UUID_TEXT_MAX];
    char *const to[] = {(char *)"a@b", (char *)"c@d", NULL};
    assert_int_equal(outbox_set_recipients(f->store, fixture_uuid('m', 1, id), to), 0);
    Delivery all = {.recipient = (char *)"", .outcome = OUTCOME_RETRY, .reason = (char *)"535"};
    assert_int_equal(result(f->store, 1, &all, 1, NULL, NOW, NOW), MESSAGE_WAITING);
    all.outcome = OUTCOME_DELIVERED;
    assert_int_equal(result(f->store, 1, &all, 1, NULL, NOW, NOW), MESSAGE_SENT);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM recipient WHERE state = 'delivered'"), 2);
}

static void test_back_off(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, mail);
    fixture_form(f->store, "mail", 1);
    for (int i = 0; i < 5; i++)
        assert_int_equal(result(f->store, 1, NULL, 0, "timeout", NOW + 500 * USEC_PER_SEC, NOW + i), MESSAGE_WAITING);
    NotifierHealth *list = health(f->store, NOW + 5, 1);
    assert_int_equal(list[0].failing_since, NOW);
    assert_int_equal(list[0].last_error_time, NOW + 4);
    assert_int_equal(list[0].next_try, NOW + 500 * USEC_PER_SEC);
    notifier_health_free(list, 1);
    /* The clock went back by a day. */
    InFlight flight = {0};
    assert_int_equal(outbox_in_flight(f->store, "mail", NOW - DAYS, &flight), 0);
    assert_true(flight.next_try <= NOW - DAYS);
    assert_int_equal(flight.attempts, 5);
    in_flight_done(&flight);
    assert_int_equal(outbox_wake(f->store, "mail"), 0);
    assert_int_equal(outbox_in_flight(f->store, "mail", NOW, &flight), 0);
    assert_int_equal(flight.next_try, 0);
    assert_int_equal(flight.attempts, 0);
    in_flight_done(&flight);
    assert_int_equal(store_notifier_result(f->store, "mail", NULL, NOW + 9), 0);
    list = health(f->store, NOW + 9, 1);
    assert_int_equal(list[0].failing_since, 0);
    assert_int_equal(list[0].last_success, NOW + 9);
    notifier_health_free(list, 1);
    /* A heartbeat that is taken does not hide that messages are not. */
    int64_t tried = -1;
    assert_int_equal(store_heartbeat_tried(f->store, "mail", &tried), 0);
    assert_int_equal(tried, 0);
    assert_int_equal(store_heartbeat_try(f->store, "mail", NOW + 9), 0);
    assert_int_equal(store_heartbeat_tried(f->store, "mail", &tried), 0);
    assert_int_equal(tried, NOW + 9);
    assert_int_equal(store_heartbeat_result(f->store, "mail", "HTTP 500", NOW + 9), 0);
    list = health(f->store, NOW + 9, 1);
    assert_int_equal(list[0].failing_since, NOW + 9);
    assert_string_equal(list[0].last_error, "HTTP 500");
    assert_int_equal(list[0].heartbeat, 0);
    notifier_health_free(list, 1);
    assert_int_equal(store_heartbeat_result(f->store, "mail", NULL, NOW + 10), 0);
    list = health(f->store, NOW + 10, 1);
    assert_int_equal(list[0].heartbeat, NOW + 10);
    assert_int_equal(list[0].last_success, NOW + 9);
    assert_int_equal(list[0].failing_since, 0);
    notifier_health_free(list, 1);
    assert_int_equal(result(f->store, 1, NULL, 0, "timeout", NOW + 500 * USEC_PER_SEC, NOW + 10), MESSAGE_WAITING);
    assert_int_equal(store_heartbeat_result(f->store, "mail", NULL, NOW + 11), 0);
    list = health(f->store, NOW + 11, 1);
    assert_int_equal(list[0].failing_since, NOW + 10);
    notifier_health_free(list, 1);
    assert_int_equal(store_notifier_result(f->store, "mail", "535 no", NOW + 10), 0);
    list = health(f->store, NOW + 10, 1);
    assert_int_equal(list[0].failing_since, NOW + 10);
    assert_string_equal(list[0].last_error, "535 no");
    notifier_health_free(list, 1);
}

static void test_threads(void **state) {
    Fixture *f = *state;
    char id[UUID_TEXT_MAX], incident[UUID_TEXT_MAX], **threads = NULL;
    fixture_uuid('i', 1, incident);
    fixture_tell(f->store, 1, 443, both);
    assert_int_equal(outbox_threads(f->store, incident, "mail", &threads), 0);
    assert_null(threads);
    fixture_form(f->store, "mail", 1);
    assert_int_equal(outbox_threads(f->store, incident, "mail", &threads), 0);
    assert_int_equal(strv_length(threads), 1);
    assert_string_equal(threads[0], fixture_uuid('m', 1, id));
    strv_free(threads);
    threads = NULL;
    assert_int_equal(outbox_threads(f->store, incident, "chat", &threads), 0);
    assert_null(threads);
    /* The end of the incident refers to the first message, and does not itself become one to refer to. */
    Delivery taken = {.recipient = (char *)"", .outcome = OUTCOME_DELIVERED};
    assert_int_equal(result(f->store, 1, &taken, 1, NULL, 0, NOW), MESSAGE_SENT);
    _cleanup_(told_done) Told resolved;
    told_init(&resolved, 1, EVENT_RESOLVED, 443, both);
    Commit commit = told_commit(&resolved);
    assert_int_equal(store_commit(f->store, &commit), 0);
    fixture_form(f->store, "mail", 2);
    assert_int_equal(outbox_threads(f->store, incident, "mail", &threads), 0);
    assert_int_equal(strv_length(threads), 1);
    strv_free(threads);
}

static void test_orphans(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, both);
    assert_int_equal(store_notifiers_sync(f->store, mail, NOW + 1), 0);
    NotifierHealth *list = health(f->store, NOW, 2);
    assert_string_equal(list[0].name, "chat");
    assert_int_equal(list[0].left, NOW + 1);
    assert_int_equal(list[0].waiting, 1);
    assert_int_equal(list[1].left, 0);
    notifier_health_free(list, 2);
    int64_t changes = sqlite3_total_changes64(f->store->db);
    assert_int_equal(store_notifiers_sync(f->store, mail, NOW + 2), 0);
    assert_int_equal(sqlite3_total_changes64(f->store->db), changes);
    /* It comes back, and what waited still waits. */
    assert_int_equal(store_notifiers_sync(f->store, both, NOW + 3), 0);
    list = health(f->store, NOW, 2);
    assert_int_equal(list[0].left, 0);
    assert_int_equal(list[0].waiting, 1);
    notifier_health_free(list, 2);
    /* One that left with nothing waiting is not shown. */
    char *const three[] = {(char *)"mail", (char *)"chat", (char *)"third", NULL};
    assert_int_equal(store_notifiers_sync(f->store, three, NOW + 4), 0);
    notifier_health_free(health(f->store, NOW, 3), 3);
    assert_int_equal(store_notifiers_sync(f->store, both, NOW + 5), 0);
    notifier_health_free(health(f->store, NOW, 2), 2);
}

static void test_many(void **state) {
    Fixture *f = *state;
    for (unsigned i = 1; i <= OUTBOX_ROWS_MAX + 10; i++) fixture_tell(f->store, i, (uint16_t)i, mail);
    fixture_form(f->store, "mail", 1);
    assert_int_equal(look(f->store, "mail", NOW + DAYS).waiting, 10);
    NotifierHealth *list = health(f->store, NOW, 1);
    assert_int_equal(list[0].waiting, OUTBOX_ROWS_MAX + 10);
    notifier_health_free(list, 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {TEST(test_waiting), TEST(test_form), TEST(test_recipients),
        TEST(test_without_recipients), TEST(test_everybody), TEST(test_back_off), TEST(test_threads),
        TEST(test_orphans), TEST(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
