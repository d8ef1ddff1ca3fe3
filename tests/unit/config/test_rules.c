/* core/rules.h by struct literals. */
#include "support.h"

#include "core/rules.h"

static void test_defaults(void **state) {
    Rules *rules = rules_new();
    const int64_t second = USEC_PER_SEC, day = 86400 * USEC_PER_SEC;

    assert_non_null(rules);
    assert_int_equal(rules->interval, 2 * second);
    assert_int_equal(rules->settle, 5 * second);
    assert_int_equal(rules->settle_closed, 60 * second);
    assert_int_equal(rules->boot_grace, 120 * second);
    assert_int_equal(rules->mode, MODE_PINNED);
    assert_int_equal(rules->unlisted, WATCH_ALERT);
    assert_int_equal(rules->unlisted_local, WATCH_LOG);
    assert_int_equal(rules->upgrades, UPGRADES_LOG);
    assert_int_equal(rules->flapping.returns, 6);
    assert_int_equal(rules->flapping.within, 3600 * USEC_PER_SEC);
    assert_int_equal(rules->namespaces, SCOPE_HOST);
    assert_int_equal(rules->remind, day);
    assert_int_equal(rules->retain, 90 * day);
    assert_null(rules->notify);
    assert_null(rules_find(rules, PROTOCOL_TCP, 80));
    assert_null(rules_notifier(rules, "a"));
    rules_free(rules);
    rules_free(NULL);
}

static void test_severities(void **state) {
    Severity severity;
    for (Severity s = SEVERITY_INFO; s <= SEVERITY_CRITICAL; s++) {
        assert_true(severity_parse(severity_name(s), &severity));
        assert_int_equal(severity, s);
    }
    assert_false(severity_parse("Info", &severity));
    assert_false(severity_parse("", &severity));
    assert_string_equal(severity_name((Severity)99), "unknown");
}

/* Whatever their order, the narrowest counts. */
static void test_find(void **state) {
    PortRule ports[] = {
        {.first = 80, .last = 80, .any_protocol = true},
        {.first = 80, .last = 80, .protocol = PROTOCOL_TCP},
        {.first = 1, .last = 65535, .protocol = PROTOCOL_TCP},
        {.first = 70, .last = 90, .any_protocol = true},
        {.first = 65535, .last = 65535, .protocol = PROTOCOL_UDPLITE},
    };
    Rules rules = {.ports = ports, .n_ports = ELEMENTSOF(ports)};

    assert_ptr_equal(rules_find(&rules, PROTOCOL_TCP, 80), &ports[1]);
    assert_ptr_equal(rules_find(&rules, PROTOCOL_UDP, 80), &ports[0]);
    assert_ptr_equal(rules_find(&rules, PROTOCOL_TCP, 81), &ports[3]);
    assert_ptr_equal(rules_find(&rules, PROTOCOL_TCP, 65535), &ports[2]);
    assert_ptr_equal(rules_find(&rules, PROTOCOL_UDPLITE, 65535), &ports[4]);
    assert_null(rules_find(&rules, PROTOCOL_UDPLITE, 80));
    assert_null(rules_find(&rules, PROTOCOL_UDP, 65535));
    PortRule last = ports[0];
    ports[0] = ports[4];
    ports[4] = last;
    assert_ptr_equal(rules_find(&rules, PROTOCOL_UDP, 80), &ports[4]);
    assert_ptr_equal(rules_find(&rules, PROTOCOL_TCP, 80), &ports[1]);
}

static void test_user_is(void **state) {
    const Owner root = {.uid = 0, .user = (char *)"root"}, nobody = {.uid = UID_UNKNOWN, .user = (char *)"root"};
    const Owner nameless = {.uid = 1234, .user = (char *)"1234"}, large = {.uid = 4294967294U};

    assert_true(rules_user_is("root", &root));
    assert_true(rules_user_is("0", &root));
    assert_true(rules_user_is("1234", &nameless));
    assert_true(rules_user_is("4294967294", &large));
    assert_false(rules_user_is("large", &large));
    assert_false(rules_user_is("daemon", &root));
    assert_false(rules_user_is("0x0", &root));
    assert_false(rules_user_is("", &root));
    assert_false(rules_user_is("4294967296", &root)); /* 2^32 is not 0 */
    assert_false(rules_user_is("99999999999999999999999", &root));
    assert_false(rules_user_is("root", &nobody));
    assert_false(rules_user_is("4294967295", &nobody));
    assert_false(rules_user_is("root", NULL));
}

static void test_ignores(void **state) {
    IgnoreRule ignores[] = {
        {.unit = (char *)"a.service", .exe = (char *)"/bin/a"},
        {.has_port = true, .first = 111, .last = 112, .any_protocol = true},
        {.user = (char *)"statd"},
        {.name = NULL},
    };
    Rules rules = {.ignores = ignores, .n_ignores = ELEMENTSOF(ignores)};
    Owner a = {.unit = (char *)"a.service", .exe = (char *)"/bin/a", .uid = UID_UNKNOWN};
    Owner other = {.unit = (char *)"a.service", .exe = (char *)"/bin/b", .uid = 7, .user = (char *)"x"};
    Owner statd = {.uid = 8, .user = (char *)"statd"};
    Owner *owners[2] = {&a, &other};
    Endpoint endpoint = {.protocol = PROTOCOL_TCP, .port = 80, .owners = owners, .n_owners = 1};

    assert_ptr_equal(rules_ignores(&rules, &endpoint), &ignores[0]);
    endpoint.n_owners = 2; /* one of them is somebody else */
    assert_null(rules_ignores(&rules, &endpoint));
    endpoint.n_owners = 0; /* nobody known: no reason to be silent */
    assert_null(rules_ignores(&rules, &endpoint));
    endpoint.port = 112;
    assert_ptr_equal(rules_ignores(&rules, &endpoint), &ignores[1]);
    endpoint.protocol = PROTOCOL_UDPLITE;
    assert_null(rules_ignores(&rules, &endpoint));
    owners[0] = &statd;
    endpoint.n_owners = 1;
    assert_ptr_equal(rules_ignores(&rules, &endpoint), &ignores[2]);
}

static void test_ignores_address_and_shown_unit(void **state) {
    IgnoreRule ignores[] = {{.has_address = true, .unit = (char *)"session-3.scope"}};
    Rules rules = {.ignores = ignores, .n_ignores = 1};
    Owner owner = {.unit = (char *)"session.scope", .unit_shown = (char *)"session-3.scope", .uid = UID_UNKNOWN};
    Owner *owners[] = {&owner};
    Endpoint endpoint = {.port = 80, .owners = owners, .n_owners = 1};

    assert_true(address_parse("127.0.0.1", &ignores[0].address));
    assert_true(address_parse("127.0.0.1", &endpoint.address));
    assert_ptr_equal(rules_ignores(&rules, &endpoint), &ignores[0]);
    ignores[0].unit = (char *)"session.scope";
    assert_ptr_equal(rules_ignores(&rules, &endpoint), &ignores[0]);
    assert_true(address_parse("0.0.0.0", &endpoint.address));
    assert_null(rules_ignores(&rules, &endpoint));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_severities),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_user_is),
        cmocka_unit_test(test_ignores),
        cmocka_unit_test(test_ignores_address_and_shown_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
