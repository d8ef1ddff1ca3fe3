/* Ephemeral ports without a section. */
#include "sim.h"

static void test_another_number(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:40001 @statd; tcp [::]:40002 v6only @statd");
    sim_run(&sim, 100, "tcp 0.0.0.0:50001 @statd; tcp [::]:33000 v6only @statd");
    sim_told(&sim, "");
    sim_history(&sim, "");
    sim_run(&sim, 8, "tcp 0.0.0.0:50001 @statd; tcp [::]:33000 v6only @statd; tcp 0.0.0.0:50002 @statd");
    sim_told(&sim, "opened tcp/ephemeral opened warning\n");
    sim_run(&sim, 8, "tcp 0.0.0.0:41001 @statd; tcp [::]:41000 v6only @statd");
    sim_told(&sim, "resolved tcp/ephemeral opened warning returned\n");
    sim_done(&sim);
}

static void test_other_programs(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:40001 @a; tcp 0.0.0.0:40002 @b");
    sim_run(&sim, 8, "tcp 0.0.0.0:40001 @a; tcp 0.0.0.0:40002 @c");
    sim_told(&sim, "opened tcp/ephemeral owner warning\n");
    /* One of them has gone: a service that restarts, so it has the time of a closed port. */
    sim_run(&sim, 8, "tcp 0.0.0.0:40001 @a; tcp 0.0.0.0:40002 @b");
    sim_told(&sim, "resolved tcp/ephemeral owner warning returned\n");
    sim_run(&sim, 40, "tcp 0.0.0.0:40001 @a");
    sim_told(&sim, "");
    sim_run(&sim, 22, "tcp 0.0.0.0:40001 @a");
    sim_told(&sim, "opened tcp/ephemeral closed warning\n");
    sim_run(&sim, 8, "tcp 0.0.0.0:40001 @b; tcp 0.0.0.0:40002 @a");
    sim_told(&sim, "resolved tcp/ephemeral closed warning returned\n");
    sim_done(&sim);
}

static void test_unknown_owners_match_last(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:40001 @a; tcp 0.0.0.0:40002 @b; tcp 0.0.0.0:40003 @c");
    sim_run(&sim, 100, "tcp 0.0.0.0:40001; tcp 0.0.0.0:40002 @c; tcp 0.0.0.0:40003 @a");
    sim_run(&sim, 100, "tcp 0.0.0.0:40001; tcp 0.0.0.0:40002 unit=a.service; tcp 0.0.0.0:40003 @b");
    sim_run(&sim, 100, "tcp 0.0.0.0:40001; tcp 0.0.0.0:40002; tcp 0.0.0.0:40003");
    sim_told(&sim, "");
    sim_run(&sim, 8, "tcp 0.0.0.0:40001; tcp 0.0.0.0:40002; tcp 0.0.0.0:40003; tcp 0.0.0.0:40004");
    sim_told(&sim, "opened tcp/ephemeral opened warning\n");
    sim_done(&sim);
}

static void test_loopback_apart(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:40001 @a");
    sim_run(&sim, 30, "tcp 0.0.0.0:40001 @a; tcp 127.0.0.1:40002 @code");
    sim_told(&sim, "");
    sim_history(&sim, "logged tcp/ephemeral-local opened\n");
    sim_run(&sim, 8, "tcp 0.0.0.0:40001 @a; tcp 0.0.0.0:40002 @code");
    sim_told(&sim, "opened tcp/ephemeral opened warning\n");
    sim_done(&sim);
}

static void test_dual_and_device(void **state) {
    Sim sim;
    sim_init(&sim, "tcp [::]:40001 @a; tcp 0.0.0.0:40005 @d dev=eth0");
    sim_run(&sim, 100, "tcp 0.0.0.0:40002 @a; tcp [::]:40003 v6only @a; tcp 0.0.0.0:40006 @d dev=eth0");
    sim_told(&sim, "");
    sim_run(&sim, 8, "tcp [::]:40001 @a; tcp 0.0.0.0:40006 @d");
    sim_told(&sim, "opened tcp/ephemeral owner warning\n");
    sim_done(&sim);
}

static void test_section_and_range(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:40001 @a");
    sim_section(&sim, "40001/tcp");
    sim_run(&sim, 8, "tcp 0.0.0.0:40001 @b");
    sim_told(&sim, "opened 40001/tcp owner warning\n");
    sim_done(&sim);
}

/* UDP there is history and coverage only, and history stays small. */
static void test_udp(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim_run(&sim, 30, "udp 0.0.0.0:40001 @chrome");
    sim_told(&sim, "");
    sim_history(&sim, "ignored udp/ephemeral opened\n");
    for (int i = 0; i < 20; i++) {
        sim_run(&sim, 10, "udp 0.0.0.0:40002 @chrome; udp 0.0.0.0:40003 @chrome");
        sim_run(&sim, 100, "udp 0.0.0.0:50002");
        sim_run(&sim, 100, "");
    }
    sim_told(&sim, "");
    sim_history(&sim, "");
    /* However many programs have been there. */
    char text[64];
    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof text, "udp 0.0.0.0:40002 @p%d", i);
        sim_run(&sim, 8, text);
    }
    sim_told(&sim, "");
    assert_true(sim.state.baseline.n <= 64);
    sim_forget_history(&sim);
    sim_run(&sim, 1000, "udp 0.0.0.0:40002 @p299; udp 0.0.0.0:40003 @p298");
    assert_true(strlen(sim.history) < 100);
    sim_done(&sim);
}

/* While learning, clients that come and go are not a line of history each. */
static void test_udp_learning(void **state) {
    Sim sim;
    sim_init_booting(&sim, 10);
    char text[64];
    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "udp 0.0.0.0:%d @chrome", 40000 + i);
        sim_run(&sim, 2, text);
    }
    sim_history(&sim, "learned udp/ephemeral none\n");
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_another_number),
        cmocka_unit_test(test_other_programs),
        cmocka_unit_test(test_unknown_owners_match_last),
        cmocka_unit_test(test_loopback_apart),
        cmocka_unit_test(test_dual_and_device),
        cmocka_unit_test(test_section_and_range),
        cmocka_unit_test(test_udp),
        cmocka_unit_test(test_udp_learning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
