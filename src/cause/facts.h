/* What systemd and the journal say about one unit: plain values, so that a judgement can be tested by literals. */
#pragma once

#include "cause/answer.h"
#include "cause/question.h"

#define WORD_MAX 32 /* systemd's own words: "failed", "auto-restart", "exit-code" */
#define LINE_MAX_BYTES 400

/* The unit as it is now, by systemd. Times are realtime microseconds, 0: never. */
typedef struct UnitFacts {
    bool known; /* systemd answered; else all below is empty */
    char load[WORD_MAX], active[WORD_MAX], sub[WORD_MAX];
    char result[WORD_MAX];
    char restart[WORD_MAX]; /* Restart= of a service */
    char job[WORD_MAX];     /* what is queued or under way for it: "start", "stop", "restart"; "": nothing */
    int code, status;       /* how the last main process ended: CLD_* (0: it did not), and exit status or signal */
    int64_t restarts;       /* by systemd itself, since somebody last started it; -1: no service */
    int64_t burst;          /* how many starts are allowed in a row; 0: no limit */
    int64_t since;          /* of this state */
    int64_t begun;          /* of this invocation */
    int64_t runtime_max;    /* RuntimeMaxSec=; 0: none */
    char invocation[INVOCATION_MAX];
    pid_t main_pid;
} UnitFacts;

/* How an invocation of the unit ended, by what the journal has from systemd itself. */
typedef struct EndFacts {
    char result[WORD_MAX]; /* "": the journal knows of no end */
    int code, status;      /* as above */
    bool asked;            /* by a job that stops or restarts it */
    bool restart;          /* to start it again */
    bool again;            /* was started again afterwards */
    int64_t at;
    char invocation[INVOCATION_MAX];
} EndFacts;

typedef struct JournalFacts {
    EndFacts end;
    bool limit;                   /* "Start request repeated too quickly" */
    bool oom;                     /* the kernel or systemd killed for want of memory */
    char *lines[CAUSE_LINES_MAX]; /* oldest first, escaped */
    size_t n_lines;
} JournalFacts;

typedef struct Facts {
    CauseQuestion question;
    UnitFacts unit;
    JournalFacts journal;
    CauseProcess process;
    int64_t now;
    char *missing; /* why something is not known, for people; NULL: nothing is missing */
} Facts;

/* Another invocation than the one asked about is what systemd knows of: the unit was started again since. */
bool facts_later(const Facts *facts);

void journal_done(JournalFacts *journal);
void facts_done(Facts *facts);
/* Adds a reason to `missing`. 0 or -ENOMEM. */
int facts_missing(Facts *facts, const char *reason);
/* Copies a word if it is one of systemd's: lower case letters, digits and dashes, short enough; else leaves "". */
void word_copy(const char *text, size_t length, char ret[static WORD_MAX]);
