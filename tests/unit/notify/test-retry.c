#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "notify/retry.h"

#define SECOND INT64_C(1000000)

static void test_doubles_to_ten_minutes(void **state) {
    (void)state;
    static const int64_t expected[] = {2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600};
    for (unsigned i = 0; i < 11; i++) {
        assert_int_equal(retry_wait(i + 1, 0, 0), expected[i] * SECOND);
        for (uint32_t random = 0; random < 5000; random += 7)
            assert_in_range(retry_wait(i + 1, 0, random), expected[i] * SECOND * 3 / 4, expected[i] * SECOND);
    }
    assert_int_equal(retry_wait(UINT32_MAX, 0, 0), 600 * SECOND);
    assert_int_equal(retry_wait(0, 0, 0), 2 * SECOND);
}

static void test_retry_after(void **state) {
    (void)state;
    assert_int_equal(retry_wait(1, 120 * SECOND, 5), 120 * SECOND);
    assert_int_equal(retry_wait(1, 3600 * SECOND, 5), 3600 * SECOND);
    assert_int_equal(retry_wait(9, SECOND, 0), 512 * SECOND);
    assert_int_equal(retry_wait(1, INT64_MAX, 0), RETRY_AFTER_MAX);
    assert_int_equal(retry_wait(1, -5, 0), 2 * SECOND);
}

static void test_heartbeats_keep_step(void **state) {
    (void)state;
    assert_int_equal(heartbeat_next(100 * SECOND, 60 * SECOND, 102 * SECOND), 160 * SECOND);
    assert_int_equal(heartbeat_next(100 * SECOND, 60 * SECOND, 159 * SECOND), 160 * SECOND);
    /* late by more than an interval: one, not those it missed */
    assert_int_equal(heartbeat_next(100 * SECOND, 60 * SECOND, 160 * SECOND), 220 * SECOND);
    assert_int_equal(heartbeat_next(100 * SECOND, 60 * SECOND, 99999 * SECOND), 100059 * SECOND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles_to_ten_minutes),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_heartbeats_keep_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
