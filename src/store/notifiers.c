#include "store/notifiers.h"

#include <errno.h>

#include "core/text.h"
#include "store/db.h"
#include "store/outbox.h"

static int sync_left(Store *store, char *const *names, int64_t now) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement, "SELECT name FROM notifier WHERE left = 0", "");
    while (r == 0 && (r = db_step(store, statement, &row)) == 0 && row)
        if (!strv_contains(names, db_text(statement, 0)))
            r = db_run(store, "UPDATE notifier SET left = ? WHERE name = ?", "it", now, db_text(statement, 0));
    return r;
}

int store_notifiers_sync(Store *store, char *const *names, int64_t now) {
    _cleanup_transaction_ Store *open = NULL;
    int r = db_begin(store, &open);
    if (r == 0) r = sync_left(store, names, now);
    for (size_t i = 0; r == 0 && names && names[i]; i++)
        r = db_run(store,
            "INSERT INTO notifier (name, since) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET left = 0 WHERE left != "
            "0",
            "ti", names[i], now);
    return r == 0 ? db_commit(&open) : r;
}

static int health_read(sqlite3_stmt *statement, int64_t now, NotifierHealth *health) {
    *health = (NotifierHealth){
        .since = sqlite3_column_int64(statement, 1),
        .left = sqlite3_column_int64(statement, 2),
        .learned = sqlite3_column_int(statement, 3) != 0,
        .last_success = sqlite3_column_int64(statement, 4),
        .last_error_time = sqlite3_column_int64(statement, 6),
        .failing_since = sqlite3_column_int64(statement, 7),
        .waiting = (unsigned)sqlite3_column_int64(statement, 8),
        .oldest = sqlite3_column_int64(statement, 9),
        .attempts = (unsigned)sqlite3_column_int64(statement, 10),
        .next_try = store_clamp_wait(sqlite3_column_int64(statement, 11), now, sqlite3_column_int64(statement, 12)),
        .failed = (unsigned)sqlite3_column_int64(statement, 13),
        .heartbeat = sqlite3_column_int64(statement, 14),
        .failing_told = sqlite3_column_int64(statement, 15),
    };
    int r = db_string(statement, 0, &health->name);
    return r == 0 ? db_string(statement, 5, &health->last_error) : r;
}

void notifier_health_free(NotifierHealth *health, size_t n) {
    for (size_t i = 0; health && i < n; i++) {
        free(health[i].name);
        free(health[i].last_error);
    }
    free(health);
}

typedef struct HealthList {
    NotifierHealth *items;
    size_t n;
} HealthList;

static void health_list_done(HealthList *list) {
    notifier_health_free(list->items, list->n);
}

int store_notifiers(Store *store, int64_t now, NotifierHealth **ret, size_t *ret_n) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    _cleanup_(health_list_done) HealthList list = {0};
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT n.name, n.since, n.left, n.learned, n.last_success, n.last_error, n.last_error_time, n.failing_since,"
        " count(q.id) AS waiting, min(q.queued), f.attempts, f.next_try, f.wait,"
        " (SELECT count(*) FROM message m WHERE m.notifier = n.name AND m.state = 'failed'), n.heartbeat, "
        "n.failing_told"
        " FROM notifier n LEFT JOIN message f ON f.notifier = n.name AND f.state = 'waiting'"
        " LEFT JOIN queue q ON q.notifier = n.name AND (q.message IS NULL OR q.message = f.seq)"
        " GROUP BY n.name HAVING n.left = 0 OR waiting > 0 OR f.seq IS NOT NULL ORDER BY n.name",
        "");
    while (r == 0 && (r = db_step(store, statement, &row)) == 0 && row) {
        NotifierHealth *items = reallocarray(list.items, list.n + 1, sizeof(NotifierHealth));
        if (!items) return -ENOMEM;
        list.items = items;
        r = health_read(statement, now, &items[list.n++]);
    }
    if (r != 0) return r;
    *ret_n = list.n;
    *ret = TAKE_PTR(list.items);
    return 0;
}

int store_heartbeat_tried(Store *store, const char *notifier, int64_t *ret) {
    return db_integer(store, 0, ret, "SELECT heartbeat_tried FROM notifier WHERE name = ?", "t", notifier);
}

int store_heartbeat_try(Store *store, const char *notifier, int64_t now) {
    return db_run(store, "UPDATE notifier SET heartbeat_tried = ? WHERE name = ?", "it", now, notifier);
}

int store_heartbeat_result(Store *store, const char *notifier, const char *reason, int64_t now) {
    if (reason) return store_notifier_result(store, notifier, reason, now);
    return db_run(store,
        "UPDATE notifier SET heartbeat = ?1, failing_since = CASE WHEN EXISTS (SELECT 1 FROM message"
        " WHERE notifier = ?2 AND state = 'waiting' AND attempts > 0) THEN failing_since ELSE 0 END WHERE name = ?2",
        "it", now, notifier);
}
