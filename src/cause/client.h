/* The asker's side of portwatch-cause: why did a port close, or change hands? One thread. */
#pragma once

#include <systemd/sd-event.h>

#include "cause/answer.h"
#include "cause/question.h"
#include "core/cleanup.h"
#include "core/text.h"

#define CAUSE_WAITING_MAX 64              /* questions without an answer */
#define CAUSE_DEADLINE (2 * USEC_PER_SEC) /* until a question is given up */

typedef struct CauseClient CauseClient;

/* The answer to question `id`; it is the client's. Where the journal is not read in time it is an answer without. NULL:
 * there is none, and `why` says why ("portwatch-cause was killed by SIGSEGV"; one line, of our own words). Called from
 * the event loop only, once for each question, CAUSE_DEADLINE after it at the latest. May ask anew, must not free the
 * client. */
typedef void (*CauseAnswered)(uint64_t id, const CauseAnswer *answer, const char *why, void *userdata);

/* Makes a client; starts nothing. `program`: path of portwatch-cause, copied. `deadline`: how long an answer may take,
 * in microseconds (CAUSE_DEADLINE). The event loop is referenced. 0 or negative errno. */
int cause_client_new(
    sd_event *event, const char *program, int64_t deadline, CauseAnswered answered, void *userdata, CauseClient **ret);

/* Ends the child. What was asked gets no more answers. Takes NULL, returns NULL. */
CauseClient *cause_client_free(CauseClient *client);
DEFINE_CLEANUP(CauseClient *, cause_client_free);

/* Asks; the question is copied. Does not block but for starting the child, which is done on work, with back-off where
 * it crashes, and ended after a minute without work. 0, -EBUSY: too many are waiting; -EINVAL: no question; or another
 * negative errno. */
int cause_client_ask(CauseClient *client, const CauseQuestion *question, uint64_t *ret_id);

/* The child's pid, 0 if there is none now. */
pid_t cause_client_pid(const CauseClient *client);

/* Asks one question with a child of its own and waits for the answer, `deadline` at most. 0; or negative errno, and
 * *ret_why, to be freed, may say more than that (else NULL). */
int cause_ask(const char *program, const CauseQuestion *question, int64_t deadline, CauseAnswer *ret, char **ret_why);
