/* Many processes with many descriptors, as on a busy machine: crowd PROCESSES DESCRIPTORS LISTENERS PORT. Each process
 * has DESCRIPTORS descriptors, every other one a socket; the first LISTENERS of them listen on 0.0.0.0, ports from
 * PORT. Prints "ready" and ends with its standard input. A line "listen PORT" makes the oldest of them listen on one
 * more port, "close" makes it close that one again; each answered by a line. */
#include <arpa/inet.h>
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static int listen_on(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&name, sizeof name) < 0 || listen(fd, 128) < 0)
        err(1, "port %d", port);
    return fd;
}

/* The oldest does what it is told. */
static void obey(int commands, int answers) {
    FILE *in = fdopen(commands, "r");
    char line[64];
    int extra = -1;
    while (in && fgets(line, sizeof line, in)) {
        if (strncmp(line, "listen ", 7) == 0) extra = listen_on(atoi(line + 7));
        if (strncmp(line, "close", 5) == 0) close(extra);
        if (write(answers, "done\n", 5) != 5) break;
    }
    _exit(0);
}

int main(int argc, char **argv) {
    if (argc != 5) errx(64, "usage: crowd PROCESSES DESCRIPTORS LISTENERS PORT");
    int processes = atoi(argv[1]), descriptors = atoi(argv[2]), listeners = atoi(argv[3]), port = atoi(argv[4]);
    int commands[2], ready[2];
    struct rlimit files = {65536, 65536};
    setrlimit(RLIMIT_NOFILE, &files);
    if (pipe(commands) < 0 || pipe(ready) < 0) err(1, "pipe");
    for (int i = 0; i < processes; i++) {
        pid_t pid = fork();
        if (pid < 0) err(1, "fork");
        if (pid > 0) continue;
        prctl(PR_SET_PDEATHSIG, 9);
        close(commands[1]);
        for (int k = 0; k < descriptors - 3; k++)
            if ((k % 2 ? socket(AF_UNIX, SOCK_DGRAM, 0) : dup(0)) < 0) err(1, "descriptor");
        if (i < listeners) listen_on(port + i);
        if (write(ready[1], "x", 1) != 1) return 1;
        if (i == 0) obey(commands[0], 1);
        for (;;) pause();
    }
    close(commands[0]);
    char byte, line[64];
    for (int i = 0; i < processes; i++)
        if (read(ready[0], &byte, 1) != 1) errx(1, "a process ended");
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        if (write(commands[1], line, strlen(line)) < 0) break;
    return 0;
}
