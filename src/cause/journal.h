/* What the journal has about a unit: how it ended, by systemd's own entries, and its last words. */
#pragma once

#include "cause/facts.h"

/* Fills facts->journal for facts->question, with what facts->unit says already. Fields that a process can write by
 * itself are never trusted: entries about the unit count only if PID 1 wrote them (for a unit of a user's own systemd:
 * that user's processes). Reads from the end, a bounded number of entries, until `deadline` (microseconds of
 * CLOCK_MONOTONIC). Where the journal cannot be read, facts->missing says why. 0 or -ENOMEM. */
int cause_journal(Facts *facts, uint64_t deadline);

/* One line as it is shown: "Nov 23 14:02:03 myapp[812]: cannot open ...", escaped, of the first line of `message`, at
 * most LINE_MAX_BYTES long. Pure. The caller frees; NULL: no memory. */
char *journal_line(int64_t at, const char *identifier, const char *pid, const char *message, size_t length);
