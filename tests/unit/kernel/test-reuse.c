/* A pid is turned into facts while processes come and go and get each other's numbers, within one clock tick even:
 * never a wrong owner. Not known is allowed, and counted. In a pid and network namespace of the test's own; skipped
 * where none can be made. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/text.h"
#include "kernel/sockets.h"
#include "live.h"
#include "test.h"

#define ROUNDS 1000u
#define PROGRAMS 4u /* each has the ports that leave its number over */
#define PORT_FIRST 20000u
#define PORTS 400u
#define AT_ONCE 3u
#define PID_MAX "400"
#define PID_AGAIN "320" /* every process gets the first free number after it */

static char place[] = "/tmp/portwatch-test-XXXXXX";

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    (void)!write(fd, text, strlen(text));
    close(fd);
}

/* The life of one process: PROGRAM --work PORT, then, with the socket, the same as another program. */
static int work(char **argv) {
    unsigned port = (unsigned)atoi(argv[2]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (strcmp(argv[1], "--work") == 0) {
        int fd = live_bind(PROTOCOL_TCP, "127.0.0.1", (uint16_t)port, 0, NULL);
        usleep(port % 3 * 2000);
        if (port % 5 == 0) {
            char heir[128];
            fcntl(fd, F_SETFD, 0);
            snprintf(
                heir, sizeof(heir), "%.*s/heir%u", (int)(strrchr(argv[0], '/') - argv[0]), argv[0], port % PROGRAMS);
            execl(heir, heir, "--rest", argv[2], (char *)NULL);
            return 1;
        }
    }
    usleep(3000 + port % 7 * 1000);
    return 0;
}

static void start(unsigned round) {
    unsigned port = PORT_FIRST + round % PORTS;
    char program[128], text[16];
    /* Odd ones follow each other through all numbers, which wrap soon; even ones get the one that was just free. */
    if (round % 2 == 0) write_file("/proc/sys/kernel/ns_last_pid", PID_AGAIN);
    if (fork() != 0) return;
    snprintf(program, sizeof(program), "%s/program%u", place, port % PROGRAMS);
    snprintf(text, sizeof(text), "%u", port);
    execl(program, program, "--work", text, (char *)NULL);
    _exit(1);
}

static void churn(void) {
    unsigned running = 0;
    for (unsigned round = 0; round < ROUNDS || running > 0;) {
        int status;
        if (round < ROUNDS && running < AT_ONCE) {
            start(round++);
            running++;
        } else if (waitpid(-1, &status, 0) > 0) {
            if (status != 0) _exit(1);
            running--;
        }
    }
    _exit(0);
}

typedef struct Tally {
    unsigned known, heirs, unknown, pids, last_pid;
} Tally;

/* Everything that is said of one owner must be of one process, and that one must have had this port. */
static bool check_owner(const Endpoint *endpoint, const Owner *owner, Tally *tally) {
    char program[32], heir[32], port[16];
    snprintf(program, sizeof(program), "program%u", endpoint->port % PROGRAMS);
    snprintf(heir, sizeof(heir), "heir%u", endpoint->port % PROGRAMS);
    snprintf(port, sizeof(port), " %u", endpoint->port);
    if (!owner->exe) {
        tally->unknown++;
        return true;
    }
    const char *name = strrchr(owner->exe, '/');
    if (!name || !owner->comm) return false;
    bool is_heir = strcmp(++name, heir) == 0;
    if (!owner->cmdline) { /* held up in the middle of an execve(2): which program it is can be seen, no more */
        tally->unknown++;
        return is_heir || strcmp(name, program) == 0;
    }
    size_t n = strlen(owner->cmdline), m = strlen(port), path = strlen(owner->exe);
    bool right = (is_heir || strcmp(name, program) == 0) && strcmp(owner->comm, name) == 0 &&
                 strncmp(owner->cmdline, owner->exe, path) == 0 && owner->cmdline[path] == ' ' &&
                 strncmp(owner->cmdline + path + 1, is_heir ? "--rest" : "--work", 6) == 0 && n > m &&
                 strcmp(owner->cmdline + n - m, port) == 0 && owner->exe_deleted == false;
    if (!right)
        print_error("port %u: exe %s, comm %s, args %s, pid %d\n", endpoint->port, owner->exe, owner->comm,
            owner->cmdline, (int)owner->pid);
    tally->known++;
    tally->heirs += is_heir;
    tally->pids += (unsigned)owner->pid != tally->last_pid;
    tally->last_pid = (unsigned)owner->pid;
    return right;
}

static void watch(pid_t churner) {
    const KernelRoots roots = {.proc = "/proc", .cgroup = "/sys/fs/cgroup"};
    SocketsOptions options = {.udp_settle = 5 * USEC_PER_SEC};
    Sockets *sockets = NULL;
    Tally tally = {0};
    int status = 0;
    unsigned snapshots = 0;
    assert_int_equal(sockets_new(&roots, &options, &sockets), 0);
    while (waitpid(churner, &status, WNOHANG) == 0) {
        Snapshot snapshot;
        assert_int_equal(sockets_take(sockets, &snapshot), 0);
        snapshots++;
        for (size_t i = 0; i < snapshot.endpoints.n; i++) {
            const Endpoint *endpoint = &snapshot.endpoints.items[i];
            if (endpoint->port < PORT_FIRST || endpoint->port >= PORT_FIRST + PORTS) continue;
            if (endpoint->n_owners == 0) tally.unknown++;
            for (size_t o = 0; o < endpoint->n_owners; o++)
                assert_true(check_owner(endpoint, endpoint->owners[o], &tally));
        }
        snapshot_done(&snapshot);
    }
    assert_int_equal(status, 0);
    print_message(
        "%u rounds, %u snapshots: owner right %u times (%u after another exec), not known %u times, another pid "
        "than the time before %u times\n",
        ROUNDS, snapshots, tally.known, tally.heirs, tally.unknown, tally.pids);
    assert_true(tally.known > 0);
    sockets_free(sockets);
}

static void copy_self(const char *name) {
    char path[128], buffer[65536];
    snprintf(path, sizeof(path), "%s/%s", place, name);
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    assert_true(from >= 0 && to >= 0);
    ssize_t n;
    while ((n = read(from, buffer, sizeof(buffer))) > 0) assert_int_equal(write(to, buffer, (size_t)n), n);
    close(from);
    close(to);
}

static void each_program(void (*act)(const char *)) {
    char name[32];
    for (unsigned i = 0; i < PROGRAMS; i++) {
        snprintf(name, sizeof(name), "program%u", i);
        act(name);
        snprintf(name, sizeof(name), "heir%u", i);
        act(name);
    }
}

static void remove_program(const char *name) {
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", place, name);
    unlink(path);
}

/* pid_max belongs to the pid namespace since 6.14; before, it would be the whole machine's. */
static bool pid_max_is_ours(void) {
    struct utsname name;
    unsigned major = 0, minor = 0;
    return uname(&name) == 0 && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
           (major > 6 || (major == 6 && minor >= 14));
}

static void test_pids_used_again(void **state) {
    (void)state;
    assert_non_null(mkdtemp(place));
    each_program(copy_self);
    if (pid_max_is_ours()) write_file("/proc/sys/kernel/pid_max", PID_MAX);
    pid_t churner = fork();
    assert_true(churner >= 0);
    if (churner == 0) churn();
    watch(churner);
    each_program(remove_program);
    rmdir(place);
}

int main(int argc, char **argv) {
    /* Without the leak check at the end, which cannot start its tracer around a pid namespace. */
    if (argc == 3) _exit(work(argv));
    live_enter();
    if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0) return 77;
    pid_t init = fork();
    int status = 1;
    if (init > 0) {
        waitpid(init, &status, 0);
        _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (init < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return 77;
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pids_used_again)};
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    fflush(NULL);
    _exit(result);
}
