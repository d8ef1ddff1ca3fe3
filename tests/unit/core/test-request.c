/* accept, pause and resume. */
#include <ctype.h>

#include "sim.h"

#define LOCAL "tcp 127.0.0.1:5432 @postgres"
#define WIDE "tcp 0.0.0.0:5432 @postgres"

static const Surface db = {PROTOCOL_TCP, 5432, false}, web = {PROTOCOL_TCP, 80, false};

static void test_accept_token(void **state) {
    Sim sim;
    sim_init(&sim, LOCAL);
    sim_run(&sim, 8, WIDE);
    sim_told(&sim, "opened 5432/tcp address widened critical\n");
    sim_forget_history(&sim);
    char lower[TOKEN_MAX] = "";
    for (size_t i = 0; i < 4; i++) lower[i] = (char)tolower(sim_token(&sim)[i]);
    assert_int_equal(sim_accept(&sim, WIDE, "ZZZZ9", NULL), REQUEST_UNKNOWN);
    assert_int_equal(sim_accept(&sim, LOCAL, sim_token(&sim), NULL), REQUEST_MOVED);
    assert_int_equal(sim_accept(&sim, "incomplete tcp", sim_token(&sim), NULL), REQUEST_UNSEEN);
    sim_told(&sim, "");
    assert_int_equal(sim_accept(&sim, WIDE, lower, NULL), REQUEST_DONE);
    sim_told(&sim, "resolved 5432/tcp address widened critical accepted\n");
    sim_history(&sim, "accepted 5432/tcp address\n");
    assert_string_equal(sim.last.by, "ann");
    assert_string_equal(sim.last.reason, "planned");
    assert_int_equal(sim.last.incident.state, INCIDENT_ACCEPTED);
    sim_baseline(&sim, "tcp 0.0.0.0:5432 postgres\n");
    sim_run(&sim, 100, WIDE);
    sim_told(&sim, "");
    sim_run(&sim, 8, LOCAL);
    sim_told(&sim, "opened 5432/tcp address narrowed warning\n");
    sim_done(&sim);
}

/* What was told is accepted, also where not all of it can be seen at that moment. */
static void test_accept_takes_what_was_told(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80 @a");
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @b");
    assert_int_equal(sim_accept(&sim, "tcp 0.0.0.0:80", sim_token(&sim), NULL), REQUEST_DONE);
    sim_baseline(&sim, "tcp 0.0.0.0:80 b\n");
    sim_told(&sim, "opened 80/tcp owner warning\nresolved 80/tcp owner warning accepted\n");
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @b @c");
    assert_int_equal(sim_accept(&sim, "tcp 0.0.0.0:80 @b", NULL, &web), REQUEST_DONE);
    sim_baseline(&sim, "tcp 0.0.0.0:80 b c\n");
    sim_told(&sim, "opened 80/tcp owner warning\nresolved 80/tcp owner warning accepted\n");
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @c");
    sim_told(&sim, "");
    sim_done(&sim);
}

static void test_accept_port(void **state) {
    Sim sim;
    sim_init(&sim, "");
    assert_int_equal(sim_accept(&sim, "", NULL, &web), REQUEST_NOTHING);
    assert_int_equal(sim_accept(&sim, "incomplete tcp; tcp 0.0.0.0:80 @a", NULL, &web), REQUEST_UNSEEN);
    /* Before it was told: it will not be. */
    sim_run(&sim, 4, "tcp 0.0.0.0:80 @a");
    assert_int_equal(sim_accept(&sim, "tcp 0.0.0.0:80 @a", NULL, &web), REQUEST_DONE);
    assert_int_equal(sim_accept(&sim, "tcp 0.0.0.0:80 @a", NULL, &web), REQUEST_NOTHING);
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @a");
    sim_told(&sim, "");
    sim_history(&sim, "accepted 80/tcp opened\n");
    /* A port takes the present difference, whatever was told. */
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @b");
    assert_int_equal(sim_accept(&sim, "tcp 0.0.0.0:80 @c", NULL, &web), REQUEST_DONE);
    sim_told(&sim, "opened 80/tcp owner warning\nresolved 80/tcp owner warning accepted\n");
    sim_baseline(&sim, "tcp 0.0.0.0:80 c\n");
    /* Closed is accepted too. */
    assert_int_equal(sim_accept(&sim, "", NULL, &web), REQUEST_DONE);
    sim_baseline(&sim, "");
    sim_run(&sim, 100, "");
    sim_told(&sim, "");
    sim_done(&sim);
}

static void test_accept_all(void **state) {
    Sim sim;
    sim_init(&sim, LOCAL);
    assert_int_equal(sim_accept(&sim, LOCAL, NULL, NULL), REQUEST_NOTHING);
    /* Clients' ports are nothing to accept. */
    assert_int_equal(sim_accept(&sim, LOCAL "; udp 0.0.0.0:40000 @x", NULL, NULL), REQUEST_NOTHING);
    sim_history(&sim, "");
    sim_run(&sim, 8, WIDE "; tcp 0.0.0.0:80 @a");
    sim_told(&sim, "opened 80/tcp opened warning\nopened 5432/tcp address widened critical\n");
    assert_int_equal(sim_accept(&sim, WIDE "; tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @a", NULL, NULL), REQUEST_DONE);
    sim_told(&sim, "resolved 80/tcp opened warning accepted\nresolved 5432/tcp address widened critical accepted\n");
    assert_int_equal(sim.state.n_incidents, 0);
    sim_run(&sim, 60, WIDE "; tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @a");
    sim_told(&sim, "");
    sim_done(&sim);
}

static void test_accept_stated(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim_section(&sim, "80/tcp")->expect = EXPECT_CLOSED;
    sim_section(&sim, "81/tcp")->expect = EXPECT_OPEN;
    sim_section(&sim, "5432/tcp")->exe = strdup("/usr/bin/postgres");
    sim_run(&sim, 70, "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:5432 @evil");
    Surface open = {PROTOCOL_TCP, 81, false};
    assert_int_equal(sim_accept(&sim, "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:5432 @evil", NULL, &web), REQUEST_STATED);
    assert_int_equal(sim_accept(&sim, "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:5432 @evil", NULL, &open), REQUEST_STATED);
    assert_int_equal(sim_accept(&sim, "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:5432 @evil", NULL, &db), REQUEST_STATED);
    assert_int_equal(sim.state.n_incidents, 3);
    /* --all takes the rest. */
    assert_int_equal(
        sim_accept(&sim, "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:5432 @evil; tcp 0.0.0.0:90 @n", NULL, NULL), REQUEST_STATED);
    sim_baseline(&sim, "tcp 0.0.0.0:90 n\n");
    sim_done(&sim);
}

static void test_pause(void **state) {
    Sim sim;
    sim_init(&sim, LOCAL);
    assert_int_equal(sim_pause(&sim, 60, &db), REQUEST_DONE);
    sim_run(&sim, 50, WIDE "; tcp 0.0.0.0:80 @a");
    sim_told(&sim, "opened 80/tcp opened warning\n");
    sim_run(&sim, 9, WIDE "; tcp 0.0.0.0:80 @a");
    sim_told(&sim, "");
    /* What still differs is told when the pause is over. */
    sim_run(&sim, 2, WIDE "; tcp 0.0.0.0:80 @a");
    sim_told(&sim, "opened 5432/tcp address widened critical\nself pause none critical\n");
    assert_string_equal(sim.last.summary, "the pause of 5432/tcp is over: 1 change, told beside this");
    sim_history(&sim,
        "paused 5432/tcp none\nopened 80/tcp opened\nresumed 5432/tcp none\nopened 5432/tcp address\nnotice - none\n");
    assert_int_equal(sim.state.n_pauses, 0);
    sim_done(&sim);

    sim_init(&sim, LOCAL);
    sim_pause(&sim, 3600, NULL);
    sim_run(&sim, 100, WIDE);
    sim_run(&sim, 100, LOCAL);
    sim_told(&sim, "");
    sim_history(&sim, "paused - none\nbounced 5432/tcp none\n");
    sim_run(&sim, 100, WIDE);
    assert_int_equal(sim_resume(&sim, &db), REQUEST_NOTHING);
    assert_int_equal(sim_resume(&sim, NULL), REQUEST_DONE);
    assert_int_equal(sim_resume(&sim, NULL), REQUEST_NOTHING);
    sim_run(&sim, 2, WIDE);
    sim_told(&sim, "opened 5432/tcp address widened critical\nself pause none critical\n");
    assert_string_equal(sim.last.summary,
        "the pause of every port is over: 1 change, told beside this; different for a while, and then as before again: "
        "5432/tcp");
    assert_int_equal(sim.state.n_pauses, 0);
    sim_done(&sim);
}

/* What came and went is no secret; what was too short to be told without a pause is not told after it. */
static void test_pause_sums_up(void **state) {
    Sim sim;
    sim_init(&sim, LOCAL);
    sim_pause(&sim, 600, NULL);
    sim_run(&sim, 4, WIDE);
    sim_run(&sim, 100, LOCAL);
    sim_run(&sim, 500, LOCAL);
    sim_told(&sim, "");
    assert_int_equal(sim.state.n_pauses, 0);
    sim_pause(&sim, 600, &db);
    sim_run(&sim, 20, WIDE);
    sim_run(&sim, 20, LOCAL "; tcp 0.0.0.0:80 @a");
    sim_run(&sim, 20, LOCAL);
    sim_told(&sim, "opened 80/tcp opened warning\nresolved 80/tcp opened warning returned\n");
    sim_pause(&sim, 60, &db); /* the same one, shorter */
    sim_run(&sim, 62, LOCAL);
    sim_told(&sim, "self pause none info\n");
    assert_string_equal(sim.last.summary,
        "the pause of 5432/tcp is over: all is as it was before; different for a while, and then as before again: "
        "5432/tcp");
    sim_run(&sim, 600, LOCAL);
    sim_told(&sim, "");
    sim_done(&sim);
}

/* The same pause again replaces it; one without end is no arithmetic accident. */
static void test_pause_limits(void **state) {
    Sim sim;
    sim_init(&sim, LOCAL);
    for (int i = 0; i < 5; i++) sim_pause(&sim, 100 + i, &db);
    assert_int_equal(sim.state.n_pauses, 1);
    Decision d;
    assert_int_equal(engine_pause(&sim.state, &sim.now, NULL, INT64_MAX, "ann", &d), 0);
    assert_int_equal(engine_apply(&sim.state, &d, true), 0);
    sim_run(&sim, 200, WIDE);
    sim_told(&sim, "");
    sim_done(&sim);
}

/* Whatever is done to the clock. */
static void test_a_pause_lasts_as_long_as_it_was_asked_for(void **state) {
    static const int64_t jumps[] = {-86400, 86400};
    for (size_t i = 0; i < ELEMENTSOF(jumps); i++) {
        Sim sim;
        sim_init(&sim, "tcp 0.0.0.0:80 @nginx");
        sim_pause(&sim, 3600, NULL);
        sim_set_clock(&sim, jumps[i]);
        sim_run(&sim, 3590, "tcp 0.0.0.0:80 @other");
        sim_told(&sim, "");
        sim_run(&sim, 12, "tcp 0.0.0.0:80 @other");
        sim_told(&sim, "opened 80/tcp owner warning\nself pause none warning\n");
        assert_int_equal(sim.state.n_pauses, 0);
        sim_done(&sim);
    }
}

/* Whoever asks cannot write into the terminal of the one who reads. */
static void test_names_are_escaped(void **state) {
    Sim sim;
    sim_init(&sim, LOCAL);
    Decision d;
    assert_int_equal(engine_pause(&sim.state, &sim.now, NULL, USEC_PER_SEC, "x\x1b[2J\n", &d), 0);
    assert_int_equal(d.n_transitions, 1);
    assert_null(strpbrk(d.transitions[0].text, "\x1b\n"));
    decision_done(&d);
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_token),
        cmocka_unit_test(test_accept_takes_what_was_told),
        cmocka_unit_test(test_accept_port),
        cmocka_unit_test(test_accept_all),
        cmocka_unit_test(test_accept_stated),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_pause_sums_up),
        cmocka_unit_test(test_pause_limits),
        cmocka_unit_test(test_a_pause_lasts_as_long_as_it_was_asked_for),
        cmocka_unit_test(test_names_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
