/* portwatch history: what was observed and what was told. */
#include "store/history.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/look.h"
#include "cli/port.h"
#include "cli/since.h"
#include "notify/document.h"
#include "notify/moment.h"
#include "notify/phrase.h"

#define FOLLOW_PAUSE ((struct timespec){.tv_sec = 1})

/* What changed in the words of a mail, where the row has endpoints; its own text, where it has one. */
static char *row_words(const Transition *transition) {
    bool moved = transition->has_surface && transition->change != CHANGE_NONE && transition->change != CHANGE_BLIND;
    if (!moved || transition->kind == TRANSITION_RESOLVED || transition->kind == TRANSITION_BOUNCED) {
        if (transition->text) return strdup(transition->text);
        if (!transition->has_surface || transition->after.n == 0) return strdup("");
    }
    Surface surface = transition->surface; /* where it is stands in a column of its own */
    if (!surface.whole) surface.namespace[0] = '\0';
    const char *type = transition->kind == TRANSITION_REMINDED ? "reminder" : "opened";
    Change change = moved ? transition->change : CHANGE_OPENED;
    _cleanup_json_ json_t *document = look_document_of(type, &surface, change, REACH_SAME, NULL,
        document_endpoints(&transition->before), document_endpoints(&transition->after));
    _cleanup_free_ char *summary = document ? phrase_summary(document) : NULL;
    if (!summary) return NULL;
    /* "8080/tcp opened on ...": the port has a column of its own. */
    const char *words = strchr(summary, ' ');
    words = transition->surface.port && words ? words + 1 : summary;
    if (!moved && strncmp(words, "opened ", 7) == 0) words += 7;
    const char *own = transition->text ? transition->text : "";
    return text_printf("%s%s%s", words, *own ? "; " : "", own);
}

/* The form that --since takes, the same width for all. */
static const char *row_time(int64_t usec, char buffer[static 64]) {
    time_t seconds = (time_t)(usec / USEC_PER_SEC);
    struct tm tm = {0};
    localtime_r(&seconds, &tm);
    strftime(buffer, 64, "%Y-%m-%d %H:%M:%S %Z", &tm);
    return buffer;
}

static int print_row(const HistoryRow *row) {
    const Transition *transition = &row->transition;
    char time[64], last[64], surface[SURFACE_TEXT_MAX] = "";
    _cleanup_free_ char *words = row_words(transition);
    _cleanup_json_ json_t *safe = words ? document_string_safe(words) : NULL;
    if (!safe) return -ENOMEM;
    if (transition->has_surface) surface_format(&transition->surface, surface);
    /* A row is printed as soon as it is known, so the columns cannot follow the content. */
    printf("%-24s  %-12s  %-19s  %-4s  %s", row_time(transition->time, time), transition_name(transition->kind),
        surface, transition->token, json_string_value(safe));
    if (row->count > 1) printf("%s(%u times, last %s)", *words ? " " : "", row->count, row_time(row->last, last));
    putchar('\n');
    return 0;
}

static int print_row_json(const HistoryRow *row) {
    const Transition *transition = &row->transition;
    char time[MOMENT_TEXT_MAX], last[MOMENT_TEXT_MAX], subject[SURFACE_TEXT_MAX] = "";
    if (transition->has_surface) surface_subject(&transition->surface, subject);
    _cleanup_json_ json_t *object = json_pack("{s:I,s:s,s:s,s:s?,s:s?,s:s,s:i,s:s,s:o,s:o,s:o}", "id",
        (json_int_t)row->id, "time", moment_iso(transition->time, time), "kind", transition_name(transition->kind),
        "subject", *subject ? subject : NULL, "incident", *transition->token ? transition->token : NULL, "change",
        change_name(transition->change), "count", (int)row->count, "last", moment_iso(row->last, last), "before",
        document_endpoints(&transition->before), "after", document_endpoints(&transition->after), "text",
        document_string_safe(transition->text));
    _cleanup_free_ char *text = object ? document_text(object) : NULL;
    if (!text) return -ENOMEM;
    puts(text);
    return 0;
}

/* The ephemeral ports together are no number the database could look for. */
static bool row_wanted(const HistoryRow *row, const Port *port) {
    return !port || port->number || (row->transition.has_surface && port_names(port, &row->transition.surface));
}

/* Prints what passes the filter, which moves on; of rows up to `known` only what was counted further. *newest becomes
 * the last time of all rows. 0, StoreError or -ENOMEM. */
static int print_all(
    const Cli *cli, Store *store, HistoryFilter *filter, const Port *port, int64_t known, int64_t *newest) {
    int64_t latest = *newest;
    for (;;) {
        HistoryRow *rows = NULL;
        size_t n = 0;
        int r = history_query(store, filter, &rows, &n);
        for (size_t i = 0; r == 0 && i < n; i++) {
            bool told = rows[i].id <= known && rows[i].last <= *newest;
            if (!told && row_wanted(&rows[i], port)) r = cli->json ? print_row_json(&rows[i]) : print_row(&rows[i]);
            filter->after = rows[i].id;
            if (rows[i].last > latest) latest = rows[i].last;
        }
        history_rows_free(rows, n);
        if (r != 0 || n < filter->limit) {
            *newest = latest;
            return r;
        }
    }
}

int command_history(Cli *cli) {
    Port port;
    if (cli->n_arguments > 0 && !port_read(cli->arguments[0], &port)) return EXIT_USAGE;
    const Port *wanted = cli->n_arguments > 0 ? &port : NULL;
    HistoryFilter filter = {.limit = HISTORY_LIMIT};
    if (wanted) {
        filter.has_port = port.number != 0;
        filter.port = port.number;
        filter.has_protocol = !port.any_protocol;
        filter.protocol = port.protocol;
    }
    if (cli->since && !since_parse(cli->since, cli_now(), &filter.since))
        return cli_usage("--since takes an age (2h, 3d) or a time (2026-03-01, \"2026-03-01 14:00\")");
    _cleanup_(store_closep) Store *store = NULL;
    _cleanup_free_ char *reason = NULL;
    int r = cli_open_store(cli, STORE_READER, &store, &reason);
    int64_t newest = 0;
    if (r == 0) r = print_all(cli, store, &filter, wanted, 0, &newest);
    while (r == 0 && cli->follow) {
        if (fflush(stdout) != 0) break; /* nobody reads any more */
        nanosleep(&FOLLOW_PAUSE, NULL);
        /* Bounces are counted in the row of the first: it comes again. */
        int64_t known = filter.after;
        filter.after = 0;
        filter.since = newest;
        r = print_all(cli, store, &filter, wanted, known, &newest);
        if (filter.after < known) filter.after = known;
        if (r == STORE_BUSY) r = 0;
    }
    if (r < 0) return cli_failed(r);
    if (r > 0) {
        cli_error("%s", reason ? reason : store_reason(store));
        return EXIT_UNKNOWN;
    }
    return EXIT_WELL;
}
