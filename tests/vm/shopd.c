/* A service for the guests: shopd [-d DIR] [-e STATUS] [-f N] [-m] [ADDRESS PORT]... Listens, or takes the sockets of a
 * socket unit, and answers each HTTP request with 204. -d: keeps each request there, as a file of its own. -e: at
 * SIGUSR1 it says why it cannot go on, and ends with that status. -f: with so many children that serve as well. -m: at
 * SIGUSR1 it takes all the memory it gets. Copied elsewhere it is a service of another name. Linked statically, so that
 * the guest needs nothing for it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SOCKETS = 64, FIRST_PASSED = 3, REQUEST = 1 << 20, MEAL = 1 << 20, MEALS = 256 };

static struct pollfd sockets[SOCKETS];
static nfds_t n_sockets;

static void add(int fd) {
    if (n_sockets == SOCKETS) errx(64, "too many sockets");
    sockets[n_sockets++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void hold(const char *address, const char *port) {
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(atoi(port))};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = six.sin6_port};
    int is_four = inet_pton(AF_INET, address, &four.sin_addr) == 1, on = 1;
    if (!is_four && inet_pton(AF_INET6, address, &six.sin6_addr) != 1) errx(64, "%s: no address", address);
    int fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const void *name = is_four ? (void *)&four : (void *)&six;
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, name, is_four ? sizeof four : sizeof six) < 0 || listen(fd, 16) < 0)
        err(1, "%s port %s", address, port);
    add(fd);
}

/* The whole request: its head, and as much more as that announces. */
static size_t take(int fd, char *request) {
    size_t n = 0, wanted = REQUEST;
    while (n < wanted) {
        ssize_t got = read(fd, request + n, REQUEST - n);
        if (got <= 0) break;
        request[n += got] = '\0';
        const char *end = strstr(request, "\r\n\r\n"), *length = strcasestr(request, "\r\nContent-Length:");
        if (end) wanted = end + 4 - request + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
        if (wanted > REQUEST) wanted = REQUEST;
    }
    return n;
}

static void keep(const char *directory, const char *request, size_t n) {
    static unsigned count;
    char temporary[256], name[256];
    snprintf(temporary, sizeof temporary, "%s/.new", directory);
    snprintf(name, sizeof name, "%s/%06u", directory, ++count);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, request, n) != (ssize_t)n || close(fd) < 0 || rename(temporary, name) < 0)
        err(1, "%s", name);
}

static void answer(int listener, const char *directory) {
    static char request[REQUEST + 1];
    static const char reply[] = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) return;
    size_t n = take(fd, request);
    if (directory && n > 0) keep(directory, request, n);
    if (write(fd, reply, sizeof reply - 1) < 0) warn("reply");
    close(fd);
}

static int status;

static void give_up(int number) {
    (void)number;
    static const char words[] = "cannot open /var/lib/app/db\n";
    _exit(write(1, words, sizeof words - 1) > 0 ? status : 99);
}

/* More than any limit of the tests: it never comes to its end. */
static void eat(int number) {
    (void)number;
    for (int i = 0; i < MEALS; i++) {
        char *meal = mmap(NULL, MEAL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (meal == MAP_FAILED) _exit(98);
        memset(meal, 1, MEAL);
    }
    _exit(97);
}

int main(int argc, char **argv) {
    int children = 0;
    const char *directory = NULL, *passed = getenv("LISTEN_FDS");
    for (int i = 0; passed && i < atoi(passed); i++) add(FIRST_PASSED + i);
    for (int c; (c = getopt(argc, argv, "d:e:f:m")) != -1;) {
        if (c == 'd') directory = optarg;
        if (c == 'e') status = atoi(optarg);
        if (c == 'f') children = atoi(optarg);
        if (c == 'm') signal(SIGUSR1, eat);
        if (c == '?') return 64;
    }
    if (status) {
        /* whose a user's line is journald learns from the living process */
        puts("starting");
        fflush(stdout);
        signal(SIGUSR1, give_up);
    }
    for (; optind + 1 < argc; optind += 2) hold(argv[optind], argv[optind + 1]);
    for (int i = 0; i < children; i++)
        if (fork() == 0) break;
    while (poll(sockets, n_sockets, -1) > 0)
        for (nfds_t i = 0; i < n_sockets; i++)
            if (sockets[i].revents) answer(sockets[i].fd, directory);
    return 1;
}
