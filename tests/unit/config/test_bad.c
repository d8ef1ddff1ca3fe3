/* Every file of a folder is wrong; NAME.expect holds the messages, all of them and nothing else. */
#include "support.h"

#include <dirent.h>
#include <unistd.h>

static int is_conf(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static char *join(char *const *list) {
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    assert_non_null(stream);
    for (; list && *list; list++) fprintf(stream, "%s\n", *list);
    fclose(stream);
    return text;
}

static bool file_is_refused_as_expected(const char *name) {
    Rules *rules = NULL;
    char **errors = NULL;
    char path[512];

    snprintf(path, sizeof(path), "%.*s.expect", (int)(strlen(name) - 5), name);
    char *expected = read_file(path);
    int r = config_load(name, "db1.example.com", &rules, &errors);
    char *found = join(errors);
    bool good = r == CONFIG_ERRORS && !rules && *expected && strcmp(expected, found) == 0;
    if (!good) print_error("%s: result %d\nexpected:\n%sfound:\n%s", name, r, expected, found);
    free(expected);
    free(found);
    strv_free(errors);
    rules_free(rules);
    return good;
}

static void test_bad_files(void **state) {
    struct dirent **entries = NULL;
    int n = scandir(".", &entries, is_conf, alphasort), bad = 0;

    assert_true(n >= 60);
    for (int i = 0; i < n; i++) {
        if (!file_is_refused_as_expected(entries[i]->d_name)) bad++;
        free(entries[i]);
    }
    free(entries);
    assert_int_equal(bad, 0);
}

/* The same for what no file can hold: several faults in file names, and a file that is no file. */
static void test_missing(void **state) {
    Rules *rules = NULL;
    char **errors = NULL;

    assert_int_equal(config_load("no\x1bsuch.conf", NULL, &rules, &errors), CONFIG_ERRORS);
    assert_null(rules);
    assert_int_equal(strv_length(errors), 1);
    assert_string_equal(errors[0], "no\\x1bsuch.conf: cannot be read: No such file or directory");
    strv_free(errors);
}

static void test_directory(void **state) {
    Rules *rules = NULL;
    char **errors = NULL;

    assert_int_equal(config_load(".", NULL, &rules, &errors), CONFIG_ERRORS);
    assert_string_equal(errors[0], ".: cannot be read: it is a directory");
    strv_free(errors);
}

static void test_host(void **state) {
    static const char text[] = "[notifier:a]\nplugin = email\nfrom = a@%H\n";
    static const char *const bad[] = {"", "a_b", "-a.example", "a-.example", "a..b", ".a", "a.", "a b", "a\nb",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example", NULL};
    ConfigFile file = {.name = (char *)"t.conf", .bytes = (char *)text, .length = strlen(text)};
    ConfigFiles files = {.items = &file, .n = 1};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        Rules *rules = NULL;
        char **errors = NULL;
        assert_int_equal(config_parse(&files, bad[i], &rules, &errors), CONFIG_ERRORS);
        assert_int_equal(strv_length(errors), 1);
        assert_true(strncmp(errors[0], "t.conf:3: [notifier:a] from: %H stands for", 42) == 0);
        strv_free(errors);
    }
}

/* A secret of a plugin is in no message, whatever is wrong with its line. */
static void test_secrets_stay_secret(void **state) {
    static const char *const lines[] = {"password = hunter2 ;x", "password hunter2", " password = hunter2",
        "password = hunter2\x01", "hunter2", "Hunter2==", "password: hunter2", "hunter2/x=y", "password = hunter2%H",
        "  hunter2=="};

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        Rules *rules = NULL;
        char **errors = NULL;
        char text[256];
        snprintf(text, sizeof(text), "[notifier:a]\nplugin = email\n%s\n", lines[i]);
        assert_int_equal(parse_text(text, &rules, &errors), CONFIG_ERRORS);
        for (char **error = errors; *error; error++) assert_null(strcasestr(*error, "hunter"));
        strv_free(errors);
    }
}

int main(int argc, char *argv[]) {
    if (argc != 2 || chdir(argv[1]) < 0) return 99;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_directory),
        cmocka_unit_test(test_host),
        cmocka_unit_test(test_secrets_stay_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
