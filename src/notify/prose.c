#include "notify/prose.h"

#include <errno.h>
#include <string.h>

#include "core/rules.h"
#include "notify/document.h"
#include "notify/grid.h"
#include "notify/moment.h"
#include "notify/phrase.h"
#include "notify/section.h"

#define SECTIONS_MAX 20
#define OVERVIEW_ROWS_MAX 4
#define SUBJECT_MAX_COLUMNS 250
#define SUBJECT_PORTS 8
#define LATE (10 * 60 * USEC_PER_SEC)

static bool is_resolved(const json_t *document) {
    return strcmp(phrase_type(document), "resolved") == 0;
}

/* For tests and baselines a severity says nothing. */
static bool has_severity(const json_t *document) {
    const char *type = phrase_type(document);
    return strcmp(type, "learned") != 0 && strcmp(type, "test") != 0;
}

static Severity severity_of(const json_t *document) {
    Severity severity = SEVERITY_INFO;
    severity_parse(phrase_string(phrase_data(document), "severity"), &severity);
    return severity;
}

static const char *severity_word(const json_t *document) {
    if (is_resolved(document)) return "RESOLVED";
    switch (severity_of(document)) {
    case SEVERITY_INFO:
        return "INFO";
    case SEVERITY_WARNING:
        return "WARNING";
    case SEVERITY_CRITICAL:
        return "CRITICAL";
    }
    return "WARNING";
}

/* Most urgent first: what is over comes last, portwatch's own matters before ports of the same severity. */
static int rank(const json_t *document) {
    if (is_resolved(document)) return 8;
    if (!has_severity(document)) return 9;
    return 2 * (SEVERITY_CRITICAL - (int)severity_of(document)) + (phrase_is_port(document) ? 1 : 0);
}

typedef struct Ranked {
    const json_t *document;
    size_t place;
} Ranked;

static int ranked_compare(const void *a, const void *b) {
    const Ranked *x = a, *y = b;
    int r = rank(x->document) - rank(y->document);
    return r ? r : (x->place > y->place) - (x->place < y->place);
}

static void subject_one(FILE *out, const json_t *document, const ProseOptions *options) {
    const json_t *data = phrase_data(document);
    const char *type = phrase_type(document), *summary = phrase_string(data, "summary");
    if (has_severity(document)) fprintf(out, "%s ", severity_word(document));
    bool notice = !phrase_is_port(document) && has_severity(document);
    if (notice && strncmp(summary, "portwatch", 9) != 0) fputs("portwatch: ", out);
    fputs(summary, out);
    if (strcmp(type, "learned") == 0) fprintf(out, " on %s", options->host);
}

/* "443/tcp, 5432/tcp, ..." */
static void subject_ports(FILE *out, const Ranked *sorted, size_t n) {
    size_t said = 0;
    for (size_t i = 0; i < n; i++) {
        if (!phrase_is_port(sorted[i].document)) continue;
        if (said == SUBJECT_PORTS) {
            fputs(", ...", out);
            return;
        }
        const json_t *data = phrase_data(sorted[i].document);
        const json_t *port = json_object_get(data, "port");
        fputs(said++ ? ", " : ": ", out);
        if (phrase_is_whole(sorted[i].document)) {
            phrase_port(out, sorted[i].document);
            continue;
        }
        if (json_is_integer(port))
            fprintf(out, "%lld/%s", (long long)json_integer_value(port), phrase_string(data, "protocol"));
        else
            fprintf(out, "ephemeral %s", phrase_string(data, "protocol"));
        phrase_in(out, data);
    }
}

static bool is_reminder(const json_t *document) {
    return strcmp(phrase_type(document), "reminder") == 0;
}

static void subject_group(FILE *out, const Ranked *sorted, size_t n) {
    size_t ports = 0, over = 0, notices = 0, resolved = 0, reminders = 0;
    for (size_t i = 0; i < n; i++) {
        bool port = phrase_is_port(sorted[i].document), ended = is_resolved(sorted[i].document);
        ports += port;
        notices += !port;
        over += port && ended;
        resolved += ended;
        reminders += is_reminder(sorted[i].document);
    }
    if (has_severity(sorted[0].document)) fprintf(out, "%s ", severity_word(sorted[0].document));
    if (ports > 0) {
        fprintf(out, "%zu port%s", ports, ports == 1 ? "" : "s");
        if (resolved < n) fputs(reminders < n ? " changed" : ports == 1 ? " still differs" : " still differ", out);
        if (over > 0 && over < ports) fprintf(out, " (%zu over)", over);
        if (notices > 0) fprintf(out, " and %zu notice%s", notices, notices == 1 ? "" : "s");
        subject_ports(out, sorted, n);
    } else
        fprintf(out, "%zu notices: %s", notices, phrase_string(phrase_data(sorted[0].document), "summary"));
}

/* One line, no longer than a reader's list of mails can bear, whatever the parts held. */
static char *subject_finish(const char *raw) {
    char *text = NULL;
    _cleanup_json_ json_t *safe = document_string_safe(raw);
    if (!safe) return NULL;
    text = strdup(json_string_value(safe));
    if (!text) return NULL;
    size_t columns = 0;
    for (char *p = text; *p; p++) {
        if (((unsigned char)*p & 0xC0) == 0x80 || ++columns <= SUBJECT_MAX_COLUMNS - 3) continue;
        if (grid_width(p) <= 3) break;
        strcpy(p, "..."); /* there are more than three bytes left */
        break;
    }
    return text;
}

static char *subject_make(const Ranked *sorted, size_t n, const ProseOptions *options) {
    _cleanup_free_ char *raw = NULL;
    size_t size;
    FILE *out = open_memstream(&raw, &size);
    if (!out) return NULL;
    fprintf(out, "[%s] ", options->host);
    if (n == 1)
        subject_one(out, sorted[0].document, options);
    else
        subject_group(out, sorted, n);
    return fclose(out) == 0 ? subject_finish(raw) : NULL;
}

/* The first cells of an event's row. */
static void overview_event(Grid *grid, const json_t *document) {
    const json_t *data = phrase_data(document);
    bool open = strcmp(phrase_string(data, "status"), "open") == 0 && phrase_is_port(document);
    grid_cell(grid, has_severity(document) ? severity_word(document) : "INFO");
    grid_cell(grid, open ? phrase_string(data, "incident") : "-");
}

/* Every event of a group as one row: what to read first. */
static int overview_write(FILE *out, const Ranked *sorted, size_t n) {
    _cleanup_(grid_freep) Grid *grid = grid_new(3);
    if (!grid) return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        overview_event(grid, sorted[i].document);
        grid_cell(grid, phrase_string(phrase_data(sorted[i].document), "summary"));
    }
    return grid_print(grid, out, "  ");
}

/* Where there are more events than sections: the rows that differ, beside the event they belong to. */
static int overview_rows(FILE *out, const Ranked *sorted, size_t n) {
    _cleanup_(grid_freep) Grid *grid = grid_new(5);
    if (!grid) return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *data = phrase_data(sorted[i].document), *diff = json_object_get(data, "diff");
        size_t rows = json_array_size(diff), shown = rows < OVERVIEW_ROWS_MAX ? rows : OVERVIEW_ROWS_MAX;
        overview_event(grid, sorted[i].document);
        if (rows == 0) grid_cell(grid, phrase_string(data, "summary"));
        for (size_t k = 0; k < shown; k++) {
            /* "+ tcp 0.0.0.0:80 nginx (user www-data)": sign and protocol, address, owner */
            const char *row = json_string_value(json_array_get(diff, k));
            if (!row || strlen(row) < 2) continue;
            const char *address = strchr(row + 2, ' '), *owner = address ? strchr(address + 1, ' ') : NULL;
            if (k > 0) grid_cell(grid, ""), grid_cell(grid, "");
            if (!owner) {
                grid_cell(grid, row);
            } else {
                grid_cellf(grid, "%.*s", (int)(address - row), row);
                grid_cellf(grid, "%.*s", (int)(owner - address - 1), address + 1);
                grid_cell(grid, owner + 1);
            }
            grid_end(grid);
        }
        grid_end(grid);
        if (rows > shown) {
            grid_cell(grid, ""), grid_cell(grid, "");
            grid_cellf(grid, "and %zu more", rows - shown);
            grid_end(grid);
        }
    }
    return grid_print(grid, out, "  ");
}

static void coverage_write(FILE *out, const Ranked *sorted, size_t n) {
    /* The latest that has one: a message of several events is about one host. */
    const json_t *coverage = NULL;
    int64_t latest = INT64_MIN;
    for (size_t i = 0; i < n; i++) {
        const json_t *its = json_object_get(phrase_data(sorted[i].document), "coverage");
        int64_t time = phrase_time(sorted[i].document, "time");
        if (!json_is_object(its) || time < latest) continue;
        coverage = its;
        latest = time;
    }
    if (!coverage) return;
    fprintf(out, "\nSeen: %s.", phrase_string(coverage, "seen"));
    const json_t *unseen = json_object_get(coverage, "not_seen");
    for (size_t i = 0; i < json_array_size(unseen); i++)
        fprintf(out, "%s%s", i ? "; " : " Not seen: ", json_string_value(json_array_get(unseen, i)));
    if (json_array_size(unseen) > 0) fputc('.', out);
    json_int_t ignored = json_integer_value(json_object_get(coverage, "ignored"));
    if (ignored > 0) fprintf(out, " Ignored by configuration: %lld.", (long long)ignored);
    fputc('\n', out);
}

/* Time of the oldest event in the message, merged ones too. */
static int64_t oldest(const Ranked *sorted, size_t n) {
    int64_t least = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        const json_t *merged = json_object_get(phrase_data(sorted[i].document), "merged");
        for (size_t k = 0; k <= json_array_size(merged); k++) {
            const json_t *row = k < json_array_size(merged) ? json_array_get(merged, k) : sorted[i].document;
            int64_t time = phrase_time(row, "time");
            if (time > 0 && time < least) least = time;
        }
    }
    return least;
}

static void late_write(FILE *out, const Ranked *sorted, size_t n, const ProseOptions *options) {
    int64_t event = oldest(sorted, n);
    if (event == INT64_MAX || options->formed - event <= LATE) return;
    char clock[MOMENT_TEXT_MAX], duration[DURATION_TEXT_MAX];
    fprintf(out, "\nThis message is late: it was formed at %s, %s after %s.\n",
        moment_clock(options->formed, options->formed, clock), duration_format(options->formed - event, duration),
        n == 1 ? "the event it tells" : "the first event it tells");
}

/* What the configuration states cannot be accepted. */
static bool is_acceptable(const json_t *document) {
    const json_t *next = json_object_get(phrase_data(document), "next");
    for (size_t i = 0; i < json_array_size(next); i++)
        if (strstr(phrase_string(json_array_get(next, i), "command"), "portwatch accept ")) return true;
    return false;
}

static int group_write(FILE *out, const Ranked *sorted, size_t n, const ProseOptions *options) {
    size_t open = 0, acceptable = 0, reminders = 0;
    for (size_t i = 0; i < n; i++) {
        const json_t *document = sorted[i].document;
        open += phrase_is_port(document) && strcmp(phrase_string(phrase_data(document), "status"), "open") == 0;
        acceptable += is_acceptable(document);
        reminders += is_reminder(document);
    }
    if (reminders == n)
        fprintf(out, "%zu reminders from %s, the most urgent first:\n\n", n, options->host);
    else
        fprintf(out, "%zu changes on %s, the most urgent first:\n\n", n, options->host);
    int r = n > SECTIONS_MAX ? overview_rows(out, sorted, n) : overview_write(out, sorted, n);
    if (r < 0) return r;
    if (open > 1) {
        int host = (int)strcspn(options->host, ".");
        fprintf(out, "\nOn %.*s:\n  look   portwatch diff\n", host, options->host);
        if (acceptable > 1) fputs("  keep   sudo portwatch accept --all --reason \"...\"\n", out);
    }
    size_t full = n < SECTIONS_MAX ? n : SECTIONS_MAX;
    for (size_t i = 0; i < full; i++) {
        char heading[64];
        snprintf(heading, sizeof heading, "%zu. %s", i + 1,
            has_severity(sorted[i].document) ? severity_word(sorted[i].document) : "INFO");
        fprintf(out, "\n--- %s %s\n\n", heading, phrase_string(phrase_data(sorted[i].document), "summary"));
        r = section_write(out, sorted[i].document, options);
        if (r < 0) return r;
    }
    if (n > full) fprintf(out, "\nThe other %zu are in the list at the top.\n", n - full);
    return 0;
}

/* Escapes once more, line by line: a stored document is trusted for its words, not for the bytes in them. */
static char *text_finish(const char *raw) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    bool good = true;
    for (const char *p = raw; good && *p;) {
        size_t length = strcspn(p, "\n");
        _cleanup_free_ char *line = strndup(p, length);
        _cleanup_json_ json_t *safe = line ? document_string_safe(line) : NULL;
        good = safe && fprintf(out, "%s\n", json_string_value(safe)) > 0;
        p += length + (p[length] == '\n');
    }
    if (fclose(out) != 0 || !good) {
        free(text);
        return NULL;
    }
    return text;
}

int prose_message(
    json_t *const *documents, size_t n, const ProseOptions *options, char **ret_subject, char **ret_text) {
    if (n == 0) return -EINVAL;
    _cleanup_json_ json_t *merged = document_merge(documents, n);
    if (!merged) return -ENOMEM;
    n = json_array_size(merged);
    _cleanup_free_ Ranked *sorted = calloc(n, sizeof *sorted);
    if (!sorted) return -ENOMEM;
    for (size_t i = 0; i < n; i++) sorted[i] = (Ranked){.document = json_array_get(merged, i), .place = i};
    qsort(sorted, n, sizeof *sorted, ranked_compare);

    _cleanup_free_ char *raw = NULL, *subject = subject_make(sorted, n, options);
    size_t size;
    FILE *out = open_memstream(&raw, &size);
    if (!out) return -ENOMEM;
    int r = n == 1 ? section_write(out, sorted[0].document, options) : group_write(out, sorted, n, options);
    late_write(out, sorted, n, options);
    coverage_write(out, sorted, n);
    if (fclose(out) != 0 || r < 0 || !subject) return r < 0 ? r : -ENOMEM;
    char *text = text_finish(raw);
    if (!text) return -ENOMEM;
    *ret_subject = TAKE_PTR(subject);
    *ret_text = text;
    return 0;
}
