/* The file as installed and its manual page tell the truth about the parser. */
#include "support.h"

#include <stdio.h>

static const char *conf_path, *man_path;
static const char *const kinds[] = {"portwatch", "port", "ignore", "notifier"};

/* The shipped file with every setting that it holds as a comment taken in. */
static char *uncommented(const char *text) {
    char *all = malloc(strlen(text) + 1), *to = all;
    bool start = true;
    assert_non_null(all);
    for (; *text; text++) {
        bool setting = start && text[0] == '#' && text[1] && !strchr("# \n", text[1]);
        start = *text == '\n';
        if (!setting) *to++ = *text;
    }
    *to = '\0';
    return all;
}

static Rules *parse_good(const char *text) {
    Rules *rules = NULL;
    char **errors = NULL;
    int r = parse_text(text, &rules, &errors);
    print_list(errors);
    assert_int_equal(r, CONFIG_OK);
    assert_null(rules->warnings);
    return rules;
}

static void assert_same_globals(const Rules *a, const Rules *b) {
    assert_int_equal(a->interval, b->interval);
    assert_int_equal(a->settle, b->settle);
    assert_int_equal(a->settle_closed, b->settle_closed);
    assert_int_equal(a->boot_grace, b->boot_grace);
    assert_int_equal(a->mode, b->mode);
    assert_int_equal(a->unlisted, b->unlisted);
    assert_int_equal(a->unlisted_local, b->unlisted_local);
    assert_int_equal(a->upgrades, b->upgrades);
    assert_int_equal(a->flapping.returns, b->flapping.returns);
    assert_int_equal(a->flapping.within, b->flapping.within);
    assert_int_equal(a->namespaces, b->namespaces);
    assert_int_equal(a->remind, b->remind);
    assert_int_equal(a->retain, b->retain);
}

static void test_as_shipped(void **state) {
    char *text = read_file(conf_path);
    Rules *rules = parse_good(text), *defaults = rules_new();

    /* Comments only: no section, no notifier, the defaults. */
    assert_int_equal(rules->n_ports + rules->n_ignores + rules->n_notifiers, 0);
    assert_same_globals(rules, defaults);
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        assert_true(*line == '#' || *line == '\n' || *line == '\0');
    rules_free(defaults);
    rules_free(rules);
    free(text);
}

/* Every example is right, and what it shows as a default is the default. */
static void test_uncommented(void **state) {
    char *text = read_file(conf_path), *all = uncommented(text);
    Rules *rules = parse_good(all), *defaults = rules_new();

    assert_same_globals(rules, defaults);
    assert_int_equal(rules->n_ports, 1);
    assert_int_equal(rules->n_ignores, 1);
    assert_int_equal(rules->n_notifiers, 3);
    assert_int_equal(rules->ports[0].settle, defaults->settle);
    assert_int_equal(rules->ports[0].settle_closed, defaults->settle_closed);
    assert_int_equal(rules->ports[0].remind, defaults->remind);
    assert_int_equal(rules->ports[0].mode, defaults->mode);
    assert_int_equal(rules->ports[0].upgrades, defaults->upgrades);
    assert_int_equal(rules->ports[0].expect, EXPECT_BASELINE);
    Rules *bare = parse_good("[notifier:admin]\nplugin = email\n[notifier:chat]\nplugin = webhook\n");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(rules->notifiers[i].group_wait, bare->notifiers[i].group_wait);
        assert_int_equal(rules->notifiers[i].max_per_hour, bare->notifiers[i].max_per_hour);
        assert_int_equal(rules->notifiers[i].events, bare->notifiers[i].events);
        assert_int_equal(rules->notifiers[i].severity, bare->notifiers[i].severity);
        assert_int_equal(rules->notifiers[i].quiet_critical_waits, bare->notifiers[i].quiet_critical_waits);
        assert_int_equal(rules->notifiers[i].detail_full, bare->notifiers[i].detail_full);
    }
    rules_free(bare);
    rules_free(defaults);
    rules_free(rules);
    free(all);
    free(text);
}

/* The part of the text between the header of a section and the next header. */
static char *part(const char *text, const char *header, const char *next) {
    const char *start = strstr(text, header);
    if (!start) fail_msg("no %s", header);
    const char *end = strstr(start + strlen(header), next);
    return strndup(start, end ? (size_t)(end - start) : strlen(start));
}

static void test_every_key_is_shipped(void **state) {
    char *text = read_file(conf_path);
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        char header[64], wanted[64];
        snprintf(header, sizeof(header), "\n#[%s%s", kinds[i], i > 0 ? ":" : "]");
        /* The notifiers are the last; each shows what is its own. */
        bool last = i + 1 == ELEMENTSOF(kinds);
        char *section = last ? strdup(strstr(text, header) ?: "") : part(text, header, "\n#[");
        for (const char *const *key = config_keys(kinds[i]); *key; key++) {
            snprintf(wanted, sizeof(wanted), "\n#%s = ", *key);
            if (!strstr(section, wanted)) fail_msg("[%s] %s is not in the shipped file", kinds[i], *key);
        }
        free(section);
    }
    free(text);
    assert_null(config_keys("general"));
}

static void test_every_key_is_in_the_manual(void **state) {
    char *text = read_file(man_path);
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        char header[64], wanted[64];
        snprintf(header, sizeof(header), "\n# [%s%s", kinds[i], i > 0 ? ":" : "]");
        char *section = part(text, header, "\n# ");
        for (const char *const *key = config_keys(kinds[i]); *key; key++) {
            snprintf(wanted, sizeof(wanted), "*%s*", *key);
            if (!strstr(section, wanted)) fail_msg("[%s] %s is not in the manual page", kinds[i], *key);
        }
        free(section);
    }
    free(text);
}

/* The examples of the manual page, each between lines of ```, load without a warning. */
static void test_examples_of_the_manual(void **state) {
    char *text = read_file(man_path);
    unsigned n = 0;

    for (char *p = text; (p = strstr(p, "\n```\n"));) {
        char *start = p + 5, *end = strstr(start, "```\n");
        assert_non_null(end);
        *end = '\0';
        rules_free(parse_good(start));
        p = end + 1;
        n++;
    }
    assert_true(n >= 4);
    free(text);
}

int main(int argc, char *argv[]) {
    if (argc != 3) return 99;
    conf_path = argv[1];
    man_path = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_shipped),
        cmocka_unit_test(test_uncommented),
        cmocka_unit_test(test_every_key_is_shipped),
        cmocka_unit_test(test_every_key_is_in_the_manual),
        cmocka_unit_test(test_examples_of_the_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
