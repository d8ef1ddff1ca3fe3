/* Which run of its unit a holder belongs to, by the link that systemd makes for journald. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/text.h"
#include "kernel/invocation.h"
#include "kernel/owners.h"
#include "test.h"
#include "tree.h"

#define LINK "run/systemd/units/invocation:"
#define FIRST "11111111111111111111111111111111"
#define SECOND "0123456789abcdef0123456789abcdef"

static Tree tree;
static Owners *owners;
static SockRow row;
static int64_t now;

static int set_up(void **state) {
    (void)state;
    tree_make(&tree);
    tree.roots.files = tree.path;
    tree_process(&tree, 1, 0, 1, "systemd", "/usr/lib/systemd/systemd", 0, "/init.scope");
    OwnersOptions options = {.resolve_all = true};
    assert_int_equal(owners_new(&tree.roots, &options, &owners), 0);
    now = 1000 * USEC_PER_SEC;
    row = (SockRow){.cookie = 7, .inode = 4711, .port = 80, .table = TABLE_TCP4, .address.family = AF_INET};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    owners = owners_free(owners);
    tree_remove(&tree);
    return 0;
}

static int64_t clock_of(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

/* A process that starts now, with the socket. */
static void start(pid_t pid, const char *cgroup) {
    uint64_t ticks = (uint64_t)(clock_of(CLOCK_BOOTTIME) * sysconf(_SC_CLK_TCK) / USEC_PER_SEC);
    tree_process(&tree, pid, 1, ticks, "x", "/usr/bin/x", 0, cgroup);
    tree_socket(&tree, pid, 5, 4711);
}

static const Owner *look(void) {
    SockRows rows = {.items = &row, .n = 1, .allocated = 1};
    now += 6000 * USEC_PER_SEC;
    assert_int_equal(owners_update(owners, &rows, now, 32768, 60999), 0);
    const Owner *owner = owners_of(owners, &row);
    assert_non_null(owner);
    return owner;
}

static void test_restart(void **state) {
    (void)state;
    tree_link(&tree, LINK "foo.service", FIRST);
    start(50, "/system.slice/foo.service");
    assert_string_equal(look()->invocation, FIRST);
    /* stopped, and started again: another socket of another process */
    tree_kill(&tree, 50);
    tree_link(&tree, LINK "foo.service", SECOND);
    start(51, "/system.slice/foo.service");
    tree_socket(&tree, 51, 5, 4712);
    row.cookie = 8;
    row.inode = 4712;
    const Owner *owner = look();
    assert_int_equal(owner->pid, 51);
    assert_string_equal(owner->invocation, SECOND);
    /* it executes another program: the same run of the unit */
    tree_link(&tree, "proc/51/exe", "/usr/bin/y");
    for (int i = 0; i < 100 && strcmp(owner->exe, "/usr/bin/y") != 0; i++) owner = look();
    assert_string_equal(owner->exe, "/usr/bin/y");
    assert_string_equal(owner->invocation, SECOND);
}

static void test_kept_socket(void **state) {
    (void)state;
    /* the socket outlives a run of the service (FileDescriptorStoreMax=) and is the next one's */
    tree_link(&tree, LINK "foo.service", FIRST);
    start(50, "/system.slice/foo.service");
    assert_string_equal(look()->invocation, FIRST);
    tree_kill(&tree, 50);
    tree_link(&tree, LINK "foo.service", SECOND);
    start(51, "/system.slice/foo.service");
    const Owner *owner = look();
    for (int i = 0; i < 100 && owner->pid != 51; i++) owner = look();
    assert_int_equal(owner->pid, 51);
    assert_string_equal(owner->invocation, SECOND);
}

static void test_none_of_the_systems(void **state) {
    (void)state;
    static const struct {
        const char *link, *cgroup;
    } cases[] = {
        {LINK "foo.service", "/user.slice/user-1000.slice/user@1000.service/app.slice/foo.service"},
        {LINK "foo.service", "/system.slice/bar.service"},
        {LINK "foo.service", "/system.slice"},
        {LINK "foo.service", "/"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        tree_link(&tree, cases[i].link, FIRST);
        start((pid_t)(60 + i), cases[i].cgroup);
        row.cookie++;
        row.inode++;
        char name[32], target[32];
        snprintf(name, sizeof(name), "proc/%d/fd/5", (int)(60 + i));
        snprintf(target, sizeof(target), "socket:[%u]", row.inode);
        tree_link(&tree, name, target);
        assert_null(look()->invocation);
    }
}

static void test_left_over(void **state) {
    (void)state;
    /* KillMode=process: what is older than the link is of an earlier run */
    tree_link(&tree, LINK "foo.service", SECOND);
    tree_process(&tree, 50, 1, 1, "x", "/usr/bin/x", 0, "/system.slice/foo.service");
    tree_socket(&tree, 50, 5, 4711);
    assert_null(look()->invocation);
}

static void expect(const char *unit, const char *expected) {
    char *id = (char *)"unset";
    assert_int_equal(invocation_of_unit(tree.path, unit, clock_of(CLOCK_REALTIME), &id), 0);
    if (expected)
        assert_string_equal(id, expected);
    else
        assert_null(id);
    free(id);
}

static void test_hostile(void **state) {
    (void)state;
    static const char *const targets[] = {
        "0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0",
        "0123456789ABCDEF0123456789abcdef",
        "0123456789abcdef 0123456789abcde",
        "../../../etc/passwd",
        "00000000000000000000000000000000",
        "0123456789abcdef0123456789abcde\n",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    };
    tree_link(&tree, LINK "foo.service", FIRST);
    expect("foo.service", FIRST);
    for (size_t i = 0; i < ELEMENTSOF(targets); i++) {
        tree_link(&tree, LINK "foo.service", targets[i]);
        expect("foo.service", NULL);
    }
    tree_write(&tree, LINK "file.service", FIRST);
    expect("file.service", NULL);
    expect("nothing.service", NULL);
    /* no name of a unit leads elsewhere */
    tree_link(&tree, "run/systemd/elsewhere.service", FIRST);
    tree_write(&tree, LINK "x/file", "");
    expect("x/../../elsewhere.service", NULL);
    char name[5000];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    expect(name, NULL);
    char *id = (char *)"unset";
    assert_int_equal(invocation_of_unit(NULL, "foo.service", INT64_MAX, &id), 0);
    assert_null(id);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_kept_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_none_of_the_systems, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_left_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
