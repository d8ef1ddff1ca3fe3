/* Holds sockets for the tests: holder [-c COMM] [-f FORKS] [-u UID] [-i FD] SPEC...
 * SPEC is PROTOCOL@ADDRESS@PORT[@OPTION,...] with tcp, udp, udplite; options v6only, dual, reuseport, defer,
 * dev=NAME, connect=PORT (of the same address). Prints "ready" once all stand, then waits for a signal or for stdin to
 * end. Copied elsewhere it is an executable of another name. -i: an inherited descriptor, held and nothing more. */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

typedef union Name {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
} Name;

static socklen_t name_make(const char *address, int port, Name *ret) {
    memset(ret, 0, sizeof *ret);
    if (inet_pton(AF_INET, address, &ret->in.sin_addr) == 1) {
        ret->in.sin_family = AF_INET;
        ret->in.sin_port = htons(port);
        return sizeof ret->in;
    }
    if (inet_pton(AF_INET6, address, &ret->in6.sin6_addr) != 1) errx(64, "%s: no address", address);
    ret->in6.sin6_family = AF_INET6;
    ret->in6.sin6_port = htons(port);
    return sizeof ret->in6;
}

static void set(int fd, int level, int option, int value) {
    if (setsockopt(fd, level, option, &value, sizeof value) < 0) err(1, "setsockopt %d", option);
}

static void hold(char *spec) {
    char *rest = spec;
    const char *protocol = strsep(&rest, "@"), *address = strsep(&rest, "@"), *port = strsep(&rest, "@");
    if (!port) errx(64, "%s: PROTOCOL@ADDRESS@PORT", spec);
    bool tcp = strcmp(protocol, "tcp") == 0;
    Name name;
    socklen_t length = name_make(address, atoi(port), &name);
    int number = strcmp(protocol, "udplite") == 0 ? IPPROTO_UDPLITE : 0;
    int fd = socket(name.any.sa_family, tcp ? SOCK_STREAM : SOCK_DGRAM, number), connect_to = 0;
    if (fd < 0) err(1, "socket %s", protocol);
    if (tcp) set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    for (char *option; (option = strsep(&rest, ","));) {
        if (strcmp(option, "v6only") == 0) set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
        if (strcmp(option, "dual") == 0) set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
        if (strcmp(option, "reuseport") == 0) set(fd, SOL_SOCKET, SO_REUSEPORT, 1);
        if (strcmp(option, "defer") == 0) set(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, 600);
        if (strncmp(option, "connect=", 8) == 0) connect_to = atoi(option + 8);
        if (strncmp(option, "dev=", 4) == 0 &&
            setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, option + 4, strlen(option + 4)) < 0)
            err(1, "device %s", option + 4);
    }
    if (bind(fd, &name.any, length) < 0) err(1, "bind %s@%s@%s", protocol, address, port);
    if (tcp && listen(fd, 1024) < 0) err(1, "listen");
    if (connect_to) {
        length = name_make(address, connect_to, &name);
        if (connect(fd, &name.any, length) < 0) err(1, "connect");
    }
}

static void wait_end(void) {
    struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte[64];
    while (poll(&end, 1, -1) >= 0)
        if (end.revents && read(STDIN_FILENO, byte, sizeof byte) <= 0) return;
}

int main(int argc, char **argv) {
    const char *comm = NULL;
    int forks = 0, uid = -1;
    for (int option; (option = getopt(argc, argv, "c:f:u:i:")) != -1;) {
        if (option == 'c') comm = optarg;
        if (option == 'f') forks = atoi(optarg);
        if (option == 'u') uid = atoi(optarg);
    }
    struct rlimit files = {65536, 65536};
    setrlimit(RLIMIT_NOFILE, &files);
    if (comm && prctl(PR_SET_NAME, comm) < 0) err(1, "comm");
    for (int i = optind; i < argc; i++)
        hold(argv[i]);
    if (uid >= 0 && (setgid(uid) < 0 || setuid(uid) < 0)) err(1, "setuid");
    prctl(PR_SET_DUMPABLE, 1);
    for (int i = 0; i < forks; i++)
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, 15);
            pause();
            return 0;
        }
    puts("ready");
    fflush(stdout);
    wait_end();
    return 0;
}
