/* Inside store/ only: the handle, its prepared statements, its errors and transactions. */
#pragma once

#include <sqlite3.h>

#include "core/endpoint.h"
#include "core/message.h"
#include "store/store.h"

#define DB_PAGES_MAX 65536 /* of 4 KiB: 256 MiB */
#define DB_STATEMENTS_MAX 256

typedef struct Statement {
    const char *sql; /* the literal's address is the key */
    sqlite3_stmt *statement;
} Statement;

struct Store {
    sqlite3 *db;
    StoreMode mode;
    char *dir;
    char *path;
    char *wal_path;
    char boot_id[UUID_TEXT_MAX];
    int64_t boot; /* row of the boot table */
    char *reason;
    int code; /* SQLite's extended code behind the reason */
    Statement statements[DB_STATEMENTS_MAX];
    size_t n_statements;
};

/* What a failed operation means to store_open; STORE_DAMAGED for corruption. */
StoreOpening db_opening(const Store *store, int error);
/* Turns a result of SQLite into what this layer returns and notes the reason. Frees the ballast when space is short.
 * errno is what the system said, 0 before the call that failed. (sqlite3_system_errno does not know why a COMMIT
 * failed, and still knows why something earlier did.) */
int db_error(Store *store, int code);
/* Notes a reason of our own and returns `error`. */
int db_fail(Store *store, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Prepares (or takes from the cache) and binds. `sql` must be a literal. `types` has a letter an argument: i int64_t,
 * d int, t const char * (NULL binds NULL), b text with a size_t length after it. */
int db_query(Store *store, sqlite3_stmt **ret, const char *sql, const char *types, ...);
int db_step(Store *store, sqlite3_stmt *statement, bool *ret_row);
/* A statement without result rows. */
int db_run(Store *store, const char *sql, const char *types, ...);
/* Any number of statements, not kept. */
int db_exec(Store *store, const char *sql);
/* A statement whose one row has one integer; `none` if there is no row or it is NULL. */
int db_integer(Store *store, int64_t none, int64_t *ret, const char *sql, const char *types, ...);
int64_t db_changes(Store *store);

/* A column as a new string, NULL for NULL. 0 or -ENOMEM. */
int db_string(sqlite3_stmt *statement, int column, char **ret);
/* A column as text for immediate use, never NULL. */
const char *db_text(sqlite3_stmt *statement, int column);
/* Copies a column into a fixed buffer, cutting it. */
void db_copy(sqlite3_stmt *statement, int column, char *buffer, size_t size);

/* Ends the use of a statement; it stays in the cache. */
static inline void db_resetp(sqlite3_stmt **statement) {
    if (*statement) {
        sqlite3_reset(*statement);
        sqlite3_clear_bindings(*statement);
    }
}
#define _cleanup_statement_ _cleanup_(db_resetp)

/* A write transaction: *ret_open is the store until db_commit; _cleanup_(db_rollbackp) on it undoes an unfinished one.
 */
int db_begin(Store *store, Store **ret_open);
int db_commit(Store **open);
void db_rollbackp(Store **open);
#define _cleanup_transaction_ _cleanup_(db_rollbackp)

/* A read transaction unless one is open already. db_unsnapshotp ends it. */
int db_snapshot(Store *store, Store **ret_open);
#define db_unsnapshotp db_rollbackp
