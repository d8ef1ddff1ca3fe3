/* What a dump says is altered on its way from the kernel: rows missed, dumps cut short, interrupted, failed. Linked
 * with
 * --wrap=recvmsg. */
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/sockets.h"
#include "live.h"
#include "test.h"

static const KernelRoots roots = {.proc = "/proc", .cgroup = "/sys/fs/cgroup"};

/* What happens to the next dumps; one bit a dump, the lowest first. A dump that is not altered passes. */
static struct {
    uint64_t hide; /* hide rows of hide_port */
    uint16_t hide_port;
    uint64_t interrupt, fail, truncate, spoil;
    uint64_t absent; /* answer -ENOENT as if the module were missing, for the families and protocols below */
    unsigned dumps;
} fault;

ssize_t __real_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);

static bool applies(uint64_t mask) {
    return mask >> (fault.dumps < 63 ? fault.dumps : 63) & 1;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags) {
    ssize_t n = __real_recvmsg(fd, message, flags);
    if (n <= 0) return n;
    bool done = false;
    char *bytes = message->msg_iov[0].iov_base;
    for (ssize_t at = 0; at + (ssize_t)sizeof(struct nlmsghdr) <= n;) {
        struct nlmsghdr *header = (void *)(bytes + at);
        if (header->nlmsg_type == SOCK_DIAG_BY_FAMILY) {
            const struct inet_diag_msg *diag = (const void *)(header + 1);
            if (applies(fault.hide) && ntohs(diag->id.idiag_sport) == fault.hide_port) header->nlmsg_type = NLMSG_NOOP;
            if (applies(fault.spoil)) header->nlmsg_type = 77;
        }
        if (applies(fault.interrupt)) header->nlmsg_flags |= NLM_F_DUMP_INTR;
        if (header->nlmsg_type == NLMSG_DONE || header->nlmsg_type == NLMSG_ERROR) {
            int32_t error = applies(fault.fail) ? -ENOMEM : applies(fault.absent) ? -ENOENT : 0;
            if (error != 0) memcpy(header + 1, &error, sizeof(error));
            done = true;
        }
        at += (ssize_t)NLMSG_ALIGN(header->nlmsg_len);
    }
    if (applies(fault.truncate)) message->msg_flags |= MSG_TRUNC;
    if (done || applies(fault.truncate)) fault.dumps++;
    return n;
}

static Sockets *sockets;
static Snapshot snapshot;
static int listener, other;

static void take(void) {
    snapshot_done(&snapshot);
    assert_int_equal(sockets_take(sockets, &snapshot), 0);
}

/* The next snapshot's dumps, in order: tcp4, tcp6, udp4, udp6 (udplite is skipped), then confirmations. */
static void next(void) {
    fault.dumps = 0;
    take();
    memset(&fault, 0, sizeof(fault));
}

static int set_up(void **state) {
    (void)state;
    listener = live_bind(PROTOCOL_TCP, "127.0.0.1", 5000, 0, NULL);
    other = live_bind(PROTOCOL_TCP, "127.0.0.1", 5001, 0, NULL);
    assert_int_equal(sockets_new(&roots, NULL, &sockets), 0);
    memset(&fault, 0, sizeof(fault));
    take();
    assert_true(snapshot_complete(&snapshot));
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    memset(&fault, 0, sizeof(fault));
    snapshot_done(&snapshot);
    sockets = sockets_free(sockets);
    if (listener >= 0) close(listener);
    close(other);
    return 0;
}

static bool sees(uint16_t port) {
    return live_find(&snapshot, PROTOCOL_TCP, "127.0.0.1", port) != NULL;
}

static void test_missed_once(void **state) {
    (void)state;
    fault.hide = 1;
    fault.hide_port = 5000;
    next();
    assert_true(sees(5000) && sees(5001));
    assert_true(snapshot_complete(&snapshot));
    assert_int_equal(sockets_statistics(sockets).confirmed_present, 1);
}

static void test_really_gone(void **state) {
    (void)state;
    close(listener);
    listener = -1;
    next();
    assert_false(sees(5000));
    assert_true(sees(5001));
    assert_true(snapshot_complete(&snapshot));
    assert_int_equal(sockets_statistics(sockets).confirmed_gone, 1);
}

static void test_confirmation_fails(void **state) {
    (void)state;
    fault.hide = 1;
    fault.hide_port = 5000;
    fault.fail = 1 << 4; /* the confirming one */
    next();
    assert_int_equal(snapshot.tables[TABLE_TCP4], TABLE_INCOMPLETE);
    assert_non_null(snapshot.trouble[TABLE_TCP4]);
    assert_false(snapshot_decides(&snapshot, "", PROTOCOL_TCP));
    assert_true(snapshot_decides(&snapshot, "", PROTOCOL_UDP));
    /* Not forgotten: it is confirmed next time. */
    close(listener);
    listener = -1;
    next();
    assert_true(snapshot_complete(&snapshot));
    assert_int_equal(sockets_statistics(sockets).confirmed_gone, 1);
}

static void test_failed(void **state) {
    (void)state;
    fault.fail = 1;
    next();
    assert_int_equal(snapshot.tables[TABLE_TCP4], TABLE_INCOMPLETE);
    assert_non_null(strstr(snapshot.trouble[TABLE_TCP4], "gave up"));
    assert_int_equal(snapshot.tables[TABLE_TCP6], TABLE_COMPLETE);
    next();
    assert_true(snapshot_complete(&snapshot));
    assert_true(sees(5000));
}

static void test_interrupted(void **state) {
    (void)state;
    fault.interrupt = 1; /* once: tried again at once */
    next();
    assert_true(snapshot_complete(&snapshot));
    fault.interrupt = 3;
    next();
    assert_int_equal(snapshot.tables[TABLE_TCP4], TABLE_INCOMPLETE);
    assert_non_null(strstr(snapshot.trouble[TABLE_TCP4], "interrupted"));
}

static void test_truncated(void **state) {
    (void)state;
    fault.truncate = 1;
    next();
    assert_int_equal(snapshot.tables[TABLE_TCP4], TABLE_INCOMPLETE);
    assert_non_null(strstr(snapshot.trouble[TABLE_TCP4], "cut short"));
    /* What was left of that dump does not answer the next one. */
    next();
    assert_true(snapshot_complete(&snapshot));
    assert_true(sees(5000) && sees(5001));
}

static void test_spoilt(void **state) {
    (void)state;
    fault.spoil = 1;
    next();
    assert_int_equal(snapshot.tables[TABLE_TCP4], TABLE_INCOMPLETE);
    assert_non_null(strstr(snapshot.trouble[TABLE_TCP4], "cannot be read"));
}

static void test_absent(void **state) {
    (void)state;
    fault.absent = 3; /* tcp4, tcp6 */
    next();
    assert_int_equal(snapshot.tables[TABLE_TCP4], TABLE_INCOMPLETE);
    assert_string_equal(snapshot.trouble[TABLE_TCP6], "kernel module tcp_diag is missing");
    assert_int_equal(snapshot.tables[TABLE_UDP4], TABLE_COMPLETE);
    fault.absent = 12;
    next();
    assert_string_equal(snapshot.trouble[TABLE_UDP4], "kernel module udp_diag is missing");
    fault.absent = 15;
    next();
    assert_non_null(strstr(snapshot.trouble[TABLE_TCP4], "inet_diag"));
    next();
    assert_true(sees(5000));
}

static void test_many_missed(void **state) {
    (void)state;
    int fds[40];
    for (int i = 0; i < 40; i++) fds[i] = live_bind(PROTOCOL_TCP, "0.0.0.0", (uint16_t)(6000 + i), 0, NULL);
    take();
    for (int i = 1; i < 40; i++) close(fds[i]);
    fault.hide = 1; /* among many that went, one that did not is missed */
    fault.hide_port = 6000;
    next();
    assert_non_null(live_find(&snapshot, PROTOCOL_TCP, "0.0.0.0", 6000));
    assert_null(live_find(&snapshot, PROTOCOL_TCP, "0.0.0.0", 6001));
    close(fds[0]);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_missed_once),
        TEST(test_really_gone),
        TEST(test_confirmation_fails),
        TEST(test_failed),
        TEST(test_interrupted),
        TEST(test_truncated),
        TEST(test_spoilt),
        TEST(test_absent),
        TEST(test_many_missed),
    };
    live_enter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
