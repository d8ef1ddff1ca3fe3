/* Memory runs out at each allocation in turn: -ENOMEM comes back, nothing leaks, and the same is decided afterwards. */
#include <errno.h>
#include <stdio.h>

#include "sim.h"

static long countdown = -1; /* allocations until the one that fails; -1: never */
static long live;           /* blocks allocated and not freed */

static bool out_of_memory(void) {
    if (countdown < 0) return false;
    if (countdown == 0) {
        errno = ENOMEM;
        return true;
    }
    countdown--;
    return false;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
void __real_free(void *p);
FILE *__real_open_memstream(char **text, size_t *size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);
void __wrap_free(void *p);
FILE *__wrap_open_memstream(char **text, size_t *size);
char *__wrap_text_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void *counted(void *p) {
    if (p) live++;
    return p;
}

void *__wrap_malloc(size_t size) {
    return out_of_memory() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size) {
    return out_of_memory() ? NULL : counted(__real_calloc(n, size));
}

void *__wrap_realloc(void *p, size_t size) {
    if (out_of_memory()) return NULL;
    return p ? __real_realloc(p, size) : counted(__real_realloc(p, size));
}

void *__wrap_reallocarray(void *p, size_t n, size_t size) {
    if (out_of_memory()) return NULL;
    return p ? __real_reallocarray(p, n, size) : counted(__real_reallocarray(p, n, size));
}

char *__wrap_strdup(const char *text) {
    return out_of_memory() ? NULL : counted(__real_strdup(text));
}

void __wrap_free(void *p) {
    if (p) live--;
    __real_free(p);
}

/* The text of the stream is freed by its reader. */
FILE *__wrap_open_memstream(char **text, size_t *size) {
    if (out_of_memory()) return NULL;
    live++;
    return __real_open_memstream(text, size);
}

/* What the C library allocates for it is not seen by the others. */
char *__wrap_text_printf(const char *format, ...) {
    if (out_of_memory()) return NULL;
    va_list arguments;
    va_start(arguments, format);
    char *text = text_vprintf(format, arguments);
    va_end(arguments);
    return counted(text);
}

typedef struct World {
    Sim *sim;
    Snapshot snapshot;
    Acceptance acceptance;
} World;

/* Each returns 0 or a negative errno, and gives back everything. */
static int do_step(World *w) {
    Decision d;
    int r = engine_step(w->sim->rules, &w->sim->state, &w->snapshot, &w->sim->now, &d);
    if (r >= 0) {
        assert_true(decision_writes(&d));
        decision_done(&d);
    }
    return r;
}

static int do_accept(World *w) {
    Decision d;
    int r = engine_accept(w->sim->rules, &w->sim->state, &w->snapshot, &w->sim->now, &w->acceptance, &d, NULL);
    decision_done(&d);
    return r;
}

static int do_replace(World *w) {
    Decision d;
    Replacement by = {.kind = VERSION_IMPORTED,
        .rows = &w->snapshot.endpoints,
        .by = "ann",
        .reason = "because",
        .what = "version 3"};
    int r = engine_replace_baseline(w->sim->rules, &w->sim->state, &w->snapshot, &w->sim->now, &by, &d);
    decision_done(&d);
    return r;
}

static int do_people(World *w) {
    Decision d;
    int r = engine_pause(&w->sim->state, &w->sim->now, NULL, USEC_PER_SEC, "ann", &d);
    if (r >= 0) decision_done(&d);
    if (r >= 0) r = engine_acknowledge(&w->sim->state, &w->sim->now, w->sim->state.incidents[0].token, "ann", &d);
    if (r >= 0) decision_done(&d);
    Now earlier = w->sim->now; /* the world's pause has not ended yet */
    earlier.boottime -= 3600 * USEC_PER_SEC;
    earlier.realtime -= 3600 * USEC_PER_SEC;
    if (r >= 0) r = engine_resume(&w->sim->state, &earlier, NULL, "ann", &d);
    if (r >= 0) decision_done(&d);
    return r;
}

static int do_copies(World *w) {
    Event copy;
    Decision welcome;
    char *names[] = {(char *)"admin", NULL};
    int r = engine_welcome(w->sim->rules, &w->sim->state, &w->snapshot, &w->sim->now, names, &welcome);
    if (r < 0) return r;
    decision_done(&welcome);
    r = event_copy(&w->sim->last, &copy);
    if (r >= 0) event_done(&copy);
    return r;
}

/* More allocations than this decide nothing more: the failing one moves on in larger steps. */
static void starve(World *w, int (*what)(World *)) {
    long last = -1;
    for (long n = 0;; n += n < 2000 ? 1 : 97) {
        long before = live;
        countdown = n;
        int r = what(w);
        bool ran_out = countdown == 0;
        countdown = -1;
        assert_int_equal(live, before);
        last = n;
        if (r >= 0 && !ran_out) break;
        if (r < 0) assert_int_equal(r, -ENOMEM);
    }
    assert_true(last > 5);
    assert_int_equal(what(w), 0);
}

/* Something of everything: open incidents that change, resolve, are restated and reminded, a pause that ends, ports
 * that open, close, join, bounce, are logged and ignored, the pool, stated ports, and blindness. */
static void world_init(World *w, Sim *sim) {
    *w = (World){.sim = sim};
    sim_init(sim, "tcp 127.0.0.1:80 @a; tcp 0.0.0.0:81 @a; tcp 0.0.0.0:82 @a; tcp 10.0.0.1:83 @a; tcp 0.0.0.0:40000 @p;"
                  "udp 0.0.0.0:40000 @u; tcp 0.0.0.0:84 @a; tcp 0.0.0.0:86 @a");
    sim->rules->remind = 12 * USEC_PER_SEC;
    strv_append(&sim->rules->notify, "admin");
    sim_ignore(sim)->exe = strdup("/usr/bin/i");
    PortRule *rule = sim_section(sim, "81/tcp");
    rule->name = strdup("two");
    strv_append(&rule->notify, "chat");
    rule->addresses = calloc(1, sizeof *rule->addresses);
    address_parse("10.0.0.1", rule->addresses);
    rule->n_addresses = 1;
    sim_section(sim, "85/tcp")->expect = EXPECT_OPEN;
    sim_section(sim, "86/tcp")->mode = MODE_ROLLING;
    sim_run(sim, 8,
        "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @a; tcp 0.0.0.0:82 @b; tcp 10.0.0.1:83 @a; tcp 0.0.0.0:40000 @p;"
        "udp 0.0.0.0:40000 @u; tcp 0.0.0.0:84 @b; tcp 0.0.0.0:86 @a; tcp 0.0.0.0:85 @a");
    assert_int_equal(sim->state.n_incidents, 4);
    sim_pause(sim, 7.5, &(Surface){PROTOCOL_UDP, 40000, false});
    static const char after[] = "tcp 10.0.0.1:80 @b; tcp 0.0.0.0:81 @a; tcp 0.0.0.0:82 @a; tcp 10.0.0.1:83 @a; tcp "
                                "10.0.0.2:83 @a; tcp 0.0.0.0:40000 @p;"
                                "tcp 0.0.0.0:40001 @q; tcp 127.0.0.1:87 @l; tcp 0.0.0.0:88 @i; udp 0.0.0.0:40000 @v; "
                                "tcp [::]:86 @a; tcp 0.0.0.0:84 @b;"
                                "tcp 0.0.0.0:85 @a; incomplete udplite";
    sim_run(sim, 2, "tcp 0.0.0.0:99 @bounces");
    sim_run(sim, 4, after);
    sim_pass(sim, 6);
    snapshot_parse(after, &w->snapshot);
    sim->state.incomplete_runs = ENGINE_BLIND_RUNS;
}

static void world_done(World *w) {
    snapshot_done(&w->snapshot);
    sim_done(w->sim);
}

static void test_step(void **state) {
    Sim sim;
    World w;
    world_init(&w, &sim);
    starve(&w, do_step);
    world_done(&w);
}

static void test_learning(void **state) {
    Sim sim;
    World w = {.sim = &sim};
    sim_init(&sim, NULL);
    snapshot_parse("tcp 0.0.0.0:80 @a @b; udp 0.0.0.0:40000 @a; tcp 0.0.0.0:40000 @a; tcp [::]:22 @c", &w.snapshot);
    starve(&w, do_step);
    world_done(&w);
}

static void test_requests(void **state) {
    Sim sim;
    World w;
    world_init(&w, &sim);
    w.acceptance.by = "ann";
    w.acceptance.reason = "because";
    w.acceptance.surface = &(Surface){PROTOCOL_TCP, 80, false};
    starve(&w, do_accept);
    w.acceptance.surface = NULL;
    const Incident *same = state_incident_at(&sim.state, &(Surface){PROTOCOL_TCP, 84, false});
    w.acceptance.token = same->token;
    starve(&w, do_accept);
    starve(&w, do_replace);
    w.acceptance.until = sim.now.realtime + USEC_PER_SEC;
    starve(&w, do_accept);
    starve(&w, do_people);
    starve(&w, do_copies);
    world_done(&w);
}

/* A loan that ends with the step, and a change that was approved ahead. */
static void test_loans(void **state) {
    static const char after[] = "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @b";
    const Surface ports[] = {{PROTOCOL_TCP, 80, false}, {PROTOCOL_TCP, 81, false}};
    Sim sim;
    World w = {.sim = &sim};
    sim_init(&sim, "tcp 0.0.0.0:80 @old");
    sim_run(&sim, 4, "tcp 0.0.0.0:80 @a");
    assert_int_equal(sim_accept_until(&sim, "tcp 0.0.0.0:80 @a", NULL, &ports[0], 9), REQUEST_DONE);
    assert_int_equal(sim_accept_until(&sim, "tcp 0.0.0.0:80 @a", NULL, &ports[1], 600), REQUEST_DONE);
    sim_run(&sim, 4, after);
    sim_pass(&sim, 5.5);
    snapshot_parse(after, &w.snapshot);
    starve(&w, do_step);
    world_done(&w);
}

static void test_parts(void **state) {
    for (long n = 0; n < 40; n++) {
        Snapshot s;
        snapshot_parse("tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @b", &s);
        for (size_t i = 0; i < 2; i++) {
            Endpoint twin;
            assert_int_equal(endpoint_copy(&s.endpoints.items[i], &twin), 0);
            assert_int_equal(endpoints_take(&s.endpoints, &twin), 0);
        }
        Owner *other = owner_new();
        assert_int_equal(endpoint_add_owner(&s.endpoints.items[3], other), 0);
        owner_unref(other);
        countdown = n;
        int r = endpoints_sort(&s.endpoints);
        char *escaped = text_escape("x", 1), *kind = owner_unit_kind("session-1.scope");
        countdown = -1;
        assert_true(r == 0 || r == -ENOMEM);
        assert_true(s.endpoints.n >= 2);
        free(escaped);
        free(kind);
        snapshot_done(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_learning),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_loans),
        cmocka_unit_test(test_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
