/* From facts to fate, summary and document, by literals. Times: the first of March 2026, 14:02:03 UTC. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#include "cause/document.h"
#include "cause/judge.h"
#include "core/cleanup.h"
#include "core/text.h"

#define AT (INT64_C(1772373723) * USEC_PER_SEC)
#define ASKED (AT + 12 * USEC_PER_SEC)

typedef struct Case {
    UnitFacts unit;
    JournalFacts journal;
    CauseProcess process;
    Fate fate;
    const char *summary; /* without the unit's name */
} Case;

static Facts facts_of(const Case *c) {
    return (Facts){
        .question = {.unit = "myapp.service", .user = USER_NONE, .pid = 812, .started = AT - 1, .since = AT - 1},
        .unit = c->unit,
        .journal = c->journal,
        .process = c->process,
        .now = ASKED,
    };
}

static void judge_facts(const Facts *facts, const Case *c) {
    Judgement judgement;
    cause_judge(facts, &judgement);
    _cleanup_free_ char *summary = cause_summary(facts, &judgement), *expected = NULL;
    expected = text_printf("myapp.service %s", c->summary);
    assert_string_equal(summary, expected);
    assert_int_equal(judgement.fate, c->fate);
}

static void judge(const Case *c) {
    Facts facts = facts_of(c);
    judge_facts(&facts, c);
}

/* clang-format off */
#define SERVICE .known = true, .since = AT, .burst = 5
#define FAILED SERVICE, .active = "failed", .sub = "failed"
#define STOPPED SERVICE, .active = "inactive", .sub = "dead", .result = "success"
#define STOPPING SERVICE, .active = "deactivating", .sub = "stop-sigterm", .result = "success"
#define RUNNING SERVICE, .active = "active", .sub = "running", .result = "success", .main_pid = 900
/* clang-format on */

static void test_failures(void **state) {
    const Case cases[] = {
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 1}, {}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: exit status 1"},
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 203}, {}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: exit status 203, its program cannot be executed"},
        {{FAILED, .result = "signal", .code = CLD_KILLED, .status = SIGKILL}, {}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: killed by SIGKILL"},
        {{FAILED, .result = "core-dump", .code = CLD_DUMPED, .status = SIGSEGV}, {}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: killed by SIGSEGV, core dumped"},
        {{FAILED, .result = "signal", .code = CLD_KILLED, .status = 40}, {}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: killed by signal 40"},
        {{FAILED, .result = "oom-kill", .code = CLD_KILLED, .status = SIGKILL}, {}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: killed for want of memory"},
        {{FAILED, .result = "signal", .code = CLD_KILLED, .status = SIGKILL}, {.oom = true}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: killed by SIGKILL for want of memory"},
        /* with OOMPolicy=continue, a child of it was the one */
        {{FAILED, .result = "signal", .code = CLD_KILLED, .status = SIGTERM}, {.oom = true}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: killed by SIGTERM"},
        {{FAILED, .result = "timeout", .code = CLD_KILLED, .status = SIGKILL}, {}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: it did not start or stop in time"},
        {{FAILED, .result = "timeout", .code = CLD_KILLED, .status = SIGTERM, .runtime_max = 3600 * USEC_PER_SEC}, {},
            PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: it did not start or stop in time, or ran longer than RuntimeMaxSec="},
        {{FAILED, .result = "watchdog", .code = CLD_DUMPED, .status = SIGABRT}, {}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: it did not answer systemd's watchdog"},
        {{FAILED, .result = "something-new"}, {}, PROCESS_UNKNOWN, FATE_FAILED,
            "failed at 14:02:03 UTC: result something-new"},
        /* ExecStartPre failed: what is left of the main process is about another start */
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 0}, {}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: result exit-code"},
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 3},
            {.end = {.result = "exit-code", .asked = true}}, PROCESS_GONE, FATE_FAILED,
            "failed while it was being stopped at 14:02:03 UTC: exit status 3"},
        {{FAILED, .result = "signal", .code = CLD_KILLED, .status = SIGTERM}, {}, PROCESS_ALIVE, FATE_FAILED,
            "failed at 14:02:03 UTC: killed by SIGTERM; its process 812 lives on"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) judge(&cases[i]);
}

static void test_restart_limit(void **state) {
    const Case cases[] = {
        {{FAILED, .result = "start-limit-hit"}, {}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: it was started too often; restart limit reached"},
        /* the journal says so */
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 1, .restarts = 3}, {.limit = true}, PROCESS_GONE,
            FATE_FAILED, "failed at 14:02:03 UTC: exit status 1; restart limit reached after 3 restarts"},
        /* without a journal the number does */
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 1, .restart = "always", .restarts = 5}, {},
            PROCESS_GONE, FATE_FAILED, "failed at 14:02:03 UTC: exit status 1; restart limit reached after 5 restarts"},
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 1, .restart = "on-failure", .restarts = 4}, {},
            PROCESS_GONE, FATE_FAILED, "failed at 14:02:03 UTC: exit status 1"},
        /* five in half a year, and this end is none to restart after */
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 1, .restart = "on-abnormal", .restarts = 5}, {},
            PROCESS_GONE, FATE_FAILED, "failed at 14:02:03 UTC: exit status 1"},
        /* the journal knows that end, and of no limit: RestartPreventExitStatus= */
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 1, .restart = "always", .restarts = 5},
            {.end = {.result = "exit-code"}}, PROCESS_GONE, FATE_FAILED, "failed at 14:02:03 UTC: exit status 1"},
        /* a limit of earlier times, and it runs */
        {{RUNNING}, {.limit = true}, PROCESS_ALIVE, FATE_UNKNOWN,
            "is running since 14:02:03 UTC; its process 812 is alive and has closed the socket"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) judge(&cases[i]);
}

static void test_stops(void **state) {
    const Case cases[] = {
        {{STOPPED, .code = CLD_KILLED, .status = SIGTERM}, {.end = {.result = "success", .asked = true}}, PROCESS_GONE,
            FATE_STOPPED, "was stopped at 14:02:03 UTC on request"},
        {{STOPPED, .code = CLD_EXITED}, {.end = {.result = "success"}}, PROCESS_GONE, FATE_STOPPED,
            "ended by itself at 14:02:03 UTC with exit status 0"},
        /* no journal: who knows whether it was asked to */
        {{STOPPED, .code = CLD_EXITED}, {}, PROCESS_GONE, FATE_STOPPED, "stopped at 14:02:03 UTC"},
        {{STOPPED, .load = "masked"}, {.end = {.result = "success", .asked = true}}, PROCESS_GONE, FATE_STOPPED,
            "was stopped at 14:02:03 UTC on request; it is masked"},
        {{STOPPING}, {}, PROCESS_ALIVE, FATE_STOPPED, "is stopping since 14:02:03 UTC; its process 812 lives on"},
        /* systemctl reset-failed */
        {{STOPPED, .code = CLD_EXITED, .status = 1, .invocation = "a"},
            {.end = {.result = "exit-code",
                 .code = CLD_EXITED,
                 .status = 1,
                 .at = AT - USEC_PER_SEC,
                 .invocation = "a"}},
            PROCESS_GONE, FATE_STOPPED, "failed at 14:02:02 UTC: exit status 1"},
        /* stopped by hand while it waited for its restart */
        {{SERVICE, .active = "inactive", .sub = "dead", .result = "exit-code", .code = CLD_EXITED, .status = 1,
             .invocation = "a"},
            {.end = {.result = "exit-code",
                 .code = CLD_EXITED,
                 .status = 1,
                 .at = AT - USEC_PER_SEC,
                 .invocation = "a"}},
            PROCESS_GONE, FATE_STOPPED, "failed at 14:02:02 UTC: exit status 1"},
        /* the journal's last end is that of an earlier invocation */
        {{STOPPING, .invocation = "b"},
            {.end = {.result = "success", .asked = true, .restart = true, .at = AT - USEC_PER_SEC, .invocation = "a"}},
            PROCESS_ALIVE, FATE_STOPPED, "is stopping since 14:02:03 UTC; its process 812 lives on"},
        /* a restart: stopped, its start is queued */
        {{STOPPED, .job = "restart"}, {.end = {.result = "success", .asked = true, .restart = true}}, PROCESS_GONE,
            FATE_RETURNING, "was restarted at 14:02:03 UTC on request; it is being started again"},
        {{STOPPING, .job = "restart"}, {}, PROCESS_ALIVE, FATE_RETURNING,
            "is restarting since 14:02:03 UTC; its process 812 lives on"},
        {{STOPPED, .job = "stop"}, {}, PROCESS_GONE, FATE_STOPPED, "stopped at 14:02:03 UTC"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) judge(&cases[i]);
}

static void test_returning(void **state) {
    const Case cases[] = {
        {{SERVICE, .active = "activating", .sub = "auto-restart", .result = "exit-code", .code = CLD_EXITED,
             .status = 1, .restarts = 2},
            {}, PROCESS_GONE, FATE_RETURNING,
            "failed at 14:02:03 UTC: exit status 1; systemd is about to start it again"},
        /* its ExecStopPost= runs, or what is left of it is being killed */
        {{SERVICE, .active = "deactivating", .sub = "stop-post", .result = "exit-code", .code = CLD_EXITED, .status = 1,
             .restart = "on-failure"},
            {}, PROCESS_GONE, FATE_RETURNING, "failed at 14:02:03 UTC: exit status 1"},
        {{SERVICE, .active = "deactivating", .sub = "stop-post", .result = "exit-code", .code = CLD_EXITED, .status = 1,
             .restart = "on-failure", .job = "stop"},
            {}, PROCESS_GONE, FATE_STOPPED, "failed at 14:02:03 UTC: exit status 1"},
        {{SERVICE, .active = "deactivating", .sub = "stop-post", .result = "success", .code = CLD_EXITED,
             .restart = "on-failure"},
            {}, PROCESS_GONE, FATE_STOPPED, "is stopping since 14:02:03 UTC"},
        {{SERVICE, .active = "activating", .sub = "start-pre"}, {}, PROCESS_GONE, FATE_RETURNING,
            "is starting since 14:02:03 UTC; its process 812 has ended"},
        /* Restart= has overwritten the result; the journal has it */
        {{RUNNING, .restarts = 1},
            {.end = {.result = "core-dump", .code = CLD_DUMPED, .status = SIGSEGV, .again = true, .at = AT}},
            PROCESS_GONE, FATE_UNKNOWN, "failed at 14:02:03 UTC: killed by SIGSEGV, core dumped; it is running again"},
        {{SERVICE, .active = "activating", .sub = "start"},
            {.end = {.result = "exit-code", .code = CLD_EXITED, .status = 1, .again = true, .at = AT}}, PROCESS_GONE,
            FATE_RETURNING, "failed at 14:02:03 UTC: exit status 1; it is being started again"},
        {{SERVICE, .active = "reloading", .sub = "reload", .main_pid = 812}, {}, PROCESS_ALIVE, FATE_RETURNING,
            "is reloading (reload) since 14:02:03 UTC; its process 812 is alive and has closed the socket"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) judge(&cases[i]);
}

static void test_not_ended(void **state) {
    const Case cases[] = {
        {{RUNNING}, {}, PROCESS_ALIVE, FATE_UNKNOWN,
            "is running since 14:02:03 UTC; its process 812 is alive and has closed the socket"},
        {{RUNNING}, {}, PROCESS_GONE, FATE_UNKNOWN, "is running since 14:02:03 UTC; its process 812 has ended"},
        {{RUNNING}, {}, PROCESS_UNKNOWN, FATE_UNKNOWN, "is running since 14:02:03 UTC"},
        {{SERVICE, .active = "active", .sub = "exited"}, {}, PROCESS_GONE, FATE_UNKNOWN,
            "has run to its end since 14:02:03 UTC; its process 812 has ended"},
        {{SERVICE, .active = "active", .sub = "listening"}, {}, PROCESS_UNKNOWN, FATE_UNKNOWN,
            "is active (listening) since 14:02:03 UTC"},
        /* read from disk because it was asked for */
        {{.known = true, .load = "loaded", .active = "inactive", .sub = "dead", .result = "success"}, {}, PROCESS_GONE,
            FATE_STOPPED, "is not running; its process 812 has ended"},
        {{.known = true, .load = "masked", .active = "inactive", .sub = "dead"}, {}, PROCESS_GONE, FATE_STOPPED,
            "is masked and not running; its process 812 has ended"},
        {{.known = true, .load = "not-found", .active = "inactive", .sub = "dead"}, {}, PROCESS_GONE, FATE_UNKNOWN,
            "is not known to systemd any more; its process 812 has ended"},
        {{.known = true, .load = "not-found", .active = "inactive", .sub = "dead"},
            {.end = {.result = "exit-code", .code = CLD_EXITED, .status = 4, .at = AT}}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:02:03 UTC: exit status 4"},
        {{.known = true, .load = "not-found", .active = "inactive", .sub = "dead"},
            {.end = {.result = "success", .code = CLD_EXITED, .at = AT}}, PROCESS_GONE, FATE_STOPPED,
            "ended by itself at 14:02:03 UTC with exit status 0"},
        /* no bus */
        {{}, {}, PROCESS_UNKNOWN, FATE_UNKNOWN, "is in a state that is not known"},
        {{}, {.end = {.result = "exit-code", .code = CLD_EXITED, .status = 1, .at = AT}}, PROCESS_GONE, FATE_UNKNOWN,
            "failed at 14:02:03 UTC: exit status 1"},
        {{}, {.end = {.result = "exit-code", .code = CLD_EXITED, .status = 1, .at = AT}, .limit = true}, PROCESS_GONE,
            FATE_UNKNOWN, "failed at 14:02:03 UTC: exit status 1; restart limit reached"},
        {{}, {.end = {.result = "signal", .code = CLD_KILLED, .status = 9, .again = true, .at = AT}}, PROCESS_GONE,
            FATE_UNKNOWN, "failed at 14:02:03 UTC: killed by SIGKILL; it was started again"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) judge(&cases[i]);
}

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* The invocation A held the port; systemd knows another one by now, or the same. */
static void test_invocations(void **state) {
    const EndFacts crash = {.result = "exit-code",
        .code = CLD_EXITED,
        .status = 3,
        .at = AT - 7 * USEC_PER_SEC,
        .invocation = A,
        .again = true};
    const EndFacts stop = {.result = "success",
        .asked = true,
        .restart = true,
        .at = AT - 7 * USEC_PER_SEC,
        .invocation = A,
        .again = true};
    const Case cases[] = {
        /* it has failed since, of something else: told is why the port closed, and then why it stays so */
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 4, .restarts = 5, .invocation = B},
            {.end = crash, .limit = true}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:01:56 UTC: exit status 3; started again, it failed at 14:02:03 UTC: exit status 4; restart "
            "limit reached after 5 restarts"},
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 3, .restarts = 5, .invocation = B},
            {.end = crash, .limit = true}, PROCESS_GONE, FATE_FAILED,
            "failed at 14:01:56 UTC: exit status 3; restart limit reached after 5 restarts"},
        {{FAILED, .result = "start-limit-hit", .invocation = B}, {.end = crash, .limit = true}, PROCESS_GONE,
            FATE_FAILED, "failed at 14:01:56 UTC: exit status 3; restart limit reached"},
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 3, .invocation = B}, {.end = crash},
            PROCESS_GONE, FATE_FAILED,
            "failed at 14:01:56 UTC: exit status 3; started again, it failed at 14:02:03 UTC: exit status 3"},
        {{FAILED, .result = "signal", .code = CLD_KILLED, .status = SIGSEGV, .invocation = B}, {.end = stop},
            PROCESS_GONE, FATE_FAILED,
            "was restarted at 14:01:56 UTC on request; started again, it failed at 14:02:03 UTC: killed by SIGSEGV"},
        {{RUNNING, .invocation = B}, {.end = crash}, PROCESS_GONE, FATE_UNKNOWN,
            "failed at 14:01:56 UTC: exit status 3; it is running again"},
        {{SERVICE, .active = "activating", .sub = "auto-restart", .result = "exit-code", .code = CLD_EXITED,
             .status = 4, .restart = "always", .invocation = B},
            {.end = crash}, PROCESS_GONE, FATE_RETURNING,
            "failed at 14:01:56 UTC: exit status 3; systemd is about to start it again"},
        {{STOPPED, .invocation = B}, {.end = crash}, PROCESS_GONE, FATE_STOPPED,
            "failed at 14:01:56 UTC: exit status 3; it was started again and is not running any more"},
        {{STOPPING, .job = "stop", .invocation = B}, {.end = stop}, PROCESS_GONE, FATE_STOPPED,
            "was restarted at 14:01:56 UTC on request; it was started again and is stopping"},
        /* the journal has lost it */
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 4, .invocation = B}, {}, PROCESS_GONE,
            FATE_FAILED, "was started again since, and failed at 14:02:03 UTC: exit status 4"},
        {{RUNNING, .invocation = B}, {}, PROCESS_GONE, FATE_UNKNOWN,
            "was started again since, and is running since 14:02:03 UTC; its process 812 has ended"},
        /* the same one still: what systemd says is about it */
        {{FAILED, .result = "exit-code", .code = CLD_EXITED, .status = 3, .invocation = A}, {.end = crash},
            PROCESS_GONE, FATE_FAILED, "failed at 14:02:03 UTC: exit status 3"},
        {{RUNNING, .invocation = A}, {}, PROCESS_ALIVE, FATE_UNKNOWN,
            "is running since 14:02:03 UTC; its process 812 is alive and has closed the socket"},
        /* systemd has forgotten the unit */
        {{.known = true, .load = "not-found", .active = "inactive", .sub = "dead"}, {.end = crash}, PROCESS_GONE,
            FATE_FAILED, "failed at 14:01:56 UTC: exit status 3"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Facts facts = facts_of(&cases[i]);
        strcpy(facts.question.invocation, A);
        judge_facts(&facts, &cases[i]);
    }
}

static void expect_summary(const Facts *facts, const char *expected) {
    Judgement judgement;
    cause_judge(facts, &judgement);
    _cleanup_free_ char *summary = cause_summary(facts, &judgement);
    assert_string_equal(summary, expected);
}

static void test_subjects(void **state) {
    Facts facts = {.question = {.user = USER_NONE, .pid = 812}, .process = PROCESS_GONE, .now = ASKED};
    expect_summary(&facts, "Process 812 has ended");
    facts.process = PROCESS_UNKNOWN;
    expect_summary(&facts, "What became of process 812 is not known");
    facts.process = PROCESS_ALIVE;
    expect_summary(&facts, "Process 812 is alive and has closed the socket");
    facts.question.open = true;
    expect_summary(&facts, "Process 812 is alive");
    facts = (Facts){.question = {.user = USER_NONE}};
    expect_summary(&facts, "Who held the port is not known");
    facts = (Facts){.question = {.unit = "app\\x2d1@a.service", .user = 1000},
        .journal = {.end = {.result = "success", .asked = true, .at = AT - 86400 * USEC_PER_SEC}},
        .now = ASKED};
    expect_summary(
        &facts, "app\\\\x2d1@a.service (of user 1000's own systemd) was stopped at 2026-02-28 14:02:03 UTC on request");
}

static void test_document(void **state) {
    Case c = {{FAILED, .result = "signal", .code = CLD_KILLED, .status = SIGKILL, .restarts = 5, .restart = "always"},
        {.oom = true, .lines = {(char *)"one", (char *)"two \\x1b"}, .n_lines = 2}, PROCESS_GONE};
    Facts facts = facts_of(&c);
    facts.missing = (char *)"nothing much";
    _cleanup_(cause_answer_done) CauseAnswer answer = {0};
    assert_int_equal(cause_document(&facts, &answer), 0);
    assert_int_equal(answer.fate, FATE_FAILED);
    assert_string_equal(answer.document,
        "{\"unit\":\"myapp.service\",\"state\":\"failed\",\"sub\":\"failed\",\"result\":\"signal\",\"exit\":null,"
        "\"signal\":\"SIGKILL\",\"restarts\":5,\"since\":\"2026-03-01T14:02:03.000000Z\",\"process\":\"gone\","
        "\"oom\":true,\"summary\":\"myapp.service failed at 14:02:03 UTC: killed by SIGKILL for want of memory; "
        "restart "
        "limit reached after 5 restarts\",\"journal\":[\"one\",\"two \\\\x1b\"],\"missing\":\"nothing much\"}");
}

static void test_document_of_nothing(void **state) {
    Facts facts = {.question = {.user = USER_NONE}};
    _cleanup_(cause_answer_done) CauseAnswer answer = {0};
    assert_int_equal(cause_document(&facts, &answer), 0);
    assert_int_equal(answer.fate, FATE_UNKNOWN);
    assert_string_equal(answer.document,
        "{\"unit\":null,\"state\":null,\"sub\":null,\"result\":null,\"exit\":null,\"signal\":null,\"restarts\":null,"
        "\"since\":null,\"process\":null,\"oom\":false,\"summary\":\"Who held the port is not known\",\"journal\":[],"
        "\"missing\":null}");
}

int main(void) {
    setenv("TZ", "UTC", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_restart_limit),
        cmocka_unit_test(test_stops),
        cmocka_unit_test(test_returning),
        cmocka_unit_test(test_not_ended),
        cmocka_unit_test(test_invocations),
        cmocka_unit_test(test_subjects),
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_document_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
