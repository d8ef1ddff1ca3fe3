/* Every allocation fails once: each operation says -ENOMEM, leaves the database whole, and works the next time. */
#include "fixture.h"

#include <errno.h>
#include <string.h>

static long countdown = -1; /* allocations until the one that fails; -1: none */
static bool failed;

static bool fails(void) {
    if (countdown < 0 || countdown-- > 0) return false;
    failed = true;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__real_reallocarray(void *p, size_t n, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size) {
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size) {
    return fails() ? NULL : __real_realloc(p, size);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size) {
    return fails() ? NULL : __real_reallocarray(p, n, size);
}

char *__wrap_strdup(const char *text) {
    return fails() ? NULL : __real_strdup(text);
}

static sqlite3_mem_methods plain;

static void *sqlite_malloc(int size) {
    return fails() ? NULL : plain.xMalloc(size);
}

static void *sqlite_realloc(void *p, int size) {
    return fails() ? NULL : plain.xRealloc(p, size);
}

static char *const both[] = {(char *)"mail", (char *)"chat", NULL};

typedef struct Case {
    Fixture *f;
    unsigned serial; /* a new one each time */
    Told told;
    Message message;
    int64_t rows[1];
} Case;

static int run_commit(Case *c) {
    Commit commit = told_commit(&c->told);
    return store_commit(c->f->store, &commit);
}

static int run_load(Case *c) {
    State loaded = {0};
    int r = store_load_state(c->f->store, &loaded);
    state_done(&loaded);
    return r;
}

static int run_form(Case *c) {
    OutboxRow *rows = NULL;
    size_t n = 0;
    int r = outbox_waiting(c->f->store, "mail", false, 10, &rows, &n);
    if (r == 0 && n > 0) r = outbox_form(c->f->store, &c->message, &rows[0].id, 1);
    if (r == 0)
        outbox_rows_free(rows, n);
    else if (rows)
        outbox_rows_free(rows, n);
    return r;
}

static int run_send(Case *c) {
    InFlight flight = {0};
    MessageState state;
    Delivery answer = {.recipient = (char *)"a@b", .outcome = OUTCOME_RETRY, .reason = (char *)"no"};
    int r = outbox_in_flight(c->f->store, "mail", NOW, &flight);
    if (r == 0) r = outbox_result(c->f->store, flight.message.id, &answer, 1, NULL, NOW, NOW, &state);
    in_flight_done(&flight);
    return r;
}

static int run_read(Case *c) {
    HistoryRow *rows = NULL;
    NotifierHealth *health = NULL;
    char **threads = NULL, id[UUID_TEXT_MAX];
    size_t n_rows = 0, n_health = 0;
    HistoryFilter filter = {.limit = 5};
    int r = history_query(c->f->store, &filter, &rows, &n_rows);
    if (r == 0) r = store_notifiers(c->f->store, NOW, &health, &n_health);
    if (r == 0) r = outbox_threads(c->f->store, fixture_uuid('i', 1, id), "mail", &threads);
    history_rows_free(rows, n_rows);
    notifier_health_free(health, n_health);
    strv_free(threads);
    return r;
}

static int run_ask(Case *c) {
    Request request = {0};
    int64_t id;
    int r = request_put(c->f->store, "ack", "{}", "me", MINUTE, NOW, &id);
    if (r == 0) r = request_next(c->f->store, 0, NOW, &request);
    request_done(&request);
    return r;
}

static int run_expire(Case *c) {
    return store_expire(c->f->store, NOW + 91 * DAYS, 90 * DAYS, NULL);
}

static int run_open(Case *c) {
    StoreIdentity identity = {.machine_id = MACHINE, .boot_id = BOOT, .now = NOW};
    Store *store = NULL;
    StoreOpening what = STORE_OPENED;
    _cleanup_free_ char *reason = NULL;
    fixture_close(c->f);
    int r = store_open(c->f->dir, STORE_DAEMON, &identity, &store, &what, &reason);
    c->f->store = store;
    /* Short memory is no reason to set a good database aside. */
    return r == 0 && what != STORE_OPENED ? 1000 + (int)what : r;
}

static void exhaust(Fixture *f, int (*run)(Case *), const char *name) {
    long n = 0;
    static unsigned serial = 10;
    for (bool over = false; !over; n++) {
        Case c = {.f = f, .serial = ++serial};
        if (!f->store) f->store = fixture_open(f, STORE_DAEMON, STORE_OPENED, NULL);
        told_init(&c.told, c.serial, EVENT_OPENED, (uint16_t)c.serial, both);
        c.message = (Message){.notifier = (char *)"mail",
            .host = (char *)"h",
            .subject = (char *)"s",
            .text = (char *)"t",
            .document = (char *)"{}"};
        fixture_uuid('m', c.serial, c.message.id);
        failed = false;
        countdown = n;
        int r = run(&c);
        countdown = -1;
        over = !failed;
        /* SQLite gets by without some of its allocations. */
        if (r != 0 && r != -ENOMEM) print_error("%s: allocation %ld: %d\n", name, n, r);
        assert_true(r == 0 || r == -ENOMEM);
        if (over) assert_int_equal(r, 0);
        told_done(&c.told);
        assert_true(n < 100000);
    }
    if (!f->store) f->store = fixture_open(f, STORE_DAEMON, STORE_OPENED, NULL);
    assert_int_equal(fixture_query(f->store, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event e WHERE"
                                             " (SELECT count(*) FROM queue q WHERE q.event = e.seq) != 2"),
        0);
}

static void test_all(void **state) {
    Fixture *f = *state;
    fixture_exec(f->store, "PRAGMA synchronous = OFF");
    fixture_tell(f->store, 1, 9, both);
    exhaust(f, run_commit, "commit");
    exhaust(f, run_load, "load");
    exhaust(f, run_read, "read");
    exhaust(f, run_ask, "ask");
    fixture_form(f->store, "mail", 1);
    exhaust(f, run_send, "send");
    exhaust(f, run_expire, "expire");
    exhaust(f, run_open, "open");
}

static void test_form(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 9, both);
    exhaust(f, run_form, "form");
}

int main(void) {
    sqlite3_mem_methods ours;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &plain) != SQLITE_OK) return 1;
    ours = plain;
    ours.xMalloc = sqlite_malloc;
    ours.xRealloc = sqlite_realloc;
    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) != SQLITE_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_all, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_form, fixture_setup, fixture_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
