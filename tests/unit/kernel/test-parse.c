/* The netlink parser on recorded dumps and on hostile bytes, read from the fuzzer's corpus. */
#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/sockdiag.h"
#include "test.h"

static SockRows rows;
static SockdiagParse result;

/* Adds the datagram of a file to rows and result. */
static void take(const char *name) {
    char path[1024];
    snprintf(path, sizeof(path), "%s/kernel-sockdiag/%s", getenv("CORPUS"), name);
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("%s", path);
    static char buffer[1 << 17] __attribute__((aligned(8)));
    int table = fgetc(file);
    size_t n = fread(buffer, 1, sizeof(buffer), file);
    fclose(file);
    struct nlmsghdr first = {0};
    if (n >= sizeof(first)) memcpy(&first, buffer, sizeof(first));
    assert_int_equal(sockdiag_parse(buffer, n, first.nlmsg_seq, first.nlmsg_pid, table, &rows, &result), 0);
}

static int reset(void **state) {
    (void)state;
    sockrows_done(&rows);
    result = (SockdiagParse){0};
    return 0;
}

static const SockRow *find(uint16_t port, const char *address, const char *device_index) {
    Address wanted;
    assert_true(address_parse(address, &wanted));
    for (size_t i = 0; i < rows.n; i++)
        if (rows.items[i].port == port && address_compare(&rows.items[i].address, &wanted) == 0 &&
            (rows.items[i].ifindex != 0) == (device_index != NULL))
            return &rows.items[i];
    return NULL;
}

static void test_recorded_tcp4(void **state) {
    (void)state;
    take("tcp4-1");
    assert_false(result.done);
    take("tcp4-2");
    assert_true(result.done);
    assert_int_equal(result.error, 0);
    assert_int_equal(result.faults, 0);
    assert_int_equal(rows.n, 7);
    assert_non_null(find(22, "0.0.0.0", NULL));
    assert_non_null(find(25, "127.0.0.1", NULL));
    assert_non_null(find(81, "0.0.0.0", "lo"));
    unsigned n = 0;
    for (size_t i = 0; i < rows.n; i++) {
        n += rows.items[i].port == 80;
        assert_true(rows.items[i].inode != 0 && rows.items[i].cookie != 0 && rows.items[i].cgroup != 0);
    }
    assert_int_equal(n, 4);
}

static void test_recorded_tcp6(void **state) {
    (void)state;
    take("tcp6-1");
    take("tcp6-2");
    assert_true(result.done);
    assert_int_equal(rows.n, 3);
    assert_false(find(443, "::", NULL)->v6only);
    assert_true(find(80, "::", NULL)->v6only);
    assert_true(find(25, "::1", NULL)->v6only);
}

static void test_recorded_udp(void **state) {
    (void)state;
    take("udp4-1");
    take("udp4-2");
    assert_int_equal(rows.n, 2); /* the connected one was filtered by the kernel */
    assert_non_null(find(53, "0.0.0.0", NULL));
    reset(NULL);
    take("udplite6-1");
    take("udplite6-2");
    assert_true(result.done);
    assert_int_equal(rows.n, 1);
    assert_int_equal(rows.items[0].table, TABLE_UDPLITE6);
}

static void test_recorded_many(void **state) {
    (void)state;
    take("tcp4-many-1");
    assert_int_equal(rows.n, 30);
    take("tcp4-many-2");
    take("tcp4-many-3");
    take("tcp4-many-4");
    assert_true(result.done);
    assert_int_equal(rows.n, 307);
    sockrows_sort(&rows);
    assert_int_equal(rows.n, 307);
    take("tcp4-many-2"); /* shown twice: the same cookies */
    sockrows_sort(&rows);
    assert_int_equal(rows.n, 307);
}

static void test_recorded_errors(void **state) {
    (void)state;
    take("no-such-protocol-1"); /* in the payload of NLMSG_DONE */
    assert_true(result.done);
    assert_int_equal(result.error, -ENOENT);
    reset(NULL);
    take("bad-bytecode-1");
    assert_int_equal(result.error, -EINVAL);
}

static void test_hostile(void **state) {
    (void)state;
    static const struct {
        const char *name;
        unsigned rows, faults;
        int error;
        bool done, interrupted;
    } cases[] = {
        {"hand-done-error", 1, 0, -ENOMEM, true, false},
        {"hand-error", 0, 0, -ENOENT, false, false},
        {"hand-short-error", 0, 1, 0, false, false},
        {"hand-ack", 0, 1, 0, false, false},
        {"hand-interrupted", 1, 0, 0, true, true},
        {"hand-short-row", 1, 1, 0, false, false},
        {"hand-wrong-family", 1, 1, 0, false, false},
        {"hand-port-0", 1, 1, 0, false, false},
        {"hand-long-message", 1, 1, 0, false, false},
        {"hand-tiny-length", 1, 1, 0, false, false},
        {"hand-attr-long", 1, 1, 0, false, false},
        {"hand-attr-zero", 1, 1, 0, false, false},
        {"hand-cgroup-short", 1, 1, 0, false, false},
        {"hand-v6only-long", 1, 1, 0, false, false},
        {"hand-trailing", 1, 1, 0, false, false},
        {"hand-other-sequence", 1, 0, 0, true, false},
        {"hand-established", 1, 0, 0, false, false},
        {"hand-unknown-type", 1, 1, 0, false, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        reset(NULL);
        take(cases[i].name);
        print_message("%s\n", cases[i].name);
        assert_int_equal(rows.n, cases[i].rows);
        assert_int_equal(result.rows, cases[i].rows);
        assert_int_equal(result.faults, cases[i].faults);
        assert_int_equal(result.error, cases[i].error);
        assert_int_equal(result.done, cases[i].done);
        assert_int_equal(result.interrupted, cases[i].interrupted);
    }
}

static void test_order(void **state) {
    (void)state;
    /* The rows' order is the endpoints': a snapshot is built without sorting again. */
    static const struct {
        Table table;
        uint16_t port;
        const char *address, *device;
    } cases[] = {
        {TABLE_TCP4, 22, "0.0.0.0", ""},
        {TABLE_TCP4, 22, "127.0.0.1", ""},
        {TABLE_TCP6, 22, "::", ""},
        {TABLE_TCP6, 22, "::", "eth0"},
        {TABLE_TCP6, 22, "::1", ""},
        {TABLE_TCP4, 80, "0.0.0.0", ""},
        {TABLE_UDP4, 22, "0.0.0.0", ""},
        {TABLE_UDPLITE6, 1, "::", ""},
    };
    size_t n = sizeof(cases) / sizeof(cases[0]);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < n; k++) {
            SockRow a = {.table = cases[i].table, .port = cases[i].port},
                    b = {.table = cases[k].table, .port = cases[k].port};
            assert_true(address_parse(cases[i].address, &a.address) && address_parse(cases[k].address, &b.address));
            strcpy(a.device, cases[i].device);
            strcpy(b.device, cases[k].device);
            Endpoint ea = {.protocol = table_protocol(a.table), .port = a.port, .address = a.address};
            Endpoint eb = {.protocol = table_protocol(b.table), .port = b.port, .address = b.address};
            strcpy(ea.device, a.device);
            strcpy(eb.device, b.device);
            int rows_order = sockrow_compare_key(&a, &b), order = endpoint_compare(&ea, &eb);
            assert_int_equal((rows_order > 0) - (rows_order < 0), (order > 0) - (order < 0));
            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_recorded_tcp4, reset, reset),
        cmocka_unit_test_setup_teardown(test_recorded_tcp6, reset, reset),
        cmocka_unit_test_setup_teardown(test_recorded_udp, reset, reset),
        cmocka_unit_test_setup_teardown(test_recorded_many, reset, reset),
        cmocka_unit_test_setup_teardown(test_recorded_errors, reset, reset),
        cmocka_unit_test_setup_teardown(test_hostile, reset, reset),
        cmocka_unit_test_setup_teardown(test_order, reset, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
