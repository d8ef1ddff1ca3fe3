/* From facts to fate and to one sentence. Pure; the local time zone is the process's. */
#pragma once

#include "cause/facts.h"
#include "core/cause.h"

/* How the unit ended that held the port, and what is to be expected of it. */
typedef struct Judgement {
    Fate fate;
    const char *result; /* "exit-code", "success"; NULL: not known, or it has not ended */
    int code, status;   /* CLD_* (0: not known), exit status or signal */
    int64_t since;      /* when it ended, else since when its state is as it is; 0: not known */
    bool ended;         /* it ended, and result, code and status are about that */
    bool asked;         /* because somebody asked systemd for it */
    bool by_itself;     /* nobody did, by the journal */
    bool later;         /* it was started again since: what systemd says is of a later invocation */
    bool limit;         /* systemd starts it no more, it failed too often */
    bool oom;
} Judgement;

void cause_judge(const Facts *facts, Judgement *ret);

/* "myapp.service failed at 14:02:03 CET: exit status 1; restart limit reached". One line, escaped, without anything a
 * process has logged. The caller frees. NULL: no memory. */
char *cause_summary(const Facts *facts, const Judgement *judgement);
