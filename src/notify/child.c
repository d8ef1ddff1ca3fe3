#include "notify/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/cleanup.h"
#include "core/text.h"

static int actions_fill(posix_spawn_file_actions_t *actions, int socket, int output) {
    int r = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDWR, 0);
    if (r == 0) r = posix_spawn_file_actions_adddup2(actions, output, 1);
    if (r == 0) r = posix_spawn_file_actions_adddup2(actions, output, 2);
    if (r == 0) r = posix_spawn_file_actions_adddup2(actions, socket, CHILD_SOCKET);
    if (r == 0) r = posix_spawn_file_actions_addclosefrom_np(actions, CHILD_SOCKET + 1);
    return -r;
}

static int attributes_fill(posix_spawnattr_t *attributes) {
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int r = posix_spawnattr_setsigmask(attributes, &none);
    if (r == 0) r = posix_spawnattr_setsigdefault(attributes, &all);
    if (r == 0) r = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return -r;
}

static int spawn(const char *worker, char *const *arguments, int socket, int output, pid_t *ret) {
    /* nothing of ours: no proxies, no loader variables, no credentials directory */
    static char *const environment[] = {(char *)"LC_ALL=C.UTF-8", (char *)"PATH=/usr/bin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0) return -r;
    r = posix_spawnattr_init(&attributes);
    if (r != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -r;
    }
    r = actions_fill(&actions, socket, output);
    if (r == 0) r = attributes_fill(&attributes);
    if (r == 0) r = -posix_spawn(ret, worker, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

int child_start(const char *worker, const char *plugin_dir, const char *plugin, Child *ret) {
    int sockets[2], pipes[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0) return -errno;
    _cleanup_close_ int ours = sockets[0], theirs = sockets[1];
    if (pipe2(pipes, O_CLOEXEC) < 0) return -errno;
    _cleanup_close_ int read_end = pipes[0], write_end = pipes[1];
    /* above the numbers that the child's are put at */
    _cleanup_close_ int high = fcntl(theirs, F_DUPFD_CLOEXEC, 10), out = fcntl(write_end, F_DUPFD_CLOEXEC, 10);
    if (high < 0 || out < 0 || fcntl(ours, F_SETFL, O_NONBLOCK) < 0 || fcntl(read_end, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    const char *arguments[5] = {"portwatch-notify", plugin};
    if (plugin_dir) {
        arguments[1] = "--plugin-dir";
        arguments[2] = plugin_dir;
        arguments[3] = plugin;
    }
    /* What a unit gave us stays ours, but is not handed on by execve(2): not for a moment does the child hold it. */
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    pid_t pid = 0;
    int r = spawn(worker, (char *const *)arguments, high, out, &pid);
    if (r < 0) return r;
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        r = -errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return r;
    }
    *ret = (Child){.pid = pid, .pidfd = pidfd, .socket = TAKE_FD(ours), .output = TAKE_FD(read_end)};
    return 0;
}

void child_end(Child *child, char **ret_how) {
    if (ret_how) *ret_how = NULL;
    if (child->pid > 0) {
        siginfo_t info = {0};
        int r = waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED | WNOHANG);
        bool killed = r == 0 && info.si_pid == 0;
        if (killed) {
            kill(child->pid, SIGKILL); /* not reaped yet, so the pid is still its own */
            while (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED) < 0 && errno == EINTR) {
            }
        }
        if (ret_how && !killed && r == 0)
            *ret_how = info.si_code == CLD_EXITED
                           ? text_printf("exited with status %d", info.si_status)
                           : text_printf("was killed by SIG%s (%s)", sigabbrev_np(info.si_status) ?: "?",
                                 sigdescr_np(info.si_status) ?: "unknown");
    }
    if (child->pidfd >= 0) close(child->pidfd);
    if (child->socket >= 0) close(child->socket);
    if (child->output >= 0) close(child->output);
    *child = CHILD_NONE;
}
