/* A user who opens ports and closes them again: opener RATE SECONDS HELD. RATE listeners a second on 0.0.0.0, on ports
 * drawn from 1024 to 60999; each is closed when HELD more have been opened. Prints how many it opened. */
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int open_one(unsigned *state) {
    for (;;) {
        *state = *state * 1664525u + 1013904223u;
        struct sockaddr_in name = {
            .sin_family = AF_INET, .sin_port = htons((unsigned short)(1024 + (*state >> 8) % (61000 - 1024)))};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
        if (fd < 0) err(1, "socket");
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)&name, sizeof name) == 0 && listen(fd, 1) == 0) return fd;
        close(fd); /* taken: another one */
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 4) errx(64, "usage: opener RATE SECONDS HELD");
    double rate = atof(argv[1]), seconds = atof(argv[2]), begun = now();
    size_t held = (size_t)atol(argv[3]), opened = 0;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) err(1, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) err(1, "setrlimit");
    if (held + 16 > limit.rlim_max) held = (size_t)limit.rlim_max - 16; /* what a user may have */
    int *fds = calloc(held, sizeof *fds);
    unsigned state = 1;
    if (!fds || held == 0) errx(1, "no memory");
    for (double t = 0; t < seconds; t = now() - begun) {
        for (; (double)opened < t * rate; opened++) {
            if (opened >= held) close(fds[opened % held]);
            fds[opened % held] = open_one(&state);
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    printf("%zu\n", opened);
    return 0;
}
