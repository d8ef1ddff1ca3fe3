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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles_to_ten_minutes),
        cmocka_unit_test(test_retry_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
