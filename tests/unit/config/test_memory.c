/* Memory fails at each allocation in turn: the answer is -ENOMEM, nothing leaks, nothing is half written. */
#include "support.h"

#include <errno.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static bool counting;
static long until_failure, live;

static bool fails(void) {
    return counting && until_failure-- <= 0;
}

static void *count(void *p) {
    if (counting && p) live++;
    return p;
}

__attribute__((visibility("default"))) void *malloc(size_t size) {
    return fails() ? (errno = ENOMEM, NULL) : count(__libc_malloc(size));
}

__attribute__((visibility("default"))) void *calloc(size_t n, size_t size) {
    return fails() ? (errno = ENOMEM, NULL) : count(__libc_calloc(n, size));
}

__attribute__((visibility("default"))) void *realloc(void *p, size_t size) {
    if (fails()) return errno = ENOMEM, NULL;
    void *q = __libc_realloc(p, size);
    return p ? q : count(q);
}

__attribute__((visibility("default"))) void *reallocarray(void *p, size_t n, size_t size) {
    if (__builtin_mul_overflow(n, size, &size)) return errno = ENOMEM, NULL;
    return realloc(p, size);
}

__attribute__((visibility("default"))) void free(void *p) {
    if (counting && p) live--;
    __libc_free(p);
}

/* Runs `work` with the first, the second, ... allocation failing, until none does. */
static void exhaust(int (*work)(void), int expected) {
    for (long n = 0;; n++) {
        until_failure = n;
        live = 0;
        counting = true;
        int r = work();
        counting = false;
        if (live != 0) fail_msg("%ld blocks leak when allocation %ld fails", live, n);
        if (until_failure >= 0) {
            assert_int_equal(r, expected);
            assert_true(n > 50);
            return;
        }
        if (r != -ENOMEM && r != expected) fail_msg("result %d when allocation %ld fails", r, n);
    }
}

static int load(const char *file) {
    Rules *rules = NULL;
    char **errors = NULL;
    int r = config_load(file, "db1.example.com", &rules, &errors);
    if (r != CONFIG_OK && rules) r = 98;
    if (r != CONFIG_ERRORS && errors) r = 99;
    rules_free(rules);
    strv_free(errors);
    return r;
}

static int load_good(void) {
    return load("good/full.conf");
}

static int load_bad(void) {
    return load("bad/notifier-events.conf");
}

static int load_overlap(void) {
    return load("bad/port-notify.conf");
}

static int pack(void) {
    ConfigFiles files = {0}, back = {0};
    char **errors = NULL, *bytes = NULL;
    size_t length;

    int r = config_read("good/full.conf", &files, &errors);
    if (r == CONFIG_OK) r = config_pack(&files, &bytes, &length);
    if (r == 0) r = config_unpack(bytes, length, &back);
    if (r == 0 && !config_files_equal(&files, &back)) r = 99;
    config_files_done(&files);
    config_files_done(&back);
    free(bytes);
    strv_free(errors);
    return r;
}

static void test_good(void **state) {
    exhaust(load_good, CONFIG_OK);
}

static void test_bad(void **state) {
    exhaust(load_bad, CONFIG_ERRORS);
}

static void test_overlap(void **state) {
    exhaust(load_overlap, CONFIG_ERRORS);
}

static void test_pack(void **state) {
    for (long n = 0;; n++) {
        until_failure = n;
        live = 0;
        counting = true;
        int r = pack();
        counting = false;
        assert_int_equal(live, 0);
        if (until_failure >= 0) {
            assert_int_equal(r, 0);
            return;
        }
        if (r != -ENOMEM && r != 0) fail_msg("result %d when allocation %ld fails", r, n);
    }
}

int main(int argc, char *argv[]) {
    if (argc != 2 || chdir(argv[1]) < 0) return 99;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_pack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
