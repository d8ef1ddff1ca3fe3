/* Thousands of random looks: what must hold whatever happens. */
#include "sim.h"

#define STEADY_LOOKS 950 /* every 2 s: over half an hour, for what has come and gone */

static const char *pick(const char *const *from, size_t n) {
    return from[sim_random() % n];
}

/* A row of one of a few ports, by one of a few owners, some of them not or half known. */
static void random_row(char *text, size_t size) {
    static const char *const where[] = {"tcp 0.0.0.0:80", "tcp 127.0.0.1:80", "tcp [::]:80", "tcp [::]:80 v6only",
        "tcp 10.0.0.1:81", "tcp 10.0.0.2:81", "tcp 127.0.0.1:82", "tcp [fe80::1]:82", "tcp 0.0.0.0:83",
        "tcp 0.0.0.0:40000", "tcp 0.0.0.0:40001", "tcp [::]:40002", "tcp 127.0.0.1:40003", "udp 0.0.0.0:53",
        "udp 0.0.0.0:40000", "udp 0.0.0.0:51820", "tcp 10.0.0.1:84", "tcp 0.0.0.0:85"};
    static const char *const who[] = {"@a", "@a", "@b", "@a @b", "", "unit=a.service", "exe=/usr/bin/b", "@kernel"};
    size_t n = strlen(text);
    snprintf(text + n, size - n, "%s %s;", pick(where, ELEMENTSOF(where)), pick(who, ELEMENTSOF(who)));
}

static void random_world(char *text, size_t size) {
    *text = '\0';
    for (uint64_t rows = sim_random() % 12; rows > 0; rows--) random_row(text, size);
    if (sim_random() % 12 == 0) strcat(text, "incomplete tcp");
}

static void random_rules(Sim *sim) {
    sim_no_sections(sim);
    if (sim_random() % 2) sim_section(sim, "80/tcp");
    if (sim_random() % 4 == 0) sim_section(sim, "83/tcp")->expect = EXPECT_CLOSED;
    if (sim_random() % 4 == 0) sim_section(sim, "85/tcp")->expect = EXPECT_OPEN;
    if (sim_random() % 4 == 0) sim_section(sim, "81-82/tcp")->mode = MODE_ROLLING;
    if (sim_random() % 4 == 0) sim_ignore(sim)->exe = strdup("/usr/bin/b");
    if (sim_random() % 4 == 0) sim->rules->unlisted_local = WATCH_ALERT;
    if (sim_random() % 8 == 0) sim->rules->unlisted = WATCH_LOG;
}

/* Told and seen are never the same when something is told of an incident as changed. */
static void check_changed(const Event *e, const State *before) {
    const Incident *old = state_incident_at(before, &e->surface);
    assert_non_null(old);
    if (e->change == CHANGE_FLAPPING || old->change == CHANGE_FLAPPING) return; /* all its turns were told */
    const Endpoint *storage[2][64];
    Rows told = {storage[0], 0}, seen = {storage[1], 0};
    for (size_t i = 0; i < old->told.n; i++) storage[0][told.n++] = &old->told.items[i];
    for (size_t i = 0; i < e->after.n; i++) storage[1][seen.n++] = &e->after.items[i];
    Difference d;
    assert_int_equal(difference_make(&e->surface, NULL, &told, &seen, &d), 0);
    assert_int_not_equal(d.change, CHANGE_NONE);
}

static unsigned count_opened, count_resolved;

static void checked_step(Sim *sim, const char *text) {
    Snapshot s;
    snapshot_parse(text, &s);
    sim_pass(sim, 2);
    Decision d;
    assert_int_equal(engine_step(sim->rules, &sim->state, &s, &sim->now, &d), 0);
    for (size_t i = 0; i < d.n_events; i++) {
        const Event *e = &d.events[i];
        if (e->incident.aspect == ASPECT_SELF) continue;
        assert_true(snapshot_decides(&s, e->surface.namespace, e->surface.protocol));
        if (e->type == EVENT_OPENED) {
            assert_null(state_incident_at(&sim->state, &e->surface));
            assert_int_not_equal(e->change, CHANGE_NONE);
            if (e->incident.state == INCIDENT_OPEN) count_opened++;
        } else if (e->type == EVENT_CHANGED)
            check_changed(e, &sim->state);
        if (e->type == EVENT_RESOLVED) count_resolved++;
        if (e->type == EVENT_CHANGED && e->incident.state != INCIDENT_OPEN) count_resolved++;
        for (size_t k = 0; k < i; k++)
            assert_false(d.events[k].incident.aspect == ASPECT_SURFACE &&
                         surface_compare(&d.events[k].surface, &e->surface) == 0);
    }
    decision_done(&d);
    bool fails = sim->commit_fails;
    if (fails) { /* nothing has happened; what was counted comes again */
        count_opened = count_resolved = 0;
        for (size_t i = 0; i < sim->state.n_incidents; i++)
            count_opened += sim->state.incidents[i].aspect == ASPECT_SURFACE;
    }
    sim_step(sim, &s);
    snapshot_done(&s);
    sim_forget_history(sim);
    sim->told[0] = '\0';
}

/* The baseline as a snapshot. */
static void look_at_baseline(Sim *sim, unsigned times) {
    Snapshot s;
    for (unsigned i = 0; i < times; i++) {
        snapshot_parse("", &s);
        assert_int_equal(endpoints_copy(&sim->state.baseline, &s.endpoints), 0);
        sim_pass(sim, 2);
        sim_step(sim, &s);
        snapshot_done(&s);
    }
}

static void test_random(void **state) {
    char text[2048];
    for (int world = 0; world < 60; world++) {
        Sim sim;
        random_world(text, sizeof text);
        sim_init(&sim, NULL);
        for (int i = 0; i < 60; i++) {
            if (sim_random() % 8 == 0) random_rules(&sim);
            if (sim_random() % 8 == 0) sim_restart(&sim);
            if (sim_random() % 16 == 0) sim_pass(&sim, 3600);
            sim.commit_fails = sim_random() % 16 == 0;
            random_world(text, sizeof text);
            for (uint64_t ticks = sim_random() % 40; ticks > 0; ticks--) checked_step(&sim, text);
        }
        /* When the baseline returns every incident ends, and then there is silence. */
        sim.commit_fails = false;
        random_rules(&sim);
        sim_no_sections(&sim);
        look_at_baseline(&sim, STEADY_LOOKS);
        for (size_t i = 0; i < sim.state.n_incidents; i++) {
            char surface[SURFACE_TEXT_MAX];
            fail_msg("world %d: %s (%s) is still open", world, surface_format(&sim.state.incidents[i].surface, surface),
                change_name(sim.state.incidents[i].change));
        }
        sim.told[0] = '\0';
        sim_forget_history(&sim);
        look_at_baseline(&sim, 40);
        sim_told(&sim, "");
        sim_history(&sim, "");
        sim_done(&sim);
    }
}

/* Random worlds under unmoving rules: each opened incident is resolved once. */
static void test_opened_are_resolved(void **state) {
    char text[2048];
    for (int world = 0; world < 60; world++) {
        Sim sim;
        sim_init(&sim, "tcp 0.0.0.0:80 @a; tcp 10.0.0.1:81 @a; udp 0.0.0.0:53 @b; tcp 0.0.0.0:40000 @a");
        sim.rules->unlisted_local = WATCH_ALERT;
        count_opened = count_resolved = 0;
        for (int i = 0; i < 60; i++) {
            random_world(text, sizeof text);
            for (uint64_t ticks = sim_random() % 40; ticks > 0; ticks--) checked_step(&sim, text);
        }
        unsigned open = 0;
        for (size_t i = 0; i < sim.state.n_incidents; i++) open += sim.state.incidents[i].aspect == ASPECT_SURFACE;
        assert_int_equal(count_opened, count_resolved + open);
        assert_true(count_opened > 0);
        look_at_baseline(&sim, STEADY_LOOKS);
        assert_int_equal(sim.state.n_incidents, 0);
        sim_done(&sim);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_opened_are_resolved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
