#define SD_JOURNAL_SUPPRESS_LOCATION /* it would always be this file */
#include "daemon/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <systemd/sd-journal.h>

#include "core/cleanup.h"
#include "core/text.h"
#include "notify/utf8.h"

#define LINES_MAX 50

static bool to_journal;

static const struct {
    const char *id;
    int level;
} messages[JOURNAL_MAX] = {
#define ROW(name, id, level) [JOURNAL_##name] = {id, level},
    JOURNAL_MESSAGES(ROW)
#undef ROW
};

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
void log_defuse(char *line) {
    _cleanup_free_ char *valid = utf8_clean(line, strlen(line)); /* as long as the line */
    if (valid) strcpy(line, valid);
    for (unsigned char *p = (unsigned char *)line; *p; p++) {
        if (*p < 0x20 || *p == 0x7f || (!valid && *p >= 0x80)) *p = '?';
        if (p[0] == 0xc2 && p[1] < 0xa0) p[0] = p[1] = '?';
    }
}

/* An entry of the journal while it is made. */
typedef struct Entry {
    char *fields[8];
    size_t n;
} Entry;

static void entry_done(Entry *entry) {
    for (size_t i = 0; i < entry->n; i++) free(entry->fields[i]);
}

static void entry_add(Entry *entry, const char *name, const char *value) {
    char *field = value && entry->n < ELEMENTSOF(entry->fields) ? text_printf("%s=%s", name, value) : NULL;
    if (!field) return; /* a message without this field is better than none */
    entry->fields[entry->n++] = field;
}

static void entry_add_defused(Entry *entry, const char *name, const char *value) {
    size_t n = entry->n;
    entry_add(entry, name, value);
    if (entry->n > n) log_defuse(entry->fields[n]);
}

static void send_entry(JournalMessage message, const LogFields *fields, int level, const char *text) {
    _cleanup_(entry_done) Entry entry = {.n = 0};
    char number[16];
    snprintf(number, sizeof number, "%d", level);
    entry_add(&entry, "MESSAGE", text);
    entry_add(&entry, "PRIORITY", number);
    entry_add(&entry, "MESSAGE_ID", messages[message].id);
    entry_add(&entry, "SYSLOG_IDENTIFIER", "portwatchd");
    entry_add_defused(&entry, "PORTWATCH_INCIDENT", fields->incident);
    entry_add_defused(&entry, "PORTWATCH_PORT", fields->port);
    entry_add_defused(&entry, "PORTWATCH_NOTIFIER", fields->notifier);
    entry_add_defused(&entry, "PORTWATCH_SEVERITY", fields->severity);
    struct iovec iov[ELEMENTSOF(entry.fields)];
    for (size_t i = 0; i < entry.n; i++)
        iov[i] = (struct iovec){.iov_base = entry.fields[i], .iov_len = strlen(entry.fields[i])};
    sd_journal_sendv(iov, (int)entry.n);
}

/* The first line and those below it. NULL: no memory. */
static char *text_of(const char *first, char *const *lines) {
    char *text = NULL;
    size_t size, n = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    fputs(first, out);
    for (; lines && lines[n] && n < LINES_MAX; n++) {
        _cleanup_free_ char *line = strdup(lines[n]);
        if (!line) continue;
        log_defuse(line);
        fprintf(out, "\n  %s", line);
    }
    if (strv_length(lines) > n) fprintf(out, "\n  and %zu more", strv_length(lines) - n);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

static void print_lines(char *text) {
    for (char *rest = text, *line; (line = strsep(&rest, "\n"));) fprintf(stderr, "portwatchd: %s\n", line);
}

void log_write(JournalMessage message, const LogFields *fields, const char *format, ...) {
    static const LogFields none;
    if (!fields) fields = &none;
    va_list arguments;
    va_start(arguments, format);
    _cleanup_free_ char *first = text_vprintf(format, arguments);
    va_end(arguments);
    if (first) log_defuse(first);
    _cleanup_free_ char *text = first ? text_of(first, fields->lines) : NULL;
    if (!text) {
        fputs("out of memory\n", stderr);
        return;
    }
    if (to_journal)
        send_entry(message, fields, fields->level ? fields->level : messages[message].level, text);
    else
        print_lines(text);
}
