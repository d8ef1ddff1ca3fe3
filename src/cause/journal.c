#include "cause/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-messages.h>
#include <time.h>

#include "cause/reader.h"
#include "cause/unit.h"
#include "core/cleanup.h"
#include "core/text.h"

#define FIELD_MAX 4096 /* of a field read at all */
#define MANAGER_LINES_MAX 4
#define SLACK (2 * USEC_PER_SEC) /* between what happened and what was written about it */

/* ---- lines ---- */

/* Cuts at most `max` bytes of valid UTF-8 out of it, with an ellipsis where it was longer. */
static void shorten(char *text, size_t max) {
    if (strlen(text) <= max) return;
    size_t n = max - 3;
    while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
    memcpy(text + n, "...", 4);
}

char *journal_line(int64_t at, const char *identifier, const char *pid, const char *message, size_t length) {
    char clock[32] = "";
    struct tm tm;
    time_t t = (time_t)(at / USEC_PER_SEC);
    if (localtime_r(&t, &tm)) strftime(clock, sizeof(clock), "%b %d %H:%M:%S ", &tm);
    const char *newline = memchr(message, '\n', length);
    if (newline) length = (size_t)(newline - message);
    /* text_escape makes more of it, never less */
    size_t n = strnlen(identifier, 64);
    _cleanup_free_ char *text = text_escape(message, length < LINE_MAX_BYTES + 4 ? length : LINE_MAX_BYTES + 4);
    _cleanup_free_ char *who = text_escape(identifier, n), *number = text_escape(pid, strnlen(pid, 16));
    char *line = text && who && number ? text_printf("%s%s%s%s%s: %s", clock, n ? who : "?", *pid ? "[" : "", number,
                                             *pid ? "]" : "", text)
                                       : NULL;
    if (line) shorten(line, LINE_MAX_BYTES);
    return line;
}

/* ---- the end of the unit ---- */

static const struct {
    const char *text;
    int code;
} exit_codes[] = {{"exited", CLD_EXITED}, {"killed", CLD_KILLED}, {"dumped", CLD_DUMPED}};

static void process_exit_read(Reader *reader, EndFacts *end) {
    char command[32], text[WORD_MAX], status[16];
    reader_field(reader, "COMMAND", command, sizeof(command));
    /* not of a command that runs before or after it */
    if (end->code != 0 || (command[0] && strcmp(command, "ExecStart") != 0)) return;
    reader_word(reader, "EXIT_CODE", text);
    reader_field(reader, "EXIT_STATUS", status, sizeof(status));
    for (size_t i = 0; i < ELEMENTSOF(exit_codes); i++)
        if (strcmp(text, exit_codes[i].text) == 0) {
            end->code = exit_codes[i].code;
            end->status = atoi(status);
        }
}

typedef enum Entry {
    ENTRY_OTHER,
    ENTRY_FAILURE,
    ENTRY_SUCCESS,
    ENTRY_EXIT,
    ENTRY_STOPPING,
    ENTRY_STOPPED,
    ENTRY_STARTING,
    ENTRY_MEMORY,
    ENTRY_LIMIT,
} Entry;

static Entry entry_kind(Reader *reader) {
    static const struct {
        const char *id;
        Entry entry;
    } kinds[] = {
        {SD_MESSAGE_UNIT_FAILURE_RESULT_STR, ENTRY_FAILURE},
        {SD_MESSAGE_UNIT_SUCCESS_STR, ENTRY_SUCCESS},
        {SD_MESSAGE_UNIT_PROCESS_EXIT_STR, ENTRY_EXIT},
        {SD_MESSAGE_UNIT_STOPPING_STR, ENTRY_STOPPING},
        {SD_MESSAGE_UNIT_STOPPED_STR, ENTRY_STOPPED},
        {SD_MESSAGE_UNIT_STARTING_STR, ENTRY_STARTING},
        {SD_MESSAGE_UNIT_STARTED_STR, ENTRY_STARTING},
        {SD_MESSAGE_UNIT_OUT_OF_MEMORY_STR, ENTRY_MEMORY},
        {SD_MESSAGE_UNIT_OOMD_KILL_STR, ENTRY_MEMORY},
    };
    char id[INVOCATION_MAX], text[64];
    reader_field(reader, "MESSAGE_ID", id, sizeof(id));
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        if (strcmp(id, kinds[i].id) == 0) return kinds[i].entry;
    if (id[0]) return ENTRY_OTHER;
    reader_field(reader, "MESSAGE", text, sizeof(text));
    return strstr(text, ": Start request repeated too quickly") ? ENTRY_LIMIT : ENTRY_OTHER;
}

/* The newest end of the unit (or of the invocation whose entries these are), from systemd's entries, newest first. */
static void end_read(Reader *reader, JournalFacts *journal) {
    EndFacts *end = &journal->end;
    char starved[INVOCATION_MAX] = "";
    bool limit = false, again = false, asked = false, restart = false;
    while (reader_back(reader)) {
        Entry entry = entry_kind(reader);
        char invocation[INVOCATION_MAX], job[WORD_MAX];
        reader_invocation(reader, invocation);
        if (entry == ENTRY_LIMIT && !again) {
            limit = true;
            end->result[0] = '\0'; /* that failure was only the refusal; the real one is older */
        }
        if (entry == ENTRY_MEMORY) memcpy(starved, invocation, sizeof(starved));
        if (!end->result[0]) {
            if (entry == ENTRY_STARTING) again = true;
            if (entry == ENTRY_STOPPED) {
                reader_word(reader, "JOB_TYPE", job);
                asked = strcmp(job, "stop") == 0; /* sockets stop without having been stopping */
                restart = strcmp(job, "restart") == 0 || strcmp(job, "try-restart") == 0;
            }
            if (entry != ENTRY_FAILURE && entry != ENTRY_SUCCESS) continue;
            if (entry == ENTRY_FAILURE)
                reader_word(reader, "UNIT_RESULT", end->result);
            else
                strcpy(end->result, "success");
            end->at = reader_time(reader);
            end->again = again;
            /* a stop that found it failed, waiting for its restart, is not why it failed: see below for one that is */
            end->asked = asked && entry == ENTRY_SUCCESS;
            end->restart = restart;
            memcpy(end->invocation, invocation, sizeof(invocation));
            continue;
        }
        if (invocation[0] && end->invocation[0] && strcmp(invocation, end->invocation) != 0) break;
        if (entry == ENTRY_STARTING || entry == ENTRY_FAILURE || entry == ENTRY_SUCCESS) break;
        if (entry == ENTRY_EXIT) process_exit_read(reader, end);
        if (entry == ENTRY_STOPPING) end->asked = true;
    }
    journal->limit = limit;
    journal->oom = starved[0] && strcmp(starved, end->invocation) == 0;
}

/* What came after the invocation asked about: was the unit started again, and at last too often? */
static void later_read(Reader *reader, JournalFacts *journal) {
    bool again = false;
    while (reader_back(reader)) {
        Entry entry = entry_kind(reader);
        char invocation[INVOCATION_MAX];
        if (entry == ENTRY_LIMIT && !again) journal->limit = true;
        if (entry == ENTRY_LIMIT) continue;
        reader_invocation(reader, invocation);
        if (strcmp(invocation, reader->question->invocation) == 0) break;
        again = again || entry == ENTRY_STARTING;
    }
    journal->end.again = again;
}

/* "Out of memory: Killed process 812 (myapp) ...", also of a cgroup's limit. */
static void oom_read(Reader *reader, JournalFacts *journal) {
    char text[256], wanted[40];
    snprintf(wanted, sizeof(wanted), "Killed process %d (", (int)reader->question->pid);
    while (reader_back(reader)) {
        reader_field(reader, "MESSAGE", text, sizeof(text));
        const char *found = strstr(text, "Killed process ");
        if (!found || strncmp(found, wanted, strlen(wanted)) != 0) continue;
        journal->oom = true;
        return;
    }
}

/* ---- its last words ---- */

/* Does systemd's own entry help? Starting, started and the like are told by the state. */
static bool is_telling(Reader *reader) {
    char priority[4], id[INVOCATION_MAX];
    reader_field(reader, "PRIORITY", priority, sizeof(priority));
    reader_field(reader, "MESSAGE_ID", id, sizeof(id));
    return priority[0] && priority[0] <= '5' && strcmp(id, SD_MESSAGE_UNIT_RESOURCES_STR) != 0;
}

/* By systemd's word on it, or as journald knew its process. */
static bool belongs_to(Reader *reader, const char *invocation) {
    char own[INVOCATION_MAX + 1], about[INVOCATION_MAX];
    reader_invocation(reader, about);
    reader_field(reader, "_SYSTEMD_INVOCATION_ID", own, sizeof(own));
    return strcmp(about, invocation) == 0 || strcmp(own, invocation) == 0;
}

static char *entry_line(Reader *reader) {
    const void *data;
    size_t length;
    char identifier[64], pid[16];
    if (sd_journal_get_data(reader->journal, "MESSAGE", &data, &length) < 0 || length < 8) return NULL;
    reader_field(reader, "SYSLOG_IDENTIFIER", identifier, sizeof(identifier));
    if (!identifier[0]) reader_field(reader, "_COMM", identifier, sizeof(identifier));
    reader_field(reader, "_PID", pid, sizeof(pid));
    return journal_line(reader_time(reader), identifier, pid, (const char *)data + 8, length - 8);
}

/* The newest `max` lines go before those that are there; none that belongs to the invocation `but` (NULL: any may). */
static void lines_read(Reader *reader, size_t max, const char *but, JournalFacts *journal) {
    char *found[CAUSE_LINES_MAX]; /* newest first */
    size_t n = 0, n_manager = 0;
    while (n < max && reader_back(reader)) {
        char about[UNIT_NAME_MAX];
        if (but && belongs_to(reader, but)) continue;
        reader_field(reader, reader->question->user == USER_NONE ? "UNIT" : "USER_UNIT", about, sizeof(about));
        if (strcmp(about, reader->question->unit) == 0 && (n_manager >= MANAGER_LINES_MAX || !is_telling(reader)))
            continue;
        char *line = entry_line(reader);
        if (!line) continue;
        if (about[0]) n_manager++;
        found[n++] = line;
    }
    memmove(journal->lines + n, journal->lines, journal->n_lines * sizeof(*journal->lines));
    for (size_t i = 0; i < n; i++) journal->lines[i] = found[n - 1 - i];
    journal->n_lines += n;
}

/* ---- all of it ---- */

/* The journal's files are there, and this process may read them. NULL: yes, else why not. */
static const char *trouble_of_files(void) {
    static const char *const places[] = {"/var/log/journal", "/run/log/journal"};
    char id[SD_ID128_STRING_MAX], path[128];
    sd_id128_t machine;
    bool refused = false;
    if (sd_id128_get_machine(&machine) < 0) return "this machine has no id, and so no journal";
    for (size_t i = 0; i < ELEMENTSOF(places); i++) {
        snprintf(path, sizeof(path), "%s/%s/system.journal", places[i], sd_id128_to_string(machine, id));
        if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0) return NULL;
        refused = refused || errno == EACCES;
    }
    return refused ? "the journal may not be read (group systemd-journal)" : "there is no journal";
}

/* Before this nothing belongs to the matter. */
static int64_t floor_of(const Facts *facts) {
    const CauseQuestion *q = &facts->question;
    if (q->since > 0) return q->since - SLACK;
    /* nobody missed the port: what ended before the present state is history */
    return facts->unit.known && strcmp(facts->unit.active, "active") == 0 ? facts->unit.begun : 0;
}

/* Of a unit that is up again, the last words of the invocation that ended; else the last words since then. */
static const char *invocation_of_lines(const Facts *facts) {
    const EndFacts *end = &facts->journal.end;
    const char *wanted = facts->question.invocation[0] ? facts->question.invocation : end->invocation;
    bool up = facts->unit.known && strcmp(facts->unit.active, "active") == 0;
    return up && wanted[0] ? wanted : NULL;
}

static int64_t floor_of_lines(const Facts *facts) {
    const CauseQuestion *q = &facts->question;
    if (q->started > 0) return q->started - SLACK;
    return facts->unit.known && facts->unit.begun > 0 && !q->since ? facts->unit.begun - SLACK : 0;
}

/* What is shown of the unit, or of one invocation of it; of a core dump nobody says which one it was of. */
static int match_lines(Reader *reader, const char *invocation, bool dumps) {
    sd_journal_flush_matches(reader->journal);
    int r = match_own(reader, invocation);
    if (r >= 0) r = sd_journal_add_disjunction(reader->journal);
    if (r >= 0) r = match_manager(reader);
    if (r >= 0 && invocation) r = match_invocation(reader, invocation);
    if (r >= 0 && dumps) r = sd_journal_add_disjunction(reader->journal);
    return r < 0 || !dumps ? r : match_coredumps(reader);
}

static int read_all(Facts *facts, Reader *reader) {
    JournalFacts *journal = &facts->journal;
    const char *asked = facts->question.invocation;
    reader->floor = floor_of(facts);
    int r = match_manager(reader);
    if (r >= 0 && asked[0]) r = match_invocation(reader, asked);
    r = reader_from_end(reader, r);
    if (r < 0) return r;
    end_read(reader, journal);
    if (asked[0]) {
        sd_journal_flush_matches(reader->journal);
        r = reader_from_end(reader, match_manager(reader));
        if (r < 0) return r;
        later_read(reader, journal);
    }

    if (facts->question.pid > 0 && !journal->oom && facts->process != PROCESS_ALIVE && facts->question.since > 0) {
        sd_journal_flush_matches(reader->journal);
        r = reader_from_end(reader, reader_match(reader, "_TRANSPORT=kernel"));
        if (r < 0) return r;
        oom_read(reader, journal);
    }

    reader->floor = floor_of_lines(facts);
    const char *invocation = invocation_of_lines(facts);
    bool apart = !invocation && facts_later(facts);
    if (apart) {
        /* what keeps it from coming back, and before that why it went: neither is to push the other out */
        r = reader_from_end(reader, match_lines(reader, NULL, true));
        if (r < 0) return r;
        lines_read(reader, CAUSE_LINES_MAX / 2, asked, journal);
        invocation = asked;
    }
    r = reader_from_end(reader, match_lines(reader, invocation, !apart));
    if (r < 0) return r;
    lines_read(reader, CAUSE_LINES_MAX - journal->n_lines, NULL, journal);
    return 0;
}

int cause_journal(Facts *facts, uint64_t deadline) {
    if (!facts->question.unit[0]) return 0;
    const char *trouble = trouble_of_files();
    if (trouble) return facts_missing(facts, trouble);
    Reader reader = {.question = &facts->question, .deadline = deadline};
    /* all files: what runs as a person's uid logs into that person's, a system service too */
    int r = sd_journal_open(&reader.journal, SD_JOURNAL_LOCAL_ONLY);
    if (r >= 0) r = reader_boot(&reader);
    if (r >= 0) r = sd_journal_set_data_threshold(reader.journal, FIELD_MAX);
    if (r >= 0) r = read_all(facts, &reader);
    sd_journal_close(reader.journal);
    if (r == -ENOMEM) return r;
    if (r >= 0 && now_monotonic() >= deadline)
        return facts_missing(facts, "the journal could not be read to its end in time");
    if (r >= 0) return 0;
    _cleanup_free_ char *text = text_printf("the journal cannot be read: %s", strerror(-r));
    return text ? facts_missing(facts, text) : -ENOMEM;
}
