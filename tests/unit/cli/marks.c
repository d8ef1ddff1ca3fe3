#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/marks.h"
#include "notify/phrase.h"

static void listen_at(Endpoints *list, const char *address, uint16_t port, const char *exe) {
    Endpoint endpoint = {.protocol = PROTOCOL_TCP, .port = port, .count = 1};
    assert_true(address_parse(address, &endpoint.address));
    endpoint.v6only = endpoint.address.family == AF_INET6;
    if (exe) {
        Owner *owner = owner_new();
        owner->exe = strdup(exe);
        owner->uid = 0;
        endpoint_add_owner(&endpoint, owner);
        owner_unref(owner);
    }
    endpoints_take(list, &endpoint);
}

static void setup(Look *look) {
    *look = (Look){.rules = rules_new()};
    look->state.learned = true;
    look->snapshot.ephemeral_first = 32768;
    look->snapshot.ephemeral_last = 60999;
}

/* The word of the only, or first, endpoint on `port` at `address`. */
static const char *word_of(Look *look, const char *address, uint16_t port) {
    Address wanted;
    static Mark marks[32];
    address_parse(address, &wanted);
    endpoints_sort(&look->state.baseline);
    endpoints_sort(&look->snapshot.endpoints);
    views_done(&look->views);
    assert_int_equal(views_make(look->rules, &look->state.baseline, &look->snapshot, NULL, 0, &look->views), 0);
    memset(marks, 0, sizeof marks);
    assert_int_equal(marks_make(look, marks), 0);
    for (size_t i = 0; i < look->snapshot.endpoints.n; i++) {
        const Endpoint *endpoint = &look->snapshot.endpoints.items[i];
        assert_non_null(marks[i].view);
        if (endpoint->port == port && address_compare(&endpoint->address, &wanted) == 0) return marks[i].word;
    }
    fail_msg("%s:%u is not in the snapshot", address, port);
    return NULL;
}

static void test_words(void **state) {
    _cleanup_(look_done) Look look;
    setup(&look);
    listen_at(&look.state.baseline, "0.0.0.0", 22, "/usr/sbin/sshd");
    listen_at(&look.snapshot.endpoints, "0.0.0.0", 22, "/usr/sbin/sshd");
    listen_at(&look.snapshot.endpoints, "0.0.0.0", 8080, "/usr/bin/python3");
    listen_at(&look.state.baseline, "0.0.0.0", 80, "/usr/sbin/nginx");
    listen_at(&look.snapshot.endpoints, "0.0.0.0", 80, "/usr/bin/python3");
    listen_at(&look.state.baseline, "127.0.0.1", 5432, "/usr/bin/postgres");
    listen_at(&look.snapshot.endpoints, "127.0.0.1", 5432, "/usr/bin/postgres");
    listen_at(&look.snapshot.endpoints, "0.0.0.0", 5432, "/usr/bin/postgres");
    assert_string_equal(word_of(&look, "0.0.0.0", 22), "match");
    assert_string_equal(word_of(&look, "0.0.0.0", 8080), "new");
    assert_string_equal(word_of(&look, "0.0.0.0", 80), "owner");
    assert_string_equal(word_of(&look, "127.0.0.1", 5432), "match");
    assert_string_equal(word_of(&look, "0.0.0.0", 5432), "address");
}

static void test_no_baseline_and_no_look(void **state) {
    _cleanup_(look_done) Look look;
    setup(&look);
    listen_at(&look.snapshot.endpoints, "0.0.0.0", 8080, "/usr/bin/python3");
    look.snapshot.tables[TABLE_TCP6] = TABLE_INCOMPLETE;
    assert_string_equal(word_of(&look, "0.0.0.0", 8080), "unknown");
    look.state_reason = strdup("there is none");
    assert_null(word_of(&look, "0.0.0.0", 8080));
}

static void test_ignored(void **state) {
    _cleanup_(look_done) Look look;
    setup(&look);
    look.rules->unlisted = WATCH_IGNORE;
    listen_at(&look.snapshot.endpoints, "0.0.0.0", 8080, "/usr/bin/python3");
    assert_string_equal(word_of(&look, "0.0.0.0", 8080), "ignored");
}

/* Among the ephemeral ports one more of another program is new, the same program under another number is not. */
static void test_ephemeral(void **state) {
    _cleanup_(look_done) Look look;
    setup(&look);
    listen_at(&look.state.baseline, "0.0.0.0", 40001, "/usr/sbin/rpc.statd");
    listen_at(&look.snapshot.endpoints, "0.0.0.0", 40002, "/usr/sbin/rpc.statd");
    assert_string_equal(word_of(&look, "0.0.0.0", 40002), "match");
    listen_at(&look.snapshot.endpoints, "0.0.0.0", 40003, "/tmp/other");
    assert_string_equal(word_of(&look, "0.0.0.0", 40002), "match");
    assert_string_equal(word_of(&look, "0.0.0.0", 40003), "new");
}

static void test_document_says_what_a_mail_says(void **state) {
    _cleanup_(look_done) Look look;
    setup(&look);
    listen_at(&look.state.baseline, "127.0.0.1", 5432, "/usr/bin/postgres");
    listen_at(&look.snapshot.endpoints, "0.0.0.0", 5432, "/usr/bin/postgres");
    word_of(&look, "0.0.0.0", 5432);
    json_t *document = look_document(&look, &look.views.items[0]);
    char *summary = phrase_summary(document);
    assert_string_equal(summary, "5432/tcp now on all IPv4 addresses (was this host only): postgres (uid 0)");
    free(summary);
    json_decref(document);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_no_baseline_and_no_look),
        cmocka_unit_test(test_ignored),
        cmocka_unit_test(test_ephemeral),
        cmocka_unit_test(test_document_says_what_a_mail_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
