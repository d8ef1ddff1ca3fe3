/* A process that is there, one that is gone, and another of the same number. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "cause/process.h"
#include "core/cleanup.h"
#include "core/text.h"

static int64_t now_realtime(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

static bool started(const char *bytes, uint64_t *ret) {
    return cause_process_started(bytes, strlen(bytes), ret);
}

static void test_parse(void **state) {
    uint64_t ticks = 0;
    assert_true(started("12 (a) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 12 13\n", &ticks));
    assert_int_equal(ticks, 4711);
    assert_true(started("12 (foo) Z\n 9 9) S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 12 13\n", &ticks));
    assert_int_equal(ticks, 99);
    static const char *const bad[] = {"", "12 (a", "12 (a) S 1 1", "12 (a) S 1 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 ",
        "12 (a) S 1 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 x",
        "12 (a) S 1 1 1 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 99999999999999999999999"};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) assert_false(started(bad[i], &ticks));
}

static void test_compare(void **state) {
    const int64_t s = USEC_PER_SEC;
    CauseQuestion q = {.pid = 1, .started = 1000 * s, .since = 2000 * s};
    assert_int_equal(cause_process_compare(&q, 1000 * s + 20000), PROCESS_ALIVE);
    assert_int_equal(cause_process_compare(&q, 1000 * s - 20000), PROCESS_ALIVE);
    assert_int_equal(cause_process_compare(&q, 2010 * s), PROCESS_GONE);    /* began when ours had ended */
    assert_int_equal(cause_process_compare(&q, 1500 * s), PROCESS_UNKNOWN); /* so it seems: a clock that was set? */
    q.since = 0;
    assert_int_equal(cause_process_compare(&q, 2010 * s), PROCESS_UNKNOWN);
    q.started = 0;
    assert_int_equal(cause_process_compare(&q, 0), PROCESS_UNKNOWN);
}

static void test_find(void **state) {
    int pipes[2], pidfd = -1;
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(pipes[1]);
        _exit(read(pipes[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(pipes[0]);
    CauseQuestion q = {.pid = pid, .started = now_realtime(), .since = now_realtime()};
    assert_int_equal(cause_process_find(&q, &pidfd), PROCESS_ALIVE);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 0), 0);

    /* as if that number had been given away since */
    CauseQuestion old = {
        .pid = pid, .started = q.started - 3600 * USEC_PER_SEC, .since = q.started - 60 * USEC_PER_SEC};
    int none = 0;
    assert_int_equal(cause_process_find(&old, &none), PROCESS_GONE);
    assert_int_equal(none, -1);

    close(pipes[1]);
    assert_int_equal(poll(&p, 1, 60000), 1);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(cause_process_find(&q, &none), PROCESS_GONE);
    close(pidfd);
    for (q.pid = 0; q.pid <= 1; q.pid++) assert_int_equal(cause_process_find(&q, &none), PROCESS_UNKNOWN);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
