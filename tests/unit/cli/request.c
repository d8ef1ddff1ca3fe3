#include "store/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/request.h"
#include "store/lock.h"

static char directory[] = "/tmp/portwatch-cli-XXXXXX";
static Cli cli = {.colours = {"", "", "", "", "", ""}};

static int setup(void **state) {
    cli.state_dir = mkdtemp(directory);
    return cli.state_dir ? 0 : -1;
}

static int teardown(void **state) {
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}

static Store *open_daemon(void) {
    const StoreIdentity identity = {.now = cli_now()};
    Store *store = NULL;
    StoreOpening what;
    char *reason = NULL;
    assert_int_equal(store_open(directory, STORE_DAEMON, &identity, &store, &what, &reason), 0);
    assert_non_null(store);
    free(reason);
    return store;
}

static void test_without_a_daemon_nothing_is_written(void **state) {
    json_t *answer;
    assert_int_equal(request_run(&cli, "ack", json_pack("{ss}", "token", "K7Q2"), USEC_PER_SEC, 2, &answer), 2);
    assert_null(answer);
    assert_int_equal(request_run(&cli, "test", json_object(), USEC_PER_SEC, 1, &answer), 1);
    store_close(open_daemon());
    assert_int_equal(request_run(&cli, "ack", json_pack("{ss}", "token", "K7Q2"), USEC_PER_SEC, 2, &answer), 2);
    _cleanup_(store_closep) Store *store = open_daemon();
    Request request;
    assert_int_equal(request_next(store, 0, cli_now(), &request), 0);
    assert_int_equal(request.id, 0);
}

static void test_no_answer(void **state) {
    _cleanup_(store_closep) Store *store = open_daemon();
    _cleanup_close_ int lock = -1;
    json_t *answer;
    assert_int_equal(state_lock(directory, &lock), 0);
    assert_int_equal(request_run(&cli, "ack", json_pack("{ss}", "token", "K7Q2"), 100000, 2, &answer), 2);
    assert_null(answer);
    /* Withdrawn: it cannot take effect later. */
    Request request;
    assert_int_equal(request_next(store, 0, cli_now(), &request), 0);
    assert_int_equal(request.id, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_a_daemon_nothing_is_written),
        cmocka_unit_test(test_no_answer),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
