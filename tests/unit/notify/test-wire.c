#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/cleanup.h"
#include "notify/utf8.h"
#include "notify/wire.h"

static void test_round_trip_in_pieces(void **state) {
    (void)state;
    WireBuffer buffer = {.max = 100};
    char *one = NULL, *two = NULL, stream[64];
    size_t n = 0, m = 0, length = 0;
    const char *payload = NULL;
    assert_int_equal(wire_pack("{}", 2, 100, &one, &n), 0);
    assert_int_equal(wire_pack("[1,2]", 5, 100, &two, &m), 0);
    memcpy(stream, one, n);
    memcpy(stream + n, two, m);
    for (size_t i = 0; i < n + m; i++) {
        assert_int_equal(wire_feed(&buffer, stream + i, 1), 0);
        assert_int_equal(wire_peek(&buffer, &payload, &length), i + 1 >= n);
    }
    assert_int_equal(length, 2);
    assert_memory_equal(payload, "{}", 2);
    wire_drop(&buffer);
    assert_int_equal(wire_peek(&buffer, &payload, &length), 1);
    assert_int_equal(length, 5);
    wire_drop(&buffer);
    assert_int_equal(wire_peek(&buffer, &payload, &length), 0);
    wire_done(&buffer);
    free(one);
    free(two);
}

static void test_bad_lengths(void **state) {
    (void)state;
    const char *payload = NULL;
    char *frame = NULL;
    size_t length = 0;
    static const char *const heads[] = {"\0\0\0\0", "\0\0\0\145", "\377\377\377\377", "\200\0\0\0"};
    for (size_t i = 0; i < ELEMENTSOF(heads); i++) {
        WireBuffer buffer = {.max = 100};
        assert_int_equal(wire_feed(&buffer, heads[i], 4), 0);
        assert_int_equal(wire_peek(&buffer, &payload, &length), -EBADMSG);
        wire_done(&buffer);
    }
    assert_int_equal(wire_pack("", 0, 10, &frame, &length), -EMSGSIZE);
    assert_int_equal(wire_pack("12345678901", 11, 10, &frame, &length), -EMSGSIZE);
}

static void test_buffer_is_bounded(void **state) {
    (void)state;
    WireBuffer buffer = {.max = 100};
    char chunk[1024] = {0};
    int r = 0;
    size_t fed = 0;
    while ((r = wire_feed(&buffer, chunk, sizeof(chunk))) == 0) fed += sizeof(chunk);
    assert_int_equal(r, -EMSGSIZE);
    assert_in_range(fed, 1024, 70000);
    wire_done(&buffer);
}

static void test_utf8(void **state) {
    (void)state;
    assert_true(utf8_valid("Zürich \xe2\x82\xac \xf0\x9f\x98\x80"));
    static const char *const bad[] = {
        "\xff", "\xc0\xaf", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xf0\x80\x80\x80"};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        assert_false(utf8_valid(bad[i]));
        _cleanup_free_ char *clean = utf8_clean(bad[i], 10);
        assert_true(utf8_valid(clean));
        assert_int_equal(strlen(clean), strlen(bad[i]));
    }
    _cleanup_free_ char *cut = utf8_clean("ab\xe2\x82\xac", 4);
    assert_string_equal(cut, "ab??");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip_in_pieces),
        cmocka_unit_test(test_bad_lengths),
        cmocka_unit_test(test_buffer_is_bounded),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
