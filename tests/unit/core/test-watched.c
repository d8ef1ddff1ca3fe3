/* Which differences alert: sections, unlisted ports, loopback, [ignore:]. */
#include "sim.h"

static void test_unlisted(void **state) {
    static const struct {
        Watch watch;
        const char *told, *history;
    } cases[] = {
        {WATCH_ALERT, "opened 80/tcp opened warning\n", "opened 80/tcp opened\n"},
        {WATCH_LOG, "", "logged 80/tcp opened\n"},
        {WATCH_IGNORE, "", "ignored 80/tcp opened\n"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Sim sim;
        sim_init(&sim, "");
        sim.rules->unlisted = cases[i].watch;
        sim_run(&sim, 30, "tcp 0.0.0.0:80 @nginx");
        sim_told(&sim, cases[i].told);
        sim_history(&sim, cases[i].history);
        sim_done(&sim);
    }
}

static void test_unlisted_local(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim_run(&sim, 30, "tcp 127.0.0.1:6010 @sshd; tcp [::1]:6010 @sshd");
    sim_told(&sim, "");
    sim_history(&sim, "logged 6010/tcp opened\n");
    /* Widening always alerts, and so does what was loopback only and is not any more. */
    sim_run(&sim, 8, "tcp 127.0.0.1:6010 @sshd; tcp 10.0.0.1:6010 @sshd");
    sim_told(&sim, "opened 6010/tcp address widened critical\n");
    sim_run(&sim, 70, "tcp 127.0.0.1:6010 @sshd; tcp [::1]:6010 @sshd");
    sim_told(&sim, "resolved 6010/tcp address widened critical returned\n");
    sim_forget_history(&sim);
    sim_run(&sim, 70, "");
    sim_told(&sim, "");
    sim_history(&sim, "logged 6010/tcp closed\n");
    sim_done(&sim);
}

static void test_widening_alerts_where_unlisted_is_logged(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 127.0.0.1:6010 @sshd");
    sim.rules->unlisted = WATCH_LOG;
    sim_run(&sim, 30, "tcp 0.0.0.0:6010 @sshd");
    sim_told(&sim, "opened 6010/tcp address widened critical\n");
    sim_run(&sim, 8, "tcp 127.0.0.1:6010 @sshd");
    sim_told(&sim, "resolved 6010/tcp address widened critical returned\n");
    sim_done(&sim);
}

/* Its closing alone would not be told: it ends the incident, in one message. */
static void test_widened_then_closed_is_over(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 127.0.0.1:6010 @sshd");
    sim.rules->unlisted = WATCH_LOG;
    sim_run(&sim, 30, "tcp 0.0.0.0:6010 @sshd");
    sim_told(&sim, "opened 6010/tcp address widened critical\n");
    sim_run(&sim, 200, "");
    sim_told(&sim, "resolved 6010/tcp address widened critical unwatched\n");
    sim_baseline(&sim, "");
    sim_done(&sim);
}

/* Without its section the port is one of the ephemeral ones. */
static void test_a_section_that_goes_takes_its_incident_along(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim_section(&sim, "40000/tcp");
    sim_run(&sim, 8, "tcp 0.0.0.0:40000 @x");
    sim_told(&sim, "opened 40000/tcp opened warning\n");
    sim_no_sections(&sim);
    sim_run(&sim, 100, "tcp 0.0.0.0:40000 @x");
    sim_told(&sim, "resolved 40000/tcp opened warning unwatched\nopened tcp/ephemeral opened warning\n");
    sim_section(&sim, "40000/tcp");
    sim_run(&sim, 100, "tcp 0.0.0.0:40000 @x");
    sim_told(&sim, "resolved tcp/ephemeral opened warning unwatched\nopened 40000/tcp opened warning\n");
    sim_done(&sim);
}

static void test_section_beats_unlisted(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim.rules->unlisted = WATCH_IGNORE;
    sim_section(&sim, "80/tcp");
    sim_section(&sim, "6010/tcp");
    sim_run(&sim, 30, "tcp 0.0.0.0:80 @nginx; tcp 127.0.0.1:6010 @sshd; tcp 0.0.0.0:90 @x");
    sim_told(&sim, "opened 80/tcp opened warning\nopened 6010/tcp opened warning\n");
    sim_done(&sim);
}

static void test_expectations(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:23 @telnetd; tcp 0.0.0.0:80 @nginx; tcp 0.0.0.0:81 @a");
    sim_section(&sim, "23/tcp")->expect = EXPECT_CLOSED;
    sim_section(&sim, "80/tcp")->expect = EXPECT_OPEN;
    sim_section(&sim, "8000-8001/tcp")->expect = EXPECT_OPEN;
    static const char after[] =
        "tcp 0.0.0.0:23 @telnetd; tcp 127.0.0.1:80 @other; tcp 0.0.0.0:81 @a; tcp 0.0.0.0:8001 @b";
    sim_run(&sim, 8, after);
    sim_told(&sim, "opened 23/tcp opened warning\n");
    sim_run(&sim, 60, after);
    sim_told(&sim, "opened 8000/tcp closed warning\n");
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @nginx; tcp 0.0.0.0:81 @a; tcp 0.0.0.0:8000 @z; tcp 0.0.0.0:8001 @b");
    sim_told(&sim, "resolved 23/tcp opened warning returned\nresolved 8000/tcp closed warning returned\n");
    sim_done(&sim);
}

/* A stated address with nobody learned: the first owner joins, a second one is told. */
static void test_stated_address_learns_its_owner(void **state) {
    Sim sim;
    sim_init(&sim, "");
    PortRule *rule = sim_section(&sim, "443/tcp");
    rule->addresses = calloc(1, sizeof *rule->addresses);
    rule->n_addresses = 1;
    address_parse("10.0.0.1", rule->addresses);
    sim_run(&sim, 70, "");
    sim_told(&sim, "opened 443/tcp closed warning\n");
    sim_run(&sim, 20, "tcp 10.0.0.1:443 @nginx");
    sim_told(&sim, "resolved 443/tcp closed warning returned\n");
    sim_baseline(&sim, "tcp 10.0.0.1:443 nginx\n");
    sim_run(&sim, 20, "tcp 10.0.0.1:443 @evil");
    sim_told(&sim, "opened 443/tcp owner warning\n");
    sim_done(&sim);
}

static void test_ignore(void **state) {
    Sim sim;
    sim_init(&sim, "");
    IgnoreRule *ignore = sim_ignore(&sim);
    ignore->exe = strdup("/usr/bin/rpc");
    sim_section(&sim, "111/tcp");
    /* Ignored ones stay in history; a section beats it; a stranger on the same port does not hide behind it. */
    sim_run(&sim, 30, "tcp 0.0.0.0:700 @rpc; tcp 0.0.0.0:111 @rpc; tcp 0.0.0.0:701 @rpc @evil");
    sim_told(&sim, "opened 111/tcp opened warning\nopened 701/tcp opened warning\n");
    sim_history(&sim, "opened 111/tcp opened\nignored 700/tcp opened\nopened 701/tcp opened\n");
    sim_run(&sim, 30, "tcp 0.0.0.0:700 @rpc; tcp 0.0.0.0:111 @rpc; tcp 0.0.0.0:701 @rpc @evil; tcp 10.0.0.1:700 @evil");
    sim_told(&sim, "opened 700/tcp opened warning\n");
    sim_done(&sim);
}

static void test_ignore_keys(void **state) {
    Sim sim;
    sim_init(&sim, "");
    IgnoreRule *ignore = sim_ignore(&sim);
    ignore->has_port = true;
    ignore->first = 700;
    ignore->last = 800;
    ignore->protocol = PROTOCOL_TCP;
    ignore->unit = strdup("rpc.service");
    ignore->user = strdup("rpc");
    ignore->has_address = true;
    address_parse("10.0.0.1", &ignore->address);
    sim_run(&sim, 30,
        "tcp 10.0.0.1:700 @rpc; tcp 10.0.0.1:701 @evil; tcp 10.0.0.2:702 @rpc; tcp 10.0.0.1:900 @rpc;"
        "udp 10.0.0.1:703 @rpc; tcp 10.0.0.1:704");
    sim_told(&sim, "opened 701/tcp opened warning\nopened 702/tcp opened warning\nopened 704/tcp opened warning\n"
                   "opened 900/tcp opened warning\nopened 703/udp opened warning\n");
    sim_done(&sim);
}

/* Five hundred at once are two hundred lines and one that counts the rest; what is told is never counted away. */
static void test_history_is_bounded(void **state) {
    Sim sim;
    sim_init(&sim, "");
    Snapshot s;
    snapshot_parse("tcp 0.0.0.0:999 @a; tcp 0.0.0.0:400 @a", &s);
    for (uint16_t port = 1000; port < 1500; port++) {
        Endpoint e = {.port = port, .count = 1};
        address_parse("127.0.0.1", &e.address);
        assert_int_equal(endpoints_take(&s.endpoints, &e), 0);
    }
    assert_int_equal(endpoints_sort(&s.endpoints), 0);
    sim_pass(&sim, 2);
    sim_step(&sim, &s);
    sim_pass(&sim, 5);
    Decision d;
    assert_int_equal(engine_step(sim.rules, &sim.state, &s, &sim.now, &d), 0);
    assert_int_equal(d.n_events, 2);
    assert_int_equal(d.n_baseline, 500);
    assert_int_equal(d.n_transitions, 2 + ENGINE_TRANSITIONS_MAX + 1);
    assert_string_equal(d.transitions[d.n_transitions - 1].text, "300 more transitions in the same moment");
    assert_false(d.transitions[d.n_transitions - 1].has_surface);
    decision_done(&d);
    snapshot_done(&s);
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unlisted),
        cmocka_unit_test(test_unlisted_local),
        cmocka_unit_test(test_widening_alerts_where_unlisted_is_logged),
        cmocka_unit_test(test_widened_then_closed_is_over),
        cmocka_unit_test(test_a_section_that_goes_takes_its_incident_along),
        cmocka_unit_test(test_section_beats_unlisted),
        cmocka_unit_test(test_expectations),
        cmocka_unit_test(test_stated_address_learns_its_owner),
        cmocka_unit_test(test_ignore),
        cmocka_unit_test(test_ignore_keys),
        cmocka_unit_test(test_history_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
