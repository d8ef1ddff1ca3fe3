/* The journal's entries about one unit, newest first. Private to journal.c. A process can write any field but those
 * that begin with an underscore, which are journald's own: matches begin with one of these. */
#pragma once

#include <systemd/sd-journal.h>

#include "cause/facts.h"

typedef struct Reader {
    sd_journal *journal;
    const CauseQuestion *question;
    uint64_t deadline;
    int64_t floor; /* realtime: what is older is no part of it */
    sd_id128_t boot;
    unsigned visited;
} Reader;

/* Matches, until sd_journal_flush_matches(). 0 or more, or negative errno. */
__attribute__((format(printf, 2, 3))) int reader_match(Reader *reader, const char *format, ...);
int match_manager(Reader *reader);                            /* what the unit's manager wrote about it */
int match_invocation(Reader *reader, const char *invocation); /* after it: of this one alone */
int match_own(Reader *reader, const char *invocation);        /* what its processes wrote; NULL: in any invocation */
int match_coredumps(Reader *reader);

/* To the end, with the matches that were just added. `r`: what came of adding them, passed on where negative. */
int reader_from_end(Reader *reader, int r);
/* To the next older entry. False: there is none, none of this time, or it is enough. */
bool reader_back(Reader *reader);

/* Of the present entry. As text, "" where it is absent. */
void reader_field(Reader *reader, const char *name, char *buffer, size_t size);
void reader_word(Reader *reader, const char *name, char buffer[static WORD_MAX]);
void reader_invocation(Reader *reader, char ret[static INVOCATION_MAX]); /* that its manager wrote it about */
int64_t reader_time(Reader *reader);

/* Finds out which boot is the present one. */
int reader_boot(Reader *reader);
