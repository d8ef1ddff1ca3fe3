/* A decision in, the state out; all of it or nothing. */
#include "fixture.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

static char *const both[] = {(char *)"mail", (char *)"chat", NULL};

static void add_baseline(Decision *decision, Surface surface, const Endpoint *before, size_t n_before,
    const Endpoint *after, size_t n_after) {
    decision->baseline = reallocarray(decision->baseline, decision->n_baseline + 1, sizeof(BaselineChange));
    BaselineChange *change = &decision->baseline[decision->n_baseline++];
    *change = (BaselineChange){.surface = surface};
    for (size_t i = 0; i < n_before; i++) assert_int_equal(endpoints_add(&change->before, &before[i]), 0);
    for (size_t i = 0; i < n_after; i++) assert_int_equal(endpoints_add(&change->after, &after[i]), 0);
}

static void commit_plain(Store *store, const Decision *decision) {
    Commit commit = {.decision = decision, .now = NOW};
    int r = store_commit(store, &commit);
    if (r != 0) print_error("%s\n", store_reason(store));
    assert_int_equal(r, 0);
}

static void test_first_start(void **state) {
    Fixture *f = *state;
    State loaded = {0};
    assert_int_equal(store_load_state(f->store, &loaded), 0);
    assert_false(loaded.learned);
    assert_int_equal(loaded.baseline.n + loaded.n_incidents + loaded.n_pauses, 0);
    state_done(&loaded);
}

static void test_baseline(void **state) {
    Fixture *f = *state;
    Endpoint rows[4] = {
        fixture_endpoint(PROTOCOL_TCP, 443, "0.0.0.0", "/usr/sbin/nginx"),
        fixture_endpoint(PROTOCOL_TCP, 443, "::", NULL),
        fixture_endpoint(PROTOCOL_TCP, 443, "::", "/usr/sbin/nginx"),
        fixture_endpoint(PROTOCOL_TCP, 35001, "127.0.0.1", "/sbin/rpc.statd"),
    };
    for (size_t i = 0; i < 4; i++) rows[i].since = NOW + (int64_t)i;
    rows[1].v6only = true;
    strcpy(rows[1].device, "eth0");
    rows[2].count = 8;
    Surface web = {.protocol = PROTOCOL_TCP, .port = 443}, pool = {.protocol = PROTOCOL_TCP, .local = true};

    _cleanup_(decision_done) Decision first = {.learned = true};
    add_baseline(&first, web, NULL, 0, rows, 3);
    add_baseline(&first, pool, NULL, 0, rows + 3, 1);
    commit_plain(f->store, &first);
    fixture_reopen(f);

    _cleanup_(state_done) State loaded = {0};
    assert_int_equal(store_load_state(f->store, &loaded), 0);
    assert_true(loaded.learned);
    assert_int_equal(loaded.baseline.n, 4);
    for (size_t i = 0; i < 4; i++) {
        const Endpoint *there = endpoints_find(&loaded.baseline, &rows[i]);
        assert_non_null(there);
        assert_int_equal(there->since, rows[i].since);
        assert_int_equal(there->count, rows[i].count);
        assert_int_equal(there->v6only, rows[i].v6only);
        assert_int_equal(there->n_owners, rows[i].n_owners);
        if (there->n_owners) assert_int_equal(owner_compare(there->owners[0], rows[i].owners[0]), 0);
        if (there->n_owners) assert_string_equal(there->owners[0]->comm, rows[i].owners[0]->comm);
    }

    /* One row goes, one changes; by key, the others stay. */
    _cleanup_(decision_done) Decision second = {0};
    rows[2].since = NOW + 9;
    add_baseline(&second, web, rows, 1, rows + 2, 1);
    commit_plain(f->store, &second);
    _cleanup_(state_done) State again = {0};
    assert_int_equal(store_load_state(f->store, &again), 0);
    assert_int_equal(again.baseline.n, 3);
    assert_null(endpoints_find(&again.baseline, &rows[0]));
    assert_int_equal(endpoints_find(&again.baseline, &rows[2])->since, NOW + 9);
    for (size_t i = 0; i < 4; i++) endpoint_done(&rows[i]);
}

static void test_incident(void **state) {
    Fixture *f = *state;
    _cleanup_(told_done) Told opened, resolved;
    told_init(&opened, 7, EVENT_OPENED, 443, both);
    Commit commit = told_commit(&opened);
    assert_int_equal(store_commit(f->store, &commit), 0);
    fixture_reopen(f);

    _cleanup_(state_done) State loaded = {0};
    assert_int_equal(store_load_state(f->store, &loaded), 0);
    assert_int_equal(loaded.n_incidents, 1);
    const Incident *was = &opened.decision.events[0].incident, *is = &loaded.incidents[0];
    assert_string_equal(is->id, was->id);
    assert_string_equal(is->token, was->token);
    assert_int_equal(surface_compare(&is->surface, &was->surface), 0);
    assert_int_equal(is->aspect, was->aspect);
    assert_int_equal(is->state, INCIDENT_OPEN);
    assert_int_equal(is->change, was->change);
    assert_int_equal(is->reach, was->reach);
    assert_int_equal(is->severity, was->severity);
    assert_int_equal(is->opened, was->opened);
    assert_int_equal(is->last_event, was->last_event);
    assert_int_equal(is->next_reminder, was->next_reminder);
    assert_int_equal(is->remind_step, was->remind_step);
    assert_string_equal(is->opening_event, was->opening_event);
    assert_false(is->acknowledged);
    assert_int_equal(is->before.n, 0);
    assert_int_equal(is->told.n, 1);
    assert_int_equal(endpoint_compare(&is->told.items[0], &was->told.items[0]), 0);
    assert_string_equal(is->told.items[0].owners[0]->exe, "/usr/sbin/nginx");

    /* Acknowledged: no event. */
    _cleanup_(decision_done) Decision ack = {.updates = calloc(1, sizeof(Incident)), .n_updates = 1};
    assert_int_equal(incident_copy(is, &ack.updates[0]), 0);
    ack.updates[0].acknowledged = true;
    ack.updates[0].next_reminder = 0;
    commit_plain(f->store, &ack);
    _cleanup_(state_done) State acknowledged = {0};
    assert_int_equal(store_load_state(f->store, &acknowledged), 0);
    assert_true(acknowledged.incidents[0].acknowledged);
    assert_int_equal(acknowledged.incidents[0].next_reminder, 0);

    told_init(&resolved, 7, EVENT_RESOLVED, 443, both);
    commit = told_commit(&resolved);
    assert_int_equal(store_commit(f->store, &commit), 0);
    _cleanup_(state_done) State after = {0};
    assert_int_equal(store_load_state(f->store, &after), 0);
    assert_int_equal(after.n_incidents, 0);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), 2);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue"), 4);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM history"), 2);
    /* The same port again is a new incident. */
    fixture_tell(f->store, 8, 443, both);
}

/* One port in two namespaces; and all of a namespace as one incident. */
static void test_namespaces(void **state) {
    Fixture *f = *state;
    Endpoint rows[3] = {
        fixture_endpoint(PROTOCOL_TCP, 443, "0.0.0.0", "/usr/sbin/nginx"),
        fixture_endpoint(PROTOCOL_TCP, 443, "0.0.0.0", "/usr/sbin/nginx"),
        fixture_endpoint(PROTOCOL_TCP, 443, "0.0.0.0", "/usr/sbin/caddy"),
    };
    strcpy(rows[1].namespace, "docker:web \xff'\n");
    strcpy(rows[2].namespace, "netns:blue");
    Surface web = {.protocol = PROTOCOL_TCP, .port = 443};
    _cleanup_(decision_done) Decision first = {
        .learned = true, .namespaces_change = true, .namespaces_learned = true};
    add_baseline(&first, web, NULL, 0, rows, 3);
    commit_plain(f->store, &first);
    fixture_reopen(f);
    _cleanup_(state_done) State loaded = {0};
    assert_int_equal(store_load_state(f->store, &loaded), 0);
    assert_true(loaded.namespaces_learned);
    assert_int_equal(loaded.baseline.n, 3);
    for (size_t i = 0; i < 3; i++) assert_int_equal(endpoint_compare(&loaded.baseline.items[i], &rows[i]), 0);

    _cleanup_(decision_done) Decision second = {.namespaces_change = true};
    add_baseline(&second, web, rows + 1, 1, NULL, 0);
    commit_plain(f->store, &second);
    _cleanup_(told_done) Told all, blue;
    told_init(&all, 7, EVENT_OPENED, 443, both);
    Surface *surface = &all.decision.events[0].incident.surface;
    *surface = (Surface){.whole = true};
    strcpy(surface->namespace, rows[1].namespace);
    all.decision.transitions[0].surface = *surface;
    Commit commit = told_commit(&all);
    assert_int_equal(store_commit(f->store, &commit), 0);
    told_init(&blue, 8, EVENT_OPENED, 443, both);
    strcpy(blue.decision.events[0].incident.surface.namespace, "netns:blue");
    commit = told_commit(&blue);
    assert_int_equal(store_commit(f->store, &commit), 0);

    _cleanup_(state_done) State again = {0};
    assert_int_equal(store_load_state(f->store, &again), 0);
    assert_false(again.namespaces_learned);
    assert_int_equal(again.baseline.n, 2);
    assert_null(endpoints_find(&again.baseline, &rows[1]));
    assert_int_equal(again.n_incidents, 2);
    bool whole = again.incidents[0].surface.whole;
    assert_int_equal(surface_compare(&again.incidents[whole ? 0 : 1].surface, surface), 0);
    assert_string_equal(again.incidents[whole ? 1 : 0].surface.namespace, "netns:blue");
    HistoryRow *history = NULL;
    size_t n = 0;
    assert_int_equal(history_query(f->store, &(HistoryFilter){.limit = 10}, &history, &n), 0);
    assert_int_equal(n, 2);
    assert_true(history[0].transition.has_surface);
    assert_int_equal(surface_compare(&history[0].transition.surface, surface), 0);
    history_rows_free(history, n);
    for (size_t i = 0; i < 3; i++) endpoint_done(&rows[i]);
}

static void test_self(void **state) {
    Fixture *f = *state;
    _cleanup_(told_done) Told told;
    told_init(&told, 1, EVENT_SELF, 1, both);
    Event *event = &told.decision.events[0];
    event->incident.aspect = ASPECT_SELF;
    event->incident.surface = (Surface){0};
    event->incident.change = CHANGE_BLIND;
    told.decision.transitions[0].has_surface = false;
    Commit commit = told_commit(&told);
    assert_int_equal(store_commit(f->store, &commit), 0);
    _cleanup_(state_done) State loaded = {0};
    assert_int_equal(store_load_state(f->store, &loaded), 0);
    assert_int_equal(loaded.incidents[0].aspect, ASPECT_SELF);
    assert_int_equal(loaded.incidents[0].change, CHANGE_BLIND);
}

/* No incident opens twice, and what fails leaves nothing. */
static void test_all_or_nothing(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, both);
    _cleanup_(told_done) Told told;
    told_init(&told, 2, EVENT_OPENED, 443, both);
    Commit commit = told_commit(&told);
    assert_int_equal(store_commit(f->store, &commit), STORE_FAILED);
    assert_non_null(strstr(store_reason(f->store), STORE_FILE));

    Told missing;
    told_init(&missing, 3, EVENT_OPENED, 80, both);
    Surface web = {.protocol = PROTOCOL_TCP, .port = 80};
    add_baseline(&missing.decision, web, NULL, 0, missing.decision.events[0].after.items, 1);
    commit = told_commit(&missing);
    commit.n_documents = 0;
    assert_int_equal(store_commit(f->store, &commit), -EINVAL);
    missing.decision.events[0].id[0] = 0;
    commit.n_documents = 1;
    assert_int_equal(store_commit(f->store, &commit), -EINVAL);
    told_done(&missing);

    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM incident"), 1);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), 1);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue"), 2);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM history"), 1);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM baseline"), 0);
    /* Events and formed messages are fixed, whoever tries. */
    assert_int_not_equal(sqlite3_exec(f->store->db, "UPDATE event SET document = ''", NULL, NULL, NULL), SQLITE_OK);
}

static void test_pauses(void **state) {
    Fixture *f = *state;
    Pause *pauses = calloc(2, sizeof(Pause));
    pauses[0] = (Pause){.all = true, .until = NOW + 1};
    pauses[1] = (Pause){.surface = {.protocol = PROTOCOL_UDP, .port = 53}, .until = NOW + 2};
    _cleanup_(decision_done) Decision decision = {.pauses = pauses, .n_pauses = 2, .pauses_changed = true};
    commit_plain(f->store, &decision);
    _cleanup_(state_done) State loaded = {0};
    assert_int_equal(store_load_state(f->store, &loaded), 0);
    assert_int_equal(loaded.n_pauses, 2);
    for (size_t i = 0; i < 2; i++) {
        const Pause *pause = &loaded.pauses[i];
        assert_int_equal(pause->until, pause->all ? NOW + 1 : NOW + 2);
        if (!pause->all) assert_int_equal(pause->surface.port, 53);
        if (!pause->all) assert_int_equal(pause->surface.protocol, PROTOCOL_UDP);
    }
    _cleanup_(decision_done) Decision none = {.pauses_changed = true};
    commit_plain(f->store, &none);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM pause"), 0);
}

static void test_notifiers(void **state) {
    Fixture *f = *state;
    static char *const names[] = {(char *)"mail", NULL};
    assert_int_equal(store_notifiers_sync(f->store, names, NOW), 0);
    /* Unknown ones get a row; nobody to tell is fine. */
    fixture_tell(f->store, 1, 443, both);
    fixture_tell(f->store, 2, 444, NULL);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM notifier"), 2);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue"), 2);
    assert_int_equal(fixture_query(f->store, "SELECT sum(learned) FROM notifier"), 0);

    _cleanup_(told_done) Told learned;
    told_init(&learned, 3, EVENT_LEARNED, 1, names);
    learned.decision.events[0].has_incident = false;
    Commit commit = told_commit(&learned);
    assert_int_equal(store_commit(f->store, &commit), 0);
    assert_int_equal(fixture_query(f->store, "SELECT learned FROM notifier WHERE name = 'mail'"), 1);
    assert_int_equal(fixture_query(f->store, "SELECT learned FROM notifier WHERE name = 'chat'"), 0);
}

static void test_coverage(void **state) {
    Fixture *f = *state;
    _cleanup_free_ char *text = NULL;
    assert_int_equal(store_coverage(f->store, &text), 0);
    assert_null(text);
    assert_int_equal(store_set_coverage(f->store, "{\"a\":1}"), 0);
    int64_t changes = sqlite3_total_changes64(f->store->db);
    assert_int_equal(store_set_coverage(f->store, "{\"a\":1}"), 0);
    assert_int_equal(sqlite3_total_changes64(f->store->db), changes);
    assert_int_equal(store_coverage(f->store, &text), 0);
    assert_string_equal(text, "{\"a\":1}");
}

/* A writer elsewhere: busy, nothing written, and the next try goes through. */
static void test_busy(void **state) {
    Fixture *f = *state;
    int ready[2], done[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *db = NULL;
        char c = 0;
        int bad = sqlite3_open(fixture_path(f, STORE_FILE), &db) != SQLITE_OK ||
                  sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK;
        if (write(ready[1], &c, 1) != 1 || read(done[0], &c, 1) != 1) bad = 1;
        _exit(bad);
    }
    char c;
    assert_int_equal(read(ready[0], &c, 1), 1);
    _cleanup_(told_done) Told told;
    told_init(&told, 1, EVENT_OPENED, 443, both);
    Commit commit = told_commit(&told);
    assert_int_equal(store_commit(f->store, &commit), STORE_BUSY);
    assert_non_null(strstr(store_reason(f->store), "locked"));
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), 0);
    assert_int_equal(write(done[1], &c, 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(store_commit(f->store, &commit), 0);
}

/* Readers see one state of the database while the daemon goes on. */
static void test_snapshot(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, both);
    Store *reader = fixture_open(f, STORE_READER, STORE_OPENED, NULL);
    assert_int_equal(store_read_begin(reader), 0);
    for (int round = 0; round < 2; round++) {
        State loaded = {0};
        assert_int_equal(store_load_state(reader, &loaded), 0);
        assert_int_equal(loaded.n_incidents, 1);
        state_done(&loaded);
        fixture_tell(f->store, (unsigned)round + 2, (uint16_t)(round + 80), both);
    }
    store_read_end(reader);
    State loaded = {0};
    assert_int_equal(store_load_state(reader, &loaded), 0);
    assert_int_equal(loaded.n_incidents, 3);
    state_done(&loaded);
    store_close(reader);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {TEST(test_first_start), TEST(test_baseline), TEST(test_incident),
        TEST(test_namespaces), TEST(test_self), TEST(test_all_or_nothing), TEST(test_pauses), TEST(test_notifiers), TEST(test_coverage),
        TEST(test_busy), TEST(test_snapshot)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
