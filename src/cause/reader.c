#include "cause/reader.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-messages.h>

#include "cause/unit.h"
#include "core/cleanup.h"
#include "core/text.h"

#define ENTRIES_MAX 2000 /* looked at in one walk */

void reader_field(Reader *reader, const char *name, char *buffer, size_t size) {
    const void *data;
    size_t length, prefix = strlen(name) + 1;
    buffer[0] = '\0';
    if (sd_journal_get_data(reader->journal, name, &data, &length) < 0 || length <= prefix) return;
    length -= prefix;
    if (length >= size) length = size - 1;
    memcpy(buffer, (const char *)data + prefix, length);
    buffer[length] = '\0';
}

void reader_word(Reader *reader, const char *name, char buffer[static WORD_MAX]) {
    char text[WORD_MAX + 1];
    reader_field(reader, name, text, sizeof(text));
    word_copy(text, strlen(text), buffer);
}

int64_t reader_time(Reader *reader) {
    uint64_t usec = 0;
    return sd_journal_get_realtime_usec(reader->journal, &usec) < 0 || usec > INT64_MAX ? 0 : (int64_t)usec;
}

bool reader_back(Reader *reader) {
    uint64_t ignored;
    sd_id128_t boot;
    if (reader->visited++ >= ENTRIES_MAX || now_monotonic() >= reader->deadline) return false;
    if (sd_journal_previous(reader->journal) <= 0) return false;
    if (sd_journal_get_monotonic_usec(reader->journal, &ignored, &boot) < 0) return false;
    return sd_id128_equal(boot, reader->boot) && reader_time(reader) >= reader->floor;
}

int reader_match(Reader *reader, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    _cleanup_free_ char *text = text_vprintf(format, arguments);
    va_end(arguments);
    return text ? sd_journal_add_match(reader->journal, text, 0) : -ENOMEM;
}

int match_manager(Reader *reader) {
    const CauseQuestion *q = reader->question;
    if (q->user == USER_NONE) {
        int r = reader_match(reader, "_PID=1");
        return r < 0 ? r : reader_match(reader, "UNIT=%s", q->unit);
    }
    int r = reader_match(reader, "_SYSTEMD_OWNER_UID=%u", (unsigned)q->user);
    if (r >= 0) r = reader_match(reader, "_SYSTEMD_USER_UNIT=init.scope");
    return r < 0 ? r : reader_match(reader, "USER_UNIT=%s", q->unit);
}

int match_own(Reader *reader, const char *invocation) {
    const CauseQuestion *q = reader->question;
    int r;
    if (q->user == USER_NONE) {
        r = reader_match(reader, "_SYSTEMD_UNIT=%s", q->unit);
        if (r >= 0 && invocation) r = reader_match(reader, "_SYSTEMD_INVOCATION_ID=%s", invocation);
        return r;
    }
    r = reader_match(reader, "_SYSTEMD_USER_UNIT=%s", q->unit);
    return r < 0 ? r : reader_match(reader, "_SYSTEMD_OWNER_UID=%u", (unsigned)q->user);
}

int match_coredumps(Reader *reader) {
    const CauseQuestion *q = reader->question;
    int r = reader_match(reader, "_UID=0");
    if (r >= 0) r = reader_match(reader, "MESSAGE_ID=%s", SD_MESSAGE_COREDUMP_STR);
    if (r >= 0) r = reader_match(reader, q->user == USER_NONE ? "COREDUMP_UNIT=%s" : "COREDUMP_USER_UNIT=%s", q->unit);
    return r;
}

int reader_from_end(Reader *reader, int r) {
    reader->visited = 0;
    return r < 0 ? r : sd_journal_seek_tail(reader->journal);
}

void reader_invocation(Reader *reader, char ret[static INVOCATION_MAX]) {
    bool system = reader->question->user == USER_NONE;
    char id[INVOCATION_MAX + 1];
    reader_field(reader, system ? "INVOCATION_ID" : "USER_INVOCATION_ID", id, sizeof(id));
    memcpy(ret, invocation_valid(id) ? id : (char[INVOCATION_MAX]){0}, INVOCATION_MAX);
}

int match_invocation(Reader *reader, const char *invocation) {
    bool system = reader->question->user == USER_NONE;
    return reader_match(reader, "%s=%s", system ? "INVOCATION_ID" : "USER_INVOCATION_ID", invocation);
}

/* Of the newest entry: a container's /proc may tell another boot id than its journal has. */
int reader_boot(Reader *reader) {
    uint64_t ignored;
    int r = sd_journal_seek_tail(reader->journal);
    if (r >= 0) r = sd_journal_previous(reader->journal);
    return r > 0 ? sd_journal_get_monotonic_usec(reader->journal, &ignored, &reader->boot) : r;
}
