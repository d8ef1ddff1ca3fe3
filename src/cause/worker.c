#include "cause/worker.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "cause/document.h"
#include "cause/journal.h"
#include "cause/unit.h"
#include "core/cleanup.h"
#include "core/text.h"

#define DEADLINE 1500000         /* for all of one answer */
#define UNIT_DEADLINE 800000     /* for systemd's part of it */
#define JOURNAL_DEADLINE 1000000 /* for journald to catch up */
#define SETTLE 300000            /* how long systemd may take to notice that a main process has ended */
#define PAUSE 20                 /* milliseconds between looks */

static CauseProcess process_now(const CauseQuestion *q, int pidfd, int timeout) {
    if (q->process != PROCESS_ALIVE || pidfd < 0) return q->process == PROCESS_GONE ? PROCESS_GONE : PROCESS_UNKNOWN;
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, timeout) > 0 ? PROCESS_GONE : PROCESS_ALIVE;
}

/* systemd has not yet heard of the end of its main process. */
static bool is_behind(const Facts *facts) {
    return facts->unit.known && facts->process == PROCESS_GONE && facts->unit.main_pid == facts->question.pid;
}

/* The unit has just failed, or was started again, and journald has not yet written down how its run has ended: nor, it
 * may be, its last words. */
static bool journal_is_behind(const Facts *facts) {
    bool ended = facts->unit.known && (strcmp(facts->unit.active, "failed") == 0 || facts_later(facts));
    return ended && !facts->journal.end.result[0] && facts->unit.since > facts->now - 5 * USEC_PER_SEC &&
           !facts->missing;
}

/* All but the journal. */
static int facts_gather(Facts *facts, int pidfd, uint64_t begun) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    facts->now = now.tv_sec * USEC_PER_SEC + now.tv_nsec / 1000;
    /* Sockets are closed a moment before a process counts as ended. */
    facts->process = process_now(&facts->question, pidfd, facts->question.open ? 0 : 5 * PAUSE);
    int r = cause_unit(facts, begun + UNIT_DEADLINE);
    while (r == 0 && is_behind(facts) && now_monotonic() < begun + SETTLE) {
        poll(NULL, 0, PAUSE);
        facts->unit = (UnitFacts){0};
        r = cause_unit(facts, begun + UNIT_DEADLINE);
    }
    return r;
}

static int answer_send(int socket, uint64_t id, bool final, const Facts *facts) {
    _cleanup_(cause_answer_done) CauseAnswer answer = {0};
    _cleanup_free_ char *text = NULL;
    int r = cause_document(facts, &answer);
    if (r == 0) r = cause_answer_print(id, final, &answer, &text);
    return r == 0 && send(socket, text, strlen(text), MSG_NOSIGNAL) < 0 ? -errno : r;
}

/* What is sent should the journal never answer: its files are mapped, and a disk that hangs hangs us. */
static int answer_send_so_far(int socket, uint64_t id, const Facts *facts) {
    Facts less = *facts; /* borrowed, but for `missing` */
    less.missing = facts->missing ? strdup(facts->missing) : NULL;
    int r = facts->missing && !less.missing ? -ENOMEM : facts_missing(&less, "the journal was not read in time");
    if (r == 0) r = answer_send(socket, id, false, &less);
    free(less.missing);
    return r;
}

static int answer(int socket, uint64_t id, const CauseQuestion *question, int pidfd) {
    _cleanup_(facts_done) Facts facts = {.question = *question};
    uint64_t begun = now_monotonic();
    int r = facts_gather(&facts, pidfd, begun);
    if (r == 0) r = answer_send_so_far(socket, id, &facts);
    if (r == 0) r = cause_journal(&facts, begun + DEADLINE);
    while (r == 0 && journal_is_behind(&facts) && now_monotonic() < begun + JOURNAL_DEADLINE) {
        poll(NULL, 0, PAUSE);
        journal_done(&facts.journal);
        r = cause_journal(&facts, begun + DEADLINE);
    }
    if (r == 0) r = answer_send(socket, id, true, &facts);
    malloc_trim(0); /* we may sit idle for a minute now */
    return r;
}

/* 1: a question, 0: the end. The descriptor that came along, or -1, is the caller's. */
static int receive(int socket, uint64_t *ret_id, CauseQuestion *ret, int *ret_pidfd) {
    char bytes[QUESTION_BYTES_MAX];
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof(bytes)};
    struct msghdr message = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n;
    do n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n <= 0) return n < 0 ? -errno : 0;
    _cleanup_close_ int pidfd = -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&pidfd, CMSG_DATA(c), sizeof(int));
    if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) return -EBADMSG;
    int r = cause_question_parse(bytes, (size_t)n, ret_id, ret);
    if (r < 0) return r;
    *ret_pidfd = TAKE_FD(pidfd);
    return 1;
}

int worker_serve(int socket) {
    for (;;) {
        CauseQuestion question;
        uint64_t id;
        _cleanup_close_ int pidfd = -1;
        int r = receive(socket, &id, &question, &pidfd);
        if (r <= 0) return r;
        r = answer(socket, id, &question, pidfd);
        if (r < 0) return r;
    }
}
