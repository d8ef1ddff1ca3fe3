/* The daemon's log: the journal where stderr is connected to it, else stderr. Everything that came from outside is made
 * harmless here. */
#pragma once

#include "daemon/messages.h"

/* What a script can ask the journal for, and a catalog entry can name. Any may be NULL. */
typedef struct LogFields {
    const char *incident; /* PORTWATCH_INCIDENT=K7Q2 */
    const char *port;     /* PORTWATCH_PORT=443/tcp */
    const char *notifier; /* PORTWATCH_NOTIFIER=admin */
    const char *severity; /* PORTWATCH_SEVERITY=critical */
    char *const *lines;   /* what belongs below the first line: part of the same journal entry */
    int level;            /* 0: that of the class */
} LogFields;

/* Looks where stderr leads. Call once at start. */
void log_open(void);
/* One message, printf-like; `fields` may be NULL. What arguments bring along is defused. */
void log_write(JournalMessage message, const LogFields *fields, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define log_no_memory() log_write(JOURNAL_TROUBLE, NULL, "out of memory")

/* Replaces, in place, what would act on a reader or make journalctl hide the line: control characters (C0, DEL, C1) and
 * bytes that are not UTF-8. */
void log_defuse(char *line);
