#include "daemon/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-journal.h>

#include "core/cleanup.h"
#include "core/text.h"

static bool to_journal;

void log_open(void) {
    /* systemd.exec(5): device and inode of the journal's stream, to tell whether stderr is still it. */
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    to_journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
                 st.st_dev == device && st.st_ino == inode;
    setvbuf(stderr, NULL, _IOLBF, 0);
}

/* Callers pass text that is escaped already beside raw bytes: only what would act on a reader is replaced here, so that
 * a backslash is not doubled each time. */
static void defuse(char *line) {
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = '?';
}

void log_line(int level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    _cleanup_free_ char *line = text_vprintf(format, arguments);
    va_end(arguments);
    if (!line) {
        fputs("out of memory\n", stderr);
        return;
    }
    defuse(line);
    if (to_journal)
        sd_journal_send("MESSAGE=%s", line, "PRIORITY=%i", level, "SYSLOG_IDENTIFIER=portwatchd", NULL);
    else
        fprintf(stderr, "portwatchd: %s\n", line);
}
