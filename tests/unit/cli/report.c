#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/report.h"

#define NOW INT64_C(1772370123000000)

static void test_exit_codes(void **state) {
    Incident incident = {.aspect = ASPECT_SURFACE};
    NotifierHealth health = {.name = (char *)"ops", .failing_since = NOW - 3500 * USEC_PER_SEC};
    Report report = {.running = 1, .now = NOW};
    assert_int_equal(report_judge(&report), 0);
    report.notifiers = &health;
    report.n_notifiers = 1;
    assert_int_equal(report_judge(&report), 0); /* failing, but not for an hour */
    report.state.incidents = &incident;
    report.state.n_incidents = 1;
    assert_int_equal(report_judge(&report), 1);
    incident.aspect = ASPECT_SELF;
    assert_int_equal(report_judge(&report), 2); /* blind */
    report.state.n_incidents = 0;
    health.failing_since = NOW - 3700 * USEC_PER_SEC;
    assert_int_equal(report_judge(&report), 2);
    health.left = NOW; /* nobody waits for that one any more */
    assert_int_equal(report_judge(&report), 0);
    report.coverage = json_pack("{ss}", "configuration", "portwatch.conf:3: [portwatch] settel: unknown key");
    assert_int_equal(report_judge(&report), 1);
    json_decref(report.coverage);
    report.coverage = json_pack("{sn}", "configuration");
    assert_int_equal(report_judge(&report), 0);
    json_decref(report.coverage);
    report.coverage = NULL;
    report.store_reason = (char *)"no permission";
    assert_int_equal(report_judge(&report), 2);
    report.store_reason = NULL;
    report.running = 0;
    assert_int_equal(report_judge(&report), 2);
    report.running = -13;
    assert_int_equal(report_judge(&report), 2);
}

static bool absent(const char *server, const char *address, bool v6only, uint16_t port) {
    Setting setting = {.key = (char *)"server", .value = (char *)server};
    NotifierRule rule = {.plugin = (char *)"email", .settings = server ? &setting : NULL, .n_settings = server != NULL};
    Snapshot snapshot = {.without_owner = 0};
    if (address) {
        Endpoint endpoint = {.protocol = PROTOCOL_TCP, .port = port, .v6only = v6only};
        assert_true(address_parse(address, &endpoint.address));
        endpoints_take(&snapshot.endpoints, &endpoint);
    }
    bool result = mailserver_absent(&snapshot, &rule);
    snapshot.tables[TABLE_TCP4] = TABLE_INCOMPLETE;
    assert_false(mailserver_absent(&snapshot, &rule)); /* not seen is not absent */
    snapshot_done(&snapshot);
    return result;
}

static void test_mail_server(void **state) {
    assert_true(absent(NULL, NULL, false, 0));
    assert_true(absent("smtp://localhost:25", NULL, false, 0));
    assert_false(absent("smtp://localhost:25", "127.0.0.1", false, 25));
    assert_false(absent("smtp://localhost:25", "::1", true, 25));
    assert_false(absent("smtp://localhost", "0.0.0.0", false, 25));
    assert_true(absent("smtp://localhost", "0.0.0.0", false, 2525));
    assert_true(absent("smtp://localhost:25", "10.0.0.5", false, 25));
    assert_true(absent("smtp://127.0.0.1:25", "::", true, 25));
    assert_false(absent("smtp://127.0.0.1:25", "::", false, 25)); /* dual-stack */
    assert_true(absent("smtps://[::1]", "::1", true, 25));
    assert_false(absent("smtps://[::1]", "::1", true, 465));
    /* Of other hosts nothing is known, and nothing said. */
    assert_false(absent("smtp://mail.example.com:25", NULL, false, 0));
    assert_false(absent("nonsense", NULL, false, 0));
    NotifierRule hook = {.plugin = (char *)"webhook"};
    assert_false(mailserver_absent(&(Snapshot){.without_owner = 0}, &hook));
}

static void test_no_notifier(void **state) {
    _cleanup_(rules_freep) Rules *rules = rules_new();
    const Cli cli = {.config = "/etc/portwatch.conf"};
    char **notes = NULL;
    assert_int_equal(report_note_notifiers(&cli, rules, &notes), 0);
    assert_int_equal(strv_length(notes), 1);
    assert_non_null(strstr(notes[0], "No notifier is configured"));
    assert_non_null(strstr(notes[0], "/etc/portwatch.conf"));
    strv_free(notes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_mail_server),
        cmocka_unit_test(test_no_notifier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
