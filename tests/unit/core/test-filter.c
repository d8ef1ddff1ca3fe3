/* Which events a notifier gets: every type of event against every single word of `events`, and every severity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After the headers it needs. */
#include <cmocka.h>

#include "core/filter.h"

static Event event_of(EventType type, Severity severity) {
    bool incident = type <= EVENT_REMINDER;
    return (Event){.type = type, .severity = severity, .has_incident = incident};
}

static Wanted wanted(unsigned events, Severity least, EventType type, Severity severity) {
    NotifierRule rule = {.name = (char *)"ops", .events = events, .severity = least};
    Event event = event_of(type, severity);
    return filter_event(&rule, &event);
}

static void test_events(void **state) {
    static const unsigned masks[EVENT_TYPE_MAX] = {
        [EVENT_OPENED] = EVENT_MASK_OPENED,
        [EVENT_CHANGED] = EVENT_MASK_CHANGED,
        [EVENT_RESOLVED] = EVENT_MASK_RESOLVED,
        [EVENT_REMINDER] = EVENT_MASK_REMINDER,
        [EVENT_LEARNED] = EVENT_MASK_NOTICE,
        [EVENT_SELF] = EVENT_MASK_NOTICE,
    };
    for (unsigned word = 1; word <= EVENT_MASK_NOTICE; word <<= 1)
        for (int type = 0; type < EVENT_TEST; type++) {
            Wanted expected = masks[type] == word ? WANTED_YES : WANTED_NO;
            assert_int_equal(wanted(word, SEVERITY_INFO, (EventType)type, SEVERITY_WARNING), expected);
        }
    for (int type = 0; type < EVENT_TYPE_MAX; type++)
        assert_int_equal(wanted(EVENT_MASK_ALL, SEVERITY_INFO, (EventType)type, SEVERITY_INFO), WANTED_YES);
    assert_int_equal(wanted(EVENT_MASK_OPENED, SEVERITY_CRITICAL, EVENT_TEST, SEVERITY_INFO), WANTED_YES);
}

static void test_severity(void **state) {
    for (int least = SEVERITY_INFO; least <= SEVERITY_CRITICAL; least++)
        for (int severity = SEVERITY_INFO; severity <= SEVERITY_CRITICAL; severity++) {
            bool enough = severity >= least;
#define IS(type, otherwise)                                                                                            \
    assert_int_equal(wanted(EVENT_MASK_ALL, (Severity)least, type, (Severity)severity), enough ? WANTED_YES : otherwise)
            IS(EVENT_OPENED, WANTED_NO);
            IS(EVENT_CHANGED, WANTED_IF_TOLD);
            IS(EVENT_RESOLVED, WANTED_IF_TOLD);
            IS(EVENT_REMINDER, WANTED_NO);
            IS(EVENT_SELF, WANTED_NO);
            IS(EVENT_LEARNED, WANTED_YES);
            IS(EVENT_TEST, WANTED_YES);
        }
    /* What `events` leaves out stays out, told or not. */
    assert_int_equal(wanted(EVENT_MASK_OPENED, SEVERITY_CRITICAL, EVENT_RESOLVED, SEVERITY_WARNING), WANTED_NO);
}

static void test_names(void **state) {
    NotifierRule rule = {.name = (char *)"ops", .events = EVENT_MASK_ALL};
    char *others[] = {(char *)"chat", NULL}, *both[] = {(char *)"chat", (char *)"ops", NULL};
    Event event = event_of(EVENT_OPENED, SEVERITY_CRITICAL);
    event.notify = others;
    assert_int_equal(filter_event(&rule, &event), WANTED_NO);
    event.notify = both;
    assert_int_equal(filter_event(&rule, &event), WANTED_YES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events), cmocka_unit_test(test_severity), cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
