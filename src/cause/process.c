#include "cause/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/text.h"

/* One process's start is computed from a clock twice, and a clock is slewed. */
#define TOLERANCE USEC_PER_SEC

bool cause_process_started(const char *bytes, size_t length, uint64_t *ret_ticks) {
    /* the name may hold anything; the last parenthesis is the kernel's */
    const char *at = memrchr(bytes, ')', length), *end = bytes + length;
    uint64_t ticks = 0;
    for (unsigned field = 2; at && field < 22; field++) {
        at = memchr(at, ' ', (size_t)(end - at));
        if (at) at++;
    }
    if (!at || at == end || *at < '0' || *at > '9') return false;
    for (; at < end && *at >= '0' && *at <= '9'; at++)
        if (__builtin_mul_overflow(ticks, 10u, &ticks) || __builtin_add_overflow(ticks, (unsigned)(*at - '0'), &ticks))
            return false;
    *ret_ticks = ticks;
    return true;
}

static int64_t clock_usec(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

static int64_t ticks_to_realtime(uint64_t ticks) {
    uint64_t hertz = (uint64_t)sysconf(_SC_CLK_TCK);
    int64_t since_boot = (int64_t)(ticks / hertz * 1000000 + ticks % hertz * 1000000 / hertz);
    return clock_usec(CLOCK_REALTIME) - clock_usec(CLOCK_BOOTTIME) + since_boot;
}

CauseProcess cause_process_compare(const CauseQuestion *q, int64_t started) {
    if (q->started <= 0) return PROCESS_UNKNOWN;
    int64_t difference = started - q->started;
    if (difference > -TOLERANCE && difference < TOLERANCE) return PROCESS_ALIVE;
    /* Younger than the last sight of ours: another one. Older ones differ where the clock was set: who knows. */
    return q->since > 0 && started > q->since + TOLERANCE ? PROCESS_GONE : PROCESS_UNKNOWN;
}

CauseProcess cause_process_find(const CauseQuestion *q, int *ret_pidfd) {
    char path[40], bytes[1024];
    uint64_t ticks;
    *ret_pidfd = -1;
    if (q->pid <= 1) return PROCESS_UNKNOWN; /* PID 1 holds sockets for others and tells nothing by being there */
    /* before the look at /proc: if the number changes hands in between, the look shows the other */
    _cleanup_close_ int pidfd = pidfd_open(q->pid, 0);
    if (pidfd < 0) return errno == ESRCH ? PROCESS_GONE : PROCESS_UNKNOWN;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)q->pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
    if (n < 0 && (errno == ENOENT || errno == ESRCH)) {
        /* It may be hidden from us; or it ended in this very moment. */
        struct pollfd ended = {.fd = pidfd, .events = POLLIN};
        return poll(&ended, 1, 0) > 0 ? PROCESS_GONE : PROCESS_UNKNOWN;
    }
    if (n <= 0 || !cause_process_started(bytes, (size_t)n, &ticks)) return PROCESS_UNKNOWN;
    CauseProcess process = cause_process_compare(q, ticks_to_realtime(ticks));
    if (process == PROCESS_ALIVE) *ret_pidfd = TAKE_FD(pidfd);
    return process;
}
