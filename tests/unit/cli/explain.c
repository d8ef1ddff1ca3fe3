/* explain: what a ruleset of nft says of a port, and what follows from the state of a unit. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/explain.h"

/* ---- the firewall */

static const char ruleset[] = "table inet filter {\n"
                              "\tset open {\n"
                              "\t\ttype inet_service\n"
                              "\t\tsize 7071\n"
                              "\t\tflags interval\n"
                              "\t\telements = { 22, 80, 443,\n"
                              "\t\t\t     7000-7100 }\n"
                              "\t}\n"
                              "\tset hosts {\n"
                              "\t\ttype ipv4_addr\n"
                              "\t\telements = { 10.0.0.1, 10.0.0.7 }\n"
                              "\t}\n"
                              "\tchain input {\n"
                              "\t\ttype filter hook input priority 0; policy drop;\n"
                              "\t\t%s\n"
                              "\t}\n"
                              "\tchain output {\n"
                              "\t\ttype filter hook output priority 0; policy drop;\n"
                              "\t}\n"
                              "}\n"
                              "table ip other {\n"
                              "\tchain input {\n"
                              "\t\ttcp dport @open accept\n"
                              "\t}\n"
                              "}\n";

static void test_rules(void **state) {
    static const struct {
        const char *rule;
        Protocol protocol;
        uint16_t port;
        bool named;
    } rows[] = {
        {"tcp dport 7071 drop", PROTOCOL_TCP, 7071, true},
        {"tcp dport 7071 drop", PROTOCOL_UDP, 7071, false},
        {"tcp dport 7071 drop", PROTOCOL_TCP, 707, false},
        {"tcp dport 707 drop", PROTOCOL_TCP, 7071, false},
        {"tcp dport 70710 drop", PROTOCOL_TCP, 7071, false},
        {"tcp sport 7071 accept", PROTOCOL_TCP, 7071, false},
        {"th dport 7071 accept", PROTOCOL_UDP, 7071, true},
        {"udplite dport 7071 accept", PROTOCOL_UDPLITE, 7071, true},
        {"tcp dport 6000-6063 drop", PROTOCOL_TCP, 6063, true},
        {"tcp dport 6000-6063 drop", PROTOCOL_TCP, 6064, false},
        {"tcp dport != 7071 drop", PROTOCOL_TCP, 7071, true},
        {"tcp dport < 1024 accept", PROTOCOL_TCP, 1023, true},
        {"tcp dport < 1024 accept", PROTOCOL_TCP, 1024, false},
        {"tcp dport >= 1024 accept", PROTOCOL_TCP, 1024, true},
        {"tcp dport > 1024 accept", PROTOCOL_TCP, 1024, false},
        {"tcp dport { 80, 7071 } counter packets 3 bytes 180 accept", PROTOCOL_TCP, 7071, true},
        {"tcp dport { 80, 7070 } counter packets 7071 bytes 7071 accept", PROTOCOL_TCP, 7071, false},
        {"tcp dport vmap { 22 : accept, 7071 : drop }", PROTOCOL_TCP, 7071, true},
        {"ip daddr . tcp dport { 10.0.0.1 . 7071 } accept", PROTOCOL_TCP, 7071, true},
        {"tcp dport . ip saddr { 7071 . 10.0.0.1 } accept", PROTOCOL_TCP, 7071, true},
        {"tcp dport @open accept", PROTOCOL_TCP, 7050, true},
        {"tcp dport @open accept", PROTOCOL_TCP, 444, false},
        {"tcp dport @opens accept", PROTOCOL_TCP, 443, false},
        {"ip saddr @hosts accept", PROTOCOL_TCP, 10, false},
        {"tcp dport 80 accept comment \"tcp dport 7072\"", PROTOCOL_TCP, 7072, false},
        {"tcp dport 80 dnat to 10.0.0.1:7072", PROTOCOL_TCP, 7072, true},
        {"tcp dport 80 dnat ip6 to [2001:db8::1]:7072", PROTOCOL_TCP, 7072, true},
        {"tcp dport 80 dnat ip6 to 2001:db8::7072", PROTOCOL_TCP, 7072, false},
        {"tcp dport 80 redirect to :7072", PROTOCOL_TCP, 7072, true},
        {"ct original proto-dst 7072 accept", PROTOCOL_TCP, 7072, true},
        {"tcp dport", PROTOCOL_TCP, 7072, false},
        {"dport 7072", PROTOCOL_TCP, 7072, false},
        {"tcp dport {", PROTOCOL_TCP, 7072, false},
        {"to", PROTOCOL_TCP, 7072, false},
        {"\"tcp dport 7072", PROTOCOL_TCP, 7072, false},
        {"tcp dport 99999999999999999999-1 drop", PROTOCOL_TCP, 7072, false},
        {"tcp dport 7072- drop", PROTOCOL_TCP, 7072, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[2048];
        Quotes quotes;
        /* ruleset is a format with one place, and ours */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(text, sizeof text, ruleset, rows[i].rule);
#pragma GCC diagnostic pop
        assert_int_equal(quotes_make(text, rows[i].protocol, rows[i].port, &quotes), 0);
        bool named = false, policy = false;
        for (size_t k = 0; k < quotes.n; k++) {
            named = named || strcmp(quotes.items[k].text, rows[i].rule) == 0;
            if (quotes.items[k].policy) {
                assert_string_equal(quotes.items[k].where, "inet filter input (input)");
                assert_false(policy);
                policy = true;
            }
            /* a set of another table */
            assert_int_not_equal(strncmp(quotes.items[k].where, "ip other", 8), 0);
        }
        assert_true(policy);
        if (named != rows[i].named) fail_msg("%s: %u is%s named", rows[i].rule, rows[i].port, named ? "" : " not");
        quotes_done(&quotes);
    }
}

static void test_quotes_are_escaped_and_bounded(void **state) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fputs("table ip x {\nchain y {\n", out);
    for (int i = 0; i < QUOTES_MAX + 5; i++) fputs("tcp dport 1 accept comment \"\x1b[2J\xff\"\n", out);
    fputs("meta l4proto tcp xt match \"multiport\" accept\n}\n}\n", out);
    fclose(out);
    Quotes quotes;
    assert_int_equal(quotes_make(text, PROTOCOL_TCP, 1, &quotes), 0);
    assert_int_equal(quotes.n, QUOTES_MAX);
    assert_int_equal(quotes.more, 5);
    assert_int_equal(quotes.opaque, 1);
    assert_string_equal(quotes.items[0].text, "tcp dport 1 accept comment \"\\x1b[2J\\xff\"");
    assert_string_equal(quotes.items[0].where, "ip x y");
    quotes_done(&quotes);
    free(text);
}

/* Whatever it is cut to, it is read without harm. */
static void test_any_text(void **state) {
    char text[sizeof ruleset];
    for (size_t n = 0; n < sizeof ruleset; n++) {
        memcpy(text, ruleset, n);
        text[n] = '\0';
        Quotes quotes;
        assert_int_equal(quotes_make(text, PROTOCOL_TCP, 7071, &quotes), 0);
        quotes_done(&quotes);
    }
}

static void test_forwarding(void **state) {
    static const char text[] = "table ip nat {\nchain DOCKER {\n"
                               "iifname != \"docker0\" tcp dport 8080 counter packets 0 bytes 0 dnat to 172.17.0.2:80\n"
                               "tcp dport 81 redirect to :8081\n}\n}\n";
    static const struct {
        uint16_t port;
        bool forwards;
    } rows[] = {{8080, true}, {80, false}, {81, true}, {8081, false}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Quotes quotes;
        assert_int_equal(quotes_make(text, PROTOCOL_TCP, rows[i].port, &quotes), 0);
        assert_int_equal(quotes.n, 1);
        assert_int_equal(quotes.items[0].forwards, rows[i].forwards);
        quotes_done(&quotes);
    }
}

/* ---- a closed port and its unit */

static Owner *owner_of_unit(const char *unit, bool user_unit) {
    Owner *owner = owner_new();
    owner->unit = strdup(unit);
    owner->pid = 812;
    owner->user_unit = user_unit;
    return owner;
}

static void setup(Explanation *e, const char *unit, const char *cause) {
    *e = (Explanation){.port = 7071, .n_cases = 1};
    e->host.has4 = true;
    e->look.rules = rules_new();
    e->look.snapshot.ephemeral_first = 32768;
    e->look.snapshot.ephemeral_last = 60999;
    e->cases[0] = (Case){.protocol = PROTOCOL_TCP, .port = 7071, .decided = true, .known = true, .root = true};
    if (unit) e->cases[0].before = owner_of_unit(unit, false);
    if (cause) e->cases[0].cause = json_loads(cause, 0, NULL);
}

static void test_next_of_a_unit(void **state) {
    static const struct {
        const char *unit, *state, *next;
    } rows[] = {
        {"myapp.service", "failed", "sudo systemctl restart myapp.service"},
        {"myapp.service", "inactive", "sudo systemctl start myapp.service"},
        {"myapp.service", "active", "sudo journalctl -n 50 -u myapp.service"},
        {"myapp@1.service", "activating", "sudo journalctl -f -u myapp@1.service"},
        {"myapp.socket", "failed", "sudo systemctl restart myapp.socket"},
        {"dev-disk\\x2d1.service", "failed", "sudo systemctl restart 'dev-disk\\x2d1.service'"},
        /* nothing that could be started, or stand in a command */
        {"session-3.scope", "active", "portwatch history 7071"},
        {"a; reboot #.service", "failed", "portwatch history 7071"},
        {"-M evil.service", "failed", "portwatch history 7071"},
        {"'$(id)'.service", "failed", "portwatch history 7071"},
        {"docker container web", "", "portwatch history 7071"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        _cleanup_free_ char *cause =
            text_printf("{\"state\": \"%s\", \"process\": \"gone\", \"summary\": \"it failed\"}", rows[i].state);
        Explanation e;
        setup(&e, rows[i].unit, cause);
        assert_int_equal(explain_judge(&e), 0);
        assert_int_equal(e.exit_code, EXIT_DIFFERS);
        assert_string_equal(e.cases[0].findings[0].text, "closed: it failed");
        assert_string_equal(e.next, rows[i].next);
        explanation_done(&e);
    }
}

static void test_a_masked_unit_cannot_be_started(void **state) {
    Explanation e;
    setup(&e, "myapp.service",
        "{\"state\": \"inactive\", \"summary\": \"myapp.service was stopped at 14:02:03 CET on request; it is "
        "masked\"}");
    assert_int_equal(explain_judge(&e), 0);
    assert_string_equal(e.next, "sudo systemctl unmask myapp.service");
    explanation_done(&e);
}

static void test_a_unit_of_a_user(void **state) {
    Explanation e;
    setup(&e, NULL, "{\"state\": null, \"process\": \"gone\"}");
    e.cases[0].before = owner_of_unit("sshd.service", true);
    assert_int_equal(explain_judge(&e), 0);
    assert_null(strstr(e.next, "systemctl"));
    explanation_done(&e);
}

static void test_nothing_is_called_closed_that_was_not_seen(void **state) {
    Explanation e;
    setup(&e, "myapp.service", "{\"state\": \"failed\", \"summary\": \"it failed\"}");
    e.cases[0].decided = false;
    assert_int_equal(explain_judge(&e), 0);
    assert_int_equal(e.exit_code, EXIT_UNKNOWN);
    assert_string_equal(e.cases[0].findings[0].kind, "incomplete");
    explanation_done(&e);
}

/* ---- programs that are asked */

static void test_programs(void **state) {
    _cleanup_free_ char *out = NULL, *error = NULL;
    char *fine[] = {"/bin/sh", "-c", "echo one; echo two >&2; echo three >&2; exit 3", NULL};
    assert_int_equal(program_run(fine, 20 * USEC_PER_SEC, 4096, &out, &error), 3);
    assert_string_equal(out, "one\n");
    assert_string_equal(error, "two");
    char *absent[] = {"/nonexistent/nft", NULL}, *none = NULL, *nothing = NULL;
    assert_int_equal(program_run(absent, USEC_PER_SEC, 4096, &none, &nothing), -ENOENT);
    char *endless[] = {"/bin/sh", "-c", "exec yes", NULL};
    assert_int_equal(program_run(endless, 20 * USEC_PER_SEC, 4096, &none, &nothing), -E2BIG);
    char *hangs[] = {"/bin/sh", "-c", "exec sleep 600", NULL};
    assert_int_equal(program_run(hangs, USEC_PER_SEC / 10, 4096, &none, &nothing), -ETIMEDOUT);
    char *closes[] = {"/bin/sh", "-c", "exec >&- 2>&-; exec sleep 600", NULL};
    assert_int_equal(program_run(closes, USEC_PER_SEC / 10, 4096, &none, &nothing), -ETIMEDOUT);
    char *killed[] = {"/bin/sh", "-c", "kill -9 $$", NULL};
    assert_int_equal(program_run(killed, 20 * USEC_PER_SEC, 4096, &none, &nothing), -EPROTO);
    assert_null(none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_quotes_are_escaped_and_bounded),
        cmocka_unit_test(test_any_text),
        cmocka_unit_test(test_forwarding),
        cmocka_unit_test(test_next_of_a_unit),
        cmocka_unit_test(test_a_masked_unit_cannot_be_started),
        cmocka_unit_test(test_a_unit_of_a_user),
        cmocka_unit_test(test_nothing_is_called_closed_that_was_not_seen),
        cmocka_unit_test(test_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
