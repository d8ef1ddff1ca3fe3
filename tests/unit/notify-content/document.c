#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "notify/phrase.h"
#include "samples.h"

static const char *text_at(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static json_t *data_of(const json_t *document) {
    return json_object_get(document, "data");
}

static void test_envelope(void **state) {
    _cleanup_(event_done) Event event;
    sample_widened(&event, EVENT_OPENED);
    _cleanup_json_ json_t *document = sample_document(&event);
    assert_non_null(document);
    assert_string_equal(text_at(document, "specversion"), "1.0");
    assert_string_equal(text_at(document, "id"), event.id);
    assert_string_equal(text_at(document, "source"), "//db1.example.com/portwatch");
    assert_string_equal(text_at(document, "type"), "portwatch.incident.opened");
    assert_string_equal(text_at(document, "subject"), "tcp/5432");
    assert_string_equal(text_at(document, "time"), "2026-03-01T13:02:09.000000Z");
    const json_t *data = data_of(document);
    assert_int_equal(json_integer_value(json_object_get(data, "schema")), 1);
    assert_string_equal(text_at(data, "incident"), "K7Q2");
    assert_string_equal(text_at(data, "status"), "open");
    assert_string_equal(text_at(data, "change"), "address");
    assert_string_equal(text_at(data, "reach"), "widened");
    assert_string_equal(text_at(data, "severity"), "critical");
    assert_string_equal(text_at(data, "summary"), "5432/tcp now on all addresses (was this host only): postgres");
    assert_int_equal(json_array_size(json_object_get(data, "before")), 1);
    assert_int_equal(json_array_size(json_object_get(data, "after")), 2);
    assert_true(json_is_null(json_object_get(data, "cause")));
    const json_t *diff = json_object_get(data, "diff");
    assert_int_equal(json_array_size(diff), 3);
    assert_string_equal(json_string_value(json_array_get(diff, 0)), "- tcp 127.0.0.1:5432 postgres");
    assert_string_equal(json_string_value(json_array_get(diff, 2)), "+ tcp6 :::5432 postgres");
    assert_null(json_object_get(data, "ending"));
}

static void test_resolved(void **state) {
    _cleanup_(event_done) Event event;
    sample_widened(&event, EVENT_RESOLVED);
    _cleanup_json_ json_t *document = sample_document(&event);
    const json_t *data = data_of(document);
    assert_string_equal(text_at(data, "ending"), "returned");
    assert_string_equal(text_at(data, "status"), "resolved");
    assert_true(json_is_null(json_object_get(data, "by")));
    assert_int_equal(json_array_size(json_object_get(data, "expected")), 1);
    /* Nothing is left to accept. */
    assert_int_equal(json_array_size(json_object_get(data, "next")), 1);
}

static void test_endpoint_fields(void **state) {
    _cleanup_(event_done) Event event;
    sample_widened(&event, EVENT_OPENED);
    Endpoint *endpoint = &event.after.items[0];
    strcpy(endpoint->device, "eth0");
    endpoint->count = 4;
    _cleanup_json_ json_t *json = document_endpoint(endpoint);
    static const char *const keys[] = {
        "protocol", "address", "port", "device", "v6only", "count", "namespace", "owner"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) assert_non_null(json_object_get(json, keys[i]));
    assert_int_equal(json_object_size(json), sizeof keys / sizeof *keys);
    assert_string_equal(text_at(json, "device"), "eth0");
    const json_t *owner = json_object_get(json, "owner");
    static const char *const owner_keys[] = {"unit", "exe", "user", "uid", "pid", "comm", "cmdline", "started"};
    for (size_t i = 0; i < sizeof owner_keys / sizeof *owner_keys; i++)
        assert_non_null(json_object_get(owner, owner_keys[i]));
    assert_int_equal(json_integer_value(json_object_get(owner, "pid")), 8123);
}

static void test_several_owners(void **state) {
    Endpoints list = {0};
    sample_listen(&list, "0.0.0.0", 80, sample_owner("a.service", "/usr/bin/a", "alice", 1, 10));
    Owner *other = sample_owner("b.service", "/usr/bin/b", "bob", 2, 20);
    assert_int_equal(endpoint_add_owner(&list.items[0], other), 0);
    owner_unref(other);
    _cleanup_json_ json_t *json = document_endpoint(&list.items[0]);
    assert_int_equal(json_array_size(json_object_get(json, "owners")), 2);
    assert_true(json_equal(json_object_get(json, "owner"), json_array_get(json_object_get(json, "owners"), 0)));
    endpoints_done(&list);
}

/* No byte a terminal, a header or a script element acts on is left anywhere in the text. */
static void assert_harmless(const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) assert_true(*p >= 0x20 && *p != 0x7f);
    assert_null(strstr(text, "</"));
    assert_null(strstr(text, "\\u001b"));
    assert_null(strstr(text, "\\r"));
    assert_null(strstr(text, "\\n"));
}

static void test_hostile(void **state) {
    static const EventType types[] = {EVENT_OPENED, EVENT_CHANGED, EVENT_REMINDER, EVENT_RESOLVED};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        _cleanup_(event_done) Event event;
        sample_hostile(&event, types[i]);
        event.by = strdup(HOSTILE_NAME);
        event.reason = strdup(HOSTILE_NAME);
        _cleanup_free_ char *text = document_event(&event, "h\r\nst", HOSTILE_NAME, NULL, NULL);
        assert_non_null(text);
        assert_harmless(text);
        _cleanup_json_ json_t *document = document_parse(text);
        const json_t *data = data_of(document);
        assert_string_equal(text_at(data, "name"), "x\\x0d\\x0aBcc: a@b\\x1b[2J\"</script>");
        /* Commands are made of our own words only. */
        const json_t *next = json_object_get(data, "next");
        for (size_t k = 0; k < json_array_size(next); k++) {
            const char *command = text_at(json_array_get(next, k), "command");
            assert_null(strstr(command, "Bcc"));
            assert_null(strpbrk(command, "$`;&|<>"));
        }
    }
}

static void test_hostile_token(void **state) {
    _cleanup_(event_done) Event event;
    sample_hostile(&event, EVENT_OPENED);
    strcpy(event.incident.token, "$(id)");
    _cleanup_json_ json_t *document = sample_document(&event);
    const json_t *next = json_object_get(data_of(document), "next");
    assert_int_equal(json_array_size(next), 1);
}

static void test_stated_names_the_file(void **state) {
    _cleanup_(event_done) Event event;
    sample_widened(&event, EVENT_OPENED);
    _cleanup_(rules_freep) Rules *rules = rules_new();
    rules->ports = calloc(1, sizeof *rules->ports);
    rules->n_ports = 1;
    rules->ports[0] =
        (PortRule){.first = 5432, .last = 5432, .protocol = PROTOCOL_TCP, .header = strdup("port:5432/tcp")};
    rules->ports[0].stated_place = (Place){.file = strdup("/etc/portwatch.conf"), .line = 12};
    _cleanup_free_ char *text = document_event(&event, "db1", NULL, NULL, rules);
    assert_non_null(strstr(text, "sudoedit /etc/portwatch.conf   # line 12 states it"));
    assert_null(strstr(text, "portwatch accept"));
    assert_non_null(strstr(text, "\"machine_id\":null"));
}

static void test_minimal(void **state) {
    _cleanup_(event_done) Event event;
    sample_hostile(&event, EVENT_RESOLVED);
    _cleanup_json_ json_t *document = sample_document(&event);
    _cleanup_json_ json_t *array = json_pack("[O]", document);
    _cleanup_json_ json_t *minimal = document_minimal(array);
    _cleanup_free_ char *full_text = document_text(array), *text = document_text(minimal);
    assert_non_null(strstr(full_text, "reboot"));
    assert_null(strstr(text, "reboot"));
    assert_null(strstr(text, "cmdline"));
    assert_non_null(strstr(text, "\"comm\""));
}

static void test_ephemeral(void **state) {
    _cleanup_(event_done) Event event;
    sample_event(&event, EVENT_OPENED, CHANGE_OPENED, 0);
    event.surface.local = true;
    sample_listen(&event.after, "127.0.0.1", 40001, NULL);
    _cleanup_json_ json_t *document = sample_document(&event);
    assert_string_equal(text_at(document, "subject"), "tcp/ephemeral-local");
    assert_true(json_is_null(json_object_get(data_of(document), "port")));
    assert_true(json_is_true(json_object_get(data_of(document), "local")));
    assert_string_equal(
        text_at(data_of(document), "summary"), "ephemeral 40001/tcp opened on this host only: unknown owner");
}

static void test_merge(void **state) {
    static const EventType types[] = {EVENT_OPENED, EVENT_CHANGED, EVENT_RESOLVED};
    json_t *documents[5];
    Event events[5];
    for (size_t i = 0; i < 3; i++) sample_widened(&events[i], types[i]);
    sample_hostile(&events[3], EVENT_OPENED);
    events[4] = (Event){.type = EVENT_TEST, .time = SAMPLE_TIME};
    for (size_t i = 0; i < 5; i++) documents[i] = sample_document(&events[i]);

    /* Two incidents interleaved: each once, at the place of its first event. */
    json_t *mixed[] = {documents[0], documents[3], documents[1], documents[4], documents[2]};
    _cleanup_json_ json_t *merged = document_merge(mixed, 5);
    assert_int_equal(json_array_size(merged), 3);
    const json_t *first = json_array_get(merged, 0), *rows = json_object_get(data_of(first), "merged");
    assert_string_equal(text_at(first, "id"), events[2].id);
    assert_int_equal(json_array_size(rows), 2);
    assert_string_equal(text_at(json_array_get(rows, 0), "id"), events[0].id);
    assert_string_equal(text_at(json_array_get(rows, 1), "id"), events[1].id);
    assert_non_null(text_at(json_array_get(rows, 1), "summary"));
    assert_null(json_object_get(data_of(documents[2]), "merged")); /* arguments stay as they were */

    /* Merging again what was merged keeps all ids; the same event twice counts once. */
    _cleanup_json_ json_t *half = document_merge(documents, 2);
    json_t *again[] = {json_array_get(half, 0), documents[2], documents[2]};
    _cleanup_json_ json_t *whole = document_merge(again, 3);
    assert_int_equal(json_array_size(whole), 1);
    assert_int_equal(json_array_size(json_object_get(data_of(json_array_get(whole, 0)), "merged")), 2);

    /* One left over is a plain object, several are an array. */
    _cleanup_free_ char *one = document_batch(documents, 3), *several = document_batch(mixed, 5);
    assert_int_equal(one[0], '{');
    assert_int_equal(several[0], '[');
    for (size_t i = 0; i < 5; i++) {
        json_decref(documents[i]);
        event_done(&events[i]);
    }
}

static void test_coverage(void **state) {
    Snapshot snapshot = {.without_owner = 3, .owner_trouble = strdup("no CAP_SYS_PTRACE\x1b[2J")};
    snapshot.tables[TABLE_UDPLITE4] = snapshot.tables[TABLE_UDPLITE6] = TABLE_ABSENT;
    snapshot.tables[TABLE_TCP6] = TABLE_INCOMPLETE;
    snapshot.trouble[TABLE_TCP6] = strdup("dump interrupted");
    _cleanup_json_ json_t *coverage = document_coverage(&snapshot, NULL);
    assert_true(json_is_false(json_object_get(coverage, "complete")));
    const json_t *unseen = json_object_get(coverage, "not_seen");
    assert_string_equal(json_string_value(json_array_get(unseen, 0)), "tcp/IPv6 (dump interrupted)");
    assert_string_equal(json_string_value(json_array_get(unseen, 1)), "udplite");
    assert_string_equal(
        json_string_value(json_array_get(unseen, 2)), "the owners of 3 sockets (no CAP_SYS_PTRACE\\x1b[2J)");
    assert_string_equal(text_at(json_object_get(coverage, "tables"), "tcp/IPv6"), "incomplete");
    snapshot_done(&snapshot);
    _cleanup_json_ json_t *none = document_coverage(NULL, NULL);
    assert_true(json_is_null(none));
}

static void test_safe_is_idempotent(void **state) {
    _cleanup_json_ json_t *once = document_string("a\\b\x1b\xff"),
                          *twice = document_string_safe(json_string_value(once));
    assert_string_equal(json_string_value(once), json_string_value(twice));
    _cleanup_json_ json_t *raw = document_string_safe("a\x1b[2J\n");
    assert_string_equal(json_string_value(raw), "a\\x1b[2J\\x0a");
}

static char *owner_phrase(json_t *owner, PhraseDetail detail) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    phrase_owner(out, owner, detail);
    fclose(out);
    json_decref(owner);
    return text;
}

static void test_owner_phrases(void **state) {
    static const struct {
        const char *unit, *exe, *shown, *user, *comm, *expected;
    } cases[] = {
        {"nginx.service", "/usr/sbin/nginx", "", "www-data", "", "nginx (user www-data)"},
        {"x.service", "/usr/lib/postgresql/15/bin/postgres", "", "postgres", "", "postgres"},
        {"nginx.service", "/tmp/nginx", "", "www-data", "", "/tmp/nginx (user www-data)"},
        {"x.service", "/usr/local/bin/x", "", "root", "", "/usr/local/bin/x (user root)"},
        {"", "/tmp/a (user root)", "", "eve", "", "\"/tmp/a (user root)\" (user eve)"},
        {"ssh.socket", "/usr/lib/systemd/systemd", "", "root", "", "systemd for ssh.socket (user root)"},
        {"ssh.socket", "/usr/lib/systemd/systemd", "/usr/sbin/sshd", "root", "", "sshd (user root)"},
        {"", "[kernel]", "", "", "", "the kernel"},
        {"", "", "", "", "nginx", "process nginx (user unknown)"},
        {"", "", "", "", "", "unknown owner"},
        {"a.service", "", "", "root", "", "unknown program (user root)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *owner = json_pack("{ssssssssss}", "unit", cases[i].unit, "exe", cases[i].exe, "exe_shown",
            cases[i].shown, "user", cases[i].user, "comm", cases[i].comm);
        _cleanup_free_ char *text = owner_phrase(owner, PHRASE_NAME);
        assert_string_equal(text, cases[i].expected);
    }
    _cleanup_free_ char *text = owner_phrase(json_null(), PHRASE_NAME);
    assert_string_equal(text, "unknown owner");
}

static char *address_phrase(const char *addresses, bool lengthy) {
    char *copy = strdup(addresses), *text = NULL, *rest = copy;
    json_t *endpoints = json_array();
    for (char *word = strsep(&rest, " "); word; word = strsep(&rest, " ")) {
        char *device = strchr(word, '%');
        if (device) *device++ = '\0';
        bool only = word[0] == '!';
        json_array_append_new(
            endpoints, json_pack("{sssbss?}", "address", word + only, "v6only", only, "device", device));
    }
    size_t size;
    FILE *out = open_memstream(&text, &size);
    phrase_addresses(out, endpoints, lengthy);
    fclose(out);
    json_decref(endpoints);
    free(copy);
    return text;
}

static void test_address_phrases(void **state) {
    static const struct {
        const char *addresses, *expected;
    } cases[] = {
        {"0.0.0.0 !::", "all addresses"},
        {"::", "all addresses"},
        {"!::", "all IPv6 addresses"},
        {"0.0.0.0", "all IPv4 addresses"},
        {"127.0.0.1 ::1", "this host only"},
        {"10.0.0.5", "10.0.0.5"},
        {"10.0.0.5 10.0.0.6", "10.0.0.5 and 10.0.0.6"},
        {"127.0.0.1 10.0.0.5", "10.0.0.5 and this host"},
        {"0.0.0.0 10.0.0.5", "all IPv4 addresses"},
        {"0.0.0.0 2001:db8::1", "all IPv4 addresses and 2001:db8::1"},
        {"0.0.0.0%eth0", "device eth0"},
        {"10.0.0.5%eth0", "10.0.0.5 on device eth0"},
        {"10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5", "10.0.0.1, 10.0.0.2, 10.0.0.3 and 2 more"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_free_ char *text = address_phrase(cases[i].addresses, false);
        assert_string_equal(text, cases[i].expected);
    }
    _cleanup_free_ char *text = address_phrase("0.0.0.0 !::", true);
    assert_string_equal(text, "all IPv4 and IPv6 addresses");
}

int main(void) {
    sample_zone();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_resolved),
        cmocka_unit_test(test_endpoint_fields),
        cmocka_unit_test(test_several_owners),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_hostile_token),
        cmocka_unit_test(test_stated_names_the_file),
        cmocka_unit_test(test_minimal),
        cmocka_unit_test(test_ephemeral),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_safe_is_idempotent),
        cmocka_unit_test(test_owner_phrases),
        cmocka_unit_test(test_address_phrases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
