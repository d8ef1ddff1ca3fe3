#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "plugins/mail.h"

static const char *const nothing[] = {NULL};
static const char *const to[] = {"root@localhost", "ops@example.com", NULL};

static pw_message sample(void) {
    return (pw_message){.size = sizeof(pw_message),
        .id = "11112222-aaaa",
        .notifier = "ops",
        .host = "db1.example.com",
        .formed_usec = INT64_C(1700000000123456),
        .subject = "[db1] 443/tcp opened",
        .text = "hello\nworld\n",
        .document = "{}",
        .references = nothing};
}

/* True where every line ends with CRLF, no bare CR or LF is left, and no line is longer than the limit. */
static void assert_lines(const char *mail) {
    size_t length = 0;
    for (const char *p = mail; *p; p++) {
        if (*p == '\r') {
            assert_int_equal(p[1], '\n');
            continue;
        }
        if (*p == '\n') {
            assert_true(p > mail && p[-1] == '\r');
            length = 0;
            continue;
        }
        assert_true(++length <= 998);
    }
    assert_string_equal(mail + strlen(mail) - 2, "\r\n");
}

/* Header names in order, continuation lines left out. */
static void header_names(const char *mail, char *names, size_t size) {
    names[0] = '\0';
    const char *line = mail;
    while (*line && strncmp(line, "\r\n", 2) != 0) {
        if (*line != ' ') {
            size_t n = strcspn(line, ":");
            snprintf(names + strlen(names), size - strlen(names), "%.*s ", (int)n, line);
        }
        line = strstr(line, "\r\n") + 2;
    }
}

#define PLAIN_NAMES                                                                                                    \
    "Date From To Subject Message-ID Auto-Submitted MIME-Version Content-Type Content-Transfer-Encoding "

static void test_exact(void **state) {
    (void)state;
    pw_message m = sample();
    char *mail = mail_form(&m, "portwatch@db1.example.com", to);
    assert_string_equal(mail, "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
                              "From: portwatch@db1.example.com\r\n"
                              "To: root@localhost,\r\n ops@example.com\r\n"
                              "Subject: [db1] 443/tcp opened\r\n"
                              "Message-ID: <11112222-aaaa@db1.example.com>\r\n"
                              "Auto-Submitted: auto-generated\r\n"
                              "MIME-Version: 1.0\r\n"
                              "Content-Type: text/plain; charset=utf-8\r\n"
                              "Content-Transfer-Encoding: 7bit\r\n"
                              "\r\n"
                              "hello\r\nworld\r\n");
    free(mail);
}

static void test_threading(void **state) {
    (void)state;
    pw_message m = sample();
    const char *const references[] = {"first", "11112222-aaaa", "second", NULL};
    m.references = references;
    char *mail = mail_form(&m, "a@b", to);
    assert_non_null(strstr(mail, "\r\nReferences: <first@db1.example.com>\r\n <second@db1.example.com>\r\n"));
    assert_non_null(strstr(mail, "\r\nIn-Reply-To: <second@db1.example.com>\r\n"));
    free(mail);
}

static void test_no_injection(void **state) {
    (void)state;
    static const char *const evil[] = {"x\r\nBcc: a@b", "x\nBcc: a@b\n\nbody", "x\rBcc: a@b", "\r\n\r\nbody", "\n", "",
        "\x1b[2J\x7f\x08", "=?utf-8?B?QmNjOg==?=",
        "\xc2\x85"
        "Bcc: a@b",
        "\xe2\x80\xa8"
        "Bcc: a@b",
        "\xff\xfe\n.\r\n", " leading and trailing ", "=?",
        "?=", "two  blanks and then a subject that is so long that it has to be folded somewhere"};
    char names[1024];
    for (size_t i = 0; i < sizeof(evil) / sizeof(evil[0]); i++) {
        pw_message m = sample();
        const char *const references[] = {evil[i], NULL};
        m.subject = m.text = m.host = m.id = evil[i];
        char *mail = mail_form(&m, "a@b", to);
        assert_non_null(mail);
        if (*m.text) assert_lines(mail);
        header_names(mail, names, sizeof(names));
        assert_string_equal(names, PLAIN_NAMES);
        char *body = strstr(mail, "\r\n\r\n");
        assert_non_null(body);
        body[2] = '\0';
        assert_null(strstr(mail, "\nBcc"));
        assert_null(strchr(mail, '\x1b'));
        assert_null(strchr(body + 3, '\x1b'));
        free(mail);
        m = sample();
        m.references = references;
        mail = mail_form(&m, "a@b", to);
        assert_null(strstr(mail, "\nBcc"));
        assert_lines(mail);
        free(mail);
    }
}

static void test_long_and_wide(void **state) {
    (void)state;
    char *longer = malloc(200001), *subject = malloc(6001);
    memset(longer, 'x', 200000);
    longer[200000] = '\0';
    for (size_t i = 0; i < 6000; i += 2) memcpy(subject + i, "\xc3\xbc", 2);
    subject[6000] = '\0';
    pw_message m = sample();
    m.text = longer;
    m.subject = subject;
    char *mail = mail_form(&m, "a@b", to);
    assert_lines(mail);
    assert_non_null(strstr(mail, "quoted-printable"));
    for (const char *p = strstr(mail, "=?utf-8?B?"); p; p = strstr(p + 1, "=?utf-8?B?"))
        assert_true(strstr(p, "?=") - p + 2 <= 75);
    free(mail);
    m.subject = longer;
    mail = mail_form(&m, "a@b", to);
    assert_lines(mail);
    free(mail);
    free(longer);
    free(subject);
}

static void test_quoted_printable(void **state) {
    (void)state;
    pw_message m = sample();
    m.text = "From here\n.\nZ\xc3\xbcrich = 3 \n\ttab\t\nlast";
    char *mail = mail_form(&m, "a@b", to);
    assert_non_null(strstr(mail, "\r\n\r\n=46rom here\r\n=2E\r\nZ=C3=BCrich =3D 3=20\r\n\ttab=09\r\nlast\r\n"));
    char *again = mail_form(&m, "a@b", to);
    assert_string_equal(mail, again);
    free(mail);
    free(again);
}

static void test_addresses(void **state) {
    (void)state;
    static const char *const good[] = {"root@localhost", "a.b+c@x-y.example.com", "o'neil@example.com", "a@1.2.3.4"};
    static const char *const bad[] = {"", "root", "@x", "a@", "a b@c", "a@b c", "a@b\r\nBcc: c", "<a@b>", "a@b>",
        "a,b@c", "\"a b\"@c", ".a@b", "a.@b", "a..b@c", "a@b..c", "a@.b", "a@-b", "-a@b", "\xc3\xbc@b", "a@\xc3\xbc",
        "a@b SIZE=1"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) assert_true(address_valid(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) assert_false(address_valid(bad[i]));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_threading),
        cmocka_unit_test(test_no_injection),
        cmocka_unit_test(test_long_and_wide),
        cmocka_unit_test(test_quoted_printable),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
