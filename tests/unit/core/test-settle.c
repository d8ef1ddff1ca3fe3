/* From a difference to what is told: the waits of DESIGN 5.5, promise 1 and 2. */
#include "sim.h"

#define WEB "tcp 0.0.0.0:80 @nginx"

static void test_opened_after_settle(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim_run(&sim, 6, WEB); /* first seen at 2 s */
    sim_told(&sim, "");
    assert_int_equal(sim.next_look, sim.now.boottime + USEC_PER_SEC); /* its deadline */
    sim_pass(&sim, 1);
    sim_look(&sim, WEB);
    sim_told(&sim, "opened 80/tcp opened warning\n");
    sim_history(&sim, "opened 80/tcp opened\n");
    assert_int_equal(sim.last.seen, sim.now.realtime - 5 * USEC_PER_SEC);
    assert_int_equal(sim.last.before.n, 0);
    assert_int_equal(sim.last.after.n, 1);
    assert_int_equal(sim.next_look, INT64_MAX);
    sim_run(&sim, 100, WEB);
    sim_told(&sim, "");
    sim_history(&sim, "");
    sim_done(&sim);
}

static void test_needs_two_snapshots(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim.rules->settle = 0;
    sim_pass(&sim, 2);
    sim_look(&sim, WEB);
    sim_told(&sim, "");
    assert_true(sim.next_look < INT64_MAX); /* an interval may be an hour */
    sim_pass(&sim, 0.1);
    sim_look(&sim, WEB);
    sim_told(&sim, "opened 80/tcp opened warning\n");
    sim_done(&sim);
}

static void test_bounce(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_run(&sim, 30, "");
    sim_run(&sim, 60, WEB);
    sim_told(&sim, "");
    sim_history(&sim, "bounced 80/tcp none\n");
    sim_run(&sim, 4, WEB "; tcp 0.0.0.0:81 @x");
    sim_run(&sim, 60, WEB);
    sim_told(&sim, "");
    sim_history(&sim, "bounced 81/tcp none\n");
    sim_done(&sim);
}

static void test_closed_uses_settle_closed(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_run(&sim, 60, "");
    sim_told(&sim, "");
    sim_run(&sim, 2, "");
    sim_told(&sim, "opened 80/tcp closed warning\n");
    /* Every return needs `settle` only. */
    sim_run(&sim, 6, WEB);
    sim_told(&sim, "");
    sim_run(&sim, 2, WEB);
    sim_told(&sim, "resolved 80/tcp closed warning returned\n");
    sim_done(&sim);
}

static void test_gone_again_is_a_return(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim_run(&sim, 10, WEB);
    sim_told(&sim, "opened 80/tcp opened warning\n");
    sim_run(&sim, 8, "");
    sim_told(&sim, "resolved 80/tcp opened warning returned\n");
    sim_done(&sim);
}

/* Stopped, and 40 s later somebody else is there: told `settle` after that, not at the minute. */
static void test_back_as_something_else(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_run(&sim, 40, "");
    sim_run(&sim, 6, "tcp 0.0.0.0:80 @evil");
    sim_told(&sim, "");
    sim_run(&sim, 2, "tcp 0.0.0.0:80 @evil");
    sim_told(&sim, "opened 80/tcp owner warning\n");
    sim_done(&sim);
}

/* Neither a port that flips between absent and foreign nor one whose owner changes all the time hides for ever. */
static void test_flipping_cannot_hide(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    for (int i = 0; i < 40 && !*sim.told; i++) {
        sim_run(&sim, 2, "");
        sim_run(&sim, 2, "tcp 0.0.0.0:80 @evil");
    }
    assert_true(*sim.told);
    assert_true(sim.now.realtime - sim.last.seen <= 70 * USEC_PER_SEC);
    sim_done(&sim);

    sim_init(&sim, WEB);
    for (int i = 0; i < 4 && !*sim.told; i++) {
        sim_run(&sim, 2, "tcp 0.0.0.0:80 @evil");
        sim_run(&sim, 2, "tcp 10.0.0.1:80 @worse");
    }
    assert_true(*sim.told);
    sim_done(&sim);
}

/* A settling time starts again after a suspend: what was seen before it may be history. */
static void test_gap_starts_again(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_run(&sim, 40, "");
    sim_pass(&sim, 3600);
    sim_look(&sim, "");
    sim_run(&sim, 58, "");
    sim_told(&sim, "");
    sim_run(&sim, 2, "");
    sim_told(&sim, "opened 80/tcp closed warning\n");
    sim_done(&sim);

    /* Two late looks, each inside three intervals, are no gap. */
    sim_init(&sim, "");
    sim_run(&sim, 2, WEB);
    sim_pass(&sim, 5.9);
    sim_look(&sim, WEB);
    sim_told(&sim, "opened 80/tcp opened warning\n");
    sim_done(&sim);
}

/* A quiet addition that turns into something to tell: the settle time is that of what is told. */
static void test_quiet_is_no_head_start(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 10.0.0.1:80 @a");
    sim_run(&sim, 4, "tcp 10.0.0.1:80 @a; tcp 10.0.0.2:80 @a");
    sim_run(&sim, 4, "tcp 10.0.0.1:80 @b; tcp 10.0.0.2:80 @a");
    sim_told(&sim, "");
    sim_run(&sim, 4, "tcp 10.0.0.1:80 @a");
    sim_told(&sim, "");
    sim_done(&sim);
}

static void test_quiet_joins(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 10.0.0.1:80 @a");
    sim_run(&sim, 8, "tcp 10.0.0.1:80 @a; tcp 10.0.0.2:80 @a; tcp [fe80::1]:80 @a");
    sim_told(&sim, "");
    sim_history(&sim, "joined 80/tcp none\n");
    sim_baseline(&sim, "tcp 10.0.0.1:80 a\ntcp 10.0.0.2:80 a\ntcp [fe80::1]:80 a\n");
    sim_run(&sim, 100, "tcp 10.0.0.1:80 @a; tcp 10.0.0.2:80 @a; tcp [fe80::1]:80 @a");
    sim_history(&sim, "");
    sim_done(&sim);
}

/* A name server on every address of a machine whose interfaces come and go. */
static void test_what_joined_quietly_leaves_quietly(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 10.0.0.1:53 @named; tcp 10.0.0.2:53 @named");
    for (int i = 0; i < 3; i++) {
        sim_run(&sim, 8, "tcp 10.0.0.1:53 @named; tcp 10.0.0.2:53 @named; tcp 172.17.0.1:53 @named");
        sim_run(&sim, 70, "tcp 10.0.0.1:53 @named; tcp 10.0.0.2:53 @named");
    }
    sim_told(&sim, "");
    sim_history(&sim, "joined 53/tcp none\njoined 53/tcp none\njoined 53/tcp none\n"
                      "joined 53/tcp none\njoined 53/tcp none\njoined 53/tcp none\n");
    /* What was learned does not. */
    sim_run(&sim, 70, "tcp 10.0.0.1:53 @named");
    sim_told(&sim, "opened 53/tcp address narrowed warning\n");
    sim_done(&sim);
}

/* What is learned in several looks is learned all the same. */
static void test_learned_later_leaves_loudly(void **state) {
    Sim sim;
    sim_init_booting(&sim, 20);
    sim_look(&sim, "tcp 10.0.0.1:53 @named");
    sim_run(&sim, 120, "tcp 10.0.0.1:53 @named; tcp 10.0.0.2:53 @named");
    assert_true(sim.state.learned);
    sim_run(&sim, 70, "tcp 10.0.0.1:53 @named");
    sim_told(&sim, "opened 53/tcp address narrowed warning\n");
    sim_done(&sim);
}

/* Where the same program listens on all addresses anyway, one of them by name is nothing more or less. */
static void test_addresses_below_a_wildcard(void **state) {
    Sim sim;
    sim_init(&sim, "udp 0.0.0.0:123 @ntpd; udp 10.0.0.1:123 @ntpd; udp 10.0.0.1:124 @b; udp 0.0.0.0:124 @a");
    sim_run(&sim, 70, "udp 0.0.0.0:123 @ntpd; udp 10.0.0.9:123 @ntpd; udp 10.0.0.1:124 @b; udp 0.0.0.0:124 @a");
    sim_told(&sim, "");
    sim_run(&sim, 70, "udp 0.0.0.0:123 @ntpd; udp 0.0.0.0:124 @a");
    sim_told(&sim, "opened 124/udp address narrowed warning\n");
    /* A wildcard that was not there before is no such thing. */
    sim_run(&sim, 70, "udp 10.0.0.1:123 @ntpd; udp 10.0.0.1:124 @b; udp 0.0.0.0:124 @a");
    sim_told(&sim, "opened 123/udp address narrowed warning\nresolved 124/udp address narrowed warning returned\n");
    sim_done(&sim);
}

static void test_boot_grace(void **state) {
    Sim sim;
    sim_init(
        &sim, "tcp 0.0.0.0:80 @nginx; tcp 0.0.0.0:81 @a; tcp 0.0.0.0:82 @a; tcp 127.0.0.1:83 @a; tcp 10.0.0.1:84 @a");
    sim_restart(&sim);
    sim.now.boot_age = 10 * USEC_PER_SEC;
    /* 80 closed, 81 owner, 82 narrowed wait; 83 widened, 84 another address and 85 opened do not. */
    static const char booted[] = "tcp 0.0.0.0:81 @b; tcp 127.0.0.1:82 @a; tcp 0.0.0.0:83 @a; tcp 10.0.0.2:84 @b;"
                                 "tcp 0.0.0.0:85 @a";
    sim_run(&sim, 8, booted);
    sim_told(
        &sim, "opened 83/tcp address widened critical\nopened 84/tcp address info\nopened 85/tcp opened warning\n");
    sim_run(&sim, 100, booted); /* age 118 s */
    sim_told(&sim, "");
    sim_run(&sim, 2, booted);
    sim_told(
        &sim, "opened 80/tcp closed warning\nopened 81/tcp owner warning\nopened 82/tcp address narrowed warning\n");
    sim_done(&sim);

    sim_init(&sim, WEB);
    sim.rules->boot_grace = 0;
    sim.now.boot_age = USEC_PER_SEC;
    sim_run(&sim, 62, "");
    sim_told(&sim, "opened 80/tcp closed warning\n");
    sim_done(&sim);
}

static void test_section_times(void **state) {
    Sim sim;
    sim_init(&sim, WEB "; tcp 0.0.0.0:22 @sshd");
    PortRule *rule = sim_section(&sim, "80/tcp");
    rule->settle_closed = 10 * USEC_PER_SEC;
    rule->settle = 20 * USEC_PER_SEC;
    sim_run(&sim, 12, "");
    sim_told(&sim, "opened 80/tcp closed warning\n");
    sim_run(&sim, 20, WEB);
    sim_told(&sim, "");
    sim_run(&sim, 2, WEB);
    sim_told(&sim, "resolved 80/tcp closed warning returned\n");
    sim_done(&sim);
}

/* Nothing is applied where the commit failed, and the same is decided again. */
static void test_failed_commit(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim_run(&sim, 6, WEB);
    sim.commit_fails = true;
    sim_run(&sim, 20, WEB);
    assert_int_equal(sim.state.n_incidents, 0);
    sim_told(&sim, "");
    sim.commit_fails = false;
    sim_run(&sim, 2, WEB);
    sim_told(&sim, "opened 80/tcp opened warning\n");
    assert_int_equal(sim.now.realtime - sim.last.seen, 26 * USEC_PER_SEC);
    sim_run(&sim, 20, WEB);
    sim_told(&sim, "");
    sim_done(&sim);
}

/* An incomplete table decides nothing for its own ports; the others go on. */
static void test_incomplete(void **state) {
    Sim sim;
    sim_init(&sim, WEB "; udp 0.0.0.0:53 @named");
    for (int i = 0; i < 50; i++) {
        sim_run(&sim, 6, "incomplete tcp; udp 0.0.0.0:53 @named");
        sim_run(&sim, 2, WEB "; udp 0.0.0.0:53 @named");
    }
    sim_told(&sim, "");
    sim_history(&sim, "");
    sim_run(&sim, 8, "incomplete tcp; udp 0.0.0.0:53 @evil");
    sim_told(&sim, "opened 53/udp owner warning\n");
    sim_done(&sim);
    /* One complete look in four: the deadline stays. */
    sim_init(&sim, "");
    for (int i = 0; i < 4; i++) {
        sim_run(&sim, 6, "incomplete tcp");
        sim_run(&sim, 2, WEB);
    }
    sim_told(&sim, "opened 80/tcp opened warning\n");
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_opened_after_settle),
        cmocka_unit_test(test_needs_two_snapshots),
        cmocka_unit_test(test_bounce),
        cmocka_unit_test(test_closed_uses_settle_closed),
        cmocka_unit_test(test_gone_again_is_a_return),
        cmocka_unit_test(test_back_as_something_else),
        cmocka_unit_test(test_flipping_cannot_hide),
        cmocka_unit_test(test_gap_starts_again),
        cmocka_unit_test(test_quiet_is_no_head_start),
        cmocka_unit_test(test_quiet_joins),
        cmocka_unit_test(test_what_joined_quietly_leaves_quietly),
        cmocka_unit_test(test_learned_later_leaves_loudly),
        cmocka_unit_test(test_addresses_below_a_wildcard),
        cmocka_unit_test(test_boot_grace),
        cmocka_unit_test(test_section_times),
        cmocka_unit_test(test_failed_commit),
        cmocka_unit_test(test_incomplete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
