/* Other network namespaces: learned when they are first looked at, told apart, and one event where one ends. */
#include "sim.h"

static void start(Sim *sim, const char *learned) {
    sim_init(sim, NULL);
    sim->rules->namespaces = SCOPE_ALL;
    sim_look(sim, learned);
    assert_true(sim->state.learned && sim->state.namespaces_learned);
    sim_forget_history(sim);
}

#define WEB "all; tcp 0.0.0.0:22 @sshd; tcp 0.0.0.0:80 @nginx in=docker:web; tcp 0.0.0.0:443 @nginx in=docker:web"

static void test_apart(void **state) {
    Sim sim;
    start(&sim, WEB "; tcp 0.0.0.0:80 @caddy in=netns:blue");
    sim_run(&sim, 10, WEB "; tcp 0.0.0.0:80 @other in=netns:blue");
    sim_told(&sim, "opened 80/tcp in namespace blue owner warning\n");
    sim_run(&sim, 10, WEB "; tcp 0.0.0.0:80 @caddy in=netns:blue");
    sim_told(&sim, "resolved 80/tcp in namespace blue owner warning returned\n");
    sim_run(&sim, 10, WEB "; tcp 0.0.0.0:80 @caddy in=netns:blue; tcp 0.0.0.0:80 @new; in docker:web");
    sim_told(&sim, "opened 80/tcp opened warning\n");
    sim_done(&sim);
}

static void test_new_container(void **state) {
    Sim sim;
    start(&sim, "all; tcp 0.0.0.0:22 @sshd");
    sim_run(&sim, 10, WEB);
    sim_told(&sim, "opened 80/tcp in container web opened warning\nopened 443/tcp in container web opened warning\n");
    sim_done(&sim);
}

/* All of it in one event, whether its ports went at once or one after the other, and one when it is back. */
static void test_gone(void **state) {
    Sim sim;
    start(&sim, WEB "; udp 0.0.0.0:443 @nginx in=docker:web");
    sim_run(&sim, 4, "all; tcp 0.0.0.0:22 @sshd; udp 0.0.0.0:443 @nginx in=docker:web");
    sim_run(&sim, 58, "all; tcp 0.0.0.0:22 @sshd");
    sim_told(&sim, "");
    sim_run(&sim, 20, "all; tcp 0.0.0.0:22 @sshd; in docker:web");
    sim_told(&sim, "opened container web closed warning\n");
    assert_int_equal(sim.state.n_incidents, 1);
    assert_int_equal(sim.state.incidents[0].before.n, 3);
    sim_run(&sim, 10, WEB "; udp 0.0.0.0:443 @nginx in=docker:web");
    sim_told(&sim, "resolved container web closed warning returned\n");
    sim_run(&sim, 100, WEB "; udp 0.0.0.0:443 @nginx in=docker:web");
    sim_told(&sim, "");
    sim_done(&sim);
}

/* Ephemeral ports are no exception. */
static void test_gone_with_ephemeral(void **state) {
    Sim sim;
    start(&sim, WEB "; tcp 0.0.0.0:40000 @nginx in=docker:web; tcp 127.0.0.11:41000 @dockerd in=docker:web");
    sim_run(&sim, 4, WEB "; tcp 127.0.0.11:41000 @dockerd in=docker:web");
    sim_run(&sim, 100, "all; tcp 0.0.0.0:22 @sshd");
    sim_told(&sim, "opened container web closed warning\n");
    sim_done(&sim);
}

/* Restarted within the time: nothing is told. Back without one of its ports: that one is. */
static void test_restart(void **state) {
    Sim sim;
    start(&sim, WEB);
    sim_run(&sim, 30, "all; tcp 0.0.0.0:22 @sshd");
    sim_run(&sim, 10, WEB);
    sim_told(&sim, "");
    sim_run(&sim, 30, "all; tcp 0.0.0.0:22 @sshd");
    sim_run(&sim, 70, "all; tcp 0.0.0.0:22 @sshd; tcp 0.0.0.0:80 @nginx in=docker:web");
    sim_told(&sim, "opened 443/tcp in container web closed warning\n");
    sim_done(&sim);
}

static void test_back_without(void **state) {
    Sim sim;
    start(&sim, WEB);
    sim_run(&sim, 70, "all; tcp 0.0.0.0:22 @sshd");
    sim_told(&sim, "opened container web closed warning\n");
    sim_run(&sim, 100, "all; tcp 0.0.0.0:22 @sshd; tcp 0.0.0.0:80 @nginx in=docker:web");
    sim_told(&sim, "resolved container web closed warning returned\nopened 443/tcp in container web closed warning\n");
    sim_done(&sim);
}

/* A single port is told as a port. */
static void test_single(void **state) {
    Sim sim;
    start(&sim, "all; tcp 0.0.0.0:80 @nginx in=docker:web");
    sim_run(&sim, 70, "all");
    sim_told(&sim, "opened 80/tcp in container web closed warning\n");
    sim_done(&sim);
}

static void test_accepted(void **state) {
    Sim sim;
    start(&sim, WEB);
    sim_run(&sim, 70, "all; tcp 0.0.0.0:22 @sshd");
    sim_told(&sim, "opened container web closed warning\n");
    sim_restart(&sim);
    assert_int_equal(sim_accept(&sim, "all; tcp 0.0.0.0:22 @sshd", sim_token(&sim), NULL), REQUEST_DONE);
    sim_told(&sim, "resolved container web closed warning accepted\n");
    sim_baseline(&sim, "tcp 0.0.0.0:22 sshd\n");
    sim_run(&sim, 70, "all; tcp 0.0.0.0:22 @sshd");
    sim_told(&sim, "");
    sim_done(&sim);
}

/* What cannot be entered, or could be there unknown, is not gone. */
static void test_unseen(void **state) {
    Sim sim;
    start(&sim, WEB);
    sim_run(&sim, 200, "all; tcp 0.0.0.0:22 @sshd; unseen docker:web");
    sim_told(&sim, "");
    sim_run(&sim, 200, "tcp 0.0.0.0:22 @sshd"); /* not even asked for, though the rules want it */
    sim_told(&sim, "");
    sim_run(&sim, 70, "all; tcp 0.0.0.0:22 @sshd");
    sim_told(&sim, "opened container web closed warning\n");
    sim_done(&sim);
}

/* Switched on later: what is there is no news; switched off: it is forgotten, incidents end. */
static void test_switched(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:22 @sshd");
    sim.rules->namespaces = SCOPE_ALL;
    sim_run(&sim, 20, "all; tcp 0.0.0.0:22 @sshd; unseen docker:web"); /* nothing can be entered yet */
    assert_false(sim.state.namespaces_learned);
    sim_run(&sim, 20, WEB);
    sim_told(&sim, "");
    assert_true(sim.state.namespaces_learned);
    sim_run(&sim, 70, "all; tcp 0.0.0.0:22 @sshd");
    sim_told(&sim, "opened container web closed warning\n");
    sim.rules->namespaces = SCOPE_HOST;
    sim_run(&sim, 20, "tcp 0.0.0.0:22 @sshd");
    sim_told(&sim, "resolved container web closed warning unwatched\n");
    sim_baseline(&sim, "tcp 0.0.0.0:22 sshd\n");
    assert_false(sim.state.namespaces_learned);
    sim_done(&sim);
}

/* Sections speak of the host; [ignore:] of every namespace, or of the one it names. */
static void test_sections(void **state) {
    Sim sim;
    sim_init(&sim, NULL);
    sim.rules->namespaces = SCOPE_ALL;
    sim_section(&sim, "80/tcp")->expect = EXPECT_CLOSED;
    sim_look(&sim, "all; tcp 0.0.0.0:80 @nginx in=docker:web");
    sim_run(&sim, 20, "all; tcp 0.0.0.0:80 @nginx in=docker:web");
    sim_told(&sim, "");
    IgnoreRule *ignore = sim_ignore(&sim);
    ignore->namespace = strdup("docker:dev");
    sim_run(&sim, 20,
        "all; tcp 0.0.0.0:80 @nginx in=docker:web; tcp 0.0.0.0:81 @x in=docker:dev; tcp 0.0.0.0:82 @x in=docker:other");
    sim_told(&sim, "opened 82/tcp in container other opened warning\n");
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_apart), cmocka_unit_test(test_new_container),
        cmocka_unit_test(test_gone), cmocka_unit_test(test_gone_with_ephemeral), cmocka_unit_test(test_restart),
        cmocka_unit_test(test_back_without), cmocka_unit_test(test_single), cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_unseen), cmocka_unit_test(test_switched), cmocka_unit_test(test_sections)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
