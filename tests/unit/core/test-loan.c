/* Acceptances that end, changes approved ahead, and a baseline that is replaced as a whole. */
#include "sim.h"

#define OLD "tcp 0.0.0.0:80 @a"
#define NEW OLD "; tcp 0.0.0.0:8443 @dev"

static const Surface dev = {PROTOCOL_TCP, 8443, false};

static void borrow(Sim *sim, double seconds) {
    sim_init(sim, OLD);
    sim_run(sim, 8, NEW);
    sim_told(sim, "opened 8443/tcp opened warning\n");
    sim_forget_history(sim);
    assert_int_equal(sim_accept_until(sim, NEW, sim_token(sim), NULL, seconds), REQUEST_DONE);
    sim_told(sim, "resolved 8443/tcp opened warning accepted\n");
    sim_history(sim, "accepted 8443/tcp opened\n");
}

static void test_a_loan_returns(void **state) {
    Sim sim;
    borrow(&sim, 3600);
    assert_int_equal(sim.last.until, sim.now.realtime + 3600 * USEC_PER_SEC);
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\ntcp 0.0.0.0:8443 dev\n");
    sim_run(&sim, 3590, NEW);
    sim_told(&sim, "");
    sim_run(&sim, 12, NEW);
    sim_history(&sim, "expired 8443/tcp none\n");
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\n");
    assert_int_equal(sim.state.n_loans, 0);
    sim_told(&sim, "");
    sim_run(&sim, 8, NEW);
    sim_told(&sim, "opened 8443/tcp opened warning\n");
    sim_done(&sim);
}

/* Whoever gave it back before its time is no news. */
static void test_a_loan_comes_back_early(void **state) {
    Sim sim;
    borrow(&sim, 3600);
    sim_run(&sim, 62, OLD);
    sim_told(&sim, "");
    sim_history(&sim, "expired 8443/tcp none\n");
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\n");
    assert_int_equal(sim.state.n_loans, 0);
    sim_run(&sim, 8, NEW);
    sim_told(&sim, "opened 8443/tcp opened warning\n");
    sim_done(&sim);
    /* A restart inside the settle time is no giving back. */
    borrow(&sim, 3600);
    sim_run(&sim, 20, OLD);
    sim_run(&sim, 100, NEW);
    sim_told(&sim, "");
    assert_int_equal(sim.state.n_loans, 1);
    /* Neither the old nor the lent state is told. */
    sim_run(&sim, 8, OLD "; tcp 0.0.0.0:8443 @evil");
    sim_told(&sim, "opened 8443/tcp owner warning\n");
    sim_run(&sim, 62, OLD);
    sim_told(&sim, "resolved 8443/tcp owner warning returned\n");
    sim_done(&sim);
}

static void test_a_loan_changes_its_end(void **state) {
    Sim sim;
    borrow(&sim, 3600);
    assert_int_equal(sim_accept_until(&sim, NEW, NULL, &dev, 60), REQUEST_DONE);
    assert_int_equal(sim.state.n_loans, 1);
    sim_run(&sim, 80, NEW);
    sim_told(&sim, "opened 8443/tcp opened warning\n");
    /* Lent twice: what was there first comes back. */
    assert_int_equal(sim_accept_until(&sim, NEW, NULL, &dev, 600), REQUEST_DONE);
    sim_run(&sim, 8, OLD "; tcp 0.0.0.0:8443 @other");
    assert_int_equal(sim_accept_until(&sim, OLD "; tcp 0.0.0.0:8443 @other", NULL, &dev, 60), REQUEST_DONE);
    sim_forget_history(&sim);
    sim_run(&sim, 62, OLD "; tcp 0.0.0.0:8443 @other");
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\n");
    sim_done(&sim);
    /* For good. */
    borrow(&sim, 60);
    assert_int_equal(sim_accept(&sim, NEW, NULL, &dev), REQUEST_DONE);
    assert_int_equal(sim.state.n_loans, 0);
    assert_int_equal(sim_accept(&sim, NEW, NULL, &dev), REQUEST_NOTHING);
    sim_run(&sim, 100, NEW);
    sim_told(&sim, "");
    sim_done(&sim);
}

static void test_what_was_closed_is_expected_again(void **state) {
    Sim sim;
    sim_init(&sim, NEW);
    sim_run(&sim, 66, OLD);
    assert_int_equal(sim_accept_until(&sim, OLD, NULL, &dev, 600), REQUEST_DONE);
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\n");
    sim_told(&sim, "opened 8443/tcp closed warning\nresolved 8443/tcp closed warning accepted\n");
    sim_run(&sim, 602, OLD);
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\ntcp 0.0.0.0:8443 dev\n");
    sim_run(&sim, 66, OLD);
    sim_told(&sim, "opened 8443/tcp closed warning\n");
    sim_done(&sim);
}

static void test_a_loan_and_the_clock(void **state) {
    Sim sim;
    /* A clock that is set while it runs moves nothing. */
    borrow(&sim, 3600);
    sim_set_clock(&sim, -86400);
    sim_run(&sim, 3500, NEW);
    sim_set_clock(&sim, 3 * 86400);
    sim_run(&sim, 90, NEW);
    assert_int_equal(sim.state.n_loans, 1);
    sim_run(&sim, 12, NEW);
    assert_int_equal(sim.state.n_loans, 0);
    sim_done(&sim);
    /* Over a restart the clock is all there is, but it never makes a loan longer. */
    borrow(&sim, 3600);
    sim_run(&sim, 3000, NEW);
    sim_restart(&sim);
    sim_run(&sim, 590, NEW);
    assert_int_equal(sim.state.n_loans, 1);
    sim_run(&sim, 12, NEW);
    assert_int_equal(sim.state.n_loans, 0);
    sim_done(&sim);
    borrow(&sim, 3600);
    sim_set_clock(&sim, -365 * 86400);
    sim_restart(&sim);
    sim_run(&sim, 3602, NEW);
    assert_int_equal(sim.state.n_loans, 0);
    sim_done(&sim);
    /* It ended while nobody was there. */
    borrow(&sim, 3600);
    sim_pass(&sim, 7200);
    sim_restart(&sim);
    sim_run(&sim, 12, NEW);
    sim_told(&sim, "opened 8443/tcp opened warning\n");
    sim_done(&sim);
}

static void test_approved_ahead(void **state) {
    Sim sim;
    sim_init(&sim, OLD);
    assert_int_equal(sim_accept(&sim, OLD, NULL, &dev), REQUEST_NOTHING);
    assert_int_equal(sim_accept_until(&sim, OLD, NULL, &dev, 600), REQUEST_DONE);
    sim_history(&sim, "accepted 8443/tcp none\n");
    sim_run(&sim, 60, NEW);
    sim_told(&sim, "");
    sim_history(&sim, "accepted 8443/tcp opened\n");
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\ntcp 0.0.0.0:8443 dev\n");
    /* Whatever changes there, and as often; but nowhere else. */
    sim_run(&sim, 60, "tcp 0.0.0.0:80 @b; tcp 0.0.0.0:8443 @other");
    sim_told(&sim, "opened 80/tcp owner warning\n");
    sim_forget_history(&sim);
    /* It stays when the time is over. */
    sim_run(&sim, 600, "tcp 0.0.0.0:80 @b; tcp 0.0.0.0:8443 @other");
    sim_history(&sim, "expired 8443/tcp none\n");
    assert_int_equal(sim.state.n_loans, 0);
    sim_told(&sim, "");
    sim_run(&sim, 62, "tcp 0.0.0.0:80 @b");
    sim_told(&sim, "opened 8443/tcp closed warning\n");
    sim_done(&sim);
}

/* What opened before the end has been approved, though it settles after it; what opened after it has not. */
static void test_at_the_end_of_an_approval(void **state) {
    Sim sim;
    sim_init(&sim, OLD);
    sim_accept_until(&sim, OLD, NULL, &dev, 61);
    sim_run(&sim, 58, OLD);
    sim_run(&sim, 20, NEW);
    sim_told(&sim, "");
    assert_int_equal(sim.state.n_loans, 0);
    sim_done(&sim);
    sim_init(&sim, OLD);
    sim_accept_until(&sim, OLD, NULL, &dev, 60);
    sim_run(&sim, 62, OLD);
    sim_run(&sim, 20, NEW);
    sim_told(&sim, "opened 8443/tcp opened warning\n");
    sim_done(&sim);
}

static void test_what_cannot_be_approved(void **state) {
    Sim sim;
    const Surface ephemeral = {PROTOCOL_TCP, 40000, false}, pool = {PROTOCOL_TCP, 0, false};
    sim_init(&sim, OLD);
    assert_int_equal(sim_accept_until(&sim, OLD, NULL, &ephemeral, 60), REQUEST_POOLED);
    assert_int_equal(sim_accept_until(&sim, OLD, NULL, &pool, 60), REQUEST_DONE);
    sim_section(&sim, "8443/tcp")->expect = EXPECT_CLOSED;
    assert_int_equal(sim_accept_until(&sim, OLD, NULL, &dev, 60), REQUEST_STATED);
    sim_run(&sim, 20, OLD "; tcp 0.0.0.0:40000 @x");
    sim_told(&sim, "");
    sim_done(&sim);
    /* The configuration came to state it after the approval. */
    sim_init(&sim, OLD);
    assert_int_equal(sim_accept_until(&sim, OLD, NULL, &dev, 60), REQUEST_DONE);
    sim_section(&sim, "8443/tcp")->expect = EXPECT_CLOSED;
    sim_run(&sim, 20, NEW);
    sim_told(&sim, "opened 8443/tcp opened warning\n");
    sim_done(&sim);
}

static void test_replace(void **state) {
    Sim sim;
    sim_init(&sim, OLD);
    sim_run(&sim, 8, NEW);
    assert_int_equal(sim_accept(&sim, NEW, NULL, &dev), REQUEST_DONE);
    sim_told(&sim, "opened 8443/tcp opened warning\nresolved 8443/tcp opened warning accepted\n");
    sim_forget_history(&sim);
    assert_int_equal(sim_replace(&sim, NEW, NEW, VERSION_REVERTED, NULL), REQUEST_SAME);
    assert_int_equal(sim_replace(&sim, NEW, OLD, VERSION_REVERTED, NULL), REQUEST_DONE);
    sim_history(&sim, "reverted 8443/tcp none\n");
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\n");
    sim_run(&sim, 8, NEW);
    sim_told(&sim, "opened 8443/tcp opened warning\n");
    /* What it makes right is resolved in somebody's name. */
    assert_int_equal(sim_replace(&sim, NEW, NEW, VERSION_IMPORTED, &dev), REQUEST_DONE);
    sim_told(&sim, "resolved 8443/tcp opened warning accepted\n");
    assert_string_equal(sim.last.by, "ann");
    /* Only what was asked for. */
    assert_int_equal(sim_replace(&sim, NEW, "", VERSION_IMPORTED, &dev), REQUEST_DONE);
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\n");
    /* A loan ends with it. */
    assert_int_equal(sim_accept_until(&sim, NEW, NULL, &dev, 60), REQUEST_DONE);
    assert_int_equal(sim_replace(&sim, NEW, "tcp 0.0.0.0:80 @b", VERSION_REVERTED, NULL), REQUEST_DONE);
    assert_int_equal(sim.state.n_loans, 0);
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_loan_returns),
        cmocka_unit_test(test_a_loan_comes_back_early),
        cmocka_unit_test(test_a_loan_changes_its_end),
        cmocka_unit_test(test_what_was_closed_is_expected_again),
        cmocka_unit_test(test_a_loan_and_the_clock),
        cmocka_unit_test(test_approved_ahead),
        cmocka_unit_test(test_at_the_end_of_an_approval),
        cmocka_unit_test(test_what_cannot_be_approved),
        cmocka_unit_test(test_replace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
