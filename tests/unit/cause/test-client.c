/* The client against children that answer, die, hang and lie; and the real one where there is neither bus nor journal.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <systemd/sd-id128.h>
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

static int64_t now_boottime(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
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
    assert_return_code(sd_event_add_time_relative(heard.event, NULL, CLOCK_MONOTONIC, 120000000, 0, on_alarm, NULL), 0);
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
    int64_t asked = now_boottime();
    ask("crash.service");
    wait_for_all();
    assert_int_equal(heard.refusals, 1);
    assert_string_equal(heard.why, "portwatch-cause was killed by SIGUSR1");
    assert_int_equal(cause_client_pid(client), 0);
    ask("a.service");
    wait_for_all();
    assert_int_equal(heard.answers, 1);
    assert_true(now_boottime() - asked >= USEC_PER_SEC); /* after the back-off */
}

static void test_crash_takes_what_was_sent(void **state) {
    ask("a.service");
    /* it does not end before all of them are sent */
    assert_return_code(kill(cause_client_pid(client), SIGSTOP), errno);
    ask("exit.service");
    ask("b.service");
    assert_return_code(kill(cause_client_pid(client), SIGCONT), errno);
    wait_for_all();
    assert_int_equal(heard.answers, 1);
    assert_int_equal(heard.refusals, 2);
    assert_string_equal(heard.why, "portwatch-cause exited with status 3");
}

/* What it had said before the end counts, where no more comes. */
static void test_answers_so_far(void **state) {
    ask("twice.service");
    wait_for_all();
    assert_non_null(strstr(heard.document, "\"unit\":\"twice.service\""));
    ask("falls.service");
    wait_for_all();
    assert_non_null(strstr(heard.document, "\"unit\":\"so-far.service\""));
    assert_int_equal(cause_client_pid(client), 0);
    assert_int_equal(heard.answers, 2);
    CauseQuestion q = about("falls.service");
    _cleanup_(cause_answer_done) CauseAnswer answer = {0};
    _cleanup_free_ char *why = NULL;
    assert_int_equal(cause_ask(rude, &q, LONG, &answer, &why), 0);
    assert_non_null(strstr(answer.document, "\"unit\":\"so-far.service\""));
}

/* What a child has said before its time is over, though it may need more than one time to say anything. */
static void test_answers_late(void **state) {
    for (int64_t deadline = USEC_PER_SEC; heard.answers == 0 && deadline <= LONG; deadline *= 2) {
        client_make(rude, deadline);
        ask("slow.service");
        wait_for_all();
        if (heard.answers == 0) assert_string_equal(heard.why, "portwatch-cause did not answer in time");
    }
    assert_int_equal(heard.answers, 1);
    assert_non_null(strstr(heard.document, "\"unit\":\"so-far.service\""));
    assert_int_equal(cause_client_pid(client), 0);
}

/* No child is started before the deadline: refused, and not only then. */
static void test_keeps_failing(void **state) {
    client_make(rude, SHORT);
    /* held up for longer than the back-off we only make it fail once more, and the next back-off is longer */
    for (unsigned i = 0; i < 8 && strcmp(heard.why, "portwatch-cause keeps failing") != 0; i++) {
        ask("crash.service");
        wait_for_all();
    }
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

static void test_hangs_with_others(void **state) {
    client_make(rude, SHORT);
    ask("hang.service");
    ask("a.service");
    ask("b.service");
    wait_for_all();
    assert_int_equal(heard.refusals, 3);
    assert_int_equal(cause_client_pid(client), 0);
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

/* ---- the real one, with directories of our own in a mount namespace ---- */

static void bare_system(void) {
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", "/run", "tmpfs", 0, NULL) < 0 || mount("none", "/var/log", "tmpfs", 0, NULL) < 0)
        skip();
}

static void test_neither_bus_nor_journal(void **state) {
    _cleanup_(cause_answer_done) CauseAnswer answer = {0};
    _cleanup_free_ char *why = NULL;
    CauseQuestion q = about("a.service");
    bare_system();
    assert_int_equal(cause_ask(real, &q, LONG, &answer, &why), 0);
    assert_int_equal(answer.fate, FATE_UNKNOWN);
    assert_non_null(strstr(answer.document, "\"summary\":\"a.service is in a state that is not known\""));
    assert_non_null(strstr(answer.document, "the system bus cannot be reached: No such file or directory; "));
    assert_non_null(strstr(answer.document, "no journal\""));
    /* by its descriptor, though the number alone is all that can be seen there */
    q = (CauseQuestion){.user = USER_NONE, .pid = getpid(), .started = started_of_this(), .open = true};
    cause_answer_done(&answer);
    assert_int_equal(cause_ask(real, &q, LONG, &answer, &why), 0);
    assert_non_null(strstr(answer.document, "\"unit\":null"));
    assert_non_null(strstr(answer.document, "\"process\":\"alive\""));
}

/* Says that the filesystem is ready (linux/fuse.h), and nothing more ever. */
static void fuse_greet(int fuse) {
    static char request[65536];
    struct {
        struct fuse_out_header header;
        struct fuse_init_out init;
    } reply = {.init = {.major = FUSE_KERNEL_VERSION, .minor = 31, .max_background = 16, .max_write = 4096}};
    assert_true(read(fuse, request, sizeof(request)) >= (ssize_t)sizeof(struct fuse_in_header));
    reply.header.len = sizeof(reply);
    reply.header.unique = ((struct fuse_in_header *)request)->unique;
    assert_int_equal(write(fuse, &reply, sizeof(reply)), sizeof(reply));
}

/* A journal on a filesystem whose every answer is waited for: what else is known comes all the same. */
static void test_stuck_journal(void **state) {
    char id[SD_ID128_STRING_MAX], path[128], options[128];
    sd_id128_t machine = SD_ID128_NULL;
    CauseQuestion q = about("a.service");
    bare_system();
    _cleanup_close_ int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fuse < 0 || sd_id128_get_machine(&machine) < 0) skip();
    assert_return_code(mkdir("/var/log/journal", 0755), errno);
    snprintf(path, sizeof(path), "/var/log/journal/%s", sd_id128_to_string(machine, id));
    assert_return_code(mkdir(path, 0755), errno);
    snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
    if (mount("stuck", path, "fuse", 0, options) < 0) skip();
    fuse_greet(fuse);
    _cleanup_(cause_answer_done) CauseAnswer answer = {0};
    _cleanup_free_ char *why = NULL;
    int r = -ETIMEDOUT; /* it may need more than one time to say anything */
    for (int64_t deadline = 2 * USEC_PER_SEC; r == -ETIMEDOUT && deadline <= LONG; deadline *= 2)
        r = cause_ask(real, &q, deadline, &answer, &why);
    umount2(path, MNT_DETACH);
    assert_int_equal(r, 0);
    assert_non_null(strstr(answer.document, "; the journal was not read in time\""));
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
        TEST(test_answers_so_far),
        TEST(test_answers_late),
        TEST(test_keeps_failing),
        TEST(test_hang),
        TEST(test_hangs_with_others),
        TEST(test_silence),
        TEST(test_lies),
        TEST(test_no_program),
        TEST(test_freed_while_waiting),
        TEST(test_blocking),
        TEST(test_neither_bus_nor_journal),
        TEST(test_stuck_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
