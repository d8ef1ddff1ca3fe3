#include "store/request.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store/db.h"

#define LOOK_EVERY (50 * 1000)         /* microseconds between two looks for an answer */
#define CLOCK_SLACK (2 * USEC_PER_SEC) /* two processes read the clock one after the other */

void request_done(Request *request) {
    free(request->command);
    free(request->arguments);
    free(request->who);
    *request = (Request){0};
}

int request_put(Store *store, const char *command, const char *arguments, const char *who, int64_t lifetime,
    int64_t now, int64_t *ret_id) {
    /* The boot is the one that the daemon sees: in a container its /proc may tell another than ours. */
    int r = db_run(store,
        "INSERT INTO request (command, arguments, who, made, expires, boot_id, state) VALUES (?, ?, ?, ?, ?, "
        "coalesce((SELECT value FROM meta WHERE key = 'boot_id'), ?), 'waiting')",
        "tttiit", command, arguments, who, now, now + lifetime, store->boot_id);
    if (r != 0) return r;
    *ret_id = sqlite3_last_insert_rowid(store->db);
    /* SQLite shows a commit to others after its last write to the log, so whoever looks when the log is modified can
     * look too early. This wakes them once more; without it they only see it later. */
    (void)utimensat(AT_FDCWD, store->wal_path, NULL, 0);
    return 0;
}

static int64_t monotonic(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

typedef enum Look { LOOK_WAITING, LOOK_ANSWERED, LOOK_ENDED } Look;

static int request_look(Store *store, int64_t id, Look *ret, int *ret_code, char **ret_text) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement, "SELECT state, code, answer FROM request WHERE id = ?", "i", id);
    if (r == 0) r = db_step(store, statement, &row);
    if (r != 0) return r;
    if (row && strcmp(db_text(statement, 0), "waiting") == 0) {
        *ret = LOOK_WAITING;
        return 0;
    }
    if (!row || strcmp(db_text(statement, 0), "answered") != 0) {
        *ret = LOOK_ENDED;
        return 0;
    }
    r = db_string(statement, 2, ret_text);
    if (r != 0) return r;
    *ret_code = sqlite3_column_int(statement, 1);
    *ret = LOOK_ANSWERED;
    return 0;
}

static int request_withdraw(Store *store, int64_t id) {
    return db_run(
        store, "UPDATE request SET state = 'expired', ended = made WHERE id = ? AND state = 'waiting'", "i", id);
}

int request_wait(Store *store, int64_t id, int64_t timeout, bool *ret_answered, int *ret_code, char **ret_text) {
    int64_t end = monotonic() + timeout, version = -1, seen = -1;
    Look look = LOOK_WAITING;
    int r = 0;
    for (bool withdrawn = false;;) {
        /* The table is read only when somebody has committed something. */
        if (!withdrawn) r = db_integer(store, 0, &version, "PRAGMA data_version", "");
        if (r == 0 && (withdrawn || version != seen)) r = request_look(store, id, &look, ret_code, ret_text);
        if (r != 0) return r;
        seen = version;
        if (look != LOOK_WAITING || withdrawn) break;
        int64_t left = end - monotonic();
        if (left <= 0) {
            /* An answer that came just now wins: then nothing is withdrawn, and the last look finds it. */
            r = request_withdraw(store, id);
            if (r != 0) return r;
            withdrawn = true;
            continue;
        }
        int64_t nap = left < LOOK_EVERY ? left : LOOK_EVERY;
        struct timespec ts = {.tv_nsec = nap * 1000};
        nanosleep(&ts, NULL);
    }
    *ret_answered = look == LOOK_ANSWERED;
    return 0;
}

int request_next(Store *store, int64_t after, int64_t now, Request *ret) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    _cleanup_(request_done) Request request = {0};
    int64_t stale = 0;
    bool row = false;
    /* Asked on every wake-up: look first, so that nothing is written where nothing is to be done. */
    int r = db_integer(store, 0, &stale,
        "SELECT EXISTS (SELECT 1 FROM request WHERE state = 'waiting' AND (expires <= ?1 OR made > ?2 OR boot_id != "
        "?3))",
        "iit", now, now + CLOCK_SLACK, store->boot_id);
    if (r == 0 && stale)
        r = db_run(store,
            "UPDATE request SET state = 'expired', ended = ?1 WHERE state = 'waiting' AND"
            " (expires <= ?1 OR made > ?2 OR boot_id != ?3)",
            "iit", now, now + CLOCK_SLACK, store->boot_id);
    if (r == 0)
        r = db_query(store, &statement,
            "SELECT id, command, arguments, who, made, expires FROM request WHERE state = 'waiting' AND id > ?"
            " ORDER BY id LIMIT 1",
            "i", after);
    if (r == 0) r = db_step(store, statement, &row);
    if (r != 0) return r;
    if (row) {
        request.id = sqlite3_column_int64(statement, 0);
        request.made = sqlite3_column_int64(statement, 4);
        request.expires = sqlite3_column_int64(statement, 5);
        r = db_string(statement, 1, &request.command);
        if (r == 0) r = db_string(statement, 2, &request.arguments);
        if (r == 0) r = db_string(statement, 3, &request.who);
        if (r != 0) return r;
    }
    *ret = request;
    request = (Request){0};
    return 0;
}

int request_answer(Store *store, const RequestAnswer *answer, int64_t now) {
    return store_commit(store, &(Commit){.answer = answer, .now = now});
}
