/* Requests: answered, withdrawn, expired, and never executed late. */
#include "fixture.h"

#include <string.h>
#include <sys/wait.h>

static char *const mail[] = {(char *)"mail", NULL};

static int64_t put(Store *store, const char *command, int64_t lifetime, int64_t now) {
    int64_t id = 0;
    int r = request_put(store, command, "{\"token\":\"K7Q2\"}", "ada", lifetime, now, &id);
    if (r != 0) print_error("%s\n", store_reason(store));
    assert_int_equal(r, 0);
    return id;
}

static int64_t next(Store *store, int64_t after, int64_t now) {
    _cleanup_(request_done) Request request = {0};
    assert_int_equal(request_next(store, after, now, &request), 0);
    return request.id;
}

static void test_order(void **state) {
    Fixture *f = *state;
    Store *cli = fixture_open(f, STORE_REQUESTER, STORE_OPENED, NULL);
    assert_int_equal(next(f->store, 0, NOW), 0);
    int64_t first = put(cli, "test", MINUTE, NOW), second = put(cli, "ack", MINUTE, NOW + 1);
    _cleanup_(request_done) Request request = {0};
    assert_int_equal(request_next(f->store, 0, NOW + 1, &request), 0);
    assert_int_equal(request.id, first);
    assert_string_equal(request.command, "test");
    assert_string_equal(request.arguments, "{\"token\":\"K7Q2\"}");
    assert_string_equal(request.who, "ada");
    assert_int_equal(request.made, NOW);
    assert_int_equal(request.expires, NOW + MINUTE);
    /* One that takes time does not hold up the others, and is there until it is answered. */
    assert_int_equal(next(f->store, first, NOW + 1), second);
    assert_int_equal(next(f->store, second, NOW + 1), 0);
    fixture_reopen(f);
    assert_int_equal(next(f->store, 0, NOW + 1), first);
    RequestAnswer answer = {.id = first, .code = 1, .text = "no"};
    assert_int_equal(request_answer(f->store, &answer, NOW + 2), 0);
    assert_int_equal(request_answer(f->store, &answer, NOW + 2), STORE_GONE);
    assert_int_equal(next(f->store, 0, NOW + 1), second);
    store_close(cli);
}

static void test_late(void **state) {
    Fixture *f = *state;
    Store *cli = fixture_open(f, STORE_REQUESTER, STORE_OPENED, NULL);
    put(cli, "accept", MINUTE, NOW);
    assert_int_equal(next(f->store, 0, NOW + MINUTE), 0);
    /* The clock went back: an old one must not come to life again. */
    assert_int_equal(next(f->store, 0, NOW), 0);
    put(cli, "accept", MINUTE, NOW + 10 * MINUTE);
    assert_int_equal(next(f->store, 0, NOW), 0);
    /* Of the boot before. */
    put(cli, "accept", MINUTE, NOW);
    store_close(cli);
    fixture_close(f);
    StoreIdentity later = {.machine_id = MACHINE, .boot_id = "another", .now = NOW};
    f->store = fixture_open_at(f->dir, STORE_DAEMON, &later, STORE_OPENED, NULL);
    assert_int_equal(next(f->store, 0, NOW), 0);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM request WHERE state = 'expired'"), 3);
    /* Old ones go. */
    bool more;
    assert_int_equal(store_expire(f->store, NOW + 2 * DAYS, 90 * DAYS, &more), 0);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM request"), 0);
}

/* A container may show one id to the service, which has a /proc of its own, and another to a shell. */
static void test_boot_is_what_the_daemon_takes_it_for(void **state) {
    Fixture *f = *state;
    StoreIdentity shell = {.machine_id = MACHINE, .boot_id = "another", .now = NOW};
    Store *cli = fixture_open_at(f->dir, STORE_REQUESTER, &shell, STORE_OPENED, NULL);
    int64_t id = put(cli, "accept", MINUTE, NOW);
    assert_int_equal(next(f->store, 0, NOW), id);
    store_close(cli);
}

static void test_no_answer(void **state) {
    Fixture *f = *state;
    Store *cli = fixture_open(f, STORE_REQUESTER, STORE_OPENED, NULL);
    int64_t id = put(cli, "accept", MINUTE, NOW);
    bool answered = true;
    int code = 0;
    char *text = NULL;
    assert_int_equal(request_wait(cli, id, 120 * 1000, &answered, &code, &text), 0);
    assert_false(answered);
    assert_null(text);
    /* Withdrawn: neither found nor, where it had been found before, executed. */
    assert_int_equal(next(f->store, 0, NOW), 0);
    _cleanup_(told_done) Told told;
    told_init(&told, 1, EVENT_OPENED, 443, mail);
    RequestAnswer answer = {.id = id, .text = "accepted"};
    Commit commit = told_commit(&told);
    commit.answer = &answer;
    assert_int_equal(store_commit(f->store, &commit), STORE_GONE);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), 0);
    store_close(cli);
}

/* The command line in a process of its own, the answer in the decision's transaction. */
static void test_answer(void **state) {
    Fixture *f = *state;
    pid_t child = fork();
    if (child == 0) {
        Store *cli = fixture_open(f, STORE_REQUESTER, STORE_OPENED, NULL);
        int64_t id = put(cli, "accept", MINUTE, NOW);
        bool answered = false;
        int code = 0;
        char *text = NULL;
        int r = request_wait(cli, id, 90 * USEC_PER_SEC, &answered, &code, &text);
        bool good = r == 0 && answered && code == 2 && text && strcmp(text, "the port differs now\n") == 0;
        free(text);
        store_close(cli);
        _exit(good ? 0 : 1);
    }
    int64_t id = 0;
    for (int i = 0; i < 6000 && id == 0; i++) {
        usleep(10000);
        id = next(f->store, 0, NOW);
    }
    assert_true(id > 0);
    _cleanup_(told_done) Told told;
    told_init(&told, 1, EVENT_OPENED, 443, mail);
    RequestAnswer answer = {.id = id, .code = 2, .text = "the port differs now\n"};
    Commit commit = told_commit(&told);
    commit.answer = &answer;
    assert_int_equal(store_commit(f->store, &commit), 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {TEST(test_order), TEST(test_late),
        TEST(test_boot_is_what_the_daemon_takes_it_for), TEST(test_no_answer), TEST(test_answer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
