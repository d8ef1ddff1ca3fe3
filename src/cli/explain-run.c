/* Programs that explain asks: bounded in time and in what they may say. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "cli/explain.h"

#define ERROR_MAX 4096

/* What one pipe gave so far. */
typedef struct Catch {
    int fd;
    char *text;
    size_t n, size, limit; /* size: allocated, but for the NUL */
} Catch;

static int64_t monotonic(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

/* 1: more may come; 0: that was all. */
static int catch_some(Catch *c) {
    if (c->n == c->limit) return -E2BIG;
    if (c->n == c->size) {
        size_t size = c->size < 32768 ? 65536 : 2 * c->size;
        if (size > c->limit) size = c->limit;
        char *longer = realloc(c->text, size + 1);
        if (!longer) return -ENOMEM;
        c->text = longer;
        c->size = size;
    }
    ssize_t n = read(c->fd, c->text + c->n, c->size - c->n);
    if (n < 0) return errno == EINTR || errno == EAGAIN ? 1 : -errno;
    c->n += (size_t)n;
    c->text[c->n] = '\0';
    return n > 0;
}

static int catch_both(Catch *out, Catch *error, int64_t deadline) {
    for (bool open[2] = {true, true}; open[0] || open[1];) {
        struct pollfd fds[2] = {
            {.fd = open[0] ? out->fd : -1, .events = POLLIN}, {.fd = open[1] ? error->fd : -1, .events = POLLIN}};
        int64_t left = deadline - monotonic();
        if (left <= 0) return -ETIMEDOUT;
        int n = poll(fds, 2, (int)(left / 1000) + 1);
        if (n < 0 && errno != EINTR) return -errno;
        for (int i = 0; n > 0 && i < 2; i++) {
            if (!fds[i].revents) continue;
            int r = catch_some(i == 0 ? out : error);
            if (r < 0) return r;
            open[i] = r > 0;
        }
    }
    return 0;
}

static int spawn_with(char *const *arguments, int out, int error, pid_t *ret) {
    static char *const environment[] = {"LC_ALL=C.UTF-8", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0) return -r;
    r = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (r == 0) r = posix_spawn_file_actions_adddup2(&actions, out, 1);
    if (r == 0) r = posix_spawn_file_actions_adddup2(&actions, error, 2);
    if (r == 0) r = posix_spawn(ret, arguments[0], &actions, NULL, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

/* Its end, by `deadline` or by force. An exit status, or a negative errno. */
static int reap(pid_t pid, int64_t deadline) {
    int status;
    for (;;) {
        pid_t r = waitpid(pid, &status, WNOHANG);
        if (r == pid) break;
        if (r < 0 && errno != EINTR) return -errno;
        if (monotonic() >= deadline) {
            kill(pid, SIGKILL);
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
            }
            return -ETIMEDOUT;
        }
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -EPROTO;
}

int program_run(char *const *arguments, int64_t wait, size_t limit, char **ret_out, char **ret_error) {
    int out_pipe[2], error_pipe[2];
    if (pipe2(out_pipe, O_CLOEXEC) < 0) return -errno;
    _cleanup_close_ int out_read = out_pipe[0], out_write = out_pipe[1];
    if (pipe2(error_pipe, O_CLOEXEC) < 0) return -errno;
    _cleanup_close_ int error_read = error_pipe[0], error_write = error_pipe[1];
    int64_t deadline = monotonic() + wait;
    pid_t pid = 0;
    int r = spawn_with(arguments, out_write, error_write, &pid);
    if (r < 0) return r;
    close(TAKE_FD(out_write));
    close(TAKE_FD(error_write));
    Catch out = {.fd = out_read, .limit = limit}, error = {.fd = error_read, .limit = ERROR_MAX};
    r = catch_both(&out, &error, deadline);
    int status = reap(pid, r < 0 ? 0 : deadline);
    if (r >= 0) r = status;
    _cleanup_free_ char *caught = out.text, *said = error.text;
    if (r < 0) return r;
    char *line = text_escape(said ? said : "", said ? strcspn(said, "\n") : 0);
    if (!line) return -ENOMEM;
    *ret_out = TAKE_PTR(caught);
    *ret_error = line;
    return r;
}
