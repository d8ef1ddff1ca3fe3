/* A hostile user opens every port there is. No assertion here is timed; what is quadratic runs into the test's timeout.
 * The times of a step are printed. */
#include <time.h>

#include "sim.h"

#define MANY 28000

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void timed_step(Sim *sim, const Snapshot *snapshot, const char *what) {
    sim_pass(sim, 2);
    double before = now_ms();
    sim_step(sim, snapshot);
    print_message("%8.1f ms  %s\n", now_ms() - before, what);
}

/* `owners` different ones, `addresses` different ones in 127/8 or 10/8. */
static void many(Snapshot *ret, uint16_t first, size_t n, size_t owners, size_t addresses, uint8_t net) {
    snapshot_parse("", ret);
    Owner **made = calloc(owners, sizeof(*made));
    for (size_t i = 0; i < owners; i++) {
        char exe[32];
        snprintf(exe, sizeof exe, "/tmp/x%zu", i);
        made[i] = owner_new();
        made[i]->exe = strdup(exe);
        made[i]->unit = strdup("session.scope");
        made[i]->uid = 1000;
    }
    for (size_t i = 0; i < n; i++) {
        size_t a = i % addresses;
        Endpoint e = {.port = (uint16_t)(first + i), .count = 1};
        e.address = (Address){AF_INET, {net, (uint8_t)(a >> 16), (uint8_t)(a >> 8), (uint8_t)(a + 1)}};
        assert_int_equal(endpoint_add_owner(&e, made[i % owners]), 0);
        assert_int_equal(endpoints_take(&ret->endpoints, &e), 0);
    }
    for (size_t i = 0; i < owners; i++) owner_unref(made[i]);
    free(made);
    assert_int_equal(endpoints_sort(&ret->endpoints), 0);
    assert_int_equal(ret->endpoints.n, n);
}

static void steps(Sim *sim, const Snapshot *snapshot, int n, const char *what) {
    for (int i = 0; i < n; i++) timed_step(sim, snapshot, what);
}

static void flood(uint16_t first, size_t n, size_t owners, size_t addresses, uint8_t net, size_t incidents) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:22 @sshd");
    sim.quiet = true;
    Snapshot empty, full;
    snapshot_parse("tcp 0.0.0.0:22 @sshd", &empty);
    many(&full, first, n, owners, addresses, net);
    Owner *sshd = empty.endpoints.items[0].owners[0];
    Endpoint e = empty.endpoints.items[0];
    e.owners = NULL;
    e.n_owners = 0;
    assert_int_equal(endpoint_add_owner(&e, sshd), 0);
    assert_int_equal(endpoints_take(&full.endpoints, &e), 0);
    assert_int_equal(endpoints_sort(&full.endpoints), 0);

    steps(&sim, &full, 3, "settling");
    timed_step(&sim, &full, "told");
    assert_int_equal(sim.state.n_incidents, incidents);
    steps(&sim, &full, 2, "open");
    double before = now_ms();
    Decision d;
    Acceptance all = {.by = "ann"};
    assert_int_equal(engine_accept(sim.rules, &sim.state, &full, &sim.now, &all, &d, NULL),
        incidents ? REQUEST_DONE : REQUEST_NOTHING);
    assert_int_equal(decision_identify(&d, &sim.state, sim_random_bytes), 0);
    assert_int_equal(engine_apply(&sim.state, &d, true), 0);
    print_message("%8.1f ms  accepted\n", now_ms() - before);
    assert_int_equal(sim.state.n_incidents, 0);
    assert_int_equal(sim.state.baseline.n, n + 1);
    steps(&sim, &full, 2, "all as expected");
    sim.rules->settle_closed = 3 * USEC_PER_SEC;
    steps(&sim, &empty, 4, "all gone");
    assert_int_equal(sim.state.n_incidents, incidents);
    steps(&sim, &full, 4, "all back");
    assert_int_equal(sim.state.n_incidents, 0);
    snapshot_done(&empty);
    snapshot_done(&full);
    sim_done(&sim);
}

static void test_pool(void **state) {
    flood(EPHEMERAL_FIRST, MANY, 1, 1, 10, 1);
}

static void test_pool_of_strangers(void **state) {
    flood(EPHEMERAL_FIRST, MANY, MANY, 1, 10, 1);
    flood(EPHEMERAL_FIRST, MANY, 100, 250, 10, 1);
}

static void test_local_pool(void **state) {
    flood(EPHEMERAL_FIRST, MANY, 3, 200, 127, 0);
}

static void test_every_other_port(void **state) {
    flood(1000, MANY, 5, 1, 10, MANY);
}

/* Some owners known, some not, in all mixtures. */
static void test_half_known(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim.quiet = true;
    Snapshot full, half;
    many(&full, EPHEMERAL_FIRST, MANY, 1000, 1, 10);
    many(&half, EPHEMERAL_FIRST, MANY, 1000, 1, 10);
    for (size_t i = 0; i < MANY; i++) {
        Owner *owner = half.endpoints.items[i].owners[0];
        free(i % 3 == 0 ? owner->exe : owner->unit);
        *(i % 3 == 0 ? &owner->exe : &owner->unit) = NULL;
    }
    sim.rules->mode = MODE_ROLLING;
    steps(&sim, &full, 4, "known");
    steps(&sim, &half, 8, "half known");
    assert_int_equal(sim.state.n_incidents, 0);
    snapshot_done(&full);
    snapshot_done(&half);
    sim_done(&sim);
}

/* As many namespaces as are looked into, and all their ports told apart; then they are gone. */
static void test_namespaces(void **state) {
    Sim sim;
    sim_init(&sim, NULL);
    sim.rules->namespaces = SCOPE_ALL;
    sim.quiet = true;
    Snapshot none, full;
    snapshot_parse("all", &none);
    snapshot_parse("all", &full);
    for (unsigned i = 0; i < 500; i++)
        for (unsigned port = 1000; port < 1100; port++) {
            Endpoint e = {.port = (uint16_t)port, .count = 1, .address.family = AF_INET};
            snprintf(e.namespace, sizeof e.namespace, "program:/tmp/x%03u", i);
            assert_int_equal(endpoints_take(&full.endpoints, &e), 0);
        }
    steps(&sim, &none, 2, "nothing in other namespaces");
    steps(&sim, &full, 8, "500 namespaces");
    assert_int_equal(sim.state.n_incidents, full.endpoints.n);
    steps(&sim, &none, 8, "gone");
    assert_int_equal(sim.state.n_incidents, 0);
    snapshot_done(&none);
    snapshot_done(&full);
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_pool_of_strangers),
        cmocka_unit_test(test_local_pool),
        cmocka_unit_test(test_every_other_port),
        cmocka_unit_test(test_half_known),
        cmocka_unit_test(test_namespaces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
