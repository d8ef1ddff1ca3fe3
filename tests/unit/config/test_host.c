#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/host.h"

static const char hosts[] = "127.0.0.1 localhost\n"
                            "# 10.0.0.9 db1.wrong.example db1\n"
                            "127.0.1.1\tdb1.example.com db1 # db1.comment.example\n"
                            "10.0.0.7 db12.example.com db12\n"
                            "10.0.0.8 bad_name.example bad_name\n"
                            "10.0.0.6 alone";

static void test_full_name(void **state) {
    char name[256] = "untouched";
    assert_true(host_full_name(hosts, "db1", name, sizeof name));
    assert_string_equal(name, "db1.example.com");
    assert_true(host_full_name(hosts, "db12", name, sizeof name));
    assert_string_equal(name, "db12.example.com");
    assert_false(host_full_name(hosts, "alone", name, sizeof name));
    assert_false(host_full_name(hosts, "bad_name", name, sizeof name));
    assert_false(host_full_name("", "db1", name, sizeof name));
    assert_string_equal(name, "db12.example.com");
}

static void test_read(void **state) {
    Host host;
    host_read(&host);
    assert_true(strlen(host.name) > 0);
    assert_null(strpbrk(host.name, " \n@<>"));
    assert_null(strchr(host.boot_id, '\n'));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full_name), cmocka_unit_test(test_read)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
