#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "kernel/cgroup.h"
#include "kernel/procfs.h"
#include "test.h"
#include "tree.h"

#define TAIL " S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 7777 1 2 3\n"

static void test_stat(void **state) {
    (void)state;
    static const struct {
        const char *text, *comm;
    } good[] = {
        {"12 (nginx)" TAIL, "nginx"},
        {"12 (foo) Z\n)" TAIL, "foo) Z\n"},
        {"12 (foo) R 1 2 3 (x)" TAIL, "foo) R 1 2 3 (x"},
        {"12 ()" TAIL, ""},
        {"12 (()" TAIL, "("},
    };
    static const char *const bad[] = {"", "12", "12 (a", "12 a) S 1", ")(", "12 (a)", "12 (a) S", "12 (a) S x",
        "12 (a) S 1 2 3", "12 (a) S -4 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 7777 ",
        "12 (a) S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 -7777 ",
        "12 (a) S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 99999999999999999999 "};
    for (size_t i = 0; i < ELEMENTSOF(good); i++) {
        ProcStat stat;
        assert_true(procfs_parse_stat(good[i].text, strlen(good[i].text), &stat));
        assert_string_equal(stat.comm, good[i].comm);
        assert_int_equal(stat.state, 'S');
        assert_int_equal(stat.ppid, 1);
        assert_int_equal(stat.threads, 3);
        assert_int_equal(stat.started, 7777);
    }
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        ProcStat stat = {.ppid = 42};
        assert_false(procfs_parse_stat(bad[i], strlen(bad[i]), &stat));
        assert_int_equal(stat.ppid, 42);
    }
}

static void test_small_files(void **state) {
    (void)state;
    uid_t uid;
    uint64_t capabilities;
    uint16_t first, last;
    unsigned long used;
#define TEXT(t) (t), sizeof(t) - 1
    assert_true(procfs_parse_uid(TEXT("Name:\tx\\nUid:\t1\nUid:\t5\t33\t0\t0\n"), &uid));
    assert_int_equal(uid, 33);
    assert_false(procfs_parse_uid(TEXT("Name:\tx\n"), &uid));
    assert_false(procfs_parse_uid(TEXT("Uid:\t5\n"), &uid));
    assert_false(procfs_parse_uid(TEXT("Uid:\t5\t4294967295\n"), &uid));
    assert_true(procfs_parse_capabilities(TEXT("CapEff:\t0000000000080004\n"), &capabilities));
    assert_int_equal(capabilities, 0x80004);
    assert_false(procfs_parse_capabilities(TEXT("CapEff:\t\n"), &capabilities));
    assert_false(procfs_parse_capabilities(TEXT("CapEff:\t00000000000800041\n"), &capabilities));
    assert_true(procfs_parse_port_range(TEXT("32768\t60999\n"), &first, &last));
    assert_int_equal(first, 32768);
    assert_int_equal(last, 60999);
    assert_false(procfs_parse_port_range(TEXT("5\t4\n"), &first, &last));
    assert_false(procfs_parse_port_range(TEXT("5\t65536\n"), &first, &last));
    assert_false(procfs_parse_port_range(TEXT("5"), &first, &last));
    pid_t last_pid = 0;
    assert_true(procfs_parse_last_pid(TEXT("0.90 2.66 2.83 7/133 11895\n"), &last_pid));
    assert_int_equal(last_pid, 11895);
    assert_false(procfs_parse_last_pid(TEXT("0.90 7/133\n"), &last_pid));
    assert_false(procfs_parse_last_pid(TEXT("11895"), &last_pid));
    assert_false(procfs_parse_last_pid(TEXT(""), &last_pid));
    assert_true(procfs_parse_sockstat(TEXT("TCP: inuse 4\nUDPLITE: inuse 2\n"), "UDPLITE:", &used));
    assert_int_equal(used, 2);
    assert_false(procfs_parse_sockstat(TEXT("TCP: inuse 4\n"), "UDPLITE:", &used));
#undef TEXT
}

static void test_cgroup_tree(void **state) {
    (void)state;
    Tree tree;
    tree_make(&tree);
    uint64_t id = tree_cgroup(&tree, "/system.slice/ssh.socket");
    uint64_t slice = tree_cgroup(&tree, "/system.slice");
    uint64_t top = tree_cgroup(&tree, "");
    tree_write(&tree, "cgroup/system.slice/ssh.socket/cgroup.procs", "12\n0\n13\n14\n");
    _cleanup_(cgroups_freep) Cgroups *cgroups = NULL;
    assert_int_equal(cgroups_new(&tree.roots, &cgroups), 0);
    Place place = {0};
    assert_int_equal(cgroups_place(cgroups, id, &place), 0);
    assert_string_equal(place.unit, "ssh.socket");
    assert_string_equal(place.slice, "system.slice");
    place_done(&place);
    assert_int_equal(cgroups_place(cgroups, slice, &place), 0);
    assert_null(place.unit);
    place_done(&place);
    assert_int_equal(cgroups_place(cgroups, top, &place), 0);
    assert_null(place.unit);
    assert_int_equal(cgroups_place(cgroups, UINT64_MAX, &place), -ESTALE);
    _cleanup_free_ pid_t *pids = NULL;
    size_t n;
    assert_int_equal(cgroups_processes(cgroups, id, 2, &pids, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(pids[1], 13);
    pid_t *none;
    assert_int_equal(cgroups_processes(cgroups, top, 2, &none, &n), -EOPNOTSUPP);
    tree_remove(&tree);

    KernelRoots nowhere = {.proc = "/nonexistent", .cgroup = "/nonexistent"};
    _cleanup_(cgroups_freep) Cgroups *empty = NULL;
    assert_int_equal(cgroups_new(&nowhere, &empty), 0);
    assert_int_equal(cgroups_place(empty, 1, &place), -ESTALE);
}

static void test_process(void **state) {
    (void)state;
    Tree tree;
    tree_make(&tree);
    tree_process(&tree, 77, 1, 500, "foo) Z\n", "/usr/bin/foo (deleted)", 33, "/");
    int fd = -1;
    ProcStat stat;
    uid_t uid;
    char *text = NULL;
    assert_int_equal(procfs_open_process(&tree.roots, 78, &fd), -ESRCH);
    assert_int_equal(procfs_open_process(&tree.roots, 77, &fd), 0);
    assert_int_equal(procfs_read_stat(fd, &stat), 0);
    assert_string_equal(stat.comm, "foo) Z\n");
    assert_int_equal(procfs_read_uid(fd, &uid), 0);
    assert_int_equal(uid, 33);
    assert_int_equal(procfs_read_link(fd, "exe", &text), 0);
    assert_string_equal(text, "/usr/bin/foo (deleted)");
    free(text);
    /* The number is used again: what was opened before stays the old process, that is, nothing. */
    tree_kill(&tree, 77);
    tree_process(&tree, 77, 1, 900, "bar", "/usr/bin/bar", 0, "/");
    assert_int_equal(procfs_read_stat(fd, &stat), -ESRCH);
    close(fd);
    pid_t *pids;
    size_t n;
    tree_process(&tree, 9, 1, 900, "bar", NULL, 0, "/");
    tree_process(&tree, 100, 1, 900, "bar", NULL, 0, "/");
    assert_int_equal(procfs_list(&tree.roots, &pids, &n), 0);
    assert_int_equal(n, 3);
    assert_int_equal(pids[0], 100);
    assert_int_equal(pids[2], 9);
    free(pids);
    /* The numbers have wrapped: those above the last one are the oldest. */
    tree_write(&tree, "proc/loadavg", "0.90 2.66 2.83 7/133 99\n");
    assert_int_equal(procfs_list(&tree.roots, &pids, &n), 0);
    assert_int_equal(pids[0], 77);
    assert_int_equal(pids[1], 9);
    assert_int_equal(pids[2], 100);
    free(pids);
    assert_false(procfs_is_live(&tree.roots));
    assert_true(procfs_is_initial_pid_namespace(&tree.roots));
    tree_remove(&tree);
}

static void test_machine(void **state) {
    (void)state;
    KernelRoots roots = KERNEL_ROOTS_DEFAULT;
    int64_t age = -1;
    char id[PROCFS_BOOT_ID_MAX];
    uint16_t first = 0, last = 0;
    assert_int_equal(procfs_boot_age(&roots, &age), 0);
    assert_true(age > 0);
    assert_int_equal(procfs_boot_id(&roots, id), 0);
    assert_int_equal(strlen(id), 36);
    assert_int_equal(procfs_port_range(&roots, &first, &last), 0);
    assert_true(first > 0 && last > first);
    assert_true(procfs_is_live(&roots));
    int fd;
    char *cmdline = NULL;
    assert_int_equal(procfs_open_process(&roots, getpid(), &fd), 0);
    assert_int_equal(procfs_read_cmdline(fd, &cmdline), 0);
    assert_non_null(strstr(cmdline, "procfs"));
    free(cmdline);
    close(fd);

    Tree tree;
    tree_make(&tree);
    assert_int_equal(procfs_boot_age(&tree.roots, &age), -ESRCH);
    tree_process(&tree, 1, 0, 0, "systemd", NULL, 0, "/init.scope");
    assert_int_equal(procfs_boot_age(&tree.roots, &age), 0);
    int64_t uptime = age;
    tree_process(&tree, 1, 0, (uint64_t)sysconf(_SC_CLK_TCK) * 5, "systemd", NULL, 0, "/init.scope");
    assert_int_equal(procfs_boot_age(&tree.roots, &age), 0);
    assert_true(age > uptime - 6000000 && age < uptime - 4000000);
    tree_write(&tree, "proc/sys/kernel/random/boot_id", "not one\n");
    assert_int_equal(procfs_boot_id(&tree.roots, id), -EBADMSG);
    tree_remove(&tree);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stat),
        cmocka_unit_test(test_small_files),
        cmocka_unit_test(test_cgroup_tree),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
