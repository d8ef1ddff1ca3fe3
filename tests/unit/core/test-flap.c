/* A port that comes and goes: told once, then when it is steady, and never a cover for something else. */
#include "sim.h"

#define WEB "tcp 0.0.0.0:80 @nginx"
#define THIEF "tcp 0.0.0.0:80 @thief"

/* Gone for `away` seconds, then there for `there`. */
static void bounce(Sim *sim, double away, double there, const char *text) {
    sim_run(sim, away, "");
    sim_run(sim, there, text);
}

static void bounces(Sim *sim, unsigned n, double away, double there) {
    for (unsigned i = 0; i < n; i++) bounce(sim, away, there, WEB);
}

static void test_restarts_are_no_flapping(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    bounces(&sim, 5, 10, 10);
    sim_told(&sim, "");
    sim_run(&sim, 3600, WEB); /* an hour without: counted anew */
    bounces(&sim, 5, 10, 10);
    sim_told(&sim, "");
    sim_done(&sim);
}

static void test_told_once_and_when_steady(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    bounces(&sim, 6, 30, 30);
    sim_told(&sim, "opened 80/tcp flapping warning\n");
    assert_int_equal(sim.last.incident.returns, 6);
    assert_int_equal(sim.last.seen, sim.now.realtime - (5 * 60 + 58) * USEC_PER_SEC); /* when it first went */
    sim_forget_history(&sim);
    bounces(&sim, 100, 30, 30);
    sim_told(&sim, "");
    sim_history(&sim, ""); /* counted, not listed */
    sim_run(&sim, 1700, WEB);
    sim_told(&sim, "");
    sim_run(&sim, 100, WEB);
    sim_told(&sim, "resolved 80/tcp flapping warning returned\n");
    assert_int_equal(sim.last.incident.returns, 106);
    /* And it begins anew. */
    bounces(&sim, 5, 30, 30);
    sim_told(&sim, "");
    bounces(&sim, 1, 30, 30);
    sim_told(&sim, "opened 80/tcp flapping warning\n");
    sim_done(&sim);
}

/* RestartSec=300: never away for long enough to be told, there for one look each time. */
static void test_slow_crash_loop(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    for (unsigned i = 0; i < 6; i++) {
        sim_told(&sim, "");
        sim_run(&sim, 4, "");
        sim_cause(&sim, 80, FATE_RETURNING, "{\"why\":1}");
        bounce(&sim, 296, 2, WEB);
    }
    sim_told(&sim, "opened 80/tcp flapping warning\n");
    assert_string_equal(sim.last.cause, "{\"why\":1}");
    sim_done(&sim);
}

static void test_closed_for_good(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    bounces(&sim, 6, 30, 30);
    sim_told(&sim, "opened 80/tcp flapping warning\n");
    sim_run(&sim, 599, "");
    sim_told(&sim, "");
    sim_run(&sim, 6, "");
    sim_told(&sim, "changed 80/tcp closed warning\n");
    sim_run(&sim, 20, WEB);
    sim_told(&sim, "resolved 80/tcp closed warning returned\n");
    sim_done(&sim);
}

static void test_failed_is_told_at_once(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    bounces(&sim, 6, 30, 30);
    sim_told(&sim, "opened 80/tcp flapping warning\n");
    sim_run(&sim, 2, "");
    sim_cause(&sim, 80, FATE_FAILED, "{}");
    sim_run(&sim, 6, "");
    sim_told(&sim, "changed 80/tcp closed warning\n");
    sim_done(&sim);
}

static void test_no_cover(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    bounces(&sim, 6, 30, 30);
    sim_told(&sim, "opened 80/tcp flapping warning\n");
    sim_run(&sim, 4, "");
    sim_run(&sim, 8, THIEF);
    sim_told(&sim, "changed 80/tcp owner warning\n");
    sim_run(&sim, 8, WEB);
    sim_told(&sim, "resolved 80/tcp owner warning returned\n");

    bounces(&sim, 6, 30, 30);
    sim_told(&sim, "opened 80/tcp flapping warning\n");
    sim_run(&sim, 8, WEB "; tcp [::]:80 @nginx");
    sim_told(&sim, "changed 80/tcp address widened critical\n");
    sim_done(&sim);
}

/* Two programs take turns, each for longer than settles. */
static void test_two_take_turns(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    for (unsigned i = 0; i < 5; i++) {
        sim_run(&sim, 60, THIEF);
        sim_told(&sim, "opened 80/tcp owner warning\n");
        sim_run(&sim, 60, WEB);
        sim_told(&sim, "resolved 80/tcp owner warning returned\n");
    }
    sim_run(&sim, 60, THIEF);
    sim_told(&sim, "opened 80/tcp owner warning\n");
    sim_run(&sim, 60, WEB);
    sim_told(&sim, "changed 80/tcp flapping warning\n");
    for (unsigned i = 0; i < 20; i++) {
        sim_run(&sim, 60, THIEF);
        sim_run(&sim, 60, WEB);
    }
    sim_told(&sim, "");
    sim_run(&sim, 700, THIEF); /* and stays */
    sim_told(&sim, "changed 80/tcp owner warning\n");
    sim_done(&sim);
}

static void test_unexpected_one(void **state) {
    Sim sim;
    sim_init(&sim, "");
    for (unsigned i = 0; i < 50; i++) bounce(&sim, 20, 3, WEB); /* too short to be told, and nothing is expected */
    sim_told(&sim, "");
    for (unsigned i = 0; i < 5; i++) {
        bounce(&sim, 20, 20, WEB);
        sim_told(&sim, "opened 80/tcp opened warning\n");
        sim_run(&sim, 20, "");
        sim_told(&sim, "resolved 80/tcp opened warning returned\n");
    }
    sim_run(&sim, 20, WEB);
    sim_told(&sim, "opened 80/tcp opened warning\n");
    sim_run(&sim, 20, "");
    sim_told(&sim, "changed 80/tcp flapping warning\n");
    bounces(&sim, 20, 20, 20);
    sim_run(&sim, 1700, "");
    sim_told(&sim, "");
    sim_run(&sim, 200, "");
    sim_told(&sim, "resolved 80/tcp flapping warning returned\n");
    sim_done(&sim);
}

/* What is no longer as expected, and told so, crashes again and again. */
static void test_told_one_flaps(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_run(&sim, 10, THIEF);
    sim_told(&sim, "opened 80/tcp owner warning\n");
    for (unsigned i = 0; i < 6; i++) {
        sim_told(&sim, "");
        bounce(&sim, 20, 20, THIEF);
    }
    sim_told(&sim, "changed 80/tcp flapping warning\n");
    bounces(&sim, 1, 20, 20);
    for (unsigned i = 0; i < 20; i++) bounce(&sim, 20, 20, THIEF);
    sim_told(&sim, "");
    sim_done(&sim);
}

static void test_rolling(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim.rules->mode = MODE_ROLLING;
    for (unsigned i = 0; i < 5; i++) {
        sim_run(&sim, 70, "");
        sim_told(&sim, "opened 80/tcp closed warning\n");
        sim_run(&sim, 20, WEB);
        sim_told(&sim, "opened 80/tcp opened warning\n");
    }
    sim_run(&sim, 70, "");
    sim_told(&sim, "opened 80/tcp closed warning\n");
    sim_run(&sim, 20, WEB);
    sim_told(&sim, "opened 80/tcp flapping warning\n");
    bounces(&sim, 20, 70, 20);
    sim_told(&sim, "");
    sim_done(&sim);
}

static void test_restart_and_off(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    bounces(&sim, 6, 30, 30);
    sim_told(&sim, "opened 80/tcp flapping warning\n");
    sim_restart(&sim);
    bounces(&sim, 20, 30, 30);
    sim_told(&sim, "");
    sim.rules->flapping = (Flapping){0};
    sim_run(&sim, 10, WEB);
    sim_told(&sim, "resolved 80/tcp flapping warning returned\n");
    bounces(&sim, 20, 30, 30);
    sim_told(&sim, "");
    PortRule *web = sim_section(&sim, "80/tcp");
    web->flapping = (Flapping){3, 600 * USEC_PER_SEC};
    bounces(&sim, 3, 30, 30);
    sim_told(&sim, "opened 80/tcp flapping warning\n");
    sim_run(&sim, 310, WEB);
    sim_told(&sim, "resolved 80/tcp flapping warning returned\n");
    sim_done(&sim);
}

static void test_pause_and_boot_do_not_count(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_pause(&sim, 600, NULL);
    bounces(&sim, 9, 30, 30);
    sim_told(&sim, "");
    sim_run(&sim, 70, WEB);
    bounces(&sim, 5, 30, 30);
    sim_told(&sim, "");
    bounces(&sim, 1, 30, 30);
    sim_told(&sim, "opened 80/tcp flapping warning\n");
    sim_done(&sim);
}

static void test_accept(void **state) {
    Sim sim;
    const Surface web = {.protocol = PROTOCOL_TCP, .port = 80};
    sim_init(&sim, WEB);
    bounces(&sim, 6, 30, 30);
    sim_told(&sim, "opened 80/tcp flapping warning\n");
    assert_int_equal(sim_accept(&sim, WEB, sim_token(&sim), NULL), REQUEST_FLAPPING);
    assert_int_equal(sim_accept(&sim, WEB, NULL, &web), REQUEST_FLAPPING);
    assert_int_equal(sim_accept(&sim, WEB, NULL, NULL), REQUEST_NOTHING);
    assert_int_equal(sim_accept(&sim, "", NULL, &web), REQUEST_DONE);
    sim_told(&sim, "resolved 80/tcp flapping warning accepted\n");
    sim_baseline(&sim, "");
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restarts_are_no_flapping),
        cmocka_unit_test(test_told_once_and_when_steady),
        cmocka_unit_test(test_slow_crash_loop),
        cmocka_unit_test(test_closed_for_good),
        cmocka_unit_test(test_failed_is_told_at_once),
        cmocka_unit_test(test_no_cover),
        cmocka_unit_test(test_two_take_turns),
        cmocka_unit_test(test_unexpected_one),
        cmocka_unit_test(test_told_one_flaps),
        cmocka_unit_test(test_rolling),
        cmocka_unit_test(test_restart_and_off),
        cmocka_unit_test(test_pause_and_boot_do_not_count),
        cmocka_unit_test(test_accept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
