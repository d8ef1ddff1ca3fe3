/* No false "closed": long-lived listeners beside groups whose members come and go all the time. Dumps miss them, and
 * snapshots must not. PORTWATCH_CHURN_TICKS sets the number of snapshots. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/text.h"
#include "kernel/sockets.h"
#include "live.h"
#include "test.h"

#define TICKS_DEFAULT 2000
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#define GROUP_MIN 200
#define GROUP_MAX 300

static const KernelRoots roots = {.proc = "/proc", .cgroup = "/sys/fs/cgroup"};

/* The group shares its place in the kernel's hash with a long-lived one: for TCP by address and port (and another
 * device), for UDP by port. Its size wanders around what fits one message, so that dumps resume at every place. */
static void churn(Protocol protocol, const char *address, uint16_t port) {
    static int fds[GROUP_MAX];
    unsigned n = 0;
    uint32_t state = (uint32_t)getpid();
    bool grow = true;
    for (;;) {
        state = state * 1664525u + 1013904223u;
        if (n <= GROUP_MIN) grow = true;
        if (n >= GROUP_MAX) grow = false;
        if (n >= GROUP_MAX || (n > 0 && (state >> 16) % 8 < (grow ? 3 : 5))) {
            unsigned i = (state >> 8) % n;
            close(fds[i]);
            fds[i] = fds[--n];
        } else
            fds[n++] = live_bind(protocol, address, port, LIVE_REUSEPORT, NULL);
    }
}

static void churn_tcp(void) {
    churn(PROTOCOL_TCP, "0.0.0.0", 9100);
}

static void churn_udp(void) {
    churn(PROTOCOL_UDP, "0.0.0.0", 9200);
}

static void member(void) {
    live_bind(PROTOCOL_TCP, "0.0.0.0", 9100, LIVE_REUSEPORT, NULL);
    live_bind(PROTOCOL_UDP, "0.0.0.0", 9200, LIVE_REUSEPORT, NULL);
}

static unsigned descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    unsigned n = 0;
    while (readdir(directory)) n++;
    closedir(directory);
    return n;
}

static long resident_kb(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, resident = 0;
    assert_int_equal(fscanf(file, "%ld %ld", &size, &resident), 2);
    fclose(file);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void test_no_false_closed(void **state) {
    (void)state;
    const char *text = getenv("PORTWATCH_CHURN_TICKS");
    unsigned ticks = text ? (unsigned)atoi(text) : TICKS_DEFAULT;
    live_bind(PROTOCOL_TCP, "127.0.0.1", 9000, 0, NULL);
    live_bind(PROTOCOL_TCP, "::1", 9000, 0, NULL);
    live_bind(PROTOCOL_TCP, "0.0.0.0", 9100, LIVE_REUSEPORT, "lo");
    live_bind(PROTOCOL_UDP, "127.0.0.1", 9200, LIVE_REUSEPORT, NULL);
    pid_t children[] = {live_child(member, churn_tcp), live_child(member, churn_udp)};

    SocketsOptions options = {.udp_settle = 5 * USEC_PER_SEC};
    Sockets *sockets = NULL;
    assert_int_equal(sockets_new(&roots, &options, &sockets), 0);
    Endpoint bound = {.protocol = PROTOCOL_TCP, .port = 9100, .address.family = AF_INET, .device = "lo"};
    unsigned descriptors_early = 0;
    long resident_early = 0;
    for (unsigned i = 0; i < ticks; i++) {
        Snapshot snapshot;
        assert_int_equal(sockets_take(sockets, &snapshot), 0);
        assert_true(snapshot_complete(&snapshot));
        assert_non_null(live_find(&snapshot, PROTOCOL_TCP, "127.0.0.1", 9000));
        assert_non_null(live_find(&snapshot, PROTOCOL_TCP, "::1", 9000));
        assert_non_null(live_find(&snapshot, PROTOCOL_TCP, "0.0.0.0", 9100));
        assert_non_null(live_find(&snapshot, PROTOCOL_UDP, "0.0.0.0", 9200));
        assert_non_null(endpoints_find(&snapshot.endpoints, &bound));
        assert_non_null(live_find(&snapshot, PROTOCOL_UDP, "127.0.0.1", 9200));
        snapshot_done(&snapshot);
        if (i == ticks / 5) {
            descriptors_early = descriptors();
            resident_early = resident_kb();
        }
    }
    SocketsStatistics statistics = sockets_statistics(sockets);
    print_message("%u snapshots, %lu dumps; a dump missed a long-lived endpoint %lu times; %lu scans (%lu full); "
                  "%zu sockets and %zu holders known; %ld kB resident, %ld kB at a fifth of the way\n",
        ticks, (unsigned long)statistics.dumps, (unsigned long)statistics.confirmed_present,
        (unsigned long)statistics.owners.scans, (unsigned long)statistics.owners.full_scans, statistics.owners.sockets,
        statistics.owners.holders, resident_kb(), resident_early);
    assert_int_equal(statistics.confirmed_gone, 0);
    assert_true(descriptors() <= descriptors_early + 4 /* pidfds */);
#if !defined(SANITIZED) /* freed memory is kept back there */
    assert_true(resident_kb() <= resident_early + 512);
#endif
    assert_true(statistics.owners.sockets < 20000);
    sockets_free(sockets);
    for (size_t i = 0; i < sizeof(children) / sizeof(children[0]); i++) live_kill(children[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_false_closed)};
    live_enter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
