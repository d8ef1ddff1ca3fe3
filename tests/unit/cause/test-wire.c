/* Questions and answers as bytes, from honest and from hostile sides; lines of the journal. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cause/about.h"
#include "cause/document.h"
#include "cause/journal.h"
#include "core/cleanup.h"
#include "core/text.h"

static void test_unit_names(void **state) {
    assert_true(unit_name_valid("a.service"));
    assert_true(unit_name_valid("postgresql@15-main.service"));
    assert_true(unit_name_valid("dev-disk-by\\x2duuid.mount"));
    assert_true(unit_name_valid("session-3.scope"));
    static const char *const bad[] = {"", ".service", "socket activation", "a b.service", "a.service\n", "../x.service",
        "a/b.service", "\xff.service", "a.servic", "a.service.d", "0123456789abcdef0123456789abcdef", "a\"b.service"};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) assert_false(unit_name_valid(bad[i]));
    char longest[UNIT_NAME_MAX + 1];
    memset(longest, 'a', sizeof(longest));
    memcpy(longest + UNIT_NAME_MAX - 1 - 8, ".service", 9);
    assert_true(unit_name_valid(longest));
    memset(longest, 'a', sizeof(longest));
    memcpy(longest + UNIT_NAME_MAX - 8, ".service", 9);
    assert_false(unit_name_valid(longest));
}

static void test_question(void **state) {
    CauseQuestion in = {
        .unit = "app@\\x2d.service",
        .user = 1000,
        .invocation = "0123456789abcdef0123456789abcdef",
        .pid = 77,
        .started = 5,
        .since = 6,
        .open = true,
        .process = PROCESS_ALIVE,
    };
    CauseQuestion out;
    _cleanup_free_ char *text = NULL;
    uint64_t id = 0;
    assert_int_equal(cause_question_print(42, &in, &text), 0);
    assert_true(strlen(text) < QUESTION_BYTES_MAX);
    assert_int_equal(cause_question_parse(text, strlen(text), &id, &out), 0);
    assert_int_equal(id, 42);
    assert_string_equal(out.unit, in.unit);
    assert_string_equal(out.invocation, in.invocation);
    assert_int_equal(out.user, 1000);
    assert_int_equal(out.pid, 77);
    assert_int_equal(out.started, 5);
    assert_int_equal(out.since, 6);
    assert_true(out.open);
    assert_int_equal(out.process, PROCESS_ALIVE);
    for (size_t n = 0; n < strlen(text); n++) assert_int_equal(cause_question_parse(text, n, &id, &out), -EBADMSG);

    in = (CauseQuestion){.unit = "x;reboot", .user = USER_NONE};
    char *none = NULL;
    assert_int_equal(cause_question_print(1, &in, &none), -EINVAL);
    in = (CauseQuestion){.invocation = "0123456789ABCDEF0123456789abcdef"};
    assert_int_equal(cause_question_print(1, &in, &none), -EINVAL);
    assert_null(none);
}

static void expect_about(const Owner *owner, const char *unit, uid_t user) {
    CauseQuestion q;
    assert_int_equal(cause_question_about(owner, true, &q), *unit || owner->pid > 0);
    assert_string_equal(q.unit, unit);
    assert_int_equal(q.user, user);
    assert_int_equal(q.pid, owner->pid);
    assert_int_equal(q.started, owner->started);
    assert_true(cause_question_valid(&q));
}

#define TEXT(text) ((char *)(text))

static void test_about_owners(void **state) {
    expect_about(&(Owner){.unit = TEXT("a.service"), .pid = 7, .started = 8}, "a.service", USER_NONE);
    expect_about(
        &(Owner){.unit = TEXT("run.service"), .unit_shown = TEXT("run-u4.service")}, "run-u4.service", USER_NONE);
    expect_about(&(Owner){.unit = TEXT("socket activation"), .pid = 1}, "", USER_NONE);
    expect_about(&(Owner){.uid = 3}, "", USER_NONE);
    Owner user = {.unit = TEXT("a.service"), .slice = TEXT("user-1000.slice"), .user_unit = true, .uid = 5, .pid = 9};
    expect_about(&user, "a.service", 1000);
    /* whose it is cannot be told: not the system's, in any case */
    static const char *const slices[] = {NULL, "", "user-.slice", "user-1000.slicex", "user-1000", "system.slice",
        "user--1.slice", "user-4294967295.slice", "user-4294968296.slice"};
    for (size_t i = 0; i < ELEMENTSOF(slices); i++) {
        user.slice = TEXT(slices[i]);
        expect_about(&user, "", USER_NONE);
    }
}

/* Which run of a unit is asked about: of the one that was seen, and of the system's units alone. */
static void test_about_invocations(void **state) {
    static const char id[] = "0123456789abcdef0123456789abcdef";
    Owner owner = {.unit = TEXT("a.service"), .invocation = TEXT(id), .pid = 7};
    CauseQuestion q;
    assert_true(cause_question_about(&owner, true, &q));
    assert_string_equal(q.invocation, id);
    assert_true(cause_question_about(&owner, false, &q));
    assert_string_equal(q.invocation, "");
    owner.unit = NULL;
    assert_true(cause_question_about(&owner, true, &q));
    assert_string_equal(q.invocation, "");
    owner.unit = TEXT("a.service");
    owner.invocation = TEXT("0123456789abcdef0123456789abcdef0");
    assert_true(cause_question_about(&owner, true, &q));
    assert_string_equal(q.invocation, "");
}

#define GOOD                                                                                                           \
    "\"unit\":\"a.service\",\"state\":\"failed\",\"sub\":null,\"result\":null,\"exit\":1,\"signal\":null,"             \
    "\"restarts\":null,\"since\":null,\"process\":null,\"oom\":false,\"summary\":\"a\",\"missing\":null"

static int parse_cause(const char *cause) {
    _cleanup_free_ char *text = text_printf("{\"id\":7,\"final\":true,\"fate\":\"failed\",\"cause\":{%s}}", cause);
    _cleanup_(cause_answer_done) CauseAnswer answer = {0};
    uint64_t id = 0;
    bool final = false;
    int r = cause_answer_parse(text, strlen(text), &id, &final, &answer);
    if (r == 0) {
        assert_int_equal(id, 7);
        assert_true(final);
        assert_int_equal(answer.fate, FATE_FAILED);
        assert_non_null(answer.document);
    }
    return r;
}

static void test_answer(void **state) {
    assert_int_equal(parse_cause(GOOD ",\"journal\":[]"), 0);
    assert_int_equal(parse_cause(GOOD ",\"journal\":[\"a\\\\\\\\x1b \\\\x1b \xc3\xbc\"]"), 0);
    static const char *const bad[] = {
        GOOD,                              /* a member less */
        GOOD ",\"journal\":[],\"more\":1", /* one more */
        GOOD ",\"journal\":[1]",           /* wrong types */
        GOOD ",\"journal\":\"x\"",
        GOOD ",\"journal\":[null]",           /* */
        GOOD ",\"journal\":[\"\\u001b[2J\"]", /* not escaped */
        GOOD ",\"journal\":[\"a\\nb\"]",      /* */
        GOOD ",\"journal\":[\"\\u202e\"]",    /* */
        GOOD ",\"journal\":[\"a\\u0000b\"]",  /* */
        GOOD ",\"journal\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\",\"10\",\"11\"]",
        GOOD ",\"journal\":[],\"unit\":\"twice\"",
    };
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) assert_int_equal(parse_cause(bad[i]), -EBADMSG);
    CauseAnswer none;
    uint64_t id;
    bool final;
    static const char *const frames[] = {"", "{}", "[]", "{\"id\":1,\"final\":true,\"fate\":\"failed\",\"cause\":{}}",
        "{\"id\":1,\"final\":true,\"fate\":\"odd\",\"cause\":{" GOOD ",\"journal\":[]}}",
        "{\"id\":1,\"final\":true,\"fate\":\"failed\",\"cause\":{" GOOD ",\"journal\":[]},\"x\":1}"};
    for (size_t i = 0; i < ELEMENTSOF(frames); i++)
        assert_int_equal(cause_answer_parse(frames[i], strlen(frames[i]), &id, &final, &none), -EBADMSG);
}

/* The largest that can come about fits one datagram, and is taken by the other side. */
static void test_largest_answer(void **state) {
    Facts facts = {.question = {.user = USER_NONE}, .now = 1};
    memset(facts.question.unit, 'a', UNIT_NAME_MAX - 1);
    memset(facts.question.unit, '\\', UNIT_NAME_MAX - 1 - 8);
    memcpy(facts.question.unit + UNIT_NAME_MAX - 1 - 8, ".service", 9);
    char message[LINE_MAX_BYTES * 2];
    memset(message, '\\', sizeof(message));
    for (size_t i = 0; i < CAUSE_LINES_MAX; i++)
        facts.journal.lines[i] = journal_line(1, "\\\\\\\\\\", "1", message, sizeof(message));
    facts.journal.n_lines = CAUSE_LINES_MAX;
    facts.missing = strdup("something");
    _cleanup_(cause_answer_done) CauseAnswer answer = {0}, back = {0};
    _cleanup_free_ char *text = NULL;
    uint64_t id;
    bool final = true;
    assert_int_equal(cause_document(&facts, &answer), 0);
    assert_int_equal(cause_answer_print(9, false, &answer, &text), 0);
    assert_int_equal(cause_answer_parse(text, strlen(text), &id, &final, &back), 0);
    assert_false(final);
    assert_string_equal(answer.document, back.document);
    facts_done(&facts);
}

static void expect_line(const char *identifier, const char *message, size_t length, const char *expected) {
    _cleanup_free_ char *line = journal_line(INT64_C(1772373723) * USEC_PER_SEC, identifier, "812", message, length);
    assert_string_equal(line, expected);
}

static void test_lines(void **state) {
    expect_line("myapp", "hello", 5, "Mar 01 14:02:03 myapp[812]: hello");
    expect_line("", "", 0, "Mar 01 14:02:03 ?[812]: ");
    expect_line("my\033app", "a\033[2J\xff\0b", 8, "Mar 01 14:02:03 my\\x1bapp[812]: a\\x1b[2J\\xff\\x00b");
    expect_line("myapp", "first\nsecond", 12, "Mar 01 14:02:03 myapp[812]: first");
    char wide[LINE_MAX_BYTES * 3];
    for (size_t i = 0; i < sizeof(wide); i++) wide[i] = i % 2 ? '\xbc' : '\xc3';
    _cleanup_free_ char *line = journal_line(1, "x", "1", wide, sizeof(wide)), *again = NULL;
    assert_true(strlen(line) <= LINE_MAX_BYTES && strlen(line) > LINE_MAX_BYTES - 8);
    assert_string_equal(line + strlen(line) - 5, "\xc3\xbc...");
    again = text_escape(line, strlen(line));
    assert_string_equal(again, line); /* valid to its end */
}

static void test_words(void **state) {
    char word[WORD_MAX];
    word_copy("auto-restart", 12, word);
    assert_string_equal(word, "auto-restart");
    word_copy("Auto", 4, word);
    assert_string_equal(word, "");
    word_copy("a\"b", 3, word);
    assert_string_equal(word, "");
    word_copy("abcdefghijklmnopqrstuvwxyz-abcdefgh", 35, word);
    assert_string_equal(word, "");
}

int main(void) {
    setenv("TZ", "UTC", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unit_names),
        cmocka_unit_test(test_question),
        cmocka_unit_test(test_about_owners),
        cmocka_unit_test(test_about_invocations),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_largest_answer),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
