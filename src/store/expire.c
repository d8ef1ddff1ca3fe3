#include "store/db.h"
#include "store/history.h"
#include "store/record.h"

/* A call removes at most so many rows of each kind, so that the watch never waits long for it. */
#define BATCH 500
#define PRESSURE_PAGES (DB_PAGES_MAX / 4 * 3)
#define VACUUM_PAGES "256"

/* Deletes and says whether the batch was used up. */
#define EXPIRE(store, more, sql, types, ...)                                                                           \
    ({                                                                                                                 \
        int r_ = db_run(store, sql, types, __VA_ARGS__);                                                               \
        if (r_ == 0 && db_changes(store) >= BATCH) *(more) = true;                                                     \
        r_;                                                                                                            \
    })

static int expire_history(Store *store, int64_t before, bool *more) {
    int64_t newest = 0, oldest = 0;
    int r = EXPIRE(store, more,
        "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE time < ? AND last < ? LIMIT ?)", "iid", before,
        before, BATCH);
    /* Ids have next to no gaps, so that their distance counts the rows without reading them. */
    if (r == 0) r = db_integer(store, 0, &newest, "SELECT max(id) FROM history", "");
    if (r == 0) r = db_integer(store, 0, &oldest, "SELECT min(id) FROM history", "");
    if (r == 0 && newest - oldest >= HISTORY_ROWS_MAX)
        r = EXPIRE(store, more,
            "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE id <= ? ORDER BY id LIMIT ?)", "id",
            newest - HISTORY_ROWS_MAX, BATCH);
    return r;
}

/* Sent and failed messages, with their queue rows and recipients; not those that opened an incident still open, whose
 * ids later messages refer to. */
static int expire_messages(Store *store, int64_t before, bool *more) {
    int r = db_run(store, "CREATE TEMP TABLE IF NOT EXISTS leaving (seq INTEGER PRIMARY KEY)", "");
    if (r == 0) r = db_run(store, "DELETE FROM temp.leaving", "");
    if (r == 0)
        r = EXPIRE(store, more,
            "INSERT INTO temp.leaving SELECT seq FROM message m WHERE state != 'waiting' AND ended < ? AND NOT EXISTS"
            " (SELECT 1 FROM queue q JOIN event e ON e.seq = q.event JOIN incident i ON i.id = e.incident"
            "  WHERE q.message = m.seq AND e.type = 'opened' AND i.state = 'open') ORDER BY ended LIMIT ?",
            "id", before, BATCH);
    if (r == 0) r = db_run(store, "DELETE FROM queue WHERE message IN (SELECT seq FROM temp.leaving)", "");
    if (r == 0) r = db_run(store, "DELETE FROM message WHERE seq IN (SELECT seq FROM temp.leaving)", "");
    return r;
}

static int expire_events(Store *store, int64_t before, bool *more) {
    int r = EXPIRE(store, more,
        "DELETE FROM event WHERE seq IN (SELECT seq FROM event e WHERE time < ? AND NOT EXISTS"
        " (SELECT 1 FROM queue q WHERE q.event = e.seq) AND NOT EXISTS"
        " (SELECT 1 FROM incident i WHERE i.id = e.incident AND i.state = 'open') LIMIT ?)",
        "id", before, BATCH);
    if (r == 0)
        r = EXPIRE(store, more,
            "DELETE FROM incident WHERE id IN (SELECT id FROM incident i WHERE state != 'open' AND last_event < ? AND"
            " NOT EXISTS (SELECT 1 FROM event e WHERE e.incident = i.id) LIMIT ?)",
            "id", before, BATCH);
    return r;
}

/* One notifier that left the configuration long ago: what waited for it goes, and history says so. */
static int expire_orphan(Store *store, int64_t now, int64_t before, bool *more) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement, "SELECT name FROM notifier WHERE left != 0 AND left < ? LIMIT 1", "i", before);
    if (r == 0) r = db_step(store, statement, &row);
    if (r != 0 || !row) return r;
    _cleanup_free_ char *name = NULL;
    r = db_string(statement, 0, &name);
    if (r != 0) return r;
    db_resetp(&statement);

    int64_t waiting = 0;
    r = db_integer(store, 0, &waiting,
        "SELECT count(*) FROM queue q LEFT JOIN message m ON m.seq = q.message"
        " WHERE q.notifier = ? AND (m.seq IS NULL OR m.state = 'waiting')",
        "t", name);
    if (r == 0 && waiting > 0)
        r = history_notice(store, now,
            "%lld event%s that waited for the notifier %s, which is no longer in the configuration, %s given up.",
            (long long)waiting, waiting == 1 ? "" : "s", name, waiting == 1 ? "was" : "were");
    if (r == 0) r = db_run(store, "DELETE FROM queue WHERE notifier = ?", "t", name);
    if (r == 0) r = db_run(store, "DELETE FROM message WHERE notifier = ?", "t", name);
    if (r == 0) r = db_run(store, "DELETE FROM told WHERE notifier = ?", "t", name);
    if (r == 0) r = db_run(store, "DELETE FROM notifier WHERE name = ?", "t", name);
    *more = true;
    return r;
}

/* Near the size limit what is only kept for looking back makes room for what still has to be sent. */
static int expire_pressure(Store *store, bool *more) {
    int64_t pages = 0, unused = 0, oldest = 0;
    int r = db_integer(store, 0, &pages, "PRAGMA page_count", "");
    if (r == 0) r = db_integer(store, 0, &unused, "PRAGMA freelist_count", "");
    if (r != 0 || pages - unused < PRESSURE_PAGES) return r;
    r = expire_messages(store, INT64_MAX, more);
    if (r == 0) r = expire_events(store, INT64_MAX, more);
    if (r == 0) r = version_expire(store, INT64_MAX, more);
    if (r == 0) r = db_integer(store, 0, &oldest, "SELECT min(id) FROM history", "");
    if (r == 0) r = EXPIRE(store, more, "DELETE FROM history WHERE id < ? AND ?", "id", oldest + BATCH, 1);
    return r;
}

int store_expire(Store *store, int64_t now, int64_t retain, bool *ret_more) {
    _cleanup_transaction_ Store *open = NULL;
    int64_t before = now - retain;
    bool more = false;
    int r = db_begin(store, &open);
    if (r == 0) r = expire_history(store, before, &more);
    if (r == 0) r = expire_messages(store, before, &more);
    if (r == 0) r = expire_events(store, before, &more);
    if (r == 0) r = version_expire(store, before, &more);
    if (r == 0) r = expire_orphan(store, now, before, &more);
    if (r == 0) r = expire_pressure(store, &more);
    if (r == 0)
        r = EXPIRE(store, &more,
            "DELETE FROM request WHERE id IN (SELECT id FROM request WHERE state != 'waiting' AND made < ? LIMIT ?)",
            "id", now - 86400 * USEC_PER_SEC, BATCH);
    if (r == 0) r = db_run(store, "DELETE FROM boot WHERE first < ? AND id != ?", "ii", before, store->boot);
    if (r == 0) r = db_commit(&open);
    if (r != 0) return r;
    /* The pages come back; a failure here costs nothing but space. */
    (void)sqlite3_exec(store->db, "PRAGMA incremental_vacuum(" VACUUM_PAGES ")", NULL, NULL, NULL);
    if (ret_more) *ret_more = more;
    return 0;
}
