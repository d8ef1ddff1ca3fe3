#include "cause/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "cause/process.h"
#include "core/cleanup.h"
#include "core/text.h"

static int actions_fill(posix_spawn_file_actions_t *actions, int socket) {
    int r = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDWR, 0);
    if (r == 0) r = posix_spawn_file_actions_adddup2(actions, 0, 1);
    if (r == 0) r = posix_spawn_file_actions_adddup2(actions, socket, CAUSE_SOCKET);
    if (r == 0) r = posix_spawn_file_actions_addclosefrom_np(actions, CAUSE_SOCKET + 1);
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

static int spawn(const char *program, int socket, pid_t *ret) {
    _cleanup_free_ char *zone = getenv("TZ") ? text_printf("TZ=%s", getenv("TZ")) : NULL;
    char *const environment[] = {(char *)"LC_ALL=C.UTF-8", zone, NULL};
    char *const arguments[] = {(char *)"portwatch-cause", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0) return -r;
    r = posix_spawnattr_init(&attributes);
    if (r != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -r;
    }
    r = actions_fill(&actions, socket);
    if (r == 0) r = attributes_fill(&attributes);
    if (r == 0) r = -posix_spawn(ret, program, &actions, &attributes, arguments, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return r;
}

int cause_child_start(const char *program, CauseChild *ret) {
    int sockets[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0) return -errno;
    _cleanup_close_ int ours = sockets[0], theirs = sockets[1];
    /* above the number that the child's is put at */
    _cleanup_close_ int high = fcntl(theirs, F_DUPFD_CLOEXEC, 10);
    if (high < 0 || fcntl(ours, F_SETFL, O_NONBLOCK) < 0) return -errno;
    /* What a unit gave us stays ours, but is not handed on by execve(2): not for a moment does the child hold it. */
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    pid_t pid = 0;
    int r = spawn(program, high, &pid);
    if (r < 0) return r;
    int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0) {
        r = -errno;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return r;
    }
    *ret = (CauseChild){.pid = pid, .pidfd = pidfd, .socket = TAKE_FD(ours)};
    return 0;
}

void cause_child_end(CauseChild *child, char **ret_how) {
    if (ret_how) *ret_how = NULL;
    if (child->pid > 0) {
        siginfo_t info = {0};
        /* Of no effect on one that is ending already: how it does so stays. */
        kill(child->pid, SIGKILL);
        while (waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED) < 0 && errno == EINTR) {
        }
        if (ret_how && info.si_code == CLD_EXITED) *ret_how = text_printf("exited with status %d", info.si_status);
        if (ret_how && info.si_code != CLD_EXITED && info.si_status != SIGKILL)
            *ret_how = text_printf("was killed by SIG%s", sigabbrev_np(info.si_status) ?: "?");
    }
    if (child->pidfd >= 0) close(child->pidfd);
    if (child->socket >= 0) close(child->socket);
    *child = CAUSE_CHILD_NONE;
}

int cause_child_ask(const CauseChild *child, uint64_t id, const CauseQuestion *question) {
    _cleanup_free_ char *text = NULL;
    _cleanup_close_ int pidfd = -1;
    CauseQuestion asked = *question;
    asked.process = cause_process_find(question, &pidfd);
    int r = cause_question_print(id, &asked, &text);
    if (r < 0) return r;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.header = {
                     .cmsg_level = SOL_SOCKET,
                     .cmsg_type = SCM_RIGHTS,
                     .cmsg_len = CMSG_LEN(sizeof(int)),
                 }};
    struct iovec iov = {.iov_base = text, .iov_len = strlen(text)};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    if (pidfd >= 0) {
        memcpy(CMSG_DATA(&control.header), &pidfd, sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
    }
    return sendmsg(child->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int cause_child_hear(const CauseChild *child, uint64_t *ret_id, bool *ret_final, CauseAnswer *ret) {
    char bytes[ANSWER_BYTES_MAX];
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;
    /* A child that died with questions unread leaves a reset, once, before what it had said. */
    do n = recvmsg(child->socket, &message, MSG_DONTWAIT);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0) return errno == EAGAIN ? -EAGAIN : -EPIPE;
    if (n == 0) return -EPIPE;
    return message.msg_flags & MSG_TRUNC ? -EBADMSG : cause_answer_parse(bytes, (size_t)n, ret_id, ret_final, ret);
}
