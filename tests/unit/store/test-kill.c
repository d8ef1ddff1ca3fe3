/* kill -9 at any moment: what was committed is there, whole; what was not has left nothing. */
#include "fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define ROUNDS 60
#define LONGEST_MS 60

static char *const both[] = {(char *)"mail", (char *)"chat", NULL};

static void say(int fd, unsigned serial) {
    if (write(fd, &serial, sizeof(serial)) != sizeof(serial)) _exit(3);
}

/* A daemon's life: tell, form, send, end, expire; says every serial that is committed. */
static void live(Fixture *f, int fd) {
    StoreIdentity identity = {.machine_id = MACHINE, .boot_id = BOOT, .now = NOW};
    StoreOpening what;
    Store *store = NULL;
    char *reason = NULL;
    if (store_open(f->dir, STORE_DAEMON, &identity, &store, &what, &reason) != 0 || what > STORE_FRESH) _exit(2);
    for (unsigned serial = (unsigned)fixture_query(store, "SELECT count(*) FROM event WHERE type = 'opened'") + 1;;
         serial++) {
        fixture_tell(store, serial, (uint16_t)serial, both);
        say(fd, serial);
        InFlight flight = {0};
        if (outbox_in_flight(store, "mail", NOW, &flight) != 0) _exit(4);
        if (!flight.found)
            fixture_form(store, "mail", serial);
        else {
            MessageState state;
            Delivery delivery = {.recipient = (char *)"a@b", .outcome = serial % 3 ? OUTCOME_DELIVERED : OUTCOME_RETRY};
            if (outbox_result(store, flight.message.id, &delivery, 1, NULL, NOW, NOW, &state) != 0) _exit(5);
        }
        in_flight_done(&flight);
        if (serial % 7 == 0 && store_expire(store, NOW, DAYS, NULL) != 0) _exit(6);
    }
}

static int64_t count(Store *store, const char *sql) {
    int64_t n = fixture_query(store, sql);
    if (n != 0) print_error("%lld: %s\n", (long long)n, sql);
    return n;
}

static void inspect(Fixture *f, unsigned said) {
    f->store = fixture_open(f, STORE_DAEMON, STORE_OPENED, NULL);
    Store *s = f->store;
    assert_int_equal(fixture_query(s, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    assert_int_equal(count(s, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    /* An event goes to both, or it is not there. */
    assert_int_equal(
        count(s, "SELECT count(*) FROM event e WHERE (SELECT count(*) FROM queue q WHERE q.event = e.seq) != 2"), 0);
    assert_int_equal(count(s, "SELECT count(*) FROM incident i WHERE NOT EXISTS"
                              " (SELECT 1 FROM event e WHERE e.incident = i.id AND e.id = i.opening_event)"),
        0);
    assert_int_equal(count(s, "SELECT count(*) FROM event e WHERE incident IS NULL"), 0);
    assert_int_equal(fixture_query(s, "SELECT count(*) FROM history"), fixture_query(s, "SELECT count(*) FROM event"));
    /* A message has its rows, a sent one its answer. */
    assert_int_equal(count(s, "SELECT count(*) FROM message m WHERE NOT EXISTS"
                              " (SELECT 1 FROM queue q WHERE q.message = m.seq)"),
        0);
    assert_int_equal(count(s, "SELECT count(*) FROM message m WHERE state = 'sent' AND NOT EXISTS"
                              " (SELECT 1 FROM recipient r WHERE r.message = m.seq AND r.state = 'delivered')"),
        0);
    /* What was said to be committed is there. */
    assert_true(fixture_query(s, "SELECT count(*) FROM event") >= said);
    fixture_close(f);
}

static void test_kill(void **state) {
    Fixture *f = *state;
    unsigned said = 0, committed = 0;
    srand((unsigned)getpid());
    for (int round = 0; round < ROUNDS; round++) {
        int fds[2];
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            close(fds[0]);
            live(f, fds[1]);
        }
        close(fds[1]);
        struct timespec nap = {.tv_nsec = rand() % (LONGEST_MS * 1000000)};
        nanosleep(&nap, NULL);
        /* one at least has lived long enough for something, on any machine */
        struct pollfd p = {.fd = fds[0], .events = POLLIN};
        if (round == ROUNDS - 1 && said == 0) assert_int_equal(poll(&p, 1, 60000), 1);
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        for (unsigned serial; read(fds[0], &serial, sizeof(serial)) == sizeof(serial);) said = serial;
        close(fds[0]);
        if (said == 0) {
            /* Killed while the database was made: the next start makes it. */
            Store *store = NULL;
            StoreOpening what;
            char *reason = NULL;
            StoreIdentity identity = {.machine_id = MACHINE, .boot_id = BOOT, .now = NOW};
            assert_int_equal(store_open(f->dir, STORE_DAEMON, &identity, &store, &what, &reason), 0);
            assert_true(what == STORE_OPENED || what == STORE_FRESH);
            store_close(store);
        }
        inspect(f, said);
        committed = said;
    }
    assert_true(committed > 0);
    assert_int_equal(fixture_count(f, "portwatch.db."), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kill, fixture_setup_empty, fixture_teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
