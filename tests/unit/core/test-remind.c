/* Reminders, ack, and a clock that jumps. */
#include "sim.h"

#define DAY 86400.0
#define DIFFERENT "tcp 0.0.0.0:80 @b"

static void init_different(Sim *sim) {
    sim_init(sim, "tcp 0.0.0.0:80 @a");
    sim_run(sim, 8, DIFFERENT);
    sim_told(sim, "opened 80/tcp owner warning\n");
}

/* Hourly looks; the days at which something was told, counted from 1. */
static void expect_days(Sim *sim, int days, const char *expected) {
    char got[256] = "";
    for (int hour = 1; hour <= days * 24; hour++) {
        sim_pass(sim, 3600);
        sim_look(sim, DIFFERENT);
        if (!*sim->told) continue;
        sim_told(sim, "reminder 80/tcp owner warning\n");
        snprintf(got + strlen(got), sizeof got - strlen(got), "%d ", (hour + 23) / 24);
    }
    assert_string_equal(got, expected);
}

static void test_steps(void **state) {
    Sim sim;
    init_different(&sim);
    expect_days(&sim, 30, "1 3 7 14 21 28 ");
    sim_done(&sim);
}

static void test_off_and_info(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80 @a");
    sim.rules->remind = 0;
    sim_run(&sim, 8, DIFFERENT);
    sim_told(&sim, "opened 80/tcp owner warning\n");
    expect_days(&sim, 10, "");
    sim_done(&sim);

    init_different(&sim);
    sim.rules->remind = 0; /* a reload switches it off */
    expect_days(&sim, 10, "");
    sim_done(&sim);

    sim_init(&sim, "tcp 0.0.0.0:80 @a");
    PortRule *rule = sim_section(&sim, "80/tcp");
    rule->has_severity = true;
    rule->severity = SEVERITY_INFO;
    sim_run(&sim, 8, DIFFERENT);
    sim_told(&sim, "opened 80/tcp owner info\n");
    expect_days(&sim, 10, "");
    sim_done(&sim);
}

/* At most 7 d, whatever is configured. */
static void test_long_remind(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80 @a");
    sim.rules->remind = (int64_t)(30 * DAY) * USEC_PER_SEC;
    sim_run(&sim, 8, DIFFERENT);
    sim_told(&sim, "opened 80/tcp owner warning\n");
    expect_days(&sim, 22, "7 14 21 ");
    sim_done(&sim);
}

static void test_ack(void **state) {
    Sim sim;
    init_different(&sim);
    sim_forget_history(&sim);
    assert_int_equal(sim_ack(&sim, "????"), REQUEST_UNKNOWN);
    assert_int_equal(sim_ack(&sim, sim_token(&sim)), REQUEST_DONE);
    sim_history(&sim, "acknowledged 80/tcp owner\n");
    expect_days(&sim, 20, "");
    /* It still tells what becomes of it. */
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @a");
    sim_told(&sim, "resolved 80/tcp owner warning returned\n");
    sim_done(&sim);
}

static void test_pause_holds_reminders(void **state) {
    Sim sim;
    init_different(&sim);
    sim_pause(&sim, 3 * DAY, NULL);
    expect_days(&sim, 6, "3 5 ");
    sim_done(&sim);
}

/* A changed difference starts counting anew. */
static void test_changed(void **state) {
    Sim sim;
    init_different(&sim);
    expect_days(&sim, 2, "1 ");
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @c");
    sim_told(&sim, "changed 80/tcp owner warning\n");
    sim_run(&sim, 8, DIFFERENT);
    sim_told(&sim, "changed 80/tcp owner warning\n");
    expect_days(&sim, 3, "1 3 ");
    sim_done(&sim);
}

static void test_clock(void **state) {
    static const int64_t years[] = {-20, 20};
    for (size_t i = 0; i < ELEMENTSOF(years); i++) {
        Sim sim;
        init_different(&sim);
        sim_set_clock(&sim, years[i] * 365 * 86400);
        /* At most one of them comes early; then they go on as ever. */
        expect_days(&sim, 15, "1 3 7 14 ");
        sim_done(&sim);
    }
    Sim sim;
    init_different(&sim);
    sim_set_clock(&sim, -86400);
    expect_days(&sim, 3, "2 ");
    sim_set_clock(&sim, 86400);
    expect_days(&sim, 1, "1 ");
    sim_done(&sim);

    /* Waits are not counted by that clock. */
    sim_init(&sim, "");
    sim_run(&sim, 4, DIFFERENT);
    sim_set_clock(&sim, 40 * 365 * 86400);
    sim_run(&sim, 2, DIFFERENT);
    sim_told(&sim, "");
    sim_set_clock(&sim, -41 * 365 * 86400);
    sim_run(&sim, 2, DIFFERENT);
    sim_told(&sim, "opened 80/tcp opened warning\n");
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_off_and_info),
        cmocka_unit_test(test_long_remind),
        cmocka_unit_test(test_ack),
        cmocka_unit_test(test_pause_holds_reminders),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
