#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "notify/grid.h"
#include "notify/prose.h"
#include "samples.h"

static const ProseOptions at_once = {
    .host = "db1.example.com", .formed = SAMPLE_TIME + 12 * USEC_PER_SEC, .detail_full = true};

typedef struct Mail {
    char *subject, *text;
} Mail;

static void mail_done(Mail *mail) {
    free(mail->subject);
    free(mail->text);
}

static void mail_of(Event *events, size_t n, const ProseOptions *options, Mail *ret) {
    json_t **documents = calloc(n, sizeof *documents);
    for (size_t i = 0; i < n; i++) assert_non_null(documents[i] = sample_document(&events[i]));
    assert_int_equal(prose_message(documents, n, options, &ret->subject, &ret->text), 0);
    for (size_t i = 0; i < n; i++) json_decref(documents[i]);
    free(documents);
}

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("\"%s\" is not in:\n%s", part, text);
}

/* What must hold for every mail whatever is in it. */
static void assert_mail(const Mail *mail) {
    for (const unsigned char *p = (const unsigned char *)mail->subject; *p; p++) assert_true(*p >= 0x20 && *p != 0x7f);
    for (const unsigned char *p = (const unsigned char *)mail->text; *p; p++)
        assert_true((*p >= 0x20 && *p != 0x7f) || *p == '\n');
    assert_true(grid_width(mail->subject) <= 250);
    assert_null(strstr(mail->text, "aspect"));
    assert_null(strstr(mail->text, "surface"));
    assert_null(strstr(mail->subject, "surface"));
    assert_null(strstr(mail->text, "\n\n\n"));
    assert_null(strstr(mail->text, " \n"));
    assert_int_equal(mail->text[strlen(mail->text) - 1], '\n');
}

static void test_widened(void **state) {
    _cleanup_(event_done) Event event;
    sample_widened(&event, EVENT_OPENED);
    _cleanup_(mail_done) Mail mail = {0};
    mail_of(&event, 1, &at_once, &mail);
    assert_string_equal(
        mail.subject, "[db1.example.com] CRITICAL 5432/tcp now on all addresses (was this host only): postgres");
    assert_string_equal(mail.text,
        "Since 14:02:03 CET postgres listens on all IPv4 and IPv6 addresses.\n"
        "Until then, for 41 days, on this host only.\n"
        "\n"
        "- tcp   127.0.0.1:5432  postgres\n"
        "+ tcp   0.0.0.0:5432    postgres\n"
        "+ tcp6  :::5432         postgres\n"
        "\n"
        "Owner  postgresql@15-main.service, /usr/lib/postgresql/15/bin/postgres, user postgres, pid 8123\n"
        "\n"
        "On db1:\n"
        "  look   portwatch explain 5432\n"
        "  keep   sudo portwatch accept K7Q2 --reason \"...\"\n"
        "  later  sudo portwatch ack K7Q2\n"
        "\n"
        "Seen: all host sockets. Not seen: 2 other network namespaces.\n");
}

static void test_subjects(void **state) {
    static const char *const expected[] = {
        "CRITICAL 5432/tcp now on all addresses (was this host only): postgres",
        "CRITICAL 5432/tcp now on all addresses (was this host only): postgres",
        "CRITICAL 5432/tcp still on all addresses (was this host only): postgres",
        "RESOLVED 5432/tcp as expected again after 3 min, on this host only: postgres",
        NULL,
        NULL,
        "WARNING 8080/tcp opened on all IPv4 addresses: python3.11 (user alice)",
        "WARNING 8080/tcp still open on all IPv4 addresses: python3.11 (user alice)",
        "RESOLVED 8080/tcp closed again after 3 min: python3.11 (user alice)",
        "WARNING 443/tcp (public web) closed (was on all addresses): nginx (user www-data)",
        "WARNING 443/tcp (public web) still closed (was on all addresses): nginx (user www-data)",
        "RESOLVED 443/tcp (public web) open again after 3 min, on all addresses: nginx (user www-data)",
        "WARNING 80/tcp now held by python3.11 (user mallory), was nginx (user www-data)",
        "RESOLVED 8080/tcp accepted by alice, on all IPv4 addresses: python3.11 (user alice)",
        "WARNING ephemeral 45678/tcp opened on all IPv4 addresses: python3.11 (user alice)",
        "WARNING 443/tcp flapping, back 6 times in 24 min: nginx (user www-data)",
        "WARNING 443/tcp still flapping, back 6 times in 24 min: nginx (user www-data)",
        "RESOLVED 443/tcp steady again after 3 min, on all addresses: nginx (user www-data)",
        "CRITICAL portwatch cannot see all host sockets",
        "RESOLVED portwatch sees all host sockets again",
        "test message",
        "WARNING portwatch: /etc/portwatch.conf:12: unknown key \"prot\"; the last good configuration runs.",
        "watching 4 ports on db1.example.com",
        "WARNING 8080/tcp in container web opened on all IPv4 addresses: python3.11 (user alice)",
        "RESOLVED 443/tcp (public web) in namespace of \"front end.service\" open again after 3 min, on all addresses: "
        "nginx"
        " (user www-data)",
        "WARNING container web closed, all its 2 ports: nginx (user www-data)",
        "WARNING container web still closed, all its 2 ports: nginx (user www-data)",
        "RESOLVED container web open again after 3 min",
    };
    Event events[SAMPLES_MAX];
    size_t n = sample_all(events);
    assert_int_equal(n, sizeof expected / sizeof *expected);
    for (size_t i = 0; i < n; i++) {
        _cleanup_(mail_done) Mail mail = {0};
        mail_of(&events[i], 1, &at_once, &mail);
        assert_mail(&mail);
        assert_int_equal(strncmp(mail.subject, "[db1.example.com] ", 18), 0);
        if (expected[i]) assert_string_equal(mail.subject + 18, expected[i]);
        event_done(&events[i]);
    }
}

static void test_flapping(void **state) {
    Event events[SAMPLES_MAX];
    size_t n = sample_all(events), first = 0;
    while (events[first].change != CHANGE_FLAPPING) first++;
    _cleanup_(mail_done) Mail told = {0}, over = {0};
    mail_of(&events[first], 1, &at_once, &told);
    assert_string_equal(told.text,
        "443/tcp was gone or different, and then as before again, 6 times since 14:02:03 CET.\n"
        "Now nginx (user www-data) listens on all IPv4 and IPv6 addresses.\n"
        "The next message comes when it is steady, or when something else is there than was before.\n"
        "\n"
        "Owner  nginx.service, /usr/sbin/nginx, user www-data, pid 700\n"
        "\n"
        "On db1:\n"
        "  look   portwatch explain 443\n"
        "  later  sudo portwatch ack K7Q2\n"
        "\n"
        "Seen: all host sockets. Not seen: 2 other network namespaces.\n");
    mail_of(&events[first + 2], 1, &at_once, &over);
    assert_has(over.text,
        "Since 14:05:10 CET 443/tcp has been as expected, and steady: nginx (user www-data) listens on all IPv4 and "
        "IPv6 addresses.\n"
        "It had come and gone 23 times since 14:02:03 CET.\n");
    for (size_t i = 0; i < n; i++) event_done(&events[i]);
}

/* What a container brings is one message, and so is its end. */
static void test_container(void **state) {
    Event events[2];
    sample_hostile(&events[0], EVENT_OPENED);
    sample_event(&events[1], EVENT_OPENED, CHANGE_OPENED, 443);
    sample_listen(&events[1].after, "0.0.0.0", 443, NULL);
    for (size_t i = 0; i < 2; i++) sample_in(&events[i], "docker:web");
    _cleanup_(mail_done) Mail mail = {0};
    mail_of(events, 2, &at_once, &mail);
    assert_mail(&mail);
    assert_string_equal(
        mail.subject, "[db1.example.com] WARNING 2 ports changed: 8080/tcp in container web, 443/tcp in container web");
    assert_has(mail.text, "443/tcp in container web opened on all IPv4 addresses");
    for (size_t i = 0; i < 2; i++) event_done(&events[i]);
    Event all[SAMPLES_MAX];
    size_t n = sample_all(all);
    _cleanup_(mail_done) Mail end = {0};
    mail_of(&all[n - 3], 1, &at_once, &end);
    assert_has(end.text,
        "Since 14:02:03 CET nothing listens in container web any more.\nUntil then, for 3 days, 2 ports were open");
    assert_has(end.text, "- tcp6  :::443      nginx (user www-data) in container web\n");
    assert_has(end.text, "  look   portwatch list\n");
    for (size_t i = 0; i < n; i++) event_done(&all[i]);
}

static void test_hostile(void **state) {
    static const EventType types[] = {EVENT_OPENED, EVENT_CHANGED, EVENT_REMINDER, EVENT_RESOLVED};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        _cleanup_(event_done) Event event;
        sample_hostile(&event, types[i]);
        if (i % 2) sample_in(&event, "docker:" HOSTILE_NAME);
        _cleanup_(mail_done) Mail mail = {0};
        mail_of(&event, 1, &at_once, &mail);
        assert_mail(&mail);
        assert_null(strstr(mail.text, "\nBcc"));
        assert_has(mail.text, "x\\x0d\\x0aBcc: a@b\\x1b[2J");
        for (const char *line = mail.text; line; line = strchr(line, '\n')) {
            line += *line == '\n';
            if (strncmp(line, "  look ", 7) == 0 || strncmp(line, "  keep ", 7) == 0 ||
                strncmp(line, "  later", 7) == 0)
                assert_null(memmem(line, strcspn(line, "\n"), "x\\x0d", 5));
        }
    }
}

/* A document that never saw document_event's escaping: prose does not trust it. */
static void test_unescaped_document(void **state) {
    _cleanup_(event_done) Event event;
    sample_widened(&event, EVENT_OPENED);
    _cleanup_json_ json_t *document = sample_document(&event);
    json_t *data = json_object_get(document, "data");
    json_object_set_new(data, "summary", json_string("a\r\nBcc: x@y\x1b[2J"));
    json_object_set_new(data, "name", json_string("n\nFrom: z"));
    _cleanup_(mail_done) Mail mail = {0};
    json_t *documents[] = {document};
    assert_int_equal(prose_message(documents, 1, &at_once, &mail.subject, &mail.text), 0);
    assert_mail(&mail);
    assert_has(mail.subject, "a\\x0d\\x0aBcc: x@y\\x1b[2J");
}

static void test_opened_and_resolved_are_one(void **state) {
    Event events[2];
    sample_hostile(&events[0], EVENT_OPENED);
    sample_hostile(&events[1], EVENT_RESOLVED);
    _cleanup_(mail_done) Mail mail = {0};
    mail_of(events, 2, &at_once, &mail);
    assert_mail(&mail);
    assert_has(mail.subject, "RESOLVED 8080/tcp");
    assert_has(mail.subject, "closed again after 3 min");
    assert_has(mail.text, "It was open for 3 min, since 14:02:03 CET.\n");
    assert_has(mail.text, "In order:\n  14:02:09 CET  opened ");
    assert_has(mail.text, "\n  14:05:16 CET  resolved  ");
    event_done(&events[0]);
    event_done(&events[1]);
}

static void test_group(void **state) {
    Event events[3];
    sample_event(&events[0], EVENT_OPENED, CHANGE_OPENED, 9000);
    sample_listen(&events[0].after, "0.0.0.0", 9000, sample_owner("a.service", "/usr/bin/a", "root", 0, 1));
    sample_widened(&events[1], EVENT_OPENED);
    sample_event(&events[2], EVENT_RESOLVED, CHANGE_CLOSED, 443);
    sample_listen(&events[2].after, "0.0.0.0", 443, sample_owner("n.service", "/usr/sbin/nginx", "root", 0, 1));
    _cleanup_(mail_done) Mail mail = {0};
    mail_of(events, 3, &at_once, &mail);
    assert_mail(&mail);
    assert_string_equal(
        mail.subject, "[db1.example.com] CRITICAL 3 ports changed (1 over): 5432/tcp, 9000/tcp, 443/tcp");
    assert_has(mail.text, "  CRITICAL  K7Q2  5432/tcp now on all addresses (was this host only): postgres\n"
                          "  WARNING   K7Q2  9000/tcp opened on all IPv4 addresses: a (user root)\n"
                          "  RESOLVED  -     443/tcp open again");
    assert_has(mail.text, "sudo portwatch accept --all");
    assert_has(mail.text, "\n--- 1. CRITICAL 5432/tcp ");
    assert_has(mail.text, "\n--- 3. RESOLVED 443/tcp ");
    /* The foot once. */
    assert_null(strstr(strstr(mail.text, "Seen: ") + 1, "Seen: all"));
    for (size_t i = 0; i < 3; i++) event_done(&events[i]);
}

static void test_storm(void **state) {
    Event events[200];
    for (size_t i = 0; i < 200; i++) {
        uint16_t port = (uint16_t)(10000 + i);
        sample_event(&events[i], EVENT_OPENED, CHANGE_OPENED, port);
        sample_listen(&events[i].after, "0.0.0.0", port, sample_owner("a.service", "/usr/bin/a", "root", 0, 1));
    }
    _cleanup_(mail_done) Mail mail = {0};
    mail_of(events, 200, &at_once, &mail);
    assert_mail(&mail);
    assert_has(mail.subject, "WARNING 200 ports changed: 10000/tcp, 10001/tcp");
    assert_has(mail.subject, ", ...");
    assert_has(mail.text, "  WARNING  K7Q2  + tcp  0.0.0.0:10199  a (user root)\n");
    assert_has(mail.text, "\n--- 20. WARNING ");
    assert_null(strstr(mail.text, "\n--- 21. "));
    assert_has(mail.text, "The other 180 are in the list at the top.");
    size_t lines = 0;
    for (const char *p = mail.text; *p; p++) lines += *p == '\n';
    assert_true(lines < 200 + 20 * 16 + 20);
    for (size_t i = 0; i < 200; i++) event_done(&events[i]);
}

static void test_late(void **state) {
    _cleanup_(event_done) Event event;
    sample_widened(&event, EVENT_OPENED);
    ProseOptions late = at_once;
    late.formed = event.time + 10 * 60 * USEC_PER_SEC;
    _cleanup_(mail_done) Mail in_time = {0}, mail = {0};
    mail_of(&event, 1, &late, &in_time);
    assert_null(strstr(in_time.text, "late:"));
    late.formed += 55 * 60 * USEC_PER_SEC;
    mail_of(&event, 1, &late, &mail);
    assert_mail(&mail);
    assert_has(mail.text, "This message is late: it was formed at 15:07:09 CET, 65 min after the event it tells.\n");
}

static void test_another_day(void **state) {
    _cleanup_(event_done) Event event;
    sample_widened(&event, EVENT_REMINDER);
    ProseOptions later = at_once;
    later.formed = event.time = SAMPLE_TIME + 86400 * USEC_PER_SEC;
    _cleanup_(mail_done) Mail mail = {0};
    mail_of(&event, 1, &later, &mail);
    assert_has(mail.text, "Since Sun 1 Mar 14:02:03 CET postgres listens");
    assert_null(strstr(mail.text, "late:"));
}

static void test_detail(void **state) {
    _cleanup_(event_done) Event event;
    sample_hostile(&event, EVENT_OPENED);
    _cleanup_(mail_done) Mail full = {0}, minimal = {0};
    mail_of(&event, 1, &at_once, &full);
    assert_has(full.text, "$(reboot)");
    ProseOptions options = at_once;
    options.detail_full = false;
    mail_of(&event, 1, &options, &minimal);
    assert_null(strstr(minimal.text, "reboot"));
}

/* The same name before and after is no news: what differs is said. */
static void test_owner_that_looks_the_same(void **state) {
    _cleanup_(event_done) Event event;
    sample_event(&event, EVENT_OPENED, CHANGE_OWNER, 80);
    sample_listen(&event.before, "0.0.0.0", 80, sample_owner("a.service", "/usr/sbin/nginx", "root", 0, 0));
    sample_listen(&event.after, "0.0.0.0", 80, sample_owner("a.service", "/usr/bin/nginx", "root", 0, 7));
    _cleanup_(mail_done) Mail path = {0}, unit = {0};
    mail_of(&event, 1, &at_once, &path);
    assert_has(path.subject, "now held by /usr/bin/nginx (user root), was /usr/sbin/nginx (user root)");
    Owner *owner = event.after.items[0].owners[0];
    free(owner->exe);
    free(owner->unit);
    owner->exe = strdup("/usr/sbin/nginx");
    owner->unit = strdup("b.service");
    mail_of(&event, 1, &at_once, &unit);
    assert_has(unit.subject,
        "now held by /usr/sbin/nginx (user root) of b.service, was /usr/sbin/nginx (user root) of a.service");
}

static void test_stated_address_has_no_owner(void **state) {
    _cleanup_(event_done) Event event;
    sample_event(&event, EVENT_OPENED, CHANGE_ADDRESS, 443);
    sample_listen(&event.before, "10.0.0.5", 443, NULL);
    sample_listen(&event.after, "0.0.0.0", 443, sample_owner("n.service", "/usr/sbin/nginx", "root", 0, 7));
    _cleanup_(mail_done) Mail mail = {0};
    mail_of(&event, 1, &at_once, &mail);
    assert_string_equal(mail.subject,
        "[db1.example.com] WARNING 443/tcp now on all IPv4 addresses (expected: 10.0.0.5): nginx (user root)");
    assert_has(mail.text, "The configuration expects it on 10.0.0.5.\n");
    assert_null(strstr(mail.text, "Until then"));
}

/* A port that must be open and never was has not "closed". */
static void test_never_open(void **state) {
    _cleanup_(event_done) Event event;
    sample_event(&event, EVENT_OPENED, CHANGE_CLOSED, 7500);
    _cleanup_(mail_done) Mail mail = {0}, stated = {0}, again = {0};
    mail_of(&event, 1, &at_once, &mail);
    assert_mail(&mail);
    assert_string_equal(
        mail.subject, "[db1.example.com] WARNING 7500/tcp not open, though the configuration expects it");
    assert_has(mail.text, "nobody listens on 7500/tcp.\nThe configuration says that it must be open.\n");
    sample_listen(&event.before, "10.0.0.5", 7500, NULL);
    mail_of(&event, 1, &at_once, &stated);
    assert_has(stated.subject, "7500/tcp not open, though the configuration expects it on 10.0.0.5");
    assert_has(stated.text, "The configuration expects it on 10.0.0.5.\n");
    event.type = EVENT_REMINDER;
    mail_of(&event, 1, &at_once, &again);
    assert_has(again.subject, "7500/tcp still not open, though the configuration expects it on 10.0.0.5");
}

/* A unit that systemd says has ended can be started again; nothing else that a command would be made of is taken. */
static void test_start(void **state) {
    static const struct {
        const char *cause, *command; /* NULL: none */
    } cases[] = {
        {"{\"unit\":\"my@app.service\",\"state\":\"failed\",\"result\":\"signal\",\"summary\":\"\"}",
            "  start  sudo systemctl restart my@app.service\n"},
        {"{\"unit\":\"my.socket\",\"state\":\"inactive\",\"result\":\"success\",\"summary\":\"\"}",
            "  start  sudo systemctl start my.socket\n"},
        {"{\"unit\":\"my.service\",\"state\":\"inactive\",\"result\":null,\"summary\":\"\"}", NULL},
        {"{\"unit\":\"my.service\",\"state\":\"inactive\",\"result\":\"success\",\"summary\":\"my.service stopped; it "
         "is masked\"}",
            NULL},
        {"{\"unit\":\"my.service\",\"state\":null,\"result\":\"signal\",\"summary\":\"\"}", NULL},
        {"{\"unit\":\"my.service\",\"state\":\"active\",\"result\":null,\"summary\":\"\"}", NULL},
        {"{\"unit\":\"run-u7.service\",\"state\":\"failed\",\"result\":\"signal\",\"summary\":\"\"}", NULL},
        {"{\"unit\":\"session-3.scope\",\"state\":\"failed\",\"result\":\"signal\",\"summary\":\"\"}", NULL},
        {"{\"unit\":\"a;reboot.service\",\"state\":\"failed\",\"result\":\"signal\",\"summary\":\"\"}", NULL},
        {"{\"unit\":\"a\\\\x20b.service\",\"state\":\"failed\",\"result\":\"signal\",\"summary\":\"\"}", NULL},
        {"{\"unit\":\"-f.service\",\"state\":\"failed\",\"result\":\"signal\",\"summary\":\"\"}", NULL},
        {"[]", NULL},
        {"not JSON", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_(event_done) Event event;
        sample_event(&event, EVENT_OPENED, CHANGE_CLOSED, 7500);
        sample_listen(&event.before, "10.0.0.5", 7500, sample_owner("my.service", "/usr/bin/a", "root", 0, 1));
        event.cause = strdup(cases[i].cause);
        _cleanup_(mail_done) Mail mail = {0}, opened = {0};
        mail_of(&event, 1, &at_once, &mail);
        if (cases[i].command)
            assert_has(mail.text, cases[i].command);
        else
            assert_null(strstr(mail.text, "systemctl"));
        event.change = CHANGE_OWNER; /* another holds the port: it could not be started */
        mail_of(&event, 1, &at_once, &opened);
        assert_null(strstr(opened.text, "systemctl"));
    }
}

/* What the configuration forbids is said to be forbidden, and nobody is sent to `accept`. */
static void test_forbidden(void **state) {
    PortRule rule = {.protocol = PROTOCOL_TCP, .first = 23, .last = 23, .expect = EXPECT_CLOSED};
    rule.expect_place.file = strdup("/etc/portwatch.conf");
    rule.expect_place.line = 7;
    Rules rules = {.ports = &rule, .n_ports = 1};
    json_t *documents[2];
    for (size_t i = 0; i < 2; i++) {
        _cleanup_(event_done) Event event;
        sample_event(&event, i ? EVENT_REMINDER : EVENT_OPENED, CHANGE_OPENED, 23);
        sample_listen(&event.after, "0.0.0.0", 23, sample_owner("a.service", "/usr/bin/a", "root", 0, 1));
        event.incident.id[0] = i ? 'a' : 'b';
        _cleanup_free_ char *text = document_event(&event, "db1", "", NULL, &rules);
        documents[i] = document_parse(text);
    }
    _cleanup_(mail_done) Mail mail = {0}, group = {0};
    assert_int_equal(prose_message(documents, 1, &at_once, &mail.subject, &mail.text), 0);
    assert_has(mail.text, "The configuration says that nothing may listen here.\n");
    assert_has(mail.text, "sudoedit /etc/portwatch.conf   # line 7 states it");
    assert_int_equal(prose_message(documents, 2, &at_once, &group.subject, &group.text), 0);
    assert_null(strstr(group.text, "accept"));
    for (size_t i = 0; i < 2; i++) json_decref(documents[i]);
    free(rule.expect_place.file);
}

/* The baseline's pid is not that of the process that went. */
static void test_closed(void **state) {
    _cleanup_(event_done) Event event;
    sample_event(&event, EVENT_OPENED, CHANGE_CLOSED, 443);
    sample_listen(&event.before, "0.0.0.0", 443, sample_owner("n.service", "/usr/sbin/nginx", "root", 0, 7));
    _cleanup_(mail_done) Mail mail = {0};
    mail_of(&event, 1, &at_once, &mail);
    assert_has(mail.text, "Until then, nginx (user root) listened on all IPv4 addresses.\n");
    assert_has(mail.text, "\nWas    n.service, /usr/sbin/nginx, user root\n");
}

static void test_reminders(void **state) {
    Event events[2];
    for (size_t i = 0; i < 2; i++) {
        uint16_t port = (uint16_t)(443 + i);
        sample_event(&events[i], EVENT_REMINDER, CHANGE_CLOSED, port);
        sample_listen(&events[i].before, "0.0.0.0", port, sample_owner("n.service", "/usr/sbin/n", "root", 0, 7));
    }
    _cleanup_(mail_done) Mail mail = {0};
    mail_of(events, 2, &at_once, &mail);
    assert_string_equal(mail.subject, "[db1.example.com] WARNING 2 ports still differ: 443/tcp, 444/tcp");
    assert_has(mail.text, "2 reminders from db1.example.com, the most urgent first:\n");
    for (size_t i = 0; i < 2; i++) event_done(&events[i]);
}

/* However many endpoints one event has, its mail can be read, and made in no time. */
static void test_thousands_of_rows(void **state) {
    _cleanup_(event_done) Event pool, learned = {.type = EVENT_LEARNED, .time = SAMPLE_TIME};
    sample_event(&pool, EVENT_OPENED, CHANGE_OPENED, 0);
    Owner *old = sample_owner("a.service", "/usr/bin/a", "root", 0, 1);
    Owner *new = sample_owner("b.service", "/usr/bin/b", "root", 0, 2);
    for (unsigned i = 0; i < 9000; i++) {
        uint16_t port = (uint16_t)(33000 + i);
        sample_listen(&pool.before, "0.0.0.0", port, owner_ref(old));
        sample_listen(&pool.after, "0.0.0.0", (uint16_t)(port + 9000), owner_ref(old));
        sample_listen(&learned.after, "0.0.0.0", port, owner_ref(old));
        if (i % 3 == 0) sample_listen(&pool.after, "0.0.0.0", (uint16_t)(port + 18000), owner_ref(new));
    }
    owner_unref(old);
    owner_unref(new);
    Event *const events[] = {&pool, &learned};
    for (size_t i = 0; i < 2; i++) {
        _cleanup_(mail_done) Mail mail = {0};
        mail_of(events[i], 1, &at_once, &mail);
        assert_mail(&mail);
        assert_true(strlen(mail.text) < 64 * 1024);
        assert_has(mail.text, i ? "and 8500 more" : "and 2950 more");
        assert_has(mail.subject, i ? "watching 9000 ports" : "3000 ephemeral tcp ports opened");
        _cleanup_json_ json_t *document = sample_document(events[i]);
        _cleanup_free_ char *text = document_text(document);
        assert_true(strlen(text) < 4 << 20);
    }
}

static void test_learned(void **state) {
    Event events[SAMPLES_MAX];
    size_t n = sample_all(events);
    _cleanup_(mail_done) Mail mail = {0};
    mail_of(&events[n - 6], 1, &at_once, &mail);
    const char *others = strstr(mail.text, "On addresses that others"), *local = strstr(mail.text, "On this host only");
    assert_true(others && local && others < local);
    assert_has(mail.text, "\n4 ports, 5 addresses:\n");
    assert_true(strstr(mail.text, "127.0.0.1:25") > local);
    assert_has(mail.text, "  tcp6  :::9090        systemd for cockpit.socket (user root)\n");
    for (size_t i = 0; i < n; i++) event_done(&events[i]);
}

static void test_nothing(void **state) {
    char *subject, *text;
    assert_true(prose_message(NULL, 0, &at_once, &subject, &text) < 0);
}

int main(void) {
    sample_zone();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widened),
        cmocka_unit_test(test_subjects),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_flapping),
        cmocka_unit_test(test_container),
        cmocka_unit_test(test_unescaped_document),
        cmocka_unit_test(test_opened_and_resolved_are_one),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_another_day),
        cmocka_unit_test(test_detail),
        cmocka_unit_test(test_owner_that_looks_the_same),
        cmocka_unit_test(test_stated_address_has_no_owner),
        cmocka_unit_test(test_never_open),
        cmocka_unit_test(test_start),
        cmocka_unit_test(test_forbidden),
        cmocka_unit_test(test_closed),
        cmocka_unit_test(test_reminders),
        cmocka_unit_test(test_thousands_of_rows),
        cmocka_unit_test(test_learned),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
