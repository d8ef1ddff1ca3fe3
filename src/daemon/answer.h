/* The answer to a request while it is made; private to src/daemon. The contract is cli/request.h. */
#pragma once

#include "daemon/daemon.h"

typedef struct Answer {
    json_t *object;
    int code; /* exit code of the command line */
} Answer;

/* Sets the text that people read. Lines stay lines; what arguments bring along is escaped by whoever formats them. 0 or
 * -ENOMEM. */
int answer_text(Answer *answer, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Commits a decision (takes it) together with its answer, or, with NULL, only the answer. 0 also where nobody waits for
 * the answer any more and there was nothing to decide; a StoreError; or negative errno. */
int answer_reply(Daemon *d, const Request *request, Decision *decision, const Answer *answer);

/* PORT of the contract (cli/request.h): one surface, or tcp and udp. How many; 0 if it is none. */
size_t answer_port(const json_t *port, Surface ret[static 2]);

/* baseline.c: `portwatch baseline revert`. */
int baseline_revert(Daemon *d, const Request *request, const json_t *arguments, Answer *answer);
/* Makes the baseline what it says, and answers, in one transaction. */
int baseline_replace(Daemon *d, const Request *request, const Replacement *replacement, Answer *answer);
/* import.c: `portwatch baseline import`. */
int baseline_import(Daemon *d, const Request *request, const json_t *arguments, Answer *answer);

/* test.c: `portwatch test`. Answers once every notifier has, or the time is over. */
int test_start(Daemon *d, const Request *request, const json_t *arguments);
/* Ends all of them without an answer. */
void test_stop_all(Daemon *d);
