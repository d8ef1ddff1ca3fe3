#include "store/history.h"

#include <errno.h>
#include <stdarg.h>

#include "store/encode.h"
#include "store/names.h"
#include "store/record.h"

#define DAY (86400 * USEC_PER_SEC)

/* FNV-1a, over what makes two bounces the same. */
static uint64_t shape_add(uint64_t shape, const char *text) {
    size_t n = strlen(text) + 1;
    for (size_t i = 0; i < n; i++) shape = (shape ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return shape;
}

static int transition_shape(const Transition *transition, int64_t *ret) {
    _cleanup_free_ char *before = endpoints_encode(&transition->before, DETAIL_COMPARED);
    _cleanup_free_ char *after = endpoints_encode(&transition->after, DETAIL_COMPARED);
    if (!before || !after) return -ENOMEM;
    char surface[SURFACE_TEXT_MAX] = "";
    if (transition->has_surface) surface_format(&transition->surface, surface);
    uint64_t shape = shape_add(UINT64_C(0xcbf29ce484222325), surface);
    shape = shape_add(shape, change_name(transition->change));
    *ret = (int64_t)shape_add(shape_add(shape, before), after);
    return 0;
}

int history_record(Store *store, const Transition *transition) {
    const Surface *surface = transition->has_surface ? &transition->surface : NULL;
    int64_t shape = 0;
    int r = transition_shape(transition, &shape);
    if (r == 0 && transition->kind == TRANSITION_BOUNCED) {
        r = db_run(store,
            "UPDATE history SET count = count + 1, last = max(last, ?) WHERE id = (SELECT max(id) FROM history"
            " WHERE kind = 'bounced' AND shape = ? AND time BETWEEN ? AND ?)",
            "iiii", transition->time, shape, transition->time - DAY, transition->time);
        if (r != 0 || db_changes(store) > 0) return r;
    }
    if (r != 0) return r;

    _cleanup_free_ char *before = endpoints_encode(&transition->before, DETAIL_SHORT);
    _cleanup_free_ char *after = endpoints_encode(&transition->after, DETAIL_SHORT);
    if (!before || !after) return -ENOMEM;
    return db_run(store,
        "INSERT INTO history (time, boot, kind, protocol, port, local, change, before, after, token, text, shape, last,"
        " namespace) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "iittddtttttiit", transition->time, store->boot, transition_name(transition->kind), names_protocol(surface),
        surface ? (int)surface->port : 0, surface ? (int)surface->local : 0, change_name(transition->change), before,
        after, transition->token, transition->text, shape, transition->time, names_namespace(surface));
}

int history_notice(Store *store, int64_t now, const char *format, ...) {
    char text[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return history_record(store, &(Transition){.kind = TRANSITION_NOTICE, .time = now, .text = text});
}

static bool kind_parse(const char *name, TransitionKind *ret) {
    for (int kind = 0; kind < TRANSITION_MAX; kind++)
        if (strcmp(transition_name((TransitionKind)kind), name) == 0) {
            *ret = (TransitionKind)kind;
            return true;
        }
    return false;
}

static int history_list(sqlite3_stmt *statement, int column, Endpoints *ret) {
    const char *text = db_text(statement, column);
    return endpoints_decode(text, (size_t)sqlite3_column_bytes(statement, column), ret);
}

static int history_read(Store *store, sqlite3_stmt *statement, HistoryRow *row) {
    Transition *transition = &row->transition;
    row->id = sqlite3_column_int64(statement, 0);
    row->count = (unsigned)sqlite3_column_int64(statement, 11);
    row->last = sqlite3_column_int64(statement, 12);
    transition->time = sqlite3_column_int64(statement, 1);
    transition->has_surface = names_surface(statement, 3, 13, &transition->surface);
    db_copy(statement, 9, transition->token, sizeof(transition->token));
    int r =
        kind_parse(db_text(statement, 2), &transition->kind) && change_parse(db_text(statement, 6), &transition->change)
            ? 0
            : -EBADMSG;
    if (r == 0) r = history_list(statement, 7, &transition->before);
    if (r == 0) r = history_list(statement, 8, &transition->after);
    if (r == 0) r = db_string(statement, 10, &transition->text);
    if (r == -EBADMSG)
        return db_fail(
            store, STORE_CORRUPT, "%s: row %lld of the history cannot be read.", store->path, (long long)row->id);
    return r;
}

int history_query(Store *store, const HistoryFilter *filter, HistoryRow **ret, size_t *ret_n) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    size_t limit = filter->limit < HISTORY_LIMIT ? filter->limit : HISTORY_LIMIT, n = 0;
    HistoryRow *rows = calloc(limit + 1, sizeof(HistoryRow));
    if (!rows) return -ENOMEM;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT id, time, kind, protocol, port, local, change, before, after, token, text, count, last,"
        " namespace FROM history"
        " WHERE id > ?1 AND last >= ?2 AND (?3 < 0 OR port = ?3 OR (port = 0 AND (instr(before, ' ' || ?3 || ' ') OR"
        " instr(after, ' ' || ?3 || ' ')))) AND (?4 IS NULL OR protocol = ?4) ORDER BY id LIMIT ?5",
        "iidti", filter->after, filter->since, filter->has_port ? (int)filter->port : -1,
        filter->has_protocol ? protocol_name(filter->protocol) : NULL, (int64_t)limit);
    while (r == 0 && n < limit && (r = db_step(store, statement, &row)) == 0 && row)
        r = history_read(store, statement, &rows[n++]);
    if (r != 0) {
        history_rows_free(rows, n);
        return r;
    }
    *ret = rows;
    *ret_n = n;
    return 0;
}

void history_rows_free(HistoryRow *rows, size_t n) {
    for (size_t i = 0; rows && i < n; i++) transition_done(&rows[i].transition);
    free(rows);
}

int history_last(Store *store, int64_t *ret) {
    return db_integer(store, 0, ret, "SELECT max(id) FROM history", "");
}

int history_cause(Store *store, const char *incident, char **ret_document) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    char *document = NULL;
    int r = db_query(store, &statement,
        "SELECT document FROM event WHERE incident = ? AND json_type(document, '$.data.cause') = 'object'"
        " ORDER BY seq DESC LIMIT 1",
        "t", incident);
    if (r == 0) r = db_step(store, statement, &row);
    if (r == 0 && row) r = db_string(statement, 0, &document);
    if (r == 0) *ret_document = document;
    return r;
}
