/* portwatch's own incident, and the names of things. */
#include "sim.h"

static void test_blind(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80 @a");
    strv_append(&sim.rules->notify, "admin");
    sim_run(&sim, 8, "incomplete tcp");
    sim_told(&sim, "");
    sim_run(&sim, 2, "incomplete tcp");
    sim_told(&sim, "opened self blind critical\n");
    assert_string_equal(sim.last.subject, "blind");
    assert_non_null(strstr(sim.last.summary, "tcp/IPv4"));
    assert_true(strv_contains(sim.last.notify, "admin"));
    assert_int_equal(sim_accept(&sim, "tcp 0.0.0.0:80 @a", sim_token(&sim), NULL), REQUEST_SELF);
    /* It is not retold, not by a restart either. */
    sim_run(&sim, 100, "incomplete udp; tcp 0.0.0.0:80 @a");
    sim_restart(&sim);
    sim_run(&sim, 100, "incomplete tcp");
    sim_told(&sim, "");
    sim_run(&sim, 20, "tcp 0.0.0.0:80 @a");
    sim_told(&sim, "resolved self blind critical returned\n");
    assert_int_equal(sim.state.n_incidents, 0);
    sim_history(&sim, "opened - blind\nresolved - blind\n");
    sim_done(&sim);
}

/* A table that can be read every sixth time is one incident, not one an attempt. */
static void test_no_storm(void **state) {
    Sim sim;
    sim_init(&sim, "");
    for (int i = 0; i < 50; i++) {
        sim_run(&sim, 10, "incomplete tcp");
        sim_run(&sim, 2, "");
    }
    sim_told(&sim, "opened self blind critical\n");
    sim_run(&sim, 20, "");
    sim_told(&sim, "resolved self blind critical returned\n");
    sim_done(&sim);
}

static void test_blind_while_learning(void **state) {
    Sim sim;
    sim_init(&sim, NULL);
    sim_run(&sim, 10, "incomplete tcp");
    sim_told(&sim, "opened self blind critical\n");
    assert_false(sim.state.learned);
    sim_done(&sim);
}

static void test_failed_commit(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim.commit_fails = true;
    sim_run(&sim, 30, "incomplete tcp");
    assert_int_equal(sim.state.n_incidents, 0);
    sim.commit_fails = false;
    sim_run(&sim, 2, "incomplete tcp");
    sim_told(&sim, "opened self blind critical\n");
    sim_done(&sim);
}

/* Random bytes that repeat: the first tokens collide. */
static unsigned calls;
static void poor_random(void *buffer, size_t size) {
    memset(buffer, (int)(calls++ / 40), size);
}

static void test_tokens(void **state) {
    Sim sim;
    sim_init(&sim, "");
    Decision d = {0};
    for (uint16_t i = 0; i < 40; i++) {
        Event e = {.type = EVENT_OPENED, .has_incident = true, .surface = {PROTOCOL_TCP, i, false}};
        e.incident.surface = e.surface;
        d.events = reallocarray(d.events, d.n_events + 1, sizeof e);
        d.events[d.n_events++] = e;
    }
    assert_int_equal(decision_identify(&d, &sim.state, poor_random), 0);
    for (size_t i = 0; i < d.n_events; i++) {
        const char *token = d.events[i].incident.token;
        assert_true(strlen(token) >= 4 && strlen(token) < TOKEN_MAX);
        assert_int_equal(strspn(token, "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"), strlen(token));
        assert_true(strspn(token, "0123456789") < strlen(token));
        assert_int_equal(strlen(d.events[i].id), 36);
        assert_int_equal(d.events[i].id[14], '4');
        assert_string_equal(d.events[i].incident.opening_event, d.events[i].id);
        for (size_t k = 0; k < i; k++) assert_string_not_equal(token, d.events[k].incident.token);
    }
    /* What has its names keeps them. */
    char token[TOKEN_MAX], id[UUID_TEXT_MAX];
    memcpy(token, d.events[0].incident.token, sizeof token);
    memcpy(id, d.events[0].id, sizeof id);
    assert_int_equal(decision_identify(&d, &sim.state, sim_random_bytes), 0);
    assert_string_equal(d.events[0].incident.token, token);
    assert_string_equal(d.events[0].id, id);
    decision_done(&d);
    sim_done(&sim);
}

/* The line of history has the incident's token. */
static void test_token_in_history(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim_run(&sim, 6, "tcp 0.0.0.0:80 @a");
    sim_pass(&sim, 2);
    Snapshot s;
    snapshot_parse("tcp 0.0.0.0:80 @a", &s);
    Decision d;
    assert_int_equal(engine_step(sim.rules, &sim.state, &s, &sim.now, &d), 0);
    assert_true(decision_writes(&d));
    assert_int_equal(decision_identify(&d, &sim.state, sim_random_bytes), 0);
    assert_int_equal(d.n_events, 1);
    assert_int_equal(d.n_transitions, 1);
    assert_string_equal(d.transitions[0].token, d.events[0].incident.token);
    decision_done(&d);
    snapshot_done(&s);
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blind),
        cmocka_unit_test(test_no_storm),
        cmocka_unit_test(test_blind_while_learning),
        cmocka_unit_test(test_failed_commit),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_token_in_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
