/* The client against children that answer, die, hang and lie; and the real one where there is neither bus nor journal.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <time.h>

#include <cmocka.h>

#include "cause/client.h"
#include "cause/process.h"
#include "core/cleanup.h"
#include "core/text.h"

#define LONG (50 * USEC_PER_SEC) /* never meant to pass */
#define SHORT (USEC_PER_SEC / 5)

static const char *rude, *real;

typedef struct Heard {
    sd_event *event;
    unsigned n, wanted, answers, refusals;
    uint64_t ids[256];
    char why[256], document[4096];
} Heard;

static void on_answer(uint64_t id, const CauseAnswer *answer, const char *why, void *userdata) {
    Heard *heard = userdata;
    assert_true((answer != NULL) != (why != NULL));
    if (answer) {
        heard->answers++;
        snprintf(heard->document, sizeof(heard->document), "%s", answer->document);
    } else {
        heard->refusals++;
        snprintf(heard->why, sizeof(heard->why), "%s", why);
    }
    assert_true(heard->n < ELEMENTSOF(heard->ids));
    heard->ids[heard->n++] = id;
}

static int on_alarm(sd_event_source *source, uint64_t usec, void *userdata) {
    fail_msg("no answer came");
    return 0;
}

static Heard heard;
static CauseClient *client;

static void client_make(const char *program, int64_t deadline) {
    cause_client_free(client);
    assert_int_equal(cause_client_new(heard.event, program, deadline, on_answer, &heard, &client), 0);
}

static int set_up(void **state) {
    heard = (Heard){0};
    assert_return_code(sd_event_new(&heard.event), 0);
    assert_return_code(sd_event_add_time_relative(heard.event, NULL, CLOCK_MONOTONIC, 60000000, 0, on_alarm, NULL), 0);
    client_make(rude, LONG);
    return 0;
}

static int tear_down(void **state) {
    client = cause_client_free(client);
    heard.event = sd_event_unref(heard.event);
    return 0;
}

static CauseQuestion about(const char *unit) {
    CauseQuestion q = {.user = USER_NONE};
    strcpy(q.unit, unit);
    return q;
}

static uint64_t ask(const char *unit) {
    CauseQuestion q = about(unit);
    uint64_t id = 0;
    assert_int_equal(cause_client_ask(client, &q, &id), 0);
    heard.wanted++;
    return id;
}

static void wait_for_all(void) {
    while (heard.n < heard.wanted) assert_return_code(sd_event_run(heard.event, UINT64_MAX), 0);
}

static void test_answers_in_order(void **state) {
    uint64_t ids[40];
    for (size_t i = 0; i < ELEMENTSOF(ids); i++) ids[i] = ask("a.service");
    assert_int_equal(heard.n, 0); /* never from inside the question */
    wait_for_all();
    assert_int_equal(heard.answers, ELEMENTSOF(ids));
    for (size_t i = 0; i < ELEMENTSOF(ids); i++) assert_int_equal(heard.ids[i], ids[i]);
    assert_non_null(strstr(heard.document, "\"unit\":\"a.service\""));
    pid_t pid = cause_client_pid(client);
    assert_true(pid > 0);
    ask("b.service");
    wait_for_all();
    assert_int_equal(cause_client_pid(client), pid);
}

static void test_bounds(void **state) {
    CauseQuestion q = about("a.service"), bad = about("not a unit");
    uint64_t id = 0;
    assert_int_equal(cause_client_ask(client, &bad, &id), -EINVAL);
    for (size_t i = 0; i < CAUSE_WAITING_MAX; i++) ask("a.service");
    assert_int_equal(cause_client_ask(client, &q, &id), -EBUSY);
    wait_for_all();
    assert_int_equal(heard.answers, CAUSE_WAITING_MAX);
    ask("a.service");
    wait_for_all();
}

static void test_crash_and_recovery(void **state) {
    ask("crash.service");
    wait_for_all();
    assert_int_equal(heard.refusals, 1);
    assert_string_equal(heard.why, "portwatch-cause was killed by SIGUSR1");
    assert_int_equal(cause_client_pid(client), 0);
    /* after the back-off */
    ask("a.service");
    assert_int_equal(cause_client_pid(client), 0);
    wait_for_all();
    assert_int_equal(heard.answers, 1);
}

static void test_crash_takes_what_was_sent(void **state) {
    ask("a.service");
    ask("exit.service");
    ask("b.service");
    wait_for_all();
    assert_int_equal(heard.answers, 1);
    assert_int_equal(heard.refusals, 2);
    assert_string_equal(heard.why, "portwatch-cause exited with status 3");
}

/* No child is started before the deadline: refused, and not only then. */
static void test_keeps_failing(void **state) {
    client_make(rude, SHORT);
    ask("crash.service");
    wait_for_all();
    ask("a.service");
    wait_for_all();
    assert_int_equal(heard.answers, 0);
    assert_string_equal(heard.why, "portwatch-cause keeps failing");
    assert_int_equal(cause_client_pid(client), 0);
}

static void test_hang(void **state) {
    client_make(rude, SHORT);
    ask("hang.service");
    pid_t pid = cause_client_pid(client);
    wait_for_all();
    assert_string_equal(heard.why, "portwatch-cause did not answer in time");
    assert_int_equal(cause_client_pid(client), 0);
    assert_int_equal(kill(pid, 0), -1); /* and was reaped */
}

static void test_silence(void **state) {
    client_make(rude, SHORT);
    ask("nothing.service");
    wait_for_all();
    assert_string_equal(heard.why, "portwatch-cause did not answer in time");
}

static void test_lies(void **state) {
    ask("nonsense.service");
    wait_for_all();
    assert_string_equal(heard.why, "portwatch-cause sent what is not an answer");
    ask("other.service");
    wait_for_all();
    assert_int_equal(heard.refusals, 2);
    assert_string_equal(heard.why, "portwatch-cause sent what is not an answer");
}

static void test_no_program(void **state) {
    client_make("/nonexistent/portwatch-cause", SHORT);
    ask("a.service");
    wait_for_all();
    assert_string_equal(heard.why, "portwatch-cause cannot be started: No such file or directory");
}

static void test_freed_while_waiting(void **state) {
    ask("hang.service");
    pid_t pid = cause_client_pid(client);
    assert_true(pid > 0);
    client = cause_client_free(client);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(heard.n, 0);
}

static void test_blocking(void **state) {
    _cleanup_(cause_answer_done) CauseAnswer answer = {0};
    _cleanup_free_ char *why = NULL;
    CauseQuestion q = about("a.service");
    assert_int_equal(cause_ask(rude, &q, LONG, &answer, &why), 0);
    assert_int_equal(answer.fate, FATE_STOPPED);
    assert_null(why);
    CauseAnswer none = {0};
    q = about("hang.service");
    assert_int_equal(cause_ask(rude, &q, SHORT, &none, &why), -ETIMEDOUT);
    q = about("nonsense.service");
    assert_int_equal(cause_ask(rude, &q, LONG, &none, &why), -EBADMSG);
    assert_int_equal(cause_ask("/nonexistent", &q, LONG, &none, &why), -ENOENT);
    assert_null(why);
    q = about("exit.service");
    assert_int_equal(cause_ask(rude, &q, LONG, &none, &why), -EPIPE);
    assert_string_equal(why, "exited with status 3");
    assert_null(none.document);
}

static int64_t started_of_this(void) {
    uint64_t ticks = 0;
    char bytes[1024];
    _cleanup_fclose_ FILE *file = fopen("/proc/self/stat", "re");
    size_t n = fread(bytes, 1, sizeof(bytes), file);
    assert_true(cause_process_started(bytes, n, &ticks));
    struct timespec now, boot;
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    return (now.tv_sec - boot.tv_sec) * USEC_PER_SEC + (now.tv_nsec - boot.tv_nsec) / 1000 +
           (int64_t)ticks * USEC_PER_SEC / sysconf(_SC_CLK_TCK);
}

/* The real one, in a mount namespace with an empty /run and an empty /var/log. */
static void test_neither_bus_nor_journal(void **state) {
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/run", "tmpfs", 0, NULL) < 0 || mount("none", "/var/log", "tmpfs", 0, NULL) < 0)
        skip();
    _cleanup_(cause_answer_done) CauseAnswer answer = {0};
    _cleanup_free_ char *why = NULL;
    CauseQuestion q = about("a.service");
    assert_int_equal(cause_ask(real, &q, LONG, &answer, &why), 0);
    assert_int_equal(answer.fate, FATE_UNKNOWN);
    assert_non_null(strstr(answer.document, "\"summary\":\"a.service is in a state that is not known\""));
    assert_non_null(strstr(answer.document, "the system bus cannot be reached: No such file or directory; "));
    assert_non_null(strstr(answer.document, "no journal\""));
    /* by its descriptor, though the number alone is all that can be seen there */
    q = (CauseQuestion){.user = USER_NONE, .pid = getpid(), .open = true};
    q.started = started_of_this();
    cause_answer_done(&answer);
    assert_int_equal(cause_ask(real, &q, LONG, &answer, &why), 0);
    assert_non_null(strstr(answer.document, "\"unit\":null"));
    assert_non_null(strstr(answer.document, "\"process\":\"alive\""));
}

int main(int argc, char **argv) {
    if (argc != 3) return 64;
    rude = argv[1];
    real = argv[2];
    setenv("TZ", "UTC", 1);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_answers_in_order),
        TEST(test_bounds),
        TEST(test_crash_and_recovery),
        TEST(test_crash_takes_what_was_sent),
        TEST(test_keeps_failing),
        TEST(test_hang),
        TEST(test_silence),
        TEST(test_lies),
        TEST(test_no_program),
        TEST(test_freed_while_waiting),
        TEST(test_blocking),
        TEST(test_neither_bus_nor_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
