#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cli/port.h"
#include "cli/since.h"
#include "core/text.h"

static void test_spellings(void **state) {
    static const struct {
        const char *text, *formatted;
        unsigned number;
        bool any;
        Protocol protocol;
    } cases[] = {
        {"443", "443", 443, true, PROTOCOL_TCP},
        {"443/tcp", "443/tcp", 443, false, PROTOCOL_TCP},
        {"tcp/443", "443/tcp", 443, false, PROTOCOL_TCP},
        {"udp/53", "53/udp", 53, false, PROTOCOL_UDP},
        {"53/udplite", "53/udplite", 53, false, PROTOCOL_UDPLITE},
        {"65535", "65535", 65535, true, PROTOCOL_TCP},
        {"tcp/ephemeral", "tcp/ephemeral", 0, false, PROTOCOL_TCP},
        {"ephemeral/tcp", "tcp/ephemeral", 0, false, PROTOCOL_TCP},
        {"ephemeral", "tcp/ephemeral", 0, false, PROTOCOL_TCP},
        {"tcp/ephemeral-local", "tcp/ephemeral-local", 0, false, PROTOCOL_TCP},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        Port port;
        char text[SURFACE_TEXT_MAX];
        assert_true(port_parse(cases[i].text, &port));
        assert_int_equal(port.number, cases[i].number);
        assert_int_equal(port.any_protocol, cases[i].any);
        if (!port.any_protocol) assert_int_equal(port.protocol, cases[i].protocol);
        assert_string_equal(port_format(&port, text), cases[i].formatted);
    }
}

static void test_what_is_no_port(void **state) {
    static const char *const bad[] = {"", "0", "65536", "70000", "-1", "+80", " 80", "80 ", "443/", "/tcp", "443/xyz",
        "tcp/443/tcp", "443/tcp/", "8000-8100/tcp", "no-such-service", "99999999999999999999", "0x50", "8 0",
        "a-name-that-is-much-too-long-to-be-a-service-of-any-kind-whatsoever-on-this-host"};
    Port port;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(port_parse(bad[i], &port));
}

static void test_holds(void **state) {
    Port any, udp, pool;
    assert_true(port_parse("53", &any) && port_parse("53/udp", &udp) && port_parse("tcp/ephemeral", &pool));
    const Endpoint endpoint = {.protocol = PROTOCOL_TCP, .port = 53};
    const Surface surface = {.protocol = PROTOCOL_TCP, .port = 53};
    assert_true(port_holds(&any, &surface, &endpoint));
    assert_false(port_holds(&udp, &surface, &endpoint));
    assert_false(port_holds(&pool, &surface, &endpoint));
    const Surface together = {.protocol = PROTOCOL_TCP};
    assert_true(port_holds(&pool, &together, &endpoint));
    assert_true(port_holds(&any, &together, &endpoint));
    assert_false(port_names(&any, &together));
    assert_true(port_names(&pool, &together));
}

static void test_json(void **state) {
    Port port;
    port_parse("53", &port);
    json_t *any = port_json(&port);
    assert_null(json_object_get(any, "protocol"));
    assert_int_equal(json_integer_value(json_object_get(any, "port")), 53);
    port_parse("tcp/ephemeral-local", &port);
    json_t *pool = port_json(&port);
    assert_string_equal(json_string_value(json_object_get(pool, "protocol")), "tcp");
    assert_true(json_is_true(json_object_get(pool, "local")));
    json_decref(any);
    json_decref(pool);
}

static void test_since(void **state) {
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    const int64_t now = INT64_C(1772370123000000);
    int64_t since;
    assert_true(since_parse("2h", now, &since));
    assert_int_equal(since, now - 7200 * USEC_PER_SEC);
    assert_true(since_parse("2026-03-01 14:02:03", now, &since));
    assert_int_equal(since, now);
    assert_true(since_parse("2026-03-01 14:02", now, &since));
    assert_int_equal(since, now - 3 * USEC_PER_SEC);
    assert_true(since_parse("2026-03-01", now, &since));
    assert_int_equal(since, now - (14 * 3600 + 2 * 60 + 3) * USEC_PER_SEC);
    assert_true(since_parse("2026-03-01T13:02:03Z", now, &since));
    assert_int_equal(since, now);
    static const char *const bad[] = {"", "yesterday", "2026-13-01", "2026-03-01 14:02:03 x", "-2h"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(since_parse(bad[i], now, &since));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_what_is_no_port),
        cmocka_unit_test(test_holds),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_since),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
