/* Why a port closed: who waits for the answer and what its unit's fate changes. */
#include "sim.h"

#define WEB "tcp 0.0.0.0:80 @nginx"

/* A unit that has failed for good is no restart: it is told after `settle`. */
static void test_failed_is_told_after_settle(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_run(&sim, 2, "");
    sim_cause(&sim, 80, FATE_FAILED, "{\"state\": \"failed\"}");
    sim_run(&sim, 4, "");
    sim_told(&sim, "");
    sim_run(&sim, 2, "");
    sim_told(&sim, "opened 80/tcp closed warning\n");
    assert_string_equal(sim.last.cause, "{\"state\": \"failed\"}");
    assert_int_equal(sim.state.n_causes, 0);
    sim_done(&sim);
}

static void test_stopped_waits_settle_closed(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_run(&sim, 2, "");
    sim_cause(&sim, 80, FATE_STOPPED, "{}");
    sim_run(&sim, 58, "");
    sim_told(&sim, "");
    sim_run(&sim, 4, "");
    sim_told(&sim, "opened 80/tcp closed warning\n");
    sim_done(&sim);
}

/* One on its way back has ten minutes, from when it closed. */
static void test_returning_waits(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_run(&sim, 2, "");
    sim_cause(&sim, 80, FATE_RETURNING, "{}");
    sim_run(&sim, 598, "");
    sim_told(&sim, "");
    sim_run(&sim, 4, "");
    sim_told(&sim, "opened 80/tcp closed warning\n");
    sim_done(&sim);

    sim_init(&sim, WEB);
    sim_run(&sim, 2, "");
    sim_cause(&sim, 80, FATE_RETURNING, "{}");
    sim_run(&sim, 300, "");
    sim_cause(&sim, 80, FATE_FAILED, "{\"result\": \"start-limit-hit\"}");
    sim_run(&sim, 2, "");
    sim_told(&sim, "opened 80/tcp closed warning\n");
    assert_string_equal(sim.last.cause, "{\"result\": \"start-limit-hit\"}");
    sim_done(&sim);

    sim_init(&sim, WEB);
    sim_run(&sim, 2, "");
    sim_cause(&sim, 80, FATE_RETURNING, "{}");
    sim_run(&sim, 120, "");
    sim_run(&sim, 60, WEB);
    sim_told(&sim, "");
    sim_history(&sim, "bounced 80/tcp none\n");
    assert_int_equal(sim.state.n_causes, 0);
    sim_done(&sim);
}

#define BOTH "tcp 0.0.0.0:80 @nginx; tcp [::]:80 v6only @nginx"

/* A unit that comes back late opens its sockets one after the other, as one that comes back soon does; and may end once
 * more before it has all of them. What another program opened meanwhile is told in its own time. */
static void test_returning_bit_by_bit(void **state) {
    Sim sim;
    sim_init(&sim, BOTH);
    sim_run(&sim, 2, "");
    sim_cause(&sim, 80, FATE_RETURNING, "{}");
    sim_run(&sim, 120, "");
    sim_run(&sim, 2, WEB);
    sim_run(&sim, 60, BOTH);
    sim_told(&sim, "");
    sim_done(&sim);

    sim_init(&sim, BOTH);
    sim_run(&sim, 2, "");
    sim_cause(&sim, 80, FATE_RETURNING, "{}");
    sim_run(&sim, 120, "");
    sim_run(&sim, 2, WEB);
    sim_run(&sim, 400, "");
    sim_told(&sim, "");
    sim_run(&sim, 2, "tcp 0.0.0.0:80 @evil; tcp [::]:80 v6only @evil");
    sim_told(&sim, "");
    sim_run(&sim, 6, "tcp 0.0.0.0:80 @evil; tcp [::]:80 v6only @evil");
    sim_told(&sim, "opened 80/tcp owner warning\n");
    sim_done(&sim);
}

/* An answer that does not come holds the event back for two seconds, not for ever. */
static void test_no_answer(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_run(&sim, 2, "");
    sim_cause(&sim, 80, FATE_UNKNOWN, NULL);
    sim_run(&sim, 60, "");
    sim_told(&sim, "");
    sim_run(&sim, 2, "");
    sim_told(&sim, "opened 80/tcp closed warning\n");
    assert_null(sim.last.cause);
    sim_done(&sim);
}

/* Asked again without an answer: what was known before is still true. */
static void test_no_second_answer(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_run(&sim, 2, "");
    sim_cause(&sim, 80, FATE_RETURNING, "{\"sub\": \"auto-restart\"}");
    Cause silence = sim.state.causes[0];
    silence.document = NULL;
    silence.owner = NULL;
    silence.fate = FATE_UNKNOWN;
    silence.asked = sim.now.boottime;
    assert_int_equal(state_set_cause(&sim.state, &silence), 0);
    assert_int_equal(sim.state.n_causes, 1);
    assert_int_equal(sim.state.causes[0].asked, sim.now.boottime);
    sim_run(&sim, 400, "");
    sim_told(&sim, "");
    sim_run(&sim, 200, "");
    sim_told(&sim, "opened 80/tcp closed warning\n");
    assert_string_equal(sim.last.cause, "{\"sub\": \"auto-restart\"}");
    sim_done(&sim);
}

/* Who would be asked about after a look at `is`, with `was` seen before: the last part of exe, and whether this is only
 * what was learned of him. */
static const char *asked_about(Sim *sim, const char *was, const char *is) {
    Snapshot previous, snapshot;
    snapshot_parse(was, &previous);
    snapshot_parse(is, &snapshot);
    sim_look(sim, is);
    assert_int_equal(sim->state.n_settling, 1);
    assert_true(sim->state.settling[0].asks);
    bool seen;
    const Owner *owner =
        state_asked_about(&sim->state, sim->rules, &snapshot, &previous, &sim->state.settling[0], &seen);
    static char name[64];
    snprintf(name, sizeof name, "%s%s", owner ? strrchr(owner->exe, '/') + 1 : "", owner && !seen ? ", long ago" : "");
    snapshot_done(&previous);
    snapshot_done(&snapshot);
    return name;
}

/* Asked about is who has left the port, and not who took it, however often. */
static void test_who_is_asked_about(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    assert_string_equal(asked_about(&sim, WEB, ""), "nginx");
    sim_done(&sim);

    sim_init(&sim, WEB);
    assert_string_equal(asked_about(&sim, WEB, "tcp 0.0.0.0:80 @evil"), "nginx");
    assert_string_equal(asked_about(&sim, "tcp 0.0.0.0:80 @evil", "tcp 0.0.0.0:80 @evil"), "nginx, long ago");
    sim_done(&sim);

    /* It joined in: the other one lives. */
    sim_init(&sim, WEB);
    assert_string_equal(asked_about(&sim, WEB, "tcp 0.0.0.0:80 @nginx @evil"), "nginx, long ago");
    assert_string_equal(
        asked_about(&sim, "tcp 0.0.0.0:80 @nginx @evil", "tcp 0.0.0.0:80 @nginx @evil"), "nginx, long ago");
    sim_done(&sim);

    sim_init(&sim, "tcp 0.0.0.0:80; tcp 0.0.0.0:81 @caddy");
    assert_string_equal(asked_about(&sim, "tcp 0.0.0.0:80; tcp 0.0.0.0:81 @caddy", "tcp 0.0.0.0:81 @caddy"), "");
    sim_done(&sim);

    /* Asked again it is the same one: what was learned of its process may be years old. */
    sim_init(&sim, WEB);
    sim_run(&sim, 2, "");
    sim_cause(&sim, 80, FATE_UNKNOWN, "{}");
    Owner *owner = owner_new();
    assert_non_null(owner);
    owner->exe = strdup("/usr/sbin/the-one-that-was-seen-last");
    sim.state.causes[0].owner = owner;
    assert_string_equal(asked_about(&sim, "", ""), "the-one-that-was-seen-last, long ago");
    sim.state.causes[0].seen = true;
    assert_string_equal(asked_about(&sim, "", ""), "the-one-that-was-seen-last");
    sim_done(&sim);
}

/* Another owner is a reason to ask; an opened port is none, nor what nobody will be told of. */
static void test_when_to_ask(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_run(&sim, 2, "tcp 0.0.0.0:80 @evil; tcp 0.0.0.0:81 @x");
    assert_int_equal(sim.state.n_settling, 2);
    assert_true(sim.state.settling[0].asks);
    assert_false(sim.state.settling[1].asks);
    sim_cause(&sim, 80, FATE_STOPPED, "{}");
    sim_run(&sim, 6, "tcp 0.0.0.0:80 @evil; tcp 0.0.0.0:81 @x");
    sim_told(&sim, "opened 80/tcp owner warning\nopened 81/tcp opened warning\n");
    sim_done(&sim);

    sim_init(&sim, "tcp 127.0.0.1:6010 @sshd");
    sim_run(&sim, 2, "");
    assert_int_equal(sim.state.n_settling, 1);
    assert_false(sim.state.settling[0].asks);
    sim_done(&sim);
}

/* After a boot it has time to come up, failed or not. */
static void test_boot_grace_comes_first(void **state) {
    Sim sim;
    sim_init(&sim, WEB);
    sim_restart(&sim);
    sim.now.boot_age = 10 * USEC_PER_SEC;
    sim_run(&sim, 2, "");
    sim_cause(&sim, 80, FATE_FAILED, "{}");
    sim_run(&sim, 100, "");
    sim_told(&sim, "");
    sim_run(&sim, 10, "");
    sim_told(&sim, "opened 80/tcp closed warning\n");
    sim_done(&sim);
}

/* Of a socket that is being closed its process shows nothing any more: for a look nobody is found to hold it. */
static void test_a_holder_is_remembered(void **state) {
    static const struct {
        const char *before, *now;
        pid_t pid;
    } cases[] = {
        {WEB, "tcp 0.0.0.0:80 unit=nginx.service", 7},
        {WEB, "tcp 0.0.0.0:80", 7},
        {WEB, "tcp 0.0.0.0:80 unit=other.service", 0}, /* another one */
        {WEB, "tcp 0.0.0.0:81 unit=nginx.service", 0},
        {"", "tcp 0.0.0.0:80 unit=nginx.service", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Snapshot before, now;
        snapshot_parse(cases[i].before, &before);
        snapshot_parse(cases[i].now, &now);
        if (before.endpoints.n > 0) before.endpoints.items[0].owners[0]->pid = 7;
        assert_int_equal(snapshot_remember_holders(&now, &before), 0);
        const Endpoint *e = &now.endpoints.items[0];
        assert_int_equal(e->n_owners > 0 ? e->owners[0]->pid : 0, cases[i].pid);
        /* One that is found is not replaced. */
        if (e->n_owners > 0) {
            e->owners[0]->pid = 9;
            assert_int_equal(snapshot_remember_holders(&now, &before), 0);
            assert_int_equal(now.endpoints.items[0].owners[0]->pid, 9);
        }
        snapshot_done(&before);
        snapshot_done(&now);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failed_is_told_after_settle),
        cmocka_unit_test(test_stopped_waits_settle_closed),
        cmocka_unit_test(test_returning_waits),
        cmocka_unit_test(test_returning_bit_by_bit),
        cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_no_second_answer),
        cmocka_unit_test(test_who_is_asked_about),
        cmocka_unit_test(test_a_holder_is_remembered),
        cmocka_unit_test(test_when_to_ask),
        cmocka_unit_test(test_boot_grace_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
