/* Whether a process is still there: this very one, not another that was given its number. */
#pragma once

#include <stddef.h>

#include "cause/question.h"

/* Looks for question->pid that started at question->started. Does not block; is done where /proc shows other users'
 * processes, which the child does not see. Never told of PID 1. PROCESS_ALIVE: *ret_pidfd becomes readable when it
 * ends, and is the caller's; else it is -1. */
CauseProcess cause_process_find(const CauseQuestion *question, int *ret_pidfd);

/* When the process of /proc/PID/stat's bytes started, in clock ticks since boot; false: not of that form. Pure. */
bool cause_process_started(const char *bytes, size_t length, uint64_t *ret_ticks);
/* What it means that a process of that number started at `started`, where ours did at question->started. Pure. */
CauseProcess cause_process_compare(const CauseQuestion *question, int64_t started);
