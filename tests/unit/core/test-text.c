#include "sim.h"

static void expect_escaped(const char *text, size_t n, const char *expected) {
    _cleanup_free_ char *escaped = text_escape(text, n);
    assert_non_null(escaped);
    assert_string_equal(escaped, expected);
}

#define ESCAPED(literal, expected) expect_escaped(literal, sizeof(literal) - 1, expected)

static void test_escape(void **state) {
    ESCAPED("", "");
    ESCAPED("/usr/sbin/nginx -g 'daemon off;'", "/usr/sbin/nginx -g 'daemon off;'");
    ESCAPED("Gr\xc3\xbc\xc3\x9f", "Gr\xc3\xbc\xc3\x9f");
    ESCAPED("x\r\nBcc: a@b\x1b[2J", "x\\x0d\\x0aBcc: a@b\\x1b[2J");
    ESCAPED("a\0b\x7f\t", "a\\x00b\\x7f\\x09");
    ESCAPED("a\\x0a", "a\\\\x0a");
    /* C1, bidirectional override and isolate, zero width, line separator, byte order mark, tag. */
    ESCAPED("\xc2\x9b", "\\u{9B}");
    ESCAPED("\xe2\x80\xae\xe2\x81\xa6\xe2\x80\x8b", "\\u{202E}\\u{2066}\\u{200B}");
    ESCAPED("\xe2\x80\xa8\xef\xbb\xbf\xf3\xa0\x80\x81", "\\u{2028}\\u{FEFF}\\u{E0001}");
}

static void test_escape_invalid(void **state) {
    ESCAPED("\xff\xfe", "\\xff\\xfe");
    ESCAPED("\xc0\x8a", "\\xc0\\x8a"); /* overlong newline */
    ESCAPED("\xe0\x80\x8a", "\\xe0\\x80\\x8a");
    ESCAPED("\xed\xa0\x80", "\\xed\\xa0\\x80");          /* surrogate */
    ESCAPED("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
    ESCAPED("ab\xe2\x82", "ab\\xe2\\x82");               /* cut short */
    ESCAPED("\xc3(", "\\xc3(");
    assert_null(text_escape(NULL, 0));
}

/* Whatever comes in, one line of valid UTF-8 without controls comes out, and nothing is written past the end. */
static void test_escape_random(void **state) {
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        size_t n = sim_random() % sizeof bytes;
        sim_random_bytes(bytes, n);
        if (round % 2)
            for (size_t i = 0; i < n; i++) bytes[i] = (char)"\xe2\x80\xae\xc2\x9b\xf3\xa0 \\\n"[(uint8_t)bytes[i] % 11];
        _cleanup_free_ char *once = text_escape(bytes, n);
        for (const char *p = once; *p; p++) assert_false((unsigned char)*p < 0x20 || *p == 0x7f);
        /* Only backslashes are left to escape. */
        _cleanup_free_ char *twice = text_escape(once, strlen(once));
        const char *a = once, *b = twice;
        for (; *a; a++, b++) {
            assert_int_equal(*a, *b);
            if (*a == '\\') b++;
        }
        assert_int_equal(*b, 0);
    }
}

static void expect_duration(const char *text, int64_t usec) {
    int64_t got = -1;
    assert_true(duration_parse(text, &got));
    assert_int_equal(got, usec);
}

static void test_duration_parse(void **state) {
    expect_duration("0", 0);
    expect_duration("90", 90 * USEC_PER_SEC);
    expect_duration("90s", 90 * USEC_PER_SEC);
    expect_duration("100ms", 100000);
    expect_duration("5m", 300 * USEC_PER_SEC);
    expect_duration("5min", 300 * USEC_PER_SEC);
    expect_duration("1h30m", 5400 * USEC_PER_SEC);
    expect_duration("7d", 7 * 86400 * USEC_PER_SEC);
    expect_duration("2w", 14 * 86400 * USEC_PER_SEC);
    static const char *const bad[] = {"", " ", "s", "-1s", "+1s", "1.5h", "1h30", "30 s", "1y", "1S", "s5", "5s ",
        "99999999999999999999", "9223372036854775807d", "9223372036854775807s", "5µs"};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        int64_t kept = 42;
        assert_false(duration_parse(bad[i], &kept));
        assert_int_equal(kept, 42);
    }
}

static void test_duration_format(void **state) {
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {{1, "1 s"}, {45, "45 s"}, {119, "119 s"}, {120, "2 min"}, {720, "12 min"}, {11100, "3 h 5 min"},
        {10800, "3 h"}, {90000, "25 h"}, {172800, "2 days"}, {41 * 86400, "41 days"}};
    char buffer[DURATION_TEXT_MAX];
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_string_equal(duration_format(cases[i].seconds * USEC_PER_SEC, buffer), cases[i].text);
    assert_string_equal(duration_format(1500, buffer), "1 ms");
    assert_string_equal(duration_format(-5, buffer), "0 ms");
    duration_format(INT64_MAX, buffer);
    duration_format(INT64_MIN, buffer);
}

static void test_lists(void **state) {
    char **list = NULL;
    assert_int_equal(strv_length(NULL), 0);
    assert_false(strv_contains(NULL, "a"));
    assert_int_equal(strv_append(&list, "a"), 0);
    assert_int_equal(strv_append(&list, "b"), 0);
    char **copy = strv_copy(list);
    assert_int_equal(strv_length(copy), 2);
    assert_true(strv_contains(copy, "b"));
    assert_false(strv_contains(copy, "c"));
    strv_free(list);
    strv_free(copy);
    strv_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_escape_invalid),
        cmocka_unit_test(test_escape_random),
        cmocka_unit_test(test_duration_parse),
        cmocka_unit_test(test_duration_format),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
