/* The queue of a notifier that is not reached for weeks: what waits is merged, and never goes without a word. */
#include "store/db.h"
#include "store/outbox.h"
#include "store/record.h"

static int measure(Store *store, const char *notifier, int64_t *ret_rows, int64_t *ret_bytes) {
    int r = db_integer(
        store, 0, ret_rows, "SELECT count(*) FROM queue WHERE notifier = ? AND message IS NULL", "t", notifier);
    return r != 0 ? r
                  : db_integer(store, 0, ret_bytes,
                        "SELECT sum(size) FROM queue WHERE notifier = ? AND message IS NULL", "t", notifier);
}

/* The rows in temp.omitting leave, and are counted. An event goes with the last of its rows, but for those that opened
 * an incident. */
static int omit(Store *store, const char *notifier) {
    int r = db_run(store,
        "UPDATE notifier SET omitted = omitted + s.n,"
        " omitted_from = CASE omitted WHEN 0 THEN s.a ELSE min(omitted_from, s.a) END,"
        " omitted_to = max(omitted_to, s.b)"
        " FROM (SELECT count(*) AS n, min(e.time) AS a, max(e.time) AS b FROM temp.omitting o JOIN queue q ON q.id = "
        "o.id"
        "       JOIN event e ON e.seq = q.event) AS s WHERE name = ? AND s.n > 0",
        "t", notifier);
    if (r == 0) r = db_run(store, "DELETE FROM queue WHERE id IN (SELECT id FROM temp.omitting)", "");
    if (r == 0)
        r = db_run(store,
            "DELETE FROM event WHERE seq IN (SELECT event FROM temp.omitting) AND type != 'opened'"
            " AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.event = event.seq)",
            "");
    return r == 0 ? db_run(store, "DELETE FROM temp.omitting", "") : r;
}

static int queue_bound(Store *store, const char *notifier) {
    int64_t rows = 0, bytes = 0;
    int r = measure(store, notifier, &rows, &bytes);
    if (r != 0 || (rows <= OUTBOX_QUEUE_MAX && bytes <= OUTBOX_QUEUE_BYTES)) return r;
    r = db_run(store, "CREATE TEMP TABLE IF NOT EXISTS omitting (id INTEGER PRIMARY KEY, event INTEGER NOT NULL)", "");
    /* What is between an incident's first and last event is superseded. */
    if (r == 0)
        r = db_run(store,
            "INSERT INTO temp.omitting SELECT id, seq FROM (SELECT q.id, e.seq,"
            "  row_number() OVER (PARTITION BY e.incident ORDER BY q.id) AS first,"
            "  row_number() OVER (PARTITION BY e.incident ORDER BY q.id DESC) AS last"
            "  FROM queue q JOIN event e ON e.seq = q.event"
            "  WHERE q.notifier = ? AND q.message IS NULL AND e.incident IS NOT NULL) WHERE first > 1 AND last > 1",
            "t", notifier);
    if (r == 0) r = omit(store, notifier);
    /* Down to three quarters, so that not every event has to make room again. */
    if (r == 0)
        r = db_run(store,
            "INSERT INTO temp.omitting SELECT id, event FROM (SELECT id, event,"
            "  row_number() OVER w AS n, sum(size) OVER w AS bytes"
            "  FROM queue WHERE notifier = ?1 AND message IS NULL WINDOW w AS (ORDER BY severity DESC, id DESC))"
            " WHERE n > 1 AND (n > ?2 OR bytes > ?3)",
            "tii", notifier, (int64_t)OUTBOX_QUEUE_MAX / 4 * 3, OUTBOX_QUEUE_BYTES / 4 * 3);
    return r == 0 ? omit(store, notifier) : r;
}

/* Once a commit: a single one may bring thousands of events. */
int queues_bound(Store *store) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    char **names = NULL;
    bool row = false;
    int r = db_query(store, &statement, "SELECT DISTINCT notifier FROM queue WHERE message IS NULL", "");
    while (r == 0 && (r = db_step(store, statement, &row)) == 0 && row) r = strv_append(&names, db_text(statement, 0));
    for (size_t i = 0; r == 0 && names && names[i]; i++) r = queue_bound(store, names[i]);
    strv_free(names);
    return r;
}

int outbox_omitted(Store *store, const char *notifier, Omitted *ret) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(
        store, &statement, "SELECT omitted, omitted_from, omitted_to FROM notifier WHERE name = ?", "t", notifier);
    if (r == 0) r = db_step(store, statement, &row);
    if (r != 0) return r;
    *ret = (Omitted){0};
    if (row)
        *ret = (Omitted){.count = (unsigned)sqlite3_column_int64(statement, 0),
            .from = sqlite3_column_int64(statement, 1),
            .to = sqlite3_column_int64(statement, 2)};
    return 0;
}
