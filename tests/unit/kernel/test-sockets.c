/* Snapshots of real sockets, compared with what ss(8) says of them. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "core/text.h"
#include "kernel/sockets.h"
#include "live.h"
#include "test.h"

static const KernelRoots roots = {.proc = "/proc", .cgroup = "/sys/fs/cgroup"};

/* One row of ss, folded by key. */
typedef struct SsRow {
    Endpoint key;
    unsigned count;
    pid_t pids[64];
    size_t n_pids;
} SsRow;

static SsRow ss_rows[256];
static size_t n_ss_rows;

static SsRow *ss_row(const Endpoint *key) {
    for (size_t i = 0; i < n_ss_rows; i++)
        if (endpoint_compare(&ss_rows[i].key, key) == 0) return &ss_rows[i];
    assert_true(n_ss_rows < sizeof(ss_rows) / sizeof(ss_rows[0]));
    ss_rows[n_ss_rows] = (SsRow){.key = *key};
    return &ss_rows[n_ss_rows++];
}

static void parse_ss_line(char *line) {
    char protocol[16], state[16], local[128];
    if (sscanf(line, "%15s %15s %*s %*s %127s", protocol, state, local) != 3) fail_msg("ss: %s", line);
    if (strcmp(state, "LISTEN") != 0 && strcmp(state, "UNCONN") != 0) return;
    Endpoint key = {0};
    assert_true(protocol_parse(protocol, &key.protocol));
    char *colon = strrchr(local, ':'), *address = local;
    *colon = '\0';
    key.port = (uint16_t)atoi(colon + 1);
    char *device = strchr(local, '%');
    if (device) {
        *device = '\0';
        snprintf(key.device, sizeof(key.device), "%.*s", (int)strcspn(device + 1, "]"), device + 1);
    }
    if (*address == '[') {
        address++;
        char *end = strchr(address, ']');
        if (end) *end = '\0';
    }
    if (strcmp(address, "*") == 0) address = "::"; /* dual stack */
    if (!address_parse(address, &key.address)) fail_msg("ss: %s", address);
    key.v6only = strstr(line, "v6only:1") != NULL;
    SsRow *row = ss_row(&key);
    row->count++;
    for (const char *at = line; (at = strstr(at, "pid=")); at += 4)
        if (row->n_pids < sizeof(row->pids) / sizeof(row->pids[0])) row->pids[row->n_pids++] = atoi(at + 4);
}

static void read_ss(void) {
    n_ss_rows = 0;
    FILE *stream = popen("ss -H -tulnpe", "r");
    assert_non_null(stream);
    char line[8192];
    while (fgets(line, sizeof(line), stream)) parse_ss_line(line);
    assert_int_equal(pclose(stream), 0);
}

static void compare_with_ss(const Snapshot *snapshot) {
    read_ss();
    size_t shown = 0;
    for (size_t i = 0; i < snapshot->endpoints.n; i++) {
        const Endpoint *e = &snapshot->endpoints.items[i];
        if (e->protocol == PROTOCOL_UDPLITE) continue; /* ss does not know it */
        shown++;
        char text[INET6_ADDRSTRLEN];
        const SsRow *row = NULL;
        for (size_t k = 0; k < n_ss_rows; k++)
            if (endpoint_compare(&ss_rows[k].key, e) == 0) row = &ss_rows[k];
        if (!row)
            fail_msg("%s %s:%u is not in ss", protocol_name(e->protocol), address_format(&e->address, text), e->port);
        assert_int_equal(e->count, row->count);
        if (e->protocol == PROTOCOL_TCP && e->address.family == AF_INET6) assert_int_equal(e->v6only, row->key.v6only);
        for (size_t k = 0; k < e->n_owners; k++) {
            bool listed = false;
            for (size_t p = 0; p < row->n_pids; p++) listed = listed || row->pids[p] == e->owners[k]->pid;
            assert_true(listed);
        }
        assert_int_equal(e->n_owners > 0, row->n_pids > 0);
    }
    assert_int_equal(shown, n_ss_rows);
}

static void take(Sockets *sockets, Snapshot *snapshot) {
    assert_int_equal(sockets_take(sockets, snapshot), 0);
    for (Table t = 0; t < TABLE_MAX; t++)
        if (snapshot->trouble[t]) print_message("%s: %s\n", table_name(t), snapshot->trouble[t]);
    assert_true(snapshot_complete(snapshot));
}

static void sleep_ms(long ms) {
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* Full scans are spaced by nine times what one took, which is long where the machine has very many descriptors: until
 * this one has an owner, at most a minute. */
static void take_owned(Sockets *sockets, Snapshot *snapshot, const char *address, uint16_t port) {
    for (int i = 0; i < 1200; i++) {
        take(sockets, snapshot);
        const Endpoint *e = live_find(snapshot, PROTOCOL_TCP, address, port);
        assert_non_null(e);
        if (e->n_owners > 0) return;
        snapshot_done(snapshot);
        sleep_ms(50);
    }
    fail();
}

static Sockets *once(Snapshot *snapshot) {
    SocketsOptions options = {.resolve_all = true};
    Sockets *sockets = NULL;
    assert_int_equal(sockets_new(&roots, &options, &sockets), 0);
    take(sockets, snapshot);
    return sockets;
}

static void prefork(void) {
    live_bind(PROTOCOL_TCP, "0.0.0.0", 8000, 0, NULL);
    prctl(PR_SET_NAME, "foo) Z\n");
    for (int i = 0; i < 8; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;) pause();
        }
    }
}

static void reuseport_member(void) {
    live_bind(PROTOCOL_TCP, "0.0.0.0", 8001, LIVE_REUSEPORT, NULL);
}

static int connect_to(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

static uint32_t add(uint32_t sum, const void *bytes, size_t n) {
    const uint8_t *b = bytes;
    for (size_t i = 0; i + 1 < n; i += 2) sum += (uint32_t)(b[i] << 8 | b[i + 1]);
    return sum;
}

/* A SYN from somebody who never answers: a request socket in SYN_RECV. */
static void half_open(uint16_t port) {
    if (system(
            "ip route add 192.0.2.0/24 dev lo && sysctl -q net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.lo.rp_filter=0"))
        return;
    struct {
        struct iphdr ip;
        struct tcphdr tcp;
    } packet = {0};
    struct {
        uint32_t from, to;
        uint8_t zero, protocol;
        uint16_t length;
    } pseudo = {inet_addr("192.0.2.1"), htonl(INADDR_LOOPBACK), 0, IPPROTO_TCP, htons(sizeof(packet.tcp))};
    packet.ip = (struct iphdr){.ihl = 5,
        .version = 4,
        .tot_len = htons(sizeof(packet)),
        .ttl = 64,
        .protocol = IPPROTO_TCP,
        .saddr = pseudo.from,
        .daddr = pseudo.to};
    packet.tcp.source = htons(1234);
    packet.tcp.dest = htons(port);
    packet.tcp.doff = 5;
    packet.tcp.syn = 1;
    packet.tcp.window = htons(1000);
    uint32_t sum = add(add(0, &pseudo, sizeof(pseudo)), &packet.tcp, sizeof(packet.tcp));
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    packet.tcp.check = htons((uint16_t)~sum);
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = pseudo.to};
    if (fd >= 0) (void)!sendto(fd, &packet, sizeof(packet), 0, (struct sockaddr *)&to, sizeof(to));
    close(fd);
}

static void test_zoo(void **state) {
    (void)state;
    static const struct {
        Protocol protocol;
        const char *address;
        uint16_t port;
        unsigned flags;
        const char *device;
        bool v6only;
    } zoo[] = {
        {PROTOCOL_TCP, "0.0.0.0", 7000, 0, NULL, false},
        {PROTOCOL_TCP, "127.0.0.1", 7001, 0, NULL, false},
        {PROTOCOL_TCP, "127.0.0.2", 7001, 0, NULL, false},
        {PROTOCOL_TCP, "::", 7002, 0, NULL, false},
        {PROTOCOL_TCP, "::", 7003, LIVE_V6ONLY, NULL, true},
        {PROTOCOL_TCP, "0.0.0.0", 7003, 0, NULL, false},
        {PROTOCOL_TCP, "::1", 7004, LIVE_V6ONLY, NULL, true},
        {PROTOCOL_TCP, "::ffff:127.0.0.1", 7005, 0, NULL, false},
        {PROTOCOL_UDP, "0.0.0.0", 7000, 0, NULL, false},
        {PROTOCOL_UDP, "::", 7002, 0, NULL, false},
        {PROTOCOL_UDP, "::", 7003, LIVE_V6ONLY, NULL, true},
        {PROTOCOL_UDP, "127.0.0.1", 45000, 0, NULL, false},
        {PROTOCOL_UDPLITE, "0.0.0.0", 7006, 0, NULL, false},
        {PROTOCOL_UDPLITE, "::1", 7006, 0, NULL, true},
    };
    for (size_t i = 0; i < sizeof(zoo) / sizeof(zoo[0]); i++)
        live_bind(zoo[i].protocol, zoo[i].address, zoo[i].port, zoo[i].flags, zoo[i].device);
    live_bind(PROTOCOL_TCP, "0.0.0.0", 7007, 0, "lo");
    live_bind(PROTOCOL_UDP, "0.0.0.0", 7007, 0, "lo");
    int connected = live_bind(PROTOCOL_UDP, "127.0.0.1", 7008, 0, NULL);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7000), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(connected, (struct sockaddr *)&to, sizeof(to)), 0);
    for (int i = 0; i < 4; i++) live_child(reuseport_member, NULL);
    pid_t master = live_child(prefork, NULL);
    for (int i = 0; i < 100; i++) connect_to(7000); /* established */
    close(connect_to(7001));                        /* and what closing leaves */
    half_open(7000);

    Snapshot snapshot = {0};
    Sockets *sockets = once(&snapshot);
    assert_int_equal(snapshot.without_owner, 0);
    for (size_t i = 0; i < sizeof(zoo) / sizeof(zoo[0]); i++) {
        const Endpoint *e = live_find(&snapshot, zoo[i].protocol, zoo[i].address, zoo[i].port);
        assert_non_null(e);
        if (e->address.family == AF_INET6) assert_int_equal(e->v6only, zoo[i].v6only);
        assert_int_equal(e->count, 1);
        assert_int_equal(e->n_owners, 1);
        assert_int_equal(e->owners[0]->pid, getpid());
        assert_int_equal(e->owners[0]->uid, geteuid());
        assert_non_null(strstr(e->owners[0]->exe, "test-kernel-sockets"));
    }
    assert_null(live_find(&snapshot, PROTOCOL_UDP, "127.0.0.1", 7008)); /* connected */
    assert_null(live_find(&snapshot, PROTOCOL_TCP, "0.0.0.0", 7007));   /* only with its device */
    Endpoint bound = {.protocol = PROTOCOL_TCP, .port = 7007, .address.family = AF_INET, .device = "lo"};
    assert_non_null(endpoints_find(&snapshot.endpoints, &bound));
    const Endpoint *group = live_find(&snapshot, PROTOCOL_TCP, "0.0.0.0", 8001);
    assert_int_equal(group->count, 4);
    assert_int_equal(group->n_owners, 1); /* four processes of one program, user and unit */
    const Endpoint *forked = live_find(&snapshot, PROTOCOL_TCP, "0.0.0.0", 8000);
    assert_int_equal(forked->count, 1);
    assert_int_equal(forked->n_owners, 1);
    assert_int_equal(forked->owners[0]->pid, master); /* not one of its workers */
    assert_string_equal(forked->owners[0]->comm, "foo) Z\n");
    compare_with_ss(&snapshot);
    snapshot_done(&snapshot);
    sockets_free(sockets);
}

static void test_comes_and_goes(void **state) {
    (void)state;
    SocketsOptions options = {.udp_settle = 5 * USEC_PER_SEC};
    Sockets *sockets = NULL;
    Snapshot snapshot;
    assert_int_equal(sockets_new(&roots, &options, &sockets), 0);
    take(sockets, &snapshot);
    snapshot_done(&snapshot);
    int fds[300];
    for (int i = 0; i < 300; i++) fds[i] = live_bind(PROTOCOL_TCP, "0.0.0.0", (uint16_t)(20000 + i), 0, NULL);
    int lite = live_bind(PROTOCOL_UDPLITE, "0.0.0.0", 20000, 0, NULL); /* its table was skipped until now */
    take_owned(sockets, &snapshot, "0.0.0.0", 20299);
    for (int i = 0; i < 300; i++) {
        const Endpoint *e = live_find(&snapshot, PROTOCOL_TCP, "0.0.0.0", (uint16_t)(20000 + i));
        assert_non_null(e);
        assert_int_equal(e->n_owners, 1);
        assert_ptr_equal(e->owners[0], live_find(&snapshot, PROTOCOL_TCP, "0.0.0.0", 20000)->owners[0]);
    }
    assert_non_null(live_find(&snapshot, PROTOCOL_UDPLITE, "0.0.0.0", 20000));
    snapshot_done(&snapshot);
    close(fds[7]); /* one goes */
    close(lite);
    uint64_t gone = sockets_statistics(sockets).confirmed_gone;
    take(sockets, &snapshot);
    assert_null(live_find(&snapshot, PROTOCOL_TCP, "0.0.0.0", 20007));
    assert_null(live_find(&snapshot, PROTOCOL_UDPLITE, "0.0.0.0", 20000));
    assert_int_equal(sockets_statistics(sockets).confirmed_gone, gone + 2);
    snapshot_done(&snapshot);
    for (int i = 0; i < 300; i++)
        if (i != 7) close(fds[i]); /* many go: whole tables, not 299 requests */
    uint64_t dumps = sockets_statistics(sockets).dumps;
    take(sockets, &snapshot);
    assert_null(live_find(&snapshot, PROTOCOL_TCP, "0.0.0.0", 20299));
    assert_true(sockets_statistics(sockets).dumps - dumps < 12);
    snapshot_done(&snapshot);
    sockets_free(sockets);
}

static pid_t holder;

static void hold(void) {
    live_bind(PROTOCOL_TCP, "127.0.0.1", 21000, 0, NULL);
}

static void test_restart(void **state) {
    (void)state;
    Sockets *sockets = NULL;
    Snapshot snapshot;
    assert_int_equal(sockets_new(&roots, NULL, &sockets), 0);
    holder = live_child(hold, NULL);
    take_owned(sockets, &snapshot, "127.0.0.1", 21000);
    const Endpoint *e = live_find(&snapshot, PROTOCOL_TCP, "127.0.0.1", 21000);
    assert_int_equal(e->owners[0]->pid, holder);
    Owner *before = owner_ref(e->owners[0]);
    snapshot_done(&snapshot);
    live_kill(holder);
    holder = live_child(hold, NULL);
    take_owned(sockets, &snapshot, "127.0.0.1", 21000);
    e = live_find(&snapshot, PROTOCOL_TCP, "127.0.0.1", 21000);
    assert_int_equal(e->count, 1);
    assert_int_equal(e->owners[0]->pid, holder);
    assert_true(owner_same(before, e->owners[0]) && owner_compare(before, e->owners[0]) == 0);
    owner_unref(before);
    snapshot_done(&snapshot);
    live_kill(holder);
    sockets_free(sockets);
}

static void drop_privileges(int signal) {
    (void)signal;
    (void)!setuid(65534);
}

static unsigned user_of(pid_t pid) {
    char path[64], line[256];
    unsigned uid = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) && sscanf(line, "Uid: %*u %u", &uid) != 1) {
    }
    fclose(file);
    return uid;
}

static void bind_and_wait(void) {
    signal(SIGUSR1, drop_privileges);
    live_bind(PROTOCOL_TCP, "127.0.0.1", 21001, 0, NULL);
}

static void test_drops_privileges(void **state) {
    (void)state;
    if (geteuid() != 0) skip();
    Sockets *sockets = NULL;
    Snapshot snapshot;
    assert_int_equal(sockets_new(&roots, NULL, &sockets), 0);
    int fd = live_bind(PROTOCOL_TCP, "127.0.0.1", 21002, 0, NULL);
    take(sockets, &snapshot);
    snapshot_done(&snapshot);
    pid_t child = live_child(bind_and_wait, NULL); /* root binds, a user serves */
    take_owned(sockets, &snapshot, "127.0.0.1", 21001);
    assert_int_equal(live_find(&snapshot, PROTOCOL_TCP, "127.0.0.1", 21001)->owners[0]->uid, 0);
    snapshot_done(&snapshot);
    kill(child, SIGUSR1);
    for (int i = 0; i < 6000 && user_of(child) == 0; i++) sleep_ms(10);
    take(sockets, &snapshot);
    assert_int_equal(live_find(&snapshot, PROTOCOL_TCP, "127.0.0.1", 21001)->owners[0]->uid, 65534);
    snapshot_done(&snapshot);
    live_kill(child);
    close(fd);
    sockets_free(sockets);
}

/* A thread with descriptors of its own: what only it holds must not pass for the kernel's. */
static sem_t hidden;

static void *hide(void *unused) {
    (void)unused;
    if (unshare(CLONE_FILES) < 0) _exit(1);
    live_bind(PROTOCOL_TCP, "127.0.0.1", 21003, 0, NULL);
    sem_post(&hidden);
    return pause() ? NULL : unused;
}

static void start_hidden(void) {
    pthread_t thread;
    if (sem_init(&hidden, 0, 0) < 0 || pthread_create(&thread, NULL, hide, NULL) != 0) _exit(1);
    while (sem_wait(&hidden) < 0) {
    }
}

static void test_hidden_in_thread(void **state) {
    (void)state;
    if (geteuid() != 0) skip();
    char self[256] = "";
    assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
    pid_t child = live_child(start_hidden, NULL);
    Sockets *sockets = NULL;
    Snapshot snapshot;
    assert_int_equal(sockets_new(&roots, &(SocketsOptions){.resolve_all = true}, &sockets), 0);
    take(sockets, &snapshot);
    const Endpoint *endpoint = live_find(&snapshot, PROTOCOL_TCP, "127.0.0.1", 21003);
    assert_non_null(endpoint);
    assert_int_equal(endpoint->n_owners, 1);
    assert_string_equal(endpoint->owners[0]->exe, self);
    snapshot_done(&snapshot);
    sockets_free(sockets);
    live_kill(child);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zoo),
        cmocka_unit_test(test_comes_and_goes),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_drops_privileges),
        cmocka_unit_test(test_hidden_in_thread),
    };
    live_enter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
