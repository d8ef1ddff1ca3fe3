/* Reading files and directories as they should not be, and packing. */
#include "support.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

static char *directory;

static int enter(void **state) {
    char name[] = "/tmp/portwatch-config-XXXXXX";
    if (!mkdtemp(name) || chdir(name) < 0) return -1;
    directory = strdup(name);
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw) {
    return remove(path);
}

static int leave(void **state) {
    int r = nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(directory);
    return r;
}

static void write_file(const char *path, const void *bytes, size_t length) {
    FILE *stream = fopen(path, "we");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, length, stream), length);
    assert_int_equal(fclose(stream), 0);
}

static void assert_refused(const char *file, const char *expected) {
    Rules *rules = NULL;
    char **errors = NULL;
    assert_int_equal(config_load(file, NULL, &rules, &errors), CONFIG_ERRORS);
    assert_null(rules);
    assert_int_equal(strv_length(errors), 1);
    assert_string_equal(errors[0], expected);
    strv_free(errors);
}

static void test_fifo(void **state) {
    assert_int_equal(mkfifo("fifo.conf", 0600), 0);
    assert_refused("fifo.conf", "fifo.conf: cannot be read: it is no regular file");
}

static void test_too_large(void **state) {
    char *bytes = malloc(CONFIG_BYTES_MAX + 1);
    memset(bytes, '\n', CONFIG_BYTES_MAX + 1);
    write_file("large.conf", bytes, CONFIG_BYTES_MAX + 1);
    assert_refused("large.conf", "large.conf: larger than 1024 KiB");

    Rules *rules = NULL;
    char **errors = NULL;
    write_file("large.conf", bytes, CONFIG_BYTES_MAX);
    assert_int_equal(config_load("large.conf", NULL, &rules, &errors), CONFIG_OK);
    rules_free(rules);
    free(bytes);
}

static void test_drop_ins(void **state) {
    static const char main_text[] = "[portwatch]\nsettle = 5s\n", more[] = "[portwatch]\nretain = 2d\n";
    Rules *rules = NULL;
    char **errors = NULL;

    write_file("d.conf", main_text, strlen(main_text));
    write_file("d.conf.d", more, strlen(more));
    assert_refused("d.conf", "d.conf.d: cannot be read: Not a directory");
    assert_int_equal(remove("d.conf.d"), 0);
    assert_int_equal(mkdir("d.conf.d", 0700), 0);
    write_file("d.conf.d/z.conf", more, strlen(more));
    assert_int_equal(symlink("/dev/null", "d.conf.d/masked.conf"), 0);
    assert_int_equal(config_load("d.conf", NULL, &rules, &errors), CONFIG_OK);
    assert_int_equal(rules->retain, 2 * 86400 * USEC_PER_SEC);
    rules_free(rules);

    assert_int_equal(symlink("nowhere", "d.conf.d/b\nc.conf"), 0);
    assert_refused("d.conf", "d.conf.d/b\\x0ac.conf: cannot be read: No such file or directory");
}

static void test_too_many_drop_ins(void **state) {
    char name[64];

    write_file("many.conf", "", 0);
    assert_int_equal(mkdir("many.conf.d", 0700), 0);
    for (int i = 0; i < CONFIG_FILES_MAX; i++) {
        snprintf(name, sizeof(name), "many.conf.d/%03d.conf", i);
        write_file(name, "", 0);
    }
    assert_refused("many.conf", "many.conf.d: more than 256 files");
    assert_int_equal(remove("many.conf.d/000.conf"), 0);
    Rules *rules = NULL;
    char **errors = NULL;
    assert_int_equal(config_load("many.conf", NULL, &rules, &errors), CONFIG_OK);
    rules_free(rules);
}

/* A configuration as large as it may be is refused in time, with a bounded list of messages. */
static void test_too_many_sections(void **state) {
    Rules *rules = NULL;
    char **errors = NULL, *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);

    for (int i = 0; i < 20000; i++) fprintf(stream, "[ignore:%d]\nport = %d\n", i, i + 1);
    fclose(stream);
    assert_int_equal(parse_text(text, &rules, &errors), CONFIG_ERRORS);
    assert_int_equal(strv_length(errors), 201);
    assert_string_equal(errors[0], "t.conf:8193: [ignore:4096]: more than 4096 sections");
    strv_free(errors);
    free(text);
}

static void test_too_many_keys(void **state) {
    Rules *rules = NULL;
    char **errors = NULL, *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);

    fputs("[notifier:a]\nplugin = x\n", stream);
    for (int i = 0; i < 1024; i++) fprintf(stream, "header = X-%d: 1\n", i);
    fclose(stream);
    assert_int_equal(parse_text(text, &rules, &errors), CONFIG_ERRORS);
    assert_int_equal(strv_length(errors), 1);
    assert_string_equal(errors[0], "t.conf:1026: [notifier:a] header: more than 1024 keys in one section");
    strv_free(errors);
    free(text);
}

static void test_pack(void **state) {
    ConfigFile items[] = {
        {.name = (char *)"/etc/a b\n.conf", .bytes = (char *)"x\0y\n", .length = 4, .exposed = true},
        {.name = (char *)"empty", .bytes = NULL, .length = 0},
        {.name = (char *)"3 4", .bytes = (char *)"1 1\n", .length = 4},
    };
    ConfigFiles files = {.items = items, .n = 3}, back = {0};
    char *bytes = NULL;
    size_t length = 0;

    assert_int_equal(config_pack(&files, &bytes, &length), 0);
    assert_int_equal(config_unpack(bytes, length, &back), 0);
    assert_true(config_files_equal(&files, &back));
    assert_int_equal(back.n, 3);
    assert_string_equal(back.items[0].name, "/etc/a b\n.conf");
    assert_false(back.items[0].exposed);
    back.items[2].bytes[0] = '2';
    assert_false(config_files_equal(&files, &back));
    config_files_done(&back);

    /* Nothing shorter is taken, except where it ends with a whole file. */
    size_t whole = 0;
    for (size_t n = 0; n < length; n++) {
        char *cut = malloc(n ? n : 1);
        memcpy(cut, bytes, n);
        int r = config_unpack(cut, n, &back);
        if (r == 0) {
            assert_true(back.n < 3);
            whole++;
        } else
            assert_int_equal(r, -EBADMSG);
        config_files_done(&back);
        free(cut);
    }
    assert_int_equal(whole, 2);
    free(bytes);
}

static void test_unpack_bad(void **state) {
    static const char *const bad[] = {
        "",
        "portwatch configuration 1\n",
        "portwatch configuration 2\n1 0\na\n",
        "portwatch configuration 1\n1 0\nab\n",
        "portwatch configuration 1\n1  0\na\n",
        "portwatch configuration 1\n-1 0\na\n",
        "portwatch configuration 1\n1 99999999999999999999\na\n",
        "portwatch configuration 1\n1 1048577\na\n",
        "portwatch configuration 1\n 1\na\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ConfigFiles files = {0};
        assert_int_equal(config_unpack(bad[i], strlen(bad[i]), &files), -EBADMSG);
        assert_null(files.items);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fifo),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_drop_ins),
        cmocka_unit_test(test_too_many_drop_ins),
        cmocka_unit_test(test_too_many_sections),
        cmocka_unit_test(test_too_many_keys),
        cmocka_unit_test(test_pack),
        cmocka_unit_test(test_unpack_bad),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
