/* Good files and the rules they become. */
#include "support.h"

#include <arpa/inet.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECONDS(n) ((n)*USEC_PER_SEC)

static Rules *load(const char *file) {
    Rules *rules = NULL;
    char **errors = NULL;
    int r = config_load(file, "db1.example.com", &rules, &errors);
    print_list(errors);
    assert_int_equal(r, CONFIG_OK);
    assert_null(errors);
    assert_non_null(rules);
    return rules;
}

static void assert_setting(const NotifierRule *notifier, size_t i, const char *key, const char *value, unsigned line) {
    assert_true(i < notifier->n_settings);
    assert_string_equal(notifier->settings[i].key, key);
    assert_string_equal(notifier->settings[i].value, value);
    assert_string_equal(notifier->settings[i].place.file, "full.conf");
    assert_int_equal(notifier->settings[i].place.line, line);
}

static void test_global(void **state) {
    Rules *rules = load("full.conf");

    assert_string_equal(rules->file, "full.conf");
    assert_int_equal(rules->interval, SECONDS(1) / 2);
    assert_int_equal(rules->settle, 0);
    assert_int_equal(rules->settle_closed, SECONDS(5400));
    assert_int_equal(rules->boot_grace, 0);
    assert_int_equal(rules->mode, MODE_ROLLING);
    assert_int_equal(rules->unlisted, WATCH_LOG);
    assert_int_equal(rules->unlisted_local, WATCH_IGNORE);
    assert_int_equal(rules->upgrades, UPGRADES_ALERT);
    assert_int_equal(rules->flapping.returns, 5);
    assert_int_equal(rules->flapping.within, 1800 * USEC_PER_SEC);
    assert_int_equal(rules->namespaces, SCOPE_ALL);
    assert_int_equal(rules->remind, 0);
    assert_int_equal(rules->retain, SECONDS(7 * 86400));
    assert_int_equal(strv_length(rules->notify), 2);
    assert_string_equal(rules->notify[0], "ops");
    assert_string_equal(rules->notify[1], "chat");
    rules_free(rules);
}

static void test_port(void **state) {
    Rules *rules = load("full.conf");
    assert_int_equal(rules->n_ports, 3);

    const PortRule *web = rules_find(rules, PROTOCOL_TCP, 443);
    assert_non_null(web);
    assert_string_equal(web->header, "port:443/tcp");
    assert_int_equal(web->place.line, 17);
    assert_string_equal(web->name, "public \"web\" # one");
    assert_int_equal(web->expect, EXPECT_OPEN);
    assert_int_equal(web->expect_place.line, 19);
    assert_int_equal(web->n_addresses, 3);
    char text[INET6_ADDRSTRLEN];
    assert_string_equal(address_format(&web->addresses[2], text), "2001:db8::1");
    assert_string_equal(web->unit, "nginx.service");
    assert_string_equal(web->exe, "/usr/sbin/nginx");
    assert_string_equal(web->user, "www-data");
    assert_string_equal(web->stated_place.file, "full.conf");
    assert_int_equal(web->stated_place.line, 20);
    assert_true(web->has_severity);
    assert_int_equal(web->severity, SEVERITY_CRITICAL);
    assert_int_equal(web->mode, MODE_PINNED);
    assert_int_equal(web->settle, SECONDS(1));
    assert_int_equal(web->settle_closed, SECONDS(2));
    assert_int_equal(web->upgrades, UPGRADES_LOG);
    assert_int_equal(web->flapping.returns, 0);
    assert_int_equal(web->remind, SECONDS(7 * 86400));
    assert_string_equal(web->notify[0], "chat");
    assert_null(web->notify[1]);

    /* Nothing stated: the defaults of [portwatch]. */
    const PortRule *range = rules_find(rules, PROTOCOL_UDP, 8100);
    assert_true(range->any_protocol);
    assert_int_equal(range->first, 8000);
    assert_int_equal(range->last, 8100);
    assert_int_equal(range->expect, EXPECT_CLOSED);
    assert_null(range->stated_place.file);
    assert_false(range->has_severity);
    assert_int_equal(range->mode, MODE_ROLLING);
    assert_int_equal(range->settle, 0);
    assert_int_equal(range->settle_closed, SECONDS(5400));
    assert_int_equal(range->upgrades, UPGRADES_ALERT);
    assert_int_equal(range->flapping.returns, 5);
    assert_int_equal(range->remind, 0);
    assert_null(range->notify);
    assert_null(range->name);
    rules_free(rules);
}

static void test_drop_ins(void **state) {
    Rules *rules = load("full.conf");

    const PortRule *dns = rules_find(rules, PROTOCOL_UDP, 53);
    assert_string_equal(dns->name, "resolver");
    assert_int_equal(dns->severity, SEVERITY_INFO);
    assert_string_equal(dns->place.file, "full.conf");
    assert_null(dns->expect_place.file);
    assert_true(rules_notifier(rules, "chat")->detail_full);
    const NotifierRule *third = rules_notifier(rules, "third");
    assert_string_equal(third->plugin, "x-y-1");
    assert_string_equal(third->place.file, "full.conf.d/20-second.conf");
    assert_int_equal(third->place.line, 1);
    rules_free(rules);
}

static void test_ignore(void **state) {
    Rules *rules = load("full.conf");
    assert_int_equal(rules->n_ignores, 3);

    const IgnoreRule *all = &rules->ignores[0];
    assert_string_equal(all->name, "everything");
    assert_true(all->has_port);
    assert_int_equal(all->first, 111);
    assert_int_equal(all->last, 112);
    assert_false(all->any_protocol);
    assert_int_equal(all->protocol, PROTOCOL_UDPLITE);
    assert_true(all->has_address);
    assert_true(address_is_loopback(&all->address));
    assert_string_equal(all->unit, "rpc-statd.service");
    assert_string_equal(all->exe, "[kernel]");
    assert_string_equal(all->user, "0");
    assert_false(rules->ignores[1].has_port);
    assert_string_equal(rules->ignores[1].unit, "socket activation");
    assert_string_equal(rules->ignores[2].unit, "docker container web");
    rules_free(rules);
}

static void test_notifier(void **state) {
    Rules *rules = load("full.conf");
    assert_int_equal(rules->n_notifiers, 4);

    const NotifierRule *ops = rules_notifier(rules, "ops");
    assert_string_equal(ops->plugin, "email");
    assert_int_equal(ops->group_wait, 0);
    assert_int_equal(ops->max_per_hour, 3600);
    assert_int_equal(ops->events, EVENT_MASK_OPENED | EVENT_MASK_NOTICE);
    assert_false(ops->detail_full);
    assert_int_equal(ops->n_settings, 5);
    assert_setting(ops, 0, "server", "smtp://localhost:25", 52);
    assert_setting(ops, 1, "from", "portwatch@db1.example.com", 53);
    assert_setting(ops, 2, "to", "root@db1.example.com, db1.example.com@example.com", 54);
    assert_setting(ops, 3, "to", "second@example.com", 55);
    assert_setting(ops, 4, "password", "a;b#c % \"d\" \\e", 56);

    const NotifierRule *chat = rules_notifier(rules, "chat");
    assert_int_equal(chat->group_wait, SECONDS(5));
    assert_int_equal(chat->max_per_hour, 30);
    assert_int_equal(chat->events, EVENT_MASK_ALL);
    assert_int_equal(chat->n_settings, 3);
    assert_setting(chat, 0, "url", "https://example.com/hook?a=b;c", 64);
    assert_setting(chat, 1, "header", "Authorization: Bearer x", 65);
    assert_setting(chat, 2, "header", "X-More: = y", 66);
    assert_false(rules_notifier(rules, "third")->detail_full);
    assert_int_equal(chat->severity, SEVERITY_INFO);
    assert_int_equal(chat->quiet.n, 0);
    const NotifierRule *night = rules_notifier(rules, "night");
    assert_int_equal(night->severity, SEVERITY_WARNING);
    assert_int_equal(night->quiet.n, 2);
    assert_int_equal(night->quiet.spans[1].end, 13 * 60 + 30);
    assert_true(night->quiet_critical_waits);
    rules_free(rules);
}

static void test_windows(void **state) {
    Rules *rules = load("windows.conf");
    const PortRule *rule = rules_find(rules, PROTOCOL_TCP, 80);

    assert_int_equal(rules->settle, SECONDS(7));
    assert_string_equal(rule->name, "caf\xc3\xa9");
    assert_string_equal(rule->unit, "a\\x2db.service");
    assert_int_equal(rule->place.line, 6);
    rules_free(rules);
}

static const char *name_of(const Rules *rules, Protocol protocol, uint16_t port) {
    const PortRule *rule = rules_find(rules, protocol, port);
    return rule ? rule->name : "none";
}

static void test_precedence(void **state) {
    Rules *rules = load("precedence.conf");

    assert_string_equal(name_of(rules, PROTOCOL_TCP, 7999), "none");
    assert_string_equal(name_of(rules, PROTOCOL_TCP, 8000), "wide tcp");
    assert_string_equal(name_of(rules, PROTOCOL_UDP, 8000), "wide");
    assert_string_equal(name_of(rules, PROTOCOL_UDPLITE, 8000), "none");
    assert_string_equal(name_of(rules, PROTOCOL_TCP, 8100), "narrow");
    assert_string_equal(name_of(rules, PROTOCOL_UDP, 8199), "narrow");
    assert_string_equal(name_of(rules, PROTOCOL_UDP, 8200), "wide");
    assert_string_equal(name_of(rules, PROTOCOL_TCP, 8150), "one");
    assert_string_equal(name_of(rules, PROTOCOL_UDP, 8150), "one udp");
    assert_string_equal(name_of(rules, PROTOCOL_UDPLITE, 8150), "one udplite");
    assert_string_equal(name_of(rules, PROTOCOL_UDPLITE, 8100), "lone udplite");
    assert_string_equal(name_of(rules, PROTOCOL_UDP, 443), "none");
    assert_string_equal(name_of(rules, PROTOCOL_TCP, 22), "by name");
    assert_string_equal(name_of(rules, PROTOCOL_UDP, 22), "by name");
    assert_string_equal(name_of(rules, PROTOCOL_UDP, 53), "by name udp");
    assert_int_equal(rules_find(rules, PROTOCOL_TCP, 443)->settle, SECONDS(1));
    assert_int_equal(rules_find(rules, PROTOCOL_TCP, 8150)->settle, SECONDS(9));
    rules_free(rules);
}

static void test_warnings(void **state) {
    static const char *const expected[] = {
        "warnings.conf:1: [ignore:rpc]: only 'unit': whoever gets a process into this unit is not seen; add port, exe "
        "or "
        "user",
        "warnings.conf:8: [notifier:ops] password: holds a secret that everybody on this host can read: chmod 0640 the "
        "file",
        "warnings.conf:8: [notifier:ops] password: values are written without quotes: these are part of it",
        "warnings.conf:15: [notifier:chat] header: holds a secret that everybody on this host can read: chmod 0640 the "
        "file",
    };
    ConfigFiles files = {0};
    char **errors = NULL;
    Rules *rules = NULL;

    assert_int_equal(config_read("warnings.conf", &files, &errors), CONFIG_OK);
    files.items[0].exposed = true; /* whatever umask the files were checked out with */
    assert_int_equal(config_parse(&files, "db1.example.com", &rules, &errors), CONFIG_OK);
    print_list(rules->warnings);
    assert_int_equal(strv_length(rules->warnings), 4);
    for (size_t i = 0; i < 4; i++) assert_string_equal(rules->warnings[i], expected[i]);
    rules_free(rules);

    files.items[0].exposed = false;
    assert_int_equal(config_parse(&files, "short", &rules, &errors), CONFIG_OK);
    assert_int_equal(strv_length(rules->warnings), 3);
    assert_string_equal(rules->warnings[2], "warnings.conf:10: [notifier:ops] from: %H is 'short', a name without a "
                                            "domain: mail servers elsewhere may refuse "
                                            "it");
    assert_string_equal(rules->notifiers[0].settings[2].value, "portwatch@short");
    rules_free(rules);
    config_files_done(&files);
}

/* What Debian's inih 55 takes whole passes to the last byte. */
static void test_longest_line(void **state) {
    char text[512];
    Rules *rules = NULL;
    char **errors = NULL;
    char value[CONFIG_LINE_MAX - 8];

    memset(value, 'v', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    snprintf(text, sizeof(text), "[notifier:a]\nplugin = x\nheader = %s\nz = 1", value);
    assert_int_equal(parse_text(text, &rules, &errors), CONFIG_OK);
    assert_string_equal(rules->notifiers[0].settings[0].value, value);
    assert_string_equal(rules->notifiers[0].settings[1].key, "z");
    rules_free(rules);
}

static void test_heartbeat(void **state) {
    Rules *rules = NULL;
    char **errors = NULL;
    const char *text = "[notifier:hc]\nplugin = webhook\nurl = https://x/\nheartbeat = 5m\nevents = none\n";
    assert_int_equal(parse_text(text, &rules, &errors), CONFIG_OK);
    assert_int_equal(rules->notifiers[0].heartbeat, SECONDS(300));
    assert_int_equal(rules->notifiers[0].events, 0);
    assert_false(rules_tell(rules));
    /* the plugin is told too: whether it has one is for it to say */
    assert_int_equal(rules->notifiers[0].n_settings, 2);
    assert_string_equal(rules->notifiers[0].settings[1].key, "heartbeat");
    rules_free(rules);
    rules = NULL;
    assert_int_equal(parse_text("[notifier:a]\nplugin = email\n", &rules, &errors), CONFIG_OK);
    assert_int_equal(rules->notifiers[0].heartbeat, 0);
    assert_true(rules_tell(rules));
    rules_free(rules);
}

static void test_empty(void **state) {
    Rules *rules = NULL;
    char **errors = NULL;
    assert_int_equal(parse_text("", &rules, &errors), CONFIG_OK);
    assert_int_equal(rules->interval, SECONDS(2));
    rules_free(rules);
    rules = NULL;
    assert_int_equal(config_load("/dev/null", NULL, &rules, &errors), CONFIG_OK);
    assert_int_equal(rules->n_ports + rules->n_ignores + rules->n_notifiers, 0);
    assert_null(rules->warnings);
    rules_free(rules);
}

int main(int argc, char *argv[]) {
    if (argc != 2 || chdir(argv[1]) < 0) return 99;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_global),
        cmocka_unit_test(test_port),
        cmocka_unit_test(test_drop_ins),
        cmocka_unit_test(test_ignore),
        cmocka_unit_test(test_notifier),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_longest_line),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
