/* Starts and ends one portwatch-cause process, and speaks with it. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "cause/answer.h"
#include "cause/question.h"

#define CAUSE_SOCKET 3 /* the descriptor the child finds its socket at */

typedef struct CauseChild {
    pid_t pid; /* 0: none */
    int pidfd;
    int socket; /* one question or answer a datagram, non-blocking */
} CauseChild;

#define CAUSE_CHILD_NONE ((CauseChild){.pid = 0, .pidfd = -1, .socket = -1})

/* Starts `program` with default signals and nothing of ours but stderr and the time zone. 0 or negative errno. */
int cause_child_start(const char *program, CauseChild *ret);

/* Kills it if it still runs, reaps it. *ret_how ("was killed by SIGSEGV", "exited with status 1", NULL: by us) may be
 * NULL, and is to be freed. */
void cause_child_end(CauseChild *child, char **ret_how);

/* Sends a question. The process it names is looked for here, where others' processes can be seen. 0 or negative errno:
 * -EINVAL: no question. */
int cause_child_ask(const CauseChild *child, uint64_t id, const CauseQuestion *question);
/* Takes an answer that is there. 0; -EAGAIN: none is; -EPIPE: the child has ended; -EBADMSG: it says nonsense. */
int cause_child_hear(const CauseChild *child, uint64_t *ret_id, bool *ret_final, CauseAnswer *ret);
