#include "store/db.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/statvfs.h>

#include "store/ballast.h"

int db_fail(Store *store, int error, const char *format, ...) {
    va_list arguments;
    free(store->reason);
    va_start(arguments, format);
    store->reason = text_vprintf(format, arguments);
    va_end(arguments);
    return error;
}

static bool disk_is_full(const Store *store) {
    struct statvfs fs;
    return statvfs(store->dir, &fs) == 0 && fs.f_bavail * fs.f_frsize < 1024 * 1024;
}

static int error_full(Store *store) {
    int r = disk_is_full(store)
                ? db_fail(store, STORE_FULL, "%s: the file system is full: free some space; portwatch tries again.",
                      store->path)
                : db_fail(store, STORE_FULL,
                      "%s: no room to write: a quota is used up, or the database is at its limit of %d MiB.",
                      store->path, DB_PAGES_MAX / 256);
    /* What the watch must write is small: with the ballast gone the next try has room. */
    if (store->mode == STORE_DAEMON) (void)ballast_release(store->dir);
    return r;
}

int db_error(Store *store, int code) {
    int system = errno;
    store->code = code;
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return db_fail(
            store, STORE_BUSY, "%s is locked by another process (fuser %s names it).", store->path, store->path);
    case SQLITE_FULL:
        return error_full(store);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        if (store->mode == STORE_DAEMON)
            return db_fail(store, STORE_CORRUPT, "%s is damaged (%s).", store->path, sqlite3_errmsg(store->db));
        return db_fail(store, STORE_CORRUPT,
            "%s is damaged (%s): restart portwatchd, which sets it aside and learns anew.", store->path,
            sqlite3_errmsg(store->db));
    case SQLITE_READONLY:
        return db_fail(store, STORE_FAILED, "%s cannot be written (%s): check its file system and owner.", store->path,
            sqlite3_errmsg(store->db));
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        if (system == ENOSPC || system == EDQUOT) return error_full(store);
        return db_fail(store, STORE_FAILED, "%s: %s: %s.", store->path, sqlite3_errmsg(store->db),
            system ? strerror(system) : sqlite3_errstr(code));
    default:
        return db_fail(store, STORE_FAILED, "%s: %s.", store->path, sqlite3_errmsg(store->db));
    }
}

StoreOpening db_opening(const Store *store, int error) {
    switch (error) {
    case STORE_BUSY:
        return STORE_LOCKED;
    case STORE_FULL:
        return STORE_NO_SPACE;
    case STORE_CORRUPT:
        return STORE_DAMAGED;
    }
    int code = store->code & 0xff;
    return code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_PERM ? STORE_UNWRITABLE
                                                                                     : STORE_UNREADABLE;
}

static int statement_get(Store *store, const char *sql, sqlite3_stmt **ret) {
    for (size_t i = 0; i < store->n_statements; i++)
        if (store->statements[i].sql == sql) {
            *ret = store->statements[i].statement;
            return 0;
        }
    if (store->n_statements == DB_STATEMENTS_MAX)
        return db_fail(store, STORE_FAILED, "%s: too many statements.", store->path);
    sqlite3_stmt *statement = NULL;
    errno = 0;
    int code = sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);
    if (code != SQLITE_OK) return db_error(store, code);
    store->statements[store->n_statements++] = (Statement){.sql = sql, .statement = statement};
    *ret = statement;
    return 0;
}

static int statement_bind(Store *store, sqlite3_stmt *statement, const char *types, va_list arguments) {
    for (int i = 1; *types; types++, i++) {
        int code = SQLITE_MISUSE;
        const char *text;
        switch (*types) {
        case 'i':
            code = sqlite3_bind_int64(statement, i, va_arg(arguments, int64_t));
            break;
        case 'd':
            code = sqlite3_bind_int(statement, i, va_arg(arguments, int));
            break;
        case 't':
            text = va_arg(arguments, const char *);
            code = text ? sqlite3_bind_text(statement, i, text, -1, SQLITE_TRANSIENT) : sqlite3_bind_null(statement, i);
            break;
        case 'b':
            text = va_arg(arguments, const char *);
            code = sqlite3_bind_text64(statement, i, text, va_arg(arguments, size_t), SQLITE_TRANSIENT, SQLITE_UTF8);
            break;
        }
        if (code != SQLITE_OK) return db_error(store, code);
    }
    return 0;
}

static int db_vquery(Store *store, sqlite3_stmt **ret, const char *sql, const char *types, va_list arguments) {
    sqlite3_stmt *statement = NULL;
    int r = statement_get(store, sql, &statement);
    if (r != 0) return r;
    sqlite3_reset(statement);
    r = statement_bind(store, statement, types, arguments);
    if (r != 0) {
        db_resetp(&statement);
        return r;
    }
    *ret = statement;
    return 0;
}

int db_query(Store *store, sqlite3_stmt **ret, const char *sql, const char *types, ...) {
    va_list arguments;
    va_start(arguments, types);
    int r = db_vquery(store, ret, sql, types, arguments);
    va_end(arguments);
    return r;
}

int db_step(Store *store, sqlite3_stmt *statement, bool *ret_row) {
    errno = 0;
    int code = sqlite3_step(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) return db_error(store, code);
    *ret_row = code == SQLITE_ROW;
    return 0;
}

int db_run(Store *store, const char *sql, const char *types, ...) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    va_list arguments;
    va_start(arguments, types);
    int r = db_vquery(store, &statement, sql, types, arguments);
    va_end(arguments);
    bool row = false;
    return r != 0 ? r : db_step(store, statement, &row);
}

int db_exec(Store *store, const char *sql) {
    errno = 0;
    int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? 0 : db_error(store, code);
}

int db_integer(Store *store, int64_t none, int64_t *ret, const char *sql, const char *types, ...) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    va_list arguments;
    va_start(arguments, types);
    int r = db_vquery(store, &statement, sql, types, arguments);
    va_end(arguments);
    bool row = false;
    if (r == 0) r = db_step(store, statement, &row);
    if (r != 0) return r;
    *ret = row && sqlite3_column_type(statement, 0) != SQLITE_NULL ? sqlite3_column_int64(statement, 0) : none;
    return 0;
}

int64_t db_changes(Store *store) {
    return sqlite3_changes64(store->db);
}

int db_string(sqlite3_stmt *statement, int column, char **ret) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    if (!text) {
        if (sqlite3_column_type(statement, column) != SQLITE_NULL) return -ENOMEM;
        *ret = NULL;
        return 0;
    }
    char *copy = strdup(text);
    if (!copy) return -ENOMEM;
    *ret = copy;
    return 0;
}

const char *db_text(sqlite3_stmt *statement, int column) {
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text ? text : "";
}

void db_copy(sqlite3_stmt *statement, int column, char *buffer, size_t size) {
    snprintf(buffer, size, "%s", db_text(statement, column));
}

int db_begin(Store *store, Store **ret_open) {
    int r = db_run(store, "BEGIN IMMEDIATE", "");
    if (r == 0) *ret_open = store;
    return r;
}

int db_commit(Store **open) {
    int r = db_run(*open, "COMMIT", "");
    if (r == 0) *open = NULL;
    return r;
}

void db_rollbackp(Store **open) {
    /* SQLite undoes the transaction by itself on some errors. A rollback that fails leaves nothing to be done: the
     * transaction is not committed, and the next BEGIN says so. */
    if (*open && !sqlite3_get_autocommit((*open)->db)) (void)sqlite3_exec((*open)->db, "ROLLBACK", NULL, NULL, NULL);
}

int db_snapshot(Store *store, Store **ret_open) {
    if (!sqlite3_get_autocommit(store->db)) return 0;
    int r = db_run(store, "BEGIN", "");
    if (r == 0) *ret_open = store;
    return r;
}

const char *store_reason(const Store *store) {
    return store->reason ? store->reason : "Out of memory.";
}

const char *store_wal_path(const Store *store) {
    return store->wal_path;
}

int store_read_begin(Store *store) {
    Store *open = NULL;
    return db_snapshot(store, &open);
}

void store_read_end(Store *store) {
    db_rollbackp(&store);
}

int64_t store_clamp_wait(int64_t until, int64_t now, int64_t longest) {
    return until - now > longest ? now : until;
}
