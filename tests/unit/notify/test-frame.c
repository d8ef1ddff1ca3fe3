#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "notify/frame.h"
#include "notify/wire.h"

static void round_trip(const Frame *frame, Frame *ret) {
    char *bytes = NULL, *again = NULL;
    size_t length = 0, length_again = 0;
    assert_int_equal(frame_print(frame, 1 << 20, &bytes, &length), 0);
    assert_int_equal(frame_parse(bytes + WIRE_HEADER, length - WIRE_HEADER, ret), 0);
    assert_int_equal(frame_print(ret, 1 << 20, &again, &length_again), 0);
    assert_int_equal(length, length_again);
    assert_memory_equal(bytes, again, length);
    free(bytes);
    free(again);
}

static void test_hello(void **state) {
    (void)state;
    FrameKey keys[] = {{(char *)"url", 5}, {(char *)"secret", 36}};
    char *missing[] = {(char *)"landlock: none", NULL};
    Frame in = {.type = FRAME_HELLO, .keys = keys, .n_keys = 2, .missing = missing}, out = {0};
    round_trip(&in, &out);
    assert_int_equal(out.n_keys, 2);
    assert_string_equal(out.keys[1].name, "secret");
    assert_int_equal(out.keys[1].flags, 36);
    assert_string_equal(out.missing[0], "landlock: none");
    frame_done(&out);
}

static void test_deliver(void **state) {
    (void)state;
    char *references[] = {(char *)"a", (char *)"b", NULL};
    Frame in = {.type = FRAME_DELIVER, .recipient = (char *)"ops@example.com", .timeout = 5};
    in.message = (Message){.id = "id-1",
        .notifier = (char *)"n",
        .host = (char *)"h",
        .formed = 17,
        .subject = (char *)"s \xc3\xbc",
        .text = (char *)"line\nline\n",
        .document = (char *)"{\"a\":\"\\u0000\"}",
        .references = references};
    Frame out = {0};
    round_trip(&in, &out);
    assert_string_equal(out.message.text, "line\nline\n");
    assert_string_equal(out.message.document, "{\"a\":\"\\u0000\"}");
    assert_string_equal(out.message.references[1], "b");
    assert_int_equal(out.timeout, 5);
    frame_done(&out);
    in.message.subject = (char *)"\xff";
    char *bytes = NULL;
    size_t length = 0;
    assert_int_equal(frame_print(&in, 1000, &bytes, &length), -EINVAL);
    in.message.subject = (char *)"s";
    assert_int_equal(frame_print(&in, 20, &bytes, &length), -EMSGSIZE);
}

static void test_others(void **state) {
    (void)state;
    FrameSetting settings[] = {{(char *)"k", (char *)"v"}};
    FrameFault faults[] = {{(char *)"k", -1, (char *)"bad"}, {(char *)"l", 3, (char *)"worse"}};
    Frame configure = {.type = FRAME_CONFIGURE, .settings = settings, .n_settings = 1}, out = {0};
    round_trip(&configure, &out);
    assert_string_equal(out.settings[0].value, "v");
    frame_done(&out);
    Frame configured = {.type = FRAME_CONFIGURED, .faults = faults, .n_faults = 2};
    round_trip(&configured, &out);
    assert_int_equal(out.faults[1].setting, 3);
    assert_null(out.recipients);
    frame_done(&out);
    Frame result = {.type = FRAME_RESULT,
        .id = "x",
        .recipient = (char *)"",
        .outcome = OUTCOME_REFUSED,
        .code = 550,
        .retry_after = 9,
        .reason = (char *)"no"};
    round_trip(&result, &out);
    assert_int_equal(out.outcome, OUTCOME_REFUSED);
    assert_string_equal(out.reason, "no");
    frame_done(&out);
    Frame heartbeat = {.type = FRAME_HEARTBEAT, .message = {.id = "heartbeat"}, .timeout = 7};
    round_trip(&heartbeat, &out);
    assert_string_equal(out.message.id, "heartbeat");
    assert_int_equal(out.timeout, 7);
    frame_done(&out);
    Frame broken = {.type = FRAME_BROKEN, .reason = (char *)"why"};
    round_trip(&broken, &out);
    frame_done(&out);
}

static void test_nonsense_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "1",
        "null",
        "{}",
        "{\"type\":1}",
        "{\"type\":\"other\"}",
        "{\"type\":\"hello\"}",
        "{\"type\":\"hello\",\"keys\":{},\"missing\":[]}",
        "{\"type\":\"hello\",\"keys\":[1],\"missing\":[]}",
        "{\"type\":\"hello\",\"keys\":[{\"name\":\"a\"}],\"missing\":[]}",
        "{\"type\":\"hello\",\"keys\":[{\"name\":\"a\",\"flags\":-1}],\"missing\":[]}",
        "{\"type\":\"hello\",\"keys\":[{\"name\":\"a\",\"flags\":1,\"x\":1}],\"missing\":[]}",
        "{\"type\":\"hello\",\"keys\":[],\"missing\":[1]}",
        "{\"type\":\"hello\",\"keys\":[],\"missing\":[],\"more\":1}",
        "{\"type\":\"hello\",\"type\":\"hello\",\"keys\":[],\"missing\":[]}",
        "{\"type\":\"broken\",\"reason\":null}",
        "{\"type\":\"broken\",\"reason\":\"a\\u0000b\"}",
        "{\"type\":\"broken\",\"reason\":\"\xff\"}",
        "{\"type\":\"broken\",\"reason\":\"a\"} x",
        "{\"type\":\"result\",\"id\":\"x\",\"recipient\":\"\",\"outcome\":3,\"code\":0,\"retry_after\":0}",
        "{\"type\":\"result\",\"id\":\"x\",\"recipient\":\"\",\"outcome\":0,\"code\":-1,\"retry_after\":0}",
        "{\"type\":\"result\",\"id\":\"x\",\"recipient\":\"\",\"outcome\":0,\"code\":0,\"retry_after\":1.5}",
        "{\"type\":\"result\",\"id\":\"0123456789012345678901234567890123456\",\"recipient\":\"\",\"outcome\":0}",
        "{\"type\":\"configured\",\"faults\":[{\"key\":\"a\",\"setting\":512,\"reason\":\"b\"}],\"recipients\":[]}",
        "{\"type\":\"configured\",\"faults\":[],\"recipients\":null}",
    };
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        Frame frame = {.n_keys = 77};
        assert_int_equal(frame_parse(bad[i], strlen(bad[i]), &frame), -EBADMSG);
        assert_int_equal(frame.n_keys, 77);
    }
}

static void test_too_many(void **state) {
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fputs("{\"type\":\"configured\",\"faults\":[],\"recipients\":[", out);
    for (int i = 0; i <= FRAME_LIST_MAX; i++) fprintf(out, "%s\"r%d\"", i ? "," : "", i);
    fputs("]}", out);
    fclose(out);
    Frame frame = {0};
    assert_int_equal(frame_parse(text, size, &frame), -EBADMSG);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_deliver),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_nonsense_is_refused),
        cmocka_unit_test(test_too_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
