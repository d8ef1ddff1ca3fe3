#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/text.h"
#include "notify/grid.h"
#include "notify/moment.h"
#include "samples.h"

static char *printed(const Grid *grid, const char *indent) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(grid_print(grid, out, indent), 0);
    fclose(out);
    return text;
}

static void test_columns(void **state) {
    _cleanup_(grid_freep) Grid *grid = grid_new(3);
    grid_cell(grid, "a");
    grid_cell(grid, "bbb");
    grid_cell(grid, "c");
    grid_cell(grid, "\xc3\xa4\xc3\xb6"); /* two columns, four bytes */
    grid_end(grid);
    grid_cellf(grid, "%d", 1000);
    grid_cell(grid, "x");
    grid_cell(grid, "y");
    assert_int_equal(grid_rows(grid), 3);
    _cleanup_free_ char *text = printed(grid, "  ");
    assert_string_equal(text, "  a     bbb  c\n  \xc3\xa4\xc3\xb6\n  1000  x    y\n");
}

static void test_empty_column_takes_no_room(void **state) {
    _cleanup_(grid_freep) Grid *grid = grid_new(3);
    grid_cell(grid, "a");
    grid_cell(grid, "");
    grid_cell(grid, "c");
    _cleanup_free_ char *text = printed(grid, "");
    assert_string_equal(text, "a  c\n");
}

static void test_long_cell_overflows_alone(void **state) {
    _cleanup_(grid_freep) Grid *grid = grid_new(2);
    char wide[200];
    memset(wide, 'w', sizeof wide);
    wide[sizeof wide - 1] = '\0';
    grid_cell(grid, wide);
    grid_cell(grid, "x");
    grid_cell(grid, "ab");
    grid_cell(grid, "y");
    _cleanup_free_ char *text = printed(grid, "");
    assert_non_null(strstr(text, "w  x\n"));
    assert_non_null(strstr(text, "\nab  y\n"));
}

static void test_paint_takes_no_width(void **state) {
    _cleanup_(grid_freep) Grid *grid = grid_new(2);
    grid_cell(grid, "ab");
    grid_paint(grid, "<", ">");
    grid_cell(grid, "x");
    grid_cell(grid, "abcd");
    grid_cell(grid, "y");
    _cleanup_free_ char *text = printed(grid, "");
    assert_string_equal(text, "<ab>    x\nabcd  y\n");
}

static void test_moment_round_trip(void **state) {
    static const int64_t times[] = {0, 1, -1, 1772370123456789, -62167219200000000, 253402300799999999};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        char text[MOMENT_TEXT_MAX];
        int64_t back;
        assert_true(moment_parse(moment_iso(times[i], text), &back));
        assert_int_equal(back, times[i]);
    }
    char text[MOMENT_TEXT_MAX];
    assert_string_equal(moment_iso(1772370123456789, text), "2026-03-01T13:02:03.456789Z");
    assert_int_equal(strlen(moment_iso(INT64_MAX, text)), 27);
    assert_int_equal(strlen(moment_iso(INT64_MIN, text)), 27);
}

static void test_moment_parse(void **state) {
    int64_t usec;
    assert_true(moment_parse("2026-03-01T14:02:03+01:00", &usec));
    assert_int_equal(usec, 1772370123000000);
    assert_true(moment_parse("2026-03-01T13:02:03.5Z", &usec));
    assert_int_equal(usec, 1772370123500000);
    static const char *const bad[] = {"", "2026", "2026-03-01", "2026-13-01T00:00:00Z", "2026-03-01T13:02:03",
        "2026-03-01T13:02:03.Z", "2026-03-01T13:02:03.1234567890Z", "2026-03-01T13:02:03Zx", "2026-03-01T25:02:03Z",
        "-026-03-01T13:02:03Z", "2026-03-01T13:02:03+99:00"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(moment_parse(bad[i], &usec));
    assert_false(moment_parse(NULL, &usec));
}

static void test_moment_clock(void **state) {
    char text[MOMENT_TEXT_MAX];
    const int64_t time = 1772370123000000, day = 86400 * USEC_PER_SEC;
    assert_string_equal(moment_clock(time, time + 5, text), "14:02:03 CET");
    assert_string_equal(moment_clock(time, time + day, text), "Sun 1 Mar 14:02:03 CET");
    assert_string_equal(moment_clock(time, time + 365 * day, text), "Sun 1 Mar 2026 14:02:03 CET");
    assert_string_equal(moment_clock(time + 120 * day, time + 120 * day, text), "15:02:03 CEST");
}

int main(void) {
    sample_zone();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_empty_column_takes_no_room),
        cmocka_unit_test(test_long_cell_overflows_alone),
        cmocka_unit_test(test_paint_takes_no_width),
        cmocka_unit_test(test_moment_round_trip),
        cmocka_unit_test(test_moment_parse),
        cmocka_unit_test(test_moment_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
