/* Quiet times: pure functions of a minute of the day, and of an instant in a time zone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* After the headers it needs. */
#include <cmocka.h>

#include "core/cleanup.h"
#include "core/quiet.h"
#include "core/text.h"

#define AT(hour, minute) ((hour)*60 + (minute))
#define HOURS (INT64_C(3600) * USEC_PER_SEC)

static Quiet parse(const char *text) {
    Quiet quiet = {0};
    if (quiet_parse(text, &quiet) != QUIET_GOOD) fail_msg("%s is refused", text);
    return quiet;
}

static void test_words(void **state) {
    Quiet quiet = parse("22:00-07:00");
    assert_int_equal(quiet.n, 1);
    assert_int_equal(quiet.spans[0].begin, AT(22, 0));
    assert_int_equal(quiet.spans[0].end, AT(7, 0));
    quiet = parse(" 9:05 - 10:00 ,12:30-13:00");
    assert_int_equal(quiet.n, 2);
    assert_int_equal(quiet.spans[0].begin, AT(9, 5));
    assert_int_equal(quiet.spans[1].end, AT(13, 0));
    assert_int_equal(parse("18:00-24:00").spans[0].end, 0);

    static const char *const bad[] = {"", "22", "22:00", "22:00-", "-07:00", "22:00-7", "22:0-7:00", "25:00-7:00",
        "24:01-7:00", "22:60-7:00", "22:00-07:00,", "22:00-07:00 06:00-07:00", "22:00-07:00x", "22:00:00-07:00",
        "+2:00-3:00", "222:00-7:00", "22:000-7:00", "night"};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        if (quiet_parse(bad[i], &quiet) != QUIET_BAD_FORM) fail_msg("'%s' is taken", bad[i]);
    assert_int_equal(quiet_parse("7:00-7:00", &quiet), QUIET_EMPTY);
    assert_int_equal(quiet_parse("0:00-24:00", &quiet), QUIET_FULL);
    assert_int_equal(quiet_parse("0:00-12:00, 12:00-24:00", &quiet), QUIET_FULL);
    assert_int_equal(quiet_parse("20:00-08:00, 07:00-21:00", &quiet), QUIET_FULL);
    assert_int_equal(quiet_parse("00:00-23:59", &quiet), QUIET_GOOD);
    assert_int_equal(quiet_parse("1:00-1:01,2:00-2:01,3:00-3:01,4:00-4:01,5:00-5:01,6:00-6:01,7:00-7:01,8:00-8:01,"
                                 "9:00-9:01",
                         &quiet),
        QUIET_TOO_MANY);
}

static void test_left(void **state) {
    Quiet night = parse("22:00-07:00"), never = {0};
    assert_int_equal(quiet_left(&never, 0), 0);
    assert_int_equal(quiet_left(&night, AT(21, 59)), 0);
    assert_int_equal(quiet_left(&night, AT(22, 0)), 9 * 60);
    assert_int_equal(quiet_left(&night, AT(0, 0)), 7 * 60);
    assert_int_equal(quiet_left(&night, AT(6, 59)), 1);
    assert_int_equal(quiet_left(&night, AT(7, 0)), 0);
    Quiet noon = parse("12:00-13:00");
    assert_int_equal(quiet_left(&noon, AT(12, 30)), 30);
    assert_int_equal(quiet_left(&noon, AT(0, 30)), 0);
    /* What follows upon each other, or overlaps, is one, in whatever order it is written. */
    Quiet chain = parse("06:00-08:00, 22:00-23:00, 23:00-07:00");
    assert_int_equal(quiet_left(&chain, AT(22, 30)), 9 * 60 + 30);
    assert_int_equal(quiet_left(&chain, AT(8, 0)), 0);
}

/* Never longer than a day, and none before its end: each minute of each span of a coarse grid. */
static void test_every_span(void **state) {
    for (unsigned begin = 0; begin < QUIET_DAY; begin += 45)
        for (unsigned length = 1; length < QUIET_DAY; length += 61) {
            Quiet quiet = {.spans = {{begin, (begin + length) % QUIET_DAY}}, .n = 1};
            unsigned held = 0;
            for (unsigned minute = 0; minute < QUIET_DAY; minute++) {
                unsigned left = quiet_left(&quiet, minute);
                assert_true(left < QUIET_DAY);
                held += left > 0;
                if (left > 0) assert_int_equal(quiet_left(&quiet, (minute + left) % QUIET_DAY), 0);
            }
            assert_int_equal(held, length);
        }
}

/* UTC seconds -> when it is over, in seconds from then. */
static int64_t wait(const Quiet *quiet, int64_t seconds) {
    int64_t now = seconds * USEC_PER_SEC + 500000, until = quiet_until(quiet, now);
    if (until == 0) return 0;
    assert_true(until > now);
    assert_true(until - now <= QUIET_LONGEST);
    return (until - now + 500000) / USEC_PER_SEC;
}

static void zone(const char *name) {
    assert_int_equal(setenv("TZ", name, 1), 0);
    tzset();
}

static void test_zones(void **state) {
    Quiet night = parse("22:00-07:00");
    /* 2026-01-15 23:30:10 UTC */
    const int64_t late = 1768519810;
    zone("UTC0");
    assert_int_equal(wait(&night, late), 7 * 3600 + 1790);
    zone("CET-1CEST,M3.5.0,M10.5.0/3");
    assert_int_equal(wait(&night, late), 6 * 3600 + 1790);
    zone("EST5EDT,M3.2.0,M11.1.0");
    assert_int_equal(wait(&night, late), 0); /* 18:30 there */
    zone("<+0545>-5:45");
    assert_int_equal(wait(&night, late), 6290); /* 05:15:10 */
}

/* 07:00 is 07:00 in the night that is an hour shorter, and in the one that is an hour longer. */
static void test_summer_time(void **state) {
    Quiet night = parse("22:00-07:00"), small = parse("02:15-02:45");
    zone("CET-1CEST,M3.5.0,M10.5.0/3");
    const int64_t spring = 1774735200, autumn = 1792872000; /* 2026-03-28 22:00 UTC, 2026-10-24 20:00 UTC */
    assert_int_equal(wait(&night, spring), 7 * 3600);       /* 23:00 CET, to 07:00 CEST */
    assert_int_equal(wait(&night, autumn), 10 * 3600);      /* 22:00 CEST, to 07:00 CET */
    /* A span that does not exist one night of the year, and comes twice in another: every minute of both nights ends.
     */
    for (int64_t minute = 0; minute < 12 * 60; minute++) {
        assert_true(wait(&small, spring + 60 * minute) <= 3600 + 1800);
        assert_true(wait(&small, autumn + 60 * minute) <= 3600 + 1800);
        assert_true(wait(&night, spring + 60 * minute) <= 10 * 3600);
        assert_true(wait(&night, autumn + 60 * minute) <= 10 * 3600);
    }
}

/* Whoever looks every half minute delivers within a day, in whatever zone and on whatever day of the year. */
static void test_a_year(void **state) {
    static const char *const zones[] = {
        "UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "EST5EDT,M3.2.0,M11.1.0"};
    Quiet most = parse("03:00-02:30");
    for (size_t i = 0; i < ELEMENTSOF(zones); i++) {
        zone(zones[i]);
        int64_t held = 0;
        for (int64_t now = 1767225600; now < 1767225600 + 366 * 86400; now += 600) {
            held = quiet_until(&most, now * USEC_PER_SEC) ? held + 600 : 0;
            /* Only where its one free half hour is left out by the change to summer time: there the daemon's own bound
             * of QUIET_LONGEST holds. */
            assert_true(held * USEC_PER_SEC <= 2 * QUIET_LONGEST);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words), cmocka_unit_test(test_left),
        cmocka_unit_test(test_every_span), cmocka_unit_test(test_zones), cmocka_unit_test(test_summer_time),
        cmocka_unit_test(test_a_year)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
