/* Owners on made-up trees: who of several holders is compared, what a restart, an exec, a change of user do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/text.h"
#include "kernel/owners.h"
#include "test.h"
#include "tree.h"

#define FIRST 32768
#define LAST 60999

static Tree tree;
static Owners *owners;
static SockRow row;
static int64_t now;

static int set_up(void **state) {
    (void)state;
    tree_make(&tree);
    tree_process(&tree, 1, 0, 1, "systemd", "/usr/lib/systemd/systemd", 0, "/init.scope");
    OwnersOptions options = {.udp_settle = 5 * USEC_PER_SEC};
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

/* A look into all processes is followed by a pause of nine times what it took, by the real clock: where the next one
 * matters, enough has to pass for any machine. */
#define LONG_AFTER 6000

static Owner *after(int64_t seconds) {
    SockRows rows = {.items = &row, .n = 1, .allocated = 1};
    now += seconds * USEC_PER_SEC;
    assert_int_equal(owners_update(owners, &rows, now, FIRST, LAST), 0);
    return owners_of(owners, &row);
}

static void test_plain(void **state) {
    (void)state;
    tree_process(&tree, 50, 1, 100, "foo) Z\n", "/usr/sbin/foo (deleted)", 12345678, "/system.slice/foo.service");
    tree_socket(&tree, 50, 5, 4711);
    const Owner *o = after(0);
    assert_non_null(o);
    assert_string_equal(o->unit, "foo.service");
    assert_null(o->unit_shown);
    assert_string_equal(o->exe, "/usr/sbin/foo");
    assert_true(o->exe_deleted);
    assert_int_equal(o->uid, 12345678);
    for (int i = 0; i < 6000 && !o->user; i++) { /* nobody of this machine: NSS says so, sooner or later */
        usleep(10 * 1000);
        assert_ptr_equal(after(2), o);
    }
    assert_string_equal(o->user, "12345678");
    assert_int_equal(o->pid, 50);
    assert_string_equal(o->comm, "foo) Z\n");
    assert_true(o->started > 0);
    assert_int_equal(owners_missing(owners), 0);
    /* Steady: not looked for again. */
    uint64_t scans = owners_statistics(owners).scans;
    for (int i = 0; i < 100; i++) assert_ptr_equal(after(2), o);
    assert_int_equal(owners_statistics(owners).scans, scans);
}

static void test_transient_unit(void **state) {
    (void)state;
    tree_process(&tree, 50, 1, 100, "x", "/usr/bin/x", 0, "/user.slice/user-0.slice/session-12.scope");
    tree_socket(&tree, 50, 5, 4711);
    const Owner *o = after(0);
    assert_string_equal(o->unit, "session.scope");
    assert_string_equal(o->unit_shown, "session-12.scope");
}

static void test_prefork(void **state) {
    (void)state;
    /* The scan meets workers first; the master is an ancestor of theirs, with a shell between that holds nothing. */
    tree_process(&tree, 900, 1, 100, "master", "/usr/sbin/master", 0, "/system.slice/m.service");
    tree_process(&tree, 950, 900, 150, "sh", "/bin/sh", 0, "/system.slice/m.service");
    tree_socket(&tree, 900, 3, 4711);
    for (int i = 0; i < 8; i++) {
        tree_process(&tree, 1000 + i, 950, 200, "worker", "/usr/sbin/worker", 33, "/system.slice/m.service");
        tree_socket(&tree, 1000 + i, 3, 4711);
    }
    const Owner *o = after(0);
    assert_int_equal(o->pid, 900);
    assert_string_equal(o->exe, "/usr/sbin/master");
    assert_int_equal(o->uid, 0);
    /* The master goes: its workers hold on. */
    tree_kill(&tree, 900);
    for (int i = 0; i < 8; i++)
        tree_process(&tree, 1000 + i, 1, 200, "worker", "/usr/sbin/worker", 33, "/system.slice/m.service");
    o = after(LONG_AFTER);
    assert_non_null(o);
    assert_string_equal(o->exe, "/usr/sbin/worker");
    assert_int_equal(o->uid, 33);
}

static void test_near_first(void **state) {
    (void)state;
    row.cgroup = tree_cgroup(&tree, "/system.slice/near.service");
    tree_write(&tree, "cgroup/system.slice/near.service/cgroup.procs", "40\n41\n");
    tree_process(&tree, 40, 1, 300, "late", "/usr/bin/late", 0, "/system.slice/near.service");
    tree_process(&tree, 41, 1, 200, "early", "/usr/bin/early", 0, "/system.slice/near.service");
    tree_socket(&tree, 40, 3, 4711);
    tree_socket(&tree, 41, 3, 4711);
    assert_string_equal(after(0)->exe, "/usr/bin/early");
    assert_int_equal(owners_statistics(owners).full_scans, 0);
}

/* The answer must not depend on which other sockets are looked for at the same time: at a start it is all of them. */
static const Owner *beside_a_lost_one(void) {
    owners = owners_free(owners);
    OwnersOptions options = {.udp_settle = 5 * USEC_PER_SEC};
    assert_int_equal(owners_new(&tree.roots, &options, &owners), 0);
    SockRow items[] = {row, {.cookie = 8, .inode = 4712, .uid = 5, .port = 81, .address.family = AF_INET}};
    SockRows rows = {.items = items, .n = 2, .allocated = 2};
    assert_int_equal(owners_update(owners, &rows, now, FIRST, LAST), 0);
    return owners_of(owners, &row);
}

static void test_given_away(void **state) {
    (void)state;
    tree_process(&tree, 40, 1, 100, "elder", "/usr/bin/elder", 0, "/");
    tree_process(&tree, 60, 1, 300, "maker", "/usr/bin/maker", 0, "/");
    tree_process(&tree, 90, 1, 200, "other", "/usr/bin/other", 0, "/");
    tree_socket(&tree, 40, 3, 4711);
    tree_socket(&tree, 60, 3, 4711);
    tree_socket(&tree, 90, 3, 4711);
    assert_string_equal(after(0)->exe, "/usr/bin/elder");
    assert_string_equal(beside_a_lost_one()->exe, "/usr/bin/elder");
}

static void test_near_always(void **state) {
    (void)state;
    row.cgroup = tree_cgroup(&tree, "/system.slice/near.service");
    tree_write(&tree, "cgroup/system.slice/near.service/cgroup.procs", "60\n61\n");
    tree_process(&tree, 40, 1, 100, "elder", "/usr/bin/elder", 0, "/");
    tree_process(&tree, 60, 1, 200, "maker", "/usr/bin/maker", 0, "/system.slice/near.service");
    tree_process(&tree, 61, 60, 300, "child", "/usr/bin/child", 0, "/system.slice/near.service");
    tree_socket(&tree, 40, 3, 4711);
    tree_socket(&tree, 60, 3, 4711);
    tree_socket(&tree, 61, 3, 4711);
    assert_string_equal(after(0)->exe, "/usr/bin/maker");
    assert_string_equal(beside_a_lost_one()->exe, "/usr/bin/maker");
}

static void test_activation(void **state) {
    (void)state;
    row.cgroup = tree_cgroup(&tree, "/system.slice/ssh.socket");
    tree_socket(&tree, 1, 30, 4711);
    const Owner *o = after(0);
    assert_string_equal(o->unit, "ssh.socket");
    assert_string_equal(o->exe, "/usr/lib/systemd/systemd");
    assert_null(o->exe_shown);
    assert_int_equal(o->pid, 1);
    _cleanup_(owner_unrefp) Owner *idle = owner_ref((Owner *)o);
    /* A session serves: shown, not compared. */
    tree_process(&tree, 60, 1, 400, "sshd", "/usr/sbin/sshd", 0, "/system.slice/ssh.service");
    tree_socket(&tree, 60, 3, 4711);
    o = after(LONG_AFTER);
    assert_true(owner_same(idle, o) && owner_compare(idle, o) == 0);
    assert_string_equal(o->exe_shown, "/usr/sbin/sshd");
    assert_int_equal(o->pid, 60);
    assert_string_equal(o->comm, "sshd");
    tree_kill(&tree, 60);
    o = after(LONG_AFTER);
    assert_true(owner_compare(idle, o) == 0);
    assert_null(o->exe_shown);
    assert_int_equal(o->pid, 1);
}

static void test_activation_unknown_unit(void **state) {
    (void)state;
    row.cgroup = tree_cgroup(&tree, "/init.scope");
    tree_socket(&tree, 1, 30, 4711);
    assert_string_equal(after(0)->unit, OWNER_UNIT_ACTIVATION);
    row.cookie++;
    row.cgroup = 999999999; /* a cgroup that is gone */
    assert_string_equal(after(LONG_AFTER)->unit, OWNER_UNIT_ACTIVATION);
}

static void test_descriptor_store(void **state) {
    (void)state;
    row.cgroup = tree_cgroup(&tree, "/system.slice/keep.service");
    tree_process(&tree, 60, 1, 400, "keep", "/usr/sbin/keep", 0, "/system.slice/keep.service");
    tree_socket(&tree, 60, 3, 4711);
    tree_socket(&tree, 1, 30, 4711);
    assert_string_equal(after(0)->exe, "/usr/sbin/keep");
}

static void test_other_init(void **state) {
    (void)state;
    /* In a container PID 1 may be the program itself: then it is a process like any other. */
    tree_process(&tree, 1, 0, 1, "nginx", "/usr/sbin/nginx", 0, "/");
    tree_process(&tree, 20, 1, 50, "nginx", "/usr/sbin/nginx", 33, "/");
    tree_socket(&tree, 1, 3, 4711);
    tree_socket(&tree, 20, 3, 4711);
    const Owner *o = after(0);
    assert_int_equal(o->pid, 1);
    assert_null(o->unit);
    assert_string_equal(o->exe, "/usr/sbin/nginx");
}

static void test_changes(void **state) {
    (void)state;
    tree_process(&tree, 50, 1, 100, "d", "/usr/sbin/d", 0, "/system.slice/d.service");
    tree_socket(&tree, 50, 5, 4711);
    assert_int_equal(after(0)->uid, 0);
    /* It drops privileges right after it bound. */
    tree_process(&tree, 50, 1, 100, "d", "/usr/sbin/d", 33, "/system.slice/d.service");
    if (geteuid() == 0) assert_int_equal(after(2)->uid, 33);
    /* It executes something else, long after. */
    tree_process(&tree, 50, 1, 100, "evil", "/tmp/evil", 33, "/system.slice/d.service");
    after(LONG_AFTER);
    assert_string_equal(after(2)->exe, "/tmp/evil");
    /* It gives the socket away. */
    tree_process(&tree, 60, 1, 900, "heir", "/usr/sbin/heir", 33, "/system.slice/h.service");
    tree_socket(&tree, 60, 9, 4711);
    tree_close(&tree, 50, 5);
    assert_string_equal(after(2)->exe, "/usr/sbin/heir");
    /* Its pid is used again by somebody who holds nothing. */
    tree_kill(&tree, 60);
    tree_process(&tree, 60, 1, 950, "other", "/usr/bin/other", 0, "/");
    assert_null(after(2));
    assert_int_equal(owners_missing(owners), 1);
}

static void test_back_off(void **state) {
    (void)state;
    row.uid = 1000;
    assert_null(after(0));
    assert_int_equal(owners_missing(owners), 1);
    assert_null(owners_trouble(owners));
    for (int i = 0; i < 1800; i++) assert_null(after(2));
    uint64_t scans = owners_statistics(owners).full_scans;
    assert_true(scans >= 8 && scans <= 20); /* in an hour, not 1,800 */
    tree_process(&tree, 50, 1, 100, "late", "/usr/sbin/late", 1000, "/");
    tree_socket(&tree, 50, 5, 4711);
    assert_non_null(after(LONG_AFTER));
    assert_int_equal(owners_missing(owners), 0);
}

static void test_kernel(void **state) {
    (void)state;
    assert_null(after(0)); /* one scan may have raced with a process that ended */
    assert_true(owners_undecided(owners));
    const Owner *o = after(LONG_AFTER);
    assert_non_null(o);
    assert_string_equal(o->exe, OWNER_EXE_KERNEL);
    assert_int_equal(o->uid, 0);
    assert_int_equal(owners_missing(owners), 0);
    assert_false(owners_undecided(owners));
}

static void test_unprivileged(void **state) {
    (void)state;
    owners = owners_free(owners);
    tree_write(&tree, "proc/self/status", "CapEff:\t0000000000000000\n");
    OwnersOptions options = {0};
    assert_int_equal(owners_new(&tree.roots, &options, &owners), 0);
    row.cgroup = tree_cgroup(&tree, "/system.slice/nginx.service");
    for (int i = 0; i < 3; i++) {
        const Owner *o = after(100);
        assert_non_null(o); /* all that can be known without rights is the unit of the socket's cgroup */
        assert_string_equal(o->unit, "nginx.service");
        assert_null(o->exe);
        assert_int_equal(o->uid, UID_UNKNOWN);
    }
    assert_int_equal(owners_missing(owners), 1);
    assert_non_null(strstr(owners_trouble(owners), "CAP_SYS_PTRACE"));
}

/* A look at nothing, so that what comes next is new. */
static void first_round(void) {
    SockRows none = {0};
    now += USEC_PER_SEC;
    assert_int_equal(owners_update(owners, &none, now, FIRST, LAST), 0);
}

static uint64_t ticks_ago(unsigned seconds) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    int64_t at = (int64_t)t.tv_sec - seconds;
    return at > 0 ? (uint64_t)at * (uint64_t)sysconf(_SC_CLK_TCK) : 0;
}

static void test_fresh_newest_first(void **state) {
    (void)state;
    first_round();
    for (int pid = 100; pid < 600; pid++) tree_process(&tree, pid, 1, 100, "old", "/usr/bin/old", 0, "/");
    tree_process(&tree, 700, 1, ticks_ago(1), "new", "/usr/sbin/new", 0, "/");
    tree_process(&tree, 710, 1, ticks_ago(0), "other", "/usr/bin/other", 0, "/");
    tree_socket(&tree, 700, 3, 4711);
    assert_string_equal(after(2)->exe, "/usr/sbin/new");
    assert_int_equal(owners_statistics(owners).full_scans, 0);
}

/* A young one that was started by the maker, and got the socket by accident, is not the owner. */
static void test_fresh_leaked(void **state) {
    (void)state;
    first_round();
    tree_process(&tree, 700, 1, ticks_ago(3), "server", "/usr/sbin/server", 0, "/");
    tree_process(&tree, 710, 1, ticks_ago(1), "orphan", "/usr/bin/orphan", 0, "/");
    tree_socket(&tree, 700, 3, 4711);
    tree_socket(&tree, 710, 3, 4711);
    assert_string_equal(after(2)->exe, "/usr/sbin/server");
    /* And where all is looked at, as after a restart, the answer is the same. */
    assert_string_equal(beside_a_lost_one()->exe, "/usr/sbin/server");
}

/* A server that has listened before opens one more: looked for where sockets are known to be held. */
static void test_fresh_of_a_known_holder(void **state) {
    (void)state;
    SockRow items[] = {row, {.cookie = 8, .inode = 4712, .port = 81, .address.family = AF_INET}};
    SockRows rows = {.items = items, .n = 1, .allocated = 2};
    for (int pid = 100; pid < 300; pid++) tree_process(&tree, pid, 1, 100, "old", "/usr/bin/old", 0, "/");
    tree_process(&tree, 50, 1, 100, "server", "/usr/sbin/server", 0, "/");
    tree_process(&tree, 60, 50, 200, "worker", "/usr/sbin/worker", 0, "/");
    tree_socket(&tree, 50, 3, 4711);
    assert_int_equal(owners_update(owners, &rows, now, FIRST, LAST), 0);
    uint64_t full = owners_statistics(owners).full_scans;
    tree_socket(&tree, 50, 4, 4712);
    tree_socket(&tree, 60, 4, 4712);
    rows.n = 2;
    assert_int_equal(owners_update(owners, &rows, now + LONG_AFTER * USEC_PER_SEC, FIRST, LAST), 0);
    const Owner *o = owners_of(owners, &items[1]);
    assert_non_null(o);
    assert_string_equal(o->exe, "/usr/sbin/server");
    assert_int_equal(owners_statistics(owners).full_scans, full);
}

/* Somebody old and unknown: all are looked at, newest first, but not beyond him. */
static void test_fresh_of_anybody(void **state) {
    (void)state;
    first_round();
    for (int pid = 100; pid < 300; pid++) tree_process(&tree, pid, 1, 100, "old", "/usr/bin/old", 0, "/");
    tree_socket(&tree, 250, 3, 4711);
    const Owner *o = after(2);
    assert_non_null(o);
    assert_int_equal(o->pid, 250);
    assert_int_equal(owners_statistics(owners).full_scans, 0);
}

static void test_pending(void **state) {
    (void)state;
    first_round();
    row.uid = 1000;
    assert_null(after(2));
    assert_true(owners_statistics(owners).full_scans == 1);
    assert_false(owners_pending(owners, &row)); /* looked for everywhere */
    /* While a deep look must not be had, the newcomer is pending; a near one needs not wait. */
    SockRow items[] = {row, {.cookie = 8, .inode = 4712, .uid = 5, .port = 81, .address.family = AF_INET}};
    SockRows rows = {.items = items, .n = 2, .allocated = 2};
    assert_int_equal(owners_update(owners, &rows, now, FIRST, LAST), 0); /* no time has passed */
    assert_null(owners_of(owners, &items[1]));
    assert_true(owners_pending(owners, &items[1]));
    assert_int_equal(owners_missing(owners), 1);
    /* Another one that is the kernel's, perhaps: two looks tell. */
    row.cookie = 9;
    row.inode = 4713;
    row.uid = 0;
    assert_null(after(LONG_AFTER));
    assert_true(owners_pending(owners, &row));
    assert_non_null(after(LONG_AFTER));
    assert_false(owners_pending(owners, &row));
    /* A client's socket is not waited for. */
    row = (SockRow){.cookie = 10, .inode = 4714, .port = 40000, .table = TABLE_UDP4, .address.family = AF_INET};
    assert_null(after(1));
    assert_false(owners_pending(owners, &row));
}

static void test_pid_used_again(void **state) {
    (void)state;
    tree_process(&tree, 50, 1, 100, "first", "/usr/sbin/first", 0, "/");
    tree_socket(&tree, 50, 5, 4711);
    assert_string_equal(after(0)->exe, "/usr/sbin/first");
    /* By one that holds the same socket at the same place, and is another program. */
    tree_kill(&tree, 50);
    tree_process(&tree, 50, 1, 150, "second", "/usr/sbin/second", 0, "/");
    tree_socket(&tree, 50, 5, 4711);
    const Owner *o = after(2);
    assert_true(!o || strcmp(o->exe, "/usr/sbin/second") == 0);
    assert_string_equal(after(LONG_AFTER)->exe, "/usr/sbin/second");
}

static void test_container(void **state) {
    (void)state;
    static const char id[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char cgroup[128], file[160];
    snprintf(cgroup, sizeof(cgroup), "/system.slice/docker-%s.scope", id);
    snprintf(file, sizeof(file), "var/lib/docker/containers/%s/config.v2.json", id);
    tree_process(&tree, 50, 1, 100, "nginx", "/usr/sbin/nginx", 0, cgroup);
    tree_socket(&tree, 50, 5, 4711);
    const Owner *o = after(0);
    assert_string_equal(o->unit, "docker container");
    assert_string_equal(o->container, "docker container");
    assert_string_equal(o->container_id, id);
    assert_string_equal(o->slice, "system.slice");
    assert_null(o->unit_shown);
    assert_false(o->exe_host);
    tree.roots.files = tree.path;
    owners = owners_free(owners);
    OwnersOptions options = {0};
    assert_int_equal(owners_new(&tree.roots, &options, &owners), 0);
    tree_write(&tree, file, "{\"Name\":\"/web\"}");
    o = after(0);
    assert_string_equal(o->unit, "docker container web");
    assert_string_equal(o->container, "docker container web");
}

static void test_user_unit(void **state) {
    (void)state;
    tree_process(&tree, 50, 1, 100, "x", "/usr/bin/x", 1000,
        "/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service");
    tree_socket(&tree, 50, 5, 4711);
    const Owner *o = after(0);
    assert_string_equal(o->unit, "nginx.service");
    assert_true(o->user_unit);
    assert_string_equal(o->slice, "user-1000.slice");
}

static void test_udp_settles(void **state) {
    (void)state;
    tree_process(&tree, 50, 1, 100, "dns", "/usr/bin/dns", 0, "/");
    tree_socket(&tree, 50, 5, 4711);
    row.table = TABLE_UDP4;
    row.port = 40000;
    assert_null(after(0));
    assert_null(after(2));
    assert_int_equal(owners_statistics(owners).scans, 0);
    assert_int_equal(owners_missing(owners), 0); /* not looked for yet */
    assert_non_null(after(4));
}

static void test_missed_dump(void **state) {
    (void)state;
    tree_process(&tree, 50, 1, 100, "d", "/usr/sbin/d", 0, "/");
    tree_socket(&tree, 50, 5, 4711);
    assert_non_null(after(0));
    SockRows none = {0};
    for (int i = 0; i < 3; i++) assert_int_equal(owners_update(owners, &none, now, FIRST, LAST), 0);
    assert_non_null(after(0));
    assert_int_equal(owners_statistics(owners).scans, 1);
    for (int i = 0; i < 10; i++) assert_int_equal(owners_update(owners, &none, now, FIRST, LAST), 0);
    assert_int_equal(owners_statistics(owners).sockets, 0);
    assert_int_equal(owners_statistics(owners).holders, 0);
}

static void test_shared(void **state) {
    (void)state;
    tree_process(&tree, 50, 1, 100, "d", "/usr/sbin/d", 0, "/");
    SockRow items[300];
    for (unsigned i = 0; i < 300; i++) {
        items[i] = row;
        items[i].cookie = 1000 + i * 7919 % 300;
        items[i].inode = 5000 + i;
        tree_socket(&tree, 50, (int)i + 3, 5000 + i);
    }
    SockRows rows = {.items = items, .n = 300, .allocated = 300};
    assert_int_equal(owners_update(owners, &rows, now, FIRST, LAST), 0);
    for (unsigned i = 0; i < 300; i++) assert_ptr_equal(owners_of(owners, &items[i]), owners_of(owners, &items[0]));
    assert_non_null(owners_of(owners, &items[0]));
    assert_int_equal(owners_statistics(owners).holders, 1);
    assert_int_equal(owners_statistics(owners).scans, 1);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_plain),
        TEST(test_transient_unit),
        TEST(test_prefork),
        TEST(test_near_first),
        TEST(test_given_away),
        TEST(test_near_always),
        TEST(test_activation),
        TEST(test_activation_unknown_unit),
        TEST(test_descriptor_store),
        TEST(test_other_init),
        TEST(test_changes),
        TEST(test_back_off),
        TEST(test_kernel),
        TEST(test_unprivileged),
        TEST(test_fresh_newest_first),
        TEST(test_fresh_leaked),
        TEST(test_fresh_of_a_known_holder),
        TEST(test_fresh_of_anybody),
        TEST(test_pending),
        TEST(test_pid_used_again),
        TEST(test_container),
        TEST(test_user_unit),
        TEST(test_udp_settles),
        TEST(test_missed_dump),
        TEST(test_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
