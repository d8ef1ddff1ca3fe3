/* Who has more descriptors than before: on real processes what the kernel counts, on made-up ones what is made of it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/scan.h"
#include "test.h"
#include "tree.h"

static const KernelRoots real = {.proc = "/proc", .cgroup = "/sys/fs/cgroup"};
static Tree tree;
static Census census;

static int set_up(void **state) {
    (void)state;
    tree_make(&tree);
    tree_process(&tree, 1, 0, 1, "systemd", "/usr/lib/systemd/systemd", 0, "/init.scope");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    census_done(&census);
    tree_remove(&tree);
    return 0;
}

static bool kernel_counts(void) {
    struct stat st;
    return stat("/proc/self/fd", &st) == 0 && st.st_size > 0;
}

/* Of ourselves and a child: a list of all is a matter of the machine. Sets *ret to what is listed of `wanted`. */
static bool has_more(const pid_t *pids, pid_t wanted, Counted *ret) {
    _cleanup_free_ Counted *more = NULL;
    size_t n = 0;
    bool found = false;
    assert_int_equal(census_compare(&census, &real, pids, 2, &more, &n), 0);
    for (size_t i = 0; i < n; i++) {
        if (i > 0) assert_true(more[i - 1].descriptors <= more[i].descriptors);
        if (more[i].pid != wanted) continue;
        found = true;
        *ret = more[i];
    }
    return found;
}

static void test_real(void **state) {
    (void)state;
    if (!kernel_counts()) skip();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) pause();
    }
    pid_t pids[] = {getpid(), child};
    Counted counted = {0};
    /* Before anybody was counted nobody has more. */
    assert_false(has_more(pids, getpid(), &counted));
    assert_true(census.taken);
    assert_false(has_more(pids, getpid(), &counted));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_true(has_more(pids, getpid(), &counted));
    assert_false(has_more(pids, child, &counted));
    /* Until somebody has looked. */
    assert_true(has_more(pids, getpid(), &counted));
    census_looked(&census, &counted);
    assert_false(has_more(pids, getpid(), &counted));
    close(fd);
    assert_false(has_more(pids, getpid(), &counted));
    /* What was counted less since then has more again. */
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(has_more(pids, getpid(), &counted));
    close(fd);
    /* One that has ended is forgotten, and its number is somebody new. */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_false(has_more(pids, child, &counted));
    pids[1] = 1;
    assert_true(has_more(pids, 1, &counted));
}

static void test_take(void **state) {
    (void)state;
    assert_int_equal(census_take(&census, &real), 0);
    assert_true(census.taken && census.n > 0);
    for (size_t i = 1; i < census.n; i++) assert_true(census.items[i - 1].pid < census.items[i].pid);
    /* No procfs: nothing is known of anybody. */
    KernelRoots none = {.proc = "/nowhere/at/all", .cgroup = "/nowhere"};
    assert_int_equal(census_take(&census, &none), 0);
    assert_false(census.taken);
    assert_int_equal(census.n, 0);
}

static void test_too_many(void **state) {
    (void)state;
    _cleanup_free_ pid_t *pids = calloc(CENSUS_MAX + 1, sizeof(*pids));
    _cleanup_free_ Counted *more = NULL;
    size_t n = 7;
    for (size_t i = 0; i <= CENSUS_MAX; i++) pids[i] = 1;
    assert_int_equal(census_take(&census, &tree.roots), 0);
    assert_int_equal(census_compare(&census, &tree.roots, pids, CENSUS_MAX + 1, &more, &n), 0);
    assert_int_equal(n, 0);
    assert_false(census.taken);
}

/* 200 old processes, none of which is young or a hint; `grown` are those that have more than the census says, which
 * here knows of the others that they had more than any has. */
static void crowd(const pid_t *grown, size_t n) {
    static Counted items[200];
    for (int i = 0; i < 200; i++) {
        tree_process(&tree, 100 + i, 1, 100, "old", "/usr/bin/old", 0, "/");
        items[i] = (Counted){100 + i, UINT32_MAX};
        for (size_t k = 0; k < n; k++)
            if (grown[k] == items[i].pid) items[i].descriptors = 0;
    }
    census = (Census){.items = calloc(201, sizeof(Counted)), .n = 201, .taken = true};
    census.items[0] = (Counted){1, UINT32_MAX};
    memcpy(census.items + 1, items, sizeof(items));
}

static Wanted look(bool deep, bool counted, ScanReport *ret) {
    _cleanup_(cgroups_freep) Cgroups *cgroups = NULL;
    Wanted wanted = {.inode = 4711, .others = true, .fresh = true};
    ScanOptions options = {.deep = deep, .census = counted ? &census : NULL};
    assert_int_equal(cgroups_new(&tree.roots, &cgroups), 0);
    assert_int_equal(scan_holders(&tree.roots, cgroups, &options, &wanted, 1, ret), 0);
    return wanted;
}

/* An old process that never held anything makes a socket: it is found without a walk over all. */
static void test_grown_first(void **state) {
    (void)state;
    const pid_t grown[] = {120, 170};
    ScanReport report;
    crowd(grown, 2);
    tree_socket(&tree, 120, 3, 4711);
    tree_socket(&tree, 170, 3, 4712);
    assert_int_equal(look(false, false, &report).oldest.pid, 0); /* that is what it takes without */
    assert_int_equal(look(false, true, &report).oldest.pid, 120);
    assert_false(report.deep);
    assert_true(report.processes <= 6); /* PID 1, the two, ancestors */
    /* Both were looked at: nobody has more now, and the answer comes from everywhere. */
    assert_int_equal(look(false, true, &report).oldest.pid, 0);
    assert_int_equal(look(true, true, &report).oldest.pid, 120);
    assert_true(report.deep);
}

/* Nobody's count says so, and it is found all the same: as before, newest first. */
static void test_only_an_order(void **state) {
    (void)state;
    const pid_t grown[] = {290, 291};
    ScanReport report;
    crowd(grown, 2);
    tree_socket(&tree, 120, 3, 4711);
    assert_int_equal(look(false, true, &report).oldest.pid, 0);
    assert_int_equal(look(true, true, &report).oldest.pid, 120);
    tree_close(&tree, 120, 3);
    assert_int_equal(look(true, true, &report).oldest.pid, 0);
    assert_true(report.full && report.complete);
}

/* Of several the longest-lived, as a walk over all says after a restart. */
static void test_given_away(void **state) {
    (void)state;
    const pid_t grown[] = {120, 130, 140};
    ScanReport report;
    crowd(grown, 3);
    tree_process(&tree, 130, 1, 90, "elder", "/usr/bin/elder", 0, "/");
    tree_socket(&tree, 120, 3, 4711);
    tree_socket(&tree, 130, 3, 4711);
    tree_socket(&tree, 130, 4, 4713); /* has more than the others: looked at last */
    tree_socket(&tree, 140, 3, 4711);
    assert_int_equal(look(false, true, &report).oldest.pid, 130);
}

/* Somebody the census has never met may be who made it. */
static void test_new_process(void **state) {
    (void)state;
    ScanReport report;
    crowd(NULL, 0);
    tree_process(&tree, 400, 1, 100, "new", "/usr/bin/new", 0, "/");
    tree_socket(&tree, 400, 3, 4711);
    assert_int_equal(look(false, true, &report).oldest.pid, 400);
    assert_false(report.deep);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_real),
        TEST(test_take),
        TEST(test_too_many),
        TEST(test_grown_first),
        TEST(test_only_an_order),
        TEST(test_given_away),
        TEST(test_new_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
