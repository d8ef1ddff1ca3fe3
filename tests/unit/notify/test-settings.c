#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "notify/settings.h"

static const FrameKey keys[] = {
    {(char *)"server", PW_KEY_REQUIRED},
    {(char *)"password", PW_KEY_SECRET | PW_KEY_CREDENTIAL},
    {(char *)"header", PW_KEY_REPEAT | PW_KEY_SECRET},
    {(char *)"ca", PW_KEY_FILE_ONLY},
    {(char *)"plain", 0},
};

static char directory[] = "/tmp/portwatch-settings-XXXXXX";

static char *path_of(const char *name, const char *content, size_t length) {
    char *path = NULL;
    assert_true(asprintf(&path, "%s/%s", directory, name) > 0);
    if (content) {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fwrite(content, 1, length, file);
        fclose(file);
    }
    return path;
}

typedef struct Case {
    NotifierRule rule;
    Setting settings[8];
    Resolved resolved;
    char **errors;
} Case;

static void add(Case *c, const char *key, const char *value) {
    size_t n = c->rule.n_settings++;
    c->settings[n] = (Setting){(char *)key, (char *)value, {(char *)"pw.conf", (unsigned)n + 10}};
}

static void resolve(Case *c, const char *credentials) {
    c->rule.name = (char *)"ops";
    c->rule.plugin = (char *)"email";
    c->rule.place = (Place){(char *)"pw.conf", 9};
    c->rule.settings = c->settings;
    assert_int_equal(settings_resolve(&c->rule, keys, ELEMENTSOF(keys), credentials, &c->resolved, &c->errors), 0);
}

static void release(Case *c) {
    resolved_done(&c->resolved);
    strv_free(c->errors);
    *c = (Case){0};
}

static void expect_error(Case *c, const char *credentials, const char *line) {
    resolve(c, credentials);
    assert_non_null(c->errors);
    assert_string_equal(c->errors[0], line);
    assert_null(c->errors[1]);
    release(c);
}

static void test_values_and_files(void **state) {
    (void)state;
    Case c = {0};
    _cleanup_free_ char *secret = path_of("secret", "s3cret\r\n", 8);
    _cleanup_free_ char *headers = path_of("headers", "# ours\nA: 1\r\n\nB: 2\n", 19);
    add(&c, "server", "smtp://x");
    add(&c, "password_file", secret);
    add(&c, "header", "X: 0");
    add(&c, "header_file", headers);
    resolve(&c, NULL);
    assert_null(c.errors);
    assert_int_equal(c.resolved.n, 5);
    assert_string_equal(c.resolved.settings[1].key, "password");
    assert_string_equal(c.resolved.settings[1].value, "s3cret");
    assert_string_equal(c.resolved.settings[3].value, "A: 1");
    assert_string_equal(c.resolved.settings[4].value, "B: 2");
    assert_ptr_equal(c.resolved.origins[4], &c.settings[3]);
    FrameFault fault = {(char *)"header", 4, (char *)"bad\x1b[2J"};
    assert_int_equal(settings_fault(&c.rule, &c.resolved, &fault, &c.errors), 0);
    assert_string_equal(c.errors[0], "pw.conf:13: [notifier:ops] header_file: bad\\x1b[2J");
    fault.setting = -1;
    assert_int_equal(settings_fault(&c.rule, &c.resolved, &fault, &c.errors), 0);
    assert_string_equal(c.errors[1], "pw.conf:12: [notifier:ops] header: bad\\x1b[2J");
    release(&c);
}

static void test_credential(void **state) {
    (void)state;
    Case c = {0};
    _cleanup_free_ char *path = path_of("cred", "from systemd\n", 13);
    add(&c, "server", "x");
    add(&c, "credential", "cred");
    resolve(&c, directory);
    assert_null(c.errors);
    assert_string_equal(c.resolved.settings[1].key, "password");
    assert_string_equal(c.resolved.settings[1].value, "from systemd");
    assert_true(strstr(path, "/cred") != NULL);
    release(&c);
    add(&c, "server", "x");
    add(&c, "credential", "../cred");
    expect_error(&c, directory, "pw.conf:11: [notifier:ops] credential: is a name, not a path");
    add(&c, "server", "x");
    add(&c, "credential", "cred");
    expect_error(&c, NULL, "pw.conf:11: [notifier:ops] credential: there are no credentials here");
}

/* LoadCredential=portwatch:FOLDER passes the file NAME as portwatch_NAME. */
static void test_credential_of_the_folder(void **state) {
    (void)state;
    Case c = {0};
    _cleanup_free_ char *passed = path_of("portwatch_smtp", "from the folder\n", 16);
    _cleanup_free_ char *other = path_of("smtp", "of a drop-in\n", 13);
    add(&c, "server", "x");
    add(&c, "credential", "smtp");
    resolve(&c, directory);
    assert_null(c.errors);
    assert_string_equal(c.resolved.settings[1].value, "from the folder");
    release(&c);
    assert_int_equal(unlink(passed), 0);
    add(&c, "server", "x");
    add(&c, "credential", "smtp");
    resolve(&c, directory);
    assert_null(c.errors);
    assert_string_equal(c.resolved.settings[1].value, "of a drop-in");
    release(&c);
    assert_int_equal(unlink(other), 0);
    add(&c, "server", "x");
    add(&c, "credential", "smtp");
    _cleanup_free_ char *line = NULL;
    assert_true(asprintf(&line,
                    "pw.conf:11: [notifier:ops] credential: %s: No such file or directory (the service sees a new "
                    "one after a restart)",
                    other) > 0);
    expect_error(&c, directory, line);
}

static void test_errors(void **state) {
    (void)state;
    Case c = {0};
    add(&c, "plain", "x");
    expect_error(&c, NULL, "pw.conf:9: [notifier:ops] server: is required by plugin email");
    add(&c, "server", "x");
    add(&c, "colour", "red");
    expect_error(&c, NULL, "pw.conf:11: [notifier:ops] colour: unknown key for plugin email");
    add(&c, "server", "x");
    add(&c, "plain_file", "/etc/hosts"); /* not a key that may come from a file */
    expect_error(&c, NULL, "pw.conf:11: [notifier:ops] plain_file: unknown key for plugin email");
    add(&c, "server", "x");
    add(&c, "ca", "inline");
    expect_error(&c, NULL, "pw.conf:11: [notifier:ops] ca: unknown key for plugin email");
    add(&c, "server", "x");
    add(&c, "password", "a");
    add(&c, "credential", "b");
    expect_error(&c, directory, "pw.conf:12: [notifier:ops] credential: password is already given in line 11");
    add(&c, "server", "x");
    add(&c, "password_file", "relative");
    expect_error(&c, NULL, "pw.conf:11: [notifier:ops] password_file: is not an absolute path");
    add(&c, "server", "\xff");
    expect_error(&c, NULL, "pw.conf:10: [notifier:ops] server: is not UTF-8");
}

static void test_bad_files(void **state) {
    (void)state;
    _cleanup_free_ char *none = path_of("none", NULL, 0), *empty = path_of("empty", "\n", 1),
                        *nul = path_of("nul", "a\0b", 3), *binary = path_of("binary", "\xff\xfe", 2),
                        *large = path_of("large", "x", 1), *fifo = path_of("fifo", NULL, 0);
    FILE *file = fopen(large, "a");
    for (size_t i = 0; i <= SETTINGS_FILE_MAX; i++) fputc('x', file);
    fclose(file);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    const struct {
        const char *path, *reason;
    } cases[] = {{none, "No such file or directory"}, {empty, "is empty"}, {nul, "holds NUL bytes or is not UTF-8"},
        {binary, "holds NUL bytes or is not UTF-8"}, {large, "is larger than 1 MiB"}, {fifo, "is not a regular file"},
        {directory, "Is a directory"}};
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Case c = {0};
        _cleanup_free_ char *line = NULL;
        add(&c, "server", "x");
        add(&c, "password_file", cases[i].path);
        assert_true(
            asprintf(&line, "pw.conf:11: [notifier:ops] password_file: %s: %s", cases[i].path, cases[i].reason) > 0);
        expect_error(&c, NULL, line);
    }
}

/* A reload may come while the plugin looks at its settings: the old rule is gone when it answers. */
static void test_rule_replaced(void **state) {
    (void)state;
    Case c = {0};
    add(&c, "server", "smtp://x");
    add(&c, "header", "A: b");
    resolve(&c, NULL);
    Setting *moved = calloc(2, sizeof(*moved));
    assert_non_null(moved);
    memcpy(moved, c.settings, 2 * sizeof(*moved));
    moved[1].place.line = 77;
    NotifierRule next = c.rule;
    next.settings = moved;
    resolved_move(&c.resolved, &c.rule, &next);
    memset(c.settings, 0xee, sizeof(c.settings));
    assert_int_equal(settings_fault(&next, &c.resolved,
                         &(FrameFault){.key = (char *)"header", .setting = 1, .reason = (char *)"no"}, &c.errors),
        0);
    assert_string_equal(c.errors[0], "pw.conf:77: [notifier:ops] header: no");
    release(&c);
    free(moved);
}

/* A file of comments gives no value, and what a plugin is promised is not empty. */
static void test_file_of_comments(void **state) {
    (void)state;
    Case c = {0};
    _cleanup_free_ char *path = path_of("comments", "# none\n\n", 8), *line = NULL;
    add(&c, "server", "smtp://x");
    add(&c, "header_file", path);
    resolve(&c, NULL);
    assert_true(asprintf(&line, "pw.conf:11: [notifier:ops] header_file: %s: is empty", path) > 0);
    assert_non_null(c.errors);
    assert_string_equal(c.errors[0], line);
    release(&c);
}

static int setup(void **state) {
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    _cleanup_free_ char *command = NULL;
    return asprintf(&command, "rm -rf %s", directory) > 0 ? system(command) : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_and_files),
        cmocka_unit_test(test_credential),
        cmocka_unit_test(test_credential_of_the_folder),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_rule_replaced),
        cmocka_unit_test(test_file_of_comments),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
