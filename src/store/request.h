/* What the command line asks of the daemon, and the answers. */
#pragma once

#include "store/state.h"

typedef struct Request {
    int64_t id;
    char *command;   /* "accept", "ack", "pause", "resume", "test", ... */
    char *arguments; /* JSON */
    char *who;       /* who asks, for people */
    int64_t made;
    int64_t expires;
} Request;

void request_done(Request *request);

/* Command line (STORE_REQUESTER). Puts a request that the daemon will not execute once `lifetime` is over: make it the
 * time that request_wait is given. Check state_lock_held first: without a daemon nobody answers. Once it can be seen
 * the log's times are touched (IN_ATTRIB). */
int request_put(Store *store, const char *command, const char *arguments, const char *who, int64_t lifetime,
    int64_t now, int64_t *ret_id);

/* Command line. Waits (blocking, looking 20 times a second) for the answer, at most `timeout` microseconds; then the
 * request is withdrawn, so that it cannot take effect later. *ret_answered false: withdrawn or expired; else *ret_code
 * and *ret_text (the caller frees; NULL if there is none) are the daemon's. */
int request_wait(Store *store, int64_t id, int64_t timeout, bool *ret_answered, int *ret_code, char **ret_text);

/* Daemon. The oldest request with an id above `after` that still waits and may be executed: of this boot, not expired,
 * not from the future. Others that wait are marked expired on the way. ret->id is 0 if there is none. A request is seen
 * again (also after a restart) until it is answered, so that `after` is for those whose answer takes time. */
int request_next(Store *store, int64_t after, int64_t now, Request *ret);

/* Daemon. Answers a request that changes nothing else; one that does is answered by store_commit. STORE_GONE: nobody
 * waits any more. */
int request_answer(Store *store, const RequestAnswer *answer, int64_t now);
