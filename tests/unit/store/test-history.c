/* History: a row a transition, bounces counted, found by port and time. */
#include "fixture.h"

#include <string.h>

static void record(Store *store, TransitionKind kind, int64_t time, uint16_t port, uint16_t listed, const char *exe) {
    Transition *transition = calloc(1, sizeof(Transition));
    *transition = (Transition){.kind = kind,
        .time = time,
        .has_surface = true,
        .surface = {.protocol = PROTOCOL_TCP, .port = port},
        .change = CHANGE_OPENED,
        .text = strdup("a sentence")};
    Endpoint endpoint = fixture_endpoint(PROTOCOL_TCP, listed, "0.0.0.0", exe);
    /* Another process each time: still the same bounce. */
    endpoint.owners[0]->pid = (pid_t)(time % 30000);
    assert_int_equal(endpoints_take(&transition->after, &endpoint), 0);
    strcpy(transition->token, "K7Q2");
    _cleanup_(decision_done) Decision decision = {.transitions = transition, .n_transitions = 1};
    Commit commit = {.decision = &decision, .now = time};
    assert_int_equal(store_commit(store, &commit), 0);
}

static size_t query(Store *store, HistoryFilter filter, HistoryRow **ret) {
    size_t n = 0;
    filter.limit = filter.limit ? filter.limit : 100;
    assert_int_equal(history_query(store, &filter, ret, &n), 0);
    return n;
}

static size_t count(Store *store, HistoryFilter filter) {
    HistoryRow *rows = NULL;
    size_t n = query(store, filter, &rows);
    history_rows_free(rows, n);
    return n;
}

static void test_rows(void **state) {
    Fixture *f = *state;
    record(f->store, TRANSITION_OPENED, NOW, 443, 443, "/usr/sbin/nginx");
    _cleanup_(decision_done) Decision notice = {.transitions = calloc(1, sizeof(Transition)), .n_transitions = 1};
    notice.transitions[0] = (Transition){.kind = TRANSITION_NOTICE, .time = NOW + 1};
    Commit commit = {.decision = &notice, .now = NOW + 1};
    assert_int_equal(store_commit(f->store, &commit), 0);
    Store *reader = fixture_open(f, STORE_READER, STORE_OPENED, NULL);
    HistoryRow *rows = NULL;
    size_t n = query(reader, (HistoryFilter){0}, &rows);
    assert_int_equal(n, 2);
    const Transition *first = &rows[0].transition;
    assert_int_equal(first->kind, TRANSITION_OPENED);
    assert_int_equal(first->time, NOW);
    assert_true(first->has_surface);
    assert_int_equal(first->surface.port, 443);
    assert_int_equal(first->change, CHANGE_OPENED);
    assert_string_equal(first->token, "K7Q2");
    assert_string_equal(first->text, "a sentence");
    assert_int_equal(first->before.n, 0);
    assert_int_equal(first->after.n, 1);
    assert_string_equal(first->after.items[0].owners[0]->exe, "/usr/sbin/nginx");
    assert_int_equal(rows[0].count, 1);
    assert_int_equal(rows[0].last, NOW);
    assert_false(rows[1].transition.has_surface);
    assert_null(rows[1].transition.text);
    assert_true(rows[1].id > rows[0].id);
    int64_t last = 0;
    assert_int_equal(history_last(reader, &last), 0);
    assert_int_equal(last, rows[1].id);
    history_rows_free(rows, n);
    store_close(reader);
}

static void test_every_kind(void **state) {
    Fixture *f = *state;
    for (int kind = 0; kind < TRANSITION_MAX; kind++)
        record(f->store, (TransitionKind)kind, NOW + kind, 443, 443, "/usr/sbin/nginx");
    HistoryRow *rows = NULL;
    size_t n = query(f->store, (HistoryFilter){0}, &rows);
    assert_int_equal(n, TRANSITION_MAX);
    for (size_t i = 0; i < n; i++) assert_int_equal(rows[i].transition.kind, i);
    history_rows_free(rows, n);
}

static void test_bounces(void **state) {
    Fixture *f = *state;
    for (int i = 0; i < 10; i++) record(f->store, TRANSITION_BOUNCED, NOW + i * HOURS, 443, 443, "/usr/sbin/nginx");
    record(f->store, TRANSITION_BOUNCED, NOW, 80, 80, "/usr/sbin/nginx");
    /* Somebody else there is not the same bounce. */
    record(f->store, TRANSITION_BOUNCED, NOW + 3, 443, 443, "/tmp/x");
    record(f->store, TRANSITION_BOUNCED, NOW + 25 * HOURS, 443, 443, "/usr/sbin/nginx");
    HistoryRow *rows = NULL;
    size_t n = query(f->store, (HistoryFilter){.has_port = true, .port = 443}, &rows);
    assert_int_equal(n, 3);
    assert_int_equal(rows[0].count, 10);
    assert_int_equal(rows[0].transition.time, NOW);
    assert_int_equal(rows[0].last, NOW + 9 * HOURS);
    assert_int_equal(rows[1].count, 1);
    assert_int_equal(rows[2].count, 1);
    history_rows_free(rows, n);
    /* Other transitions are never folded. */
    for (int i = 0; i < 3; i++) record(f->store, TRANSITION_LOGGED, NOW, 22, 22, "/usr/sbin/sshd");
    assert_int_equal(count(f->store, (HistoryFilter){.has_port = true, .port = 22}), 3);
}

static void test_filter(void **state) {
    Fixture *f = *state;
    for (int i = 0; i < 10; i++) record(f->store, TRANSITION_LOGGED, NOW + i, (uint16_t)(80 + i % 2), 80, "/x");
    record(f->store, TRANSITION_LOGGED, NOW + 20, 0, 35001, "/sbin/rpc.statd");
    assert_int_equal(count(f->store, (HistoryFilter){0}), 11);
    assert_int_equal(count(f->store, (HistoryFilter){.has_port = true, .port = 80}), 5);
    assert_int_equal(count(f->store, (HistoryFilter){.has_port = true, .port = 8}), 0);
    /* Among the ephemeral ones, by what was seen. */
    assert_int_equal(count(f->store, (HistoryFilter){.has_port = true, .port = 35001}), 1);
    assert_int_equal(count(f->store, (HistoryFilter){.has_port = true, .port = 3500}), 0);
    assert_int_equal(count(f->store, (HistoryFilter){.has_protocol = true, .protocol = PROTOCOL_UDP}), 0);
    assert_int_equal(
        count(f->store, (HistoryFilter){.has_port = true, .port = 80, .has_protocol = true, .protocol = PROTOCOL_TCP}),
        5);
    assert_int_equal(count(f->store, (HistoryFilter){.since = NOW + 8}), 3);
    /* In pieces, and then waiting for more. */
    int64_t after = 0;
    for (int piece = 0; piece < 3; piece++) {
        HistoryRow *rows = NULL;
        size_t n = query(f->store, (HistoryFilter){.after = after, .limit = 5}, &rows);
        assert_int_equal(n, piece < 2 ? 5 : 1);
        after = rows[n - 1].id;
        history_rows_free(rows, n);
    }
    assert_int_equal(count(f->store, (HistoryFilter){.after = after}), 0);
    record(f->store, TRANSITION_LOGGED, NOW + 30, 1, 1, "/x");
    assert_int_equal(count(f->store, (HistoryFilter){.after = after}), 1);
}

/* A follower's place stays good when everything before it has gone. */
static void test_ids(void **state) {
    Fixture *f = *state;
    record(f->store, TRANSITION_LOGGED, NOW, 80, 80, "/x");
    int64_t before = 0, after = 0;
    assert_int_equal(history_last(f->store, &before), 0);
    bool more;
    assert_int_equal(store_expire(f->store, NOW + 2 * DAYS, DAYS, &more), 0);
    assert_int_equal(count(f->store, (HistoryFilter){0}), 0);
    record(f->store, TRANSITION_LOGGED, NOW, 80, 80, "/x");
    assert_int_equal(history_last(f->store, &after), 0);
    assert_true(after > before);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_rows), TEST(test_every_kind), TEST(test_bounces), TEST(test_filter), TEST(test_ids)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
