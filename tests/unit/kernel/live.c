#include "live.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(bool ok, const char *what) {
    if (ok) return;
    perror(what);
    exit(1);
}

static void write_file(const char *path, const char *text) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return;
    (void)!write(fd, text, strlen(text));
    close(fd);
}

void live_enter(void) {
    if (unshare(CLONE_NEWNET) < 0) {
        char map[64];
        snprintf(map, sizeof(map), "0 %u 1", (unsigned)geteuid());
        if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) exit(77);
        write_file("/proc/self/uid_map", map);
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    check(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0, "lo");
    close(fd);
}

int live_bind(Protocol protocol, const char *address, uint16_t port, unsigned flags, const char *device) {
    Address parsed;
    check(address_parse(address, &parsed), address);
    int fd = socket(parsed.family, (protocol == PROTOCOL_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC,
        protocol == PROTOCOL_UDPLITE ? IPPROTO_UDPLITE : 0);
    check(fd >= 0, "socket");
    int on = 1, v6only = (flags & LIVE_V6ONLY) != 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (flags & LIVE_REUSEPORT) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (device) check(setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device) + 1) == 0, device);
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int r;
    if (parsed.family == AF_INET) {
        memcpy(&v4.sin_addr, parsed.bytes, 4);
        r = bind(fd, (struct sockaddr *)&v4, sizeof(v4));
    } else {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
        memcpy(&v6.sin6_addr, parsed.bytes, 16);
        r = bind(fd, (struct sockaddr *)&v6, sizeof(v6));
    }
    check(r == 0, address);
    if (protocol == PROTOCOL_TCP) check(listen(fd, 512) == 0, "listen");
    return fd;
}

pid_t live_child(void (*body)(void), void (*loop)(void)) {
    int ready[2];
    char byte = 0;
    check(pipe2(ready, O_CLOEXEC) == 0, "pipe2");
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ready[0]);
        body();
        (void)!write(ready[1], &byte, 1);
        if (loop) loop();
        for (;;) pause();
    }
    close(ready[1]);
    check(read(ready[0], &byte, 1) == 1, "child");
    close(ready[0]);
    return pid;
}

void live_kill(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

const Endpoint *live_find(const Snapshot *snapshot, Protocol protocol, const char *address, uint16_t port) {
    Endpoint key = {.protocol = protocol, .port = port};
    check(address_parse(address, &key.address), address);
    return endpoints_find(&snapshot->endpoints, &key);
}
