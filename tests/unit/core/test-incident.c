/* The life of an incident: opened, changed, resolved, and how it ends. */
#include "sim.h"

#define LOCAL "tcp 127.0.0.1:5432 @postgres"
#define WIDE "tcp 0.0.0.0:5432 @postgres"

static void test_life(void **state) {
    Sim sim;
    sim_init(&sim, LOCAL);
    sim_run(&sim, 8, WIDE);
    sim_told(&sim, "opened 5432/tcp address widened critical\n");
    assert_string_equal(sim.last.incident.opening_event, sim.last.id);
    char token[TOKEN_MAX];
    memcpy(token, sim_token(&sim), sizeof token);
    sim_run(&sim, 8, "tcp 0.0.0.0:5432 @evil");
    sim_told(&sim, "changed 5432/tcp address widened critical\n");
    assert_string_equal(sim_token(&sim), token);
    assert_string_not_equal(sim.last.incident.opening_event, sim.last.id);
    sim_run(&sim, 70, "");
    sim_told(&sim, "changed 5432/tcp closed warning\n");
    sim_run(&sim, 8, LOCAL);
    sim_told(&sim, "resolved 5432/tcp closed warning returned\n");
    assert_string_equal(sim.last.incident.token, token);
    assert_int_equal(sim.last.incident.state, INCIDENT_RESOLVED);
    assert_int_equal(sim.last.before.n, 0);
    assert_int_equal(sim.last.after.n, 1);
    assert_int_equal(sim.state.n_incidents, 0);
    sim_baseline(&sim, "tcp 127.0.0.1:5432 postgres\n");
    sim_history(
        &sim, "opened 5432/tcp address\nchanged 5432/tcp address\nchanged 5432/tcp closed\nresolved 5432/tcp closed\n");
    sim_done(&sim);
}

/* A blip of an open incident is a line of history. */
static void test_blip(void **state) {
    Sim sim;
    sim_init(&sim, LOCAL);
    sim_run(&sim, 8, WIDE);
    sim_told(&sim, "opened 5432/tcp address widened critical\n");
    sim_forget_history(&sim);
    sim_run(&sim, 4, LOCAL);
    sim_run(&sim, 30, WIDE);
    sim_told(&sim, "");
    sim_history(&sim, "bounced 5432/tcp none\n");
    sim_done(&sim);
}

static void test_restart_retells_nothing(void **state) {
    Sim sim;
    sim_init(&sim, LOCAL "; tcp 0.0.0.0:80 @nginx");
    sim_run(&sim, 8, WIDE "; tcp 0.0.0.0:80 @nginx");
    sim_told(&sim, "opened 5432/tcp address widened critical\n");
    sim_restart(&sim);
    sim_pass(&sim, 600);
    sim_run(&sim, 60, WIDE "; tcp 0.0.0.0:80 @nginx");
    sim_told(&sim, "");
    /* And what changed while it was down is told. */
    sim_restart(&sim);
    sim_pass(&sim, 600);
    sim_run(&sim, 8, LOCAL "; tcp 0.0.0.0:80 @nginx; tcp 0.0.0.0:81 @new");
    sim_told(&sim, "opened 81/tcp opened warning\nresolved 5432/tcp address widened critical returned\n");
    sim_done(&sim);
}

static void test_rolling(void **state) {
    Sim sim;
    sim_init(&sim, LOCAL);
    sim.rules->mode = MODE_ROLLING;
    sim_run(&sim, 20, WIDE);
    sim_told(&sim, "opened 5432/tcp address widened critical\n");
    assert_int_equal(sim.last.incident.state, INCIDENT_ROLLED);
    assert_int_equal(sim.state.n_incidents, 0);
    sim_baseline(&sim, "tcp 0.0.0.0:5432 postgres\n");
    /* A return is a new incident. */
    sim_run(&sim, 20, LOCAL);
    sim_told(&sim, "opened 5432/tcp address narrowed warning\n");
    sim_run(&sim, 70, "");
    sim_told(&sim, ""); /* on loopback only it is but logged */
    sim_run(&sim, 2000, "");
    sim_told(&sim, "");
    sim_done(&sim);
}

/* What is stated cannot roll. */
static void test_rolling_stated(void **state) {
    Sim sim;
    sim_init(&sim, WIDE);
    PortRule *rule = sim_section(&sim, "5432/tcp");
    rule->mode = MODE_ROLLING;
    rule->expect = EXPECT_OPEN;
    sim_run(&sim, 70, "");
    sim_told(&sim, "opened 5432/tcp closed warning\n");
    assert_int_equal(sim.state.n_incidents, 1);
    sim_run(&sim, 8, WIDE);
    sim_told(&sim, "resolved 5432/tcp closed warning returned\n");
    sim_done(&sim);
}

static void test_unwatched(void **state) {
    Sim sim;
    sim_init(&sim, LOCAL);
    sim_run(&sim, 8, LOCAL "; tcp 0.0.0.0:80 @nginx");
    sim_told(&sim, "opened 80/tcp opened warning\n");
    sim.rules->unlisted = WATCH_IGNORE;
    sim_run(&sim, 2, LOCAL "; tcp 0.0.0.0:80 @nginx");
    sim_told(&sim, "resolved 80/tcp opened warning unwatched\n");
    /* Watched again, nothing is retold. */
    sim.rules->unlisted = WATCH_ALERT;
    sim_run(&sim, 20, LOCAL "; tcp 0.0.0.0:80 @nginx");
    sim_told(&sim, "");
    sim_done(&sim);
}

static void test_unwatched_by_ignore(void **state) {
    Sim sim;
    sim_init(&sim, WIDE);
    sim_run(&sim, 8, WIDE "; tcp 0.0.0.0:80 @nginx");
    sim_run(&sim, 70, "tcp 0.0.0.0:80 @nginx");
    sim_told(&sim, "opened 80/tcp opened warning\nopened 5432/tcp closed warning\n");
    for (int i = 0; i < 2; i++) {
        IgnoreRule *ignore = sim_ignore(&sim);
        ignore->exe = strdup(i ? "/usr/bin/nginx" : "/usr/bin/postgres");
    }
    sim_run(&sim, 20, "tcp 0.0.0.0:80 @nginx");
    sim_told(&sim, "resolved 80/tcp opened warning unwatched\nresolved 5432/tcp closed warning unwatched\n");
    sim_done(&sim);
}

static void test_restated(void **state) {
    Sim sim;
    sim_init(&sim, LOCAL);
    sim_run(&sim, 8, WIDE);
    sim_told(&sim, "opened 5432/tcp address widened critical\n");
    PortRule *rule = sim_section(&sim, "5432/tcp");
    rule->addresses = calloc(1, sizeof *rule->addresses);
    rule->n_addresses = 1;
    address_parse("0.0.0.0", rule->addresses);
    sim_run(&sim, 2, WIDE);
    sim_told(&sim, "resolved 5432/tcp address widened critical restated\n");
    sim_run(&sim, 60, WIDE);
    sim_told(&sim, "");
    sim_done(&sim);
}

static void test_severity_and_names(void **state) {
    Sim sim;
    sim_init(&sim, "");
    PortRule *rule = sim_section(&sim, "80/tcp");
    rule->has_severity = true;
    rule->severity = SEVERITY_CRITICAL;
    rule->name = strdup("public web");
    strv_append(&rule->notify, "chat");
    strv_append(&sim.rules->notify, "admin");
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @nginx");
    sim_told(&sim, "opened 80/tcp opened critical\n");
    assert_string_equal(sim.last.name, "public web");
    assert_true(strv_contains(sim.last.notify, "chat") && strv_length(sim.last.notify) == 1);
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @nginx; tcp 0.0.0.0:81 @nginx");
    assert_true(strv_contains(sim.last.notify, "admin") && strv_length(sim.last.notify) == 1);
    sim_done(&sim);
}

/* Port 80 watched, 8080 opens: nothing said about 80. Protocols are apart. */
static void test_ports_are_numbers(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80 @nginx");
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @nginx; tcp 0.0.0.0:8080 @tomcat; udp 0.0.0.0:80 @quic; udplite 0.0.0.0:80 @x");
    sim_told(&sim, "opened 8080/tcp opened warning\nopened 80/udp opened warning\nopened 80/udplite opened warning\n");
    sim_done(&sim);
}

/* The baseline's dates: what was there keeps its own. */
static void test_since(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 10.0.0.1:80 @a");
    int64_t learned = sim.state.baseline.items[0].since;
    sim_run(&sim, 8, "tcp 10.0.0.1:80 @a; tcp 10.0.0.2:80 @a");
    assert_int_equal(sim.state.baseline.items[0].since, learned);
    assert_true(sim.state.baseline.items[1].since > learned);
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_blip),
        cmocka_unit_test(test_restart_retells_nothing),
        cmocka_unit_test(test_rolling),
        cmocka_unit_test(test_rolling_stated),
        cmocka_unit_test(test_unwatched),
        cmocka_unit_test(test_unwatched_by_ignore),
        cmocka_unit_test(test_restated),
        cmocka_unit_test(test_severity_and_names),
        cmocka_unit_test(test_ports_are_numbers),
        cmocka_unit_test(test_since),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
