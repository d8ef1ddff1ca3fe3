/* First start. */
#include "sim.h"

static void test_long_running_machine(void **state) {
    Sim sim;
    sim_init(&sim, NULL);
    sim_look(&sim, "tcp 0.0.0.0:80 @a; tcp 127.0.0.1:81 @b; tcp 0.0.0.0:40000 @c");
    assert_true(sim.state.learned);
    sim_told(&sim, "");
    sim_history(&sim, "learned tcp/ephemeral none\nlearned 80/tcp none\nlearned 81/tcp none\n");
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\ntcp 127.0.0.1:81 b\ntcp 0.0.0.0:40000 c\n");
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @a; tcp 127.0.0.1:81 @b; tcp 0.0.0.0:40000 @c");
    sim_told(&sim, "");
    sim_history(&sim, "");
    sim_done(&sim);
}

static void test_until_boot_grace_ends(void **state) {
    Sim sim;
    sim_init_booting(&sim, 10);
    sim_look(&sim, "tcp 0.0.0.0:80 @a");
    assert_false(sim.state.learned);
    assert_int_equal(sim.next_look, sim.now.boottime + 110 * USEC_PER_SEC);
    sim_run(&sim, 50, "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @b");
    sim_run(&sim, 58, "tcp 0.0.0.0:80; tcp 0.0.0.0:82 @c");
    assert_false(sim.state.learned);
    sim_run(&sim, 2, "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @b; tcp 0.0.0.0:82 @c");
    assert_true(sim.state.learned);
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\ntcp 0.0.0.0:81 b\ntcp 0.0.0.0:82 c\n");
    sim_history(&sim, "learned 80/tcp none\nlearned 81/tcp none\nlearned 82/tcp none\n");
    sim_told(&sim, "");
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @b; tcp 0.0.0.0:82 @c; tcp 0.0.0.0:83 @d");
    sim_told(&sim, "opened 83/tcp opened warning\n");
    sim_done(&sim);
}

static void test_interrupted(void **state) {
    Sim sim;
    sim_init_booting(&sim, 10);
    sim_run(&sim, 10, "tcp 0.0.0.0:80 @a");
    sim_restart(&sim);
    sim_pass(&sim, 10);
    sim_run(&sim, 10, "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @b");
    assert_false(sim.state.learned);
    sim_restart(&sim);
    sim_pass(&sim, 1000);
    sim_run(&sim, 2, "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @b; tcp 0.0.0.0:82 @c");
    assert_true(sim.state.learned);
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\ntcp 0.0.0.0:81 b\ntcp 0.0.0.0:82 c\n");
    sim_told(&sim, "");
    sim_done(&sim);
}

static void test_incomplete_learns_nothing(void **state) {
    Sim sim;
    sim_init(&sim, NULL);
    sim_look(&sim, "incomplete udp; tcp 0.0.0.0:80 @a");
    assert_false(sim.state.learned);
    sim_look(&sim, "tcp 0.0.0.0:80 @a");
    assert_true(sim.state.learned);
    sim_done(&sim);
}

static void test_failed_commit(void **state) {
    Sim sim;
    sim_init(&sim, NULL);
    sim.commit_fails = true;
    sim_look(&sim, "tcp 0.0.0.0:80 @a");
    assert_false(sim.state.learned);
    assert_int_equal(sim.state.baseline.n, 0);
    sim.commit_fails = false;
    sim_look(&sim, "tcp 0.0.0.0:80 @a");
    assert_true(sim.state.learned);
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\n");
    sim_done(&sim);
}

static void test_no_grace(void **state) {
    Sim sim;
    sim_init_booting(&sim, 1);
    sim.rules->boot_grace = 0;
    sim_look(&sim, "tcp 0.0.0.0:80 @a");
    assert_true(sim.state.learned);
    sim_done(&sim);
}

/* Sections that state something are told of after learning, not learned away. */
static void test_stated(void **state) {
    Sim sim;
    sim_init(&sim, NULL);
    sim_section(&sim, "23/tcp")->expect = EXPECT_CLOSED;
    sim_section(&sim, "25/tcp")->expect = EXPECT_OPEN;
    sim_look(&sim, "tcp 0.0.0.0:23 @telnetd");
    sim_run(&sim, 70, "tcp 0.0.0.0:23 @telnetd");
    sim_told(&sim, "opened 23/tcp opened warning\nopened 25/tcp closed warning\n");
    sim_done(&sim);
}

static void test_welcome(void **state) {
    Sim sim;
    static const char text[] =
        "tcp 0.0.0.0:80 @a; tcp 127.0.0.1:81 @rpc; udp 0.0.0.0:40000 @chrome; tcp 0.0.0.0:82 @rpc;"
        "udp 0.0.0.0:51820 @kernel; tcp 0.0.0.0:40000 @b";
    sim_init(&sim, text);
    sim_ignore(&sim)->exe = strdup("/usr/bin/rpc");
    sim_section(&sim, "82/tcp");
    Snapshot snapshot;
    snapshot_parse(text, &snapshot);
    char *names[] = {(char *)"admin", NULL};
    Decision d;
    assert_int_equal(engine_welcome(sim.rules, &sim.state, &snapshot, &sim.now, names, &d), 0);
    assert_int_equal(d.n_events, 1);
    const Event e = d.events[0];
    assert_int_equal(e.type, EVENT_LEARNED);
    assert_false(e.has_incident);
    assert_int_equal(strv_length(e.notify), 1);
    assert_int_equal(event_mask(e.type), EVENT_MASK_NOTICE);
    /* Neither clients nor what is ignored; a section beats [ignore:]. */
    static const uint16_t ports[] = {80, 82, 40000, 51820};
    assert_int_equal(e.after.n, ELEMENTSOF(ports));
    for (size_t i = 0; i < ELEMENTSOF(ports); i++) assert_int_equal(e.after.items[i].port, ports[i]);
    decision_done(&d);
    snapshot_done(&snapshot);
    sim_done(&sim);
}

/* What differs already is told to a notifier that comes later, if it is told of that port at all. */
static void test_welcome_says_what_is_open(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80 @a");
    static const char text[] = "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @b; tcp 0.0.0.0:82 @b";
    sim_section(&sim, "82/tcp")->notify = strv_copy((char *[]){(char *)"other", NULL});
    sim_run(&sim, 10, text);
    sim_told(&sim, "opened 81/tcp opened warning\nopened 82/tcp opened warning\n");
    Snapshot snapshot;
    snapshot_parse(text, &snapshot);
    char *names[] = {(char *)"admin", NULL};
    Decision d;
    assert_int_equal(engine_welcome(sim.rules, &sim.state, &snapshot, &sim.now, names, &d), 0);
    assert_int_equal(d.n_events, 2);
    assert_int_equal(d.events[1].type, EVENT_REMINDER);
    assert_int_equal(d.events[1].surface.port, 81);
    assert_string_equal(d.events[1].incident.token, sim.state.incidents[0].token);
    assert_int_equal(d.events[1].after.n, 1);
    /* The incident's own reminders keep their time. */
    assert_int_equal(d.events[1].incident.next_reminder, sim.state.incidents[0].next_reminder);
    decision_done(&d);
    snapshot_done(&snapshot);
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_long_running_machine),
        cmocka_unit_test(test_until_boot_grace_ends),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_incomplete_learns_nothing),
        cmocka_unit_test(test_failed_commit),
        cmocka_unit_test(test_no_grace),
        cmocka_unit_test(test_stated),
        cmocka_unit_test(test_welcome),
        cmocka_unit_test(test_welcome_says_what_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
