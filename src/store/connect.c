#include "store/connect.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "store/schema.h"

#define BUSY_DAEMON_MS 500 /* a tick may wait this long */
#define BUSY_OTHERS_MS 5000
#define CHECK_LONGEST_S 10 /* of the check at start */
#define LOG_LIMIT (8 * 1024 * 1024)

bool machine_id_valid(const char *id) {
    return id && id[0] && strcmp(id, "uninitialized") != 0;
}

/* The requester's statements are fixed, but the process is often root: let SQLite refuse what the contract does. */
static int authorize(void *data, int action, const char *table, const char *b, const char *c, const char *d) {
    switch (action) {
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE:
        return strcmp(table, "request") == 0 || strcmp(table, "sqlite_sequence") == 0 ? SQLITE_OK : SQLITE_DENY;
    case SQLITE_READ:
    case SQLITE_SELECT:
    case SQLITE_TRANSACTION:
    case SQLITE_FUNCTION:
    case SQLITE_PRAGMA:
        return SQLITE_OK;
    default:
        return SQLITE_DENY;
    }
}

static int check_deadline(void *data) {
    const struct timespec *end = data;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec >= end->tv_sec;
}

static int check_quick(Store *store) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement, "PRAGMA quick_check(1)", "");
    if (r == 0) r = db_step(store, statement, &row);
    if (r == STORE_FAILED && (store->code & 0xff) == SQLITE_INTERRUPT) return 0;
    if (r != 0 || !row || strcmp(db_text(statement, 0), "ok") == 0) return r;
    /* Pages that could not be read are reported as if they were damaged, with the reason in the text at most. */
    const char *code = strstr(db_text(statement, 0), "error code");
    if (code) {
        int number = atoi(code + strlen("error code") + 1);
        if ((number & 0xff) != SQLITE_CORRUPT && (number & 0xff) != SQLITE_NOTADB) return db_error(store, number);
    }
    return db_fail(store, STORE_CORRUPT, "%s is damaged: %s.", store->path, db_text(statement, 0));
}

/* Reads every page once. A database too large to be checked in time is taken for sound: what it hides shows as
 * STORE_CORRUPT where it is met. */
static int check_pages(Store *store) {
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += CHECK_LONGEST_S;
    sqlite3_progress_handler(store->db, 10000, check_deadline, &end);
    int r = check_quick(store);
    sqlite3_progress_handler(store->db, 0, NULL, NULL);
    return r;
}

static int connect_file(Store *store) {
    int flags = store->mode == STORE_READER ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    errno = 0;
    int code = sqlite3_open_v2(store->path, &store->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
    if (!store->db) return -ENOMEM;
    if (code != SQLITE_OK) return db_error(store, code);
    sqlite3_extended_result_codes(store->db, 1);
    sqlite3_busy_timeout(store->db, store->mode == STORE_DAEMON ? BUSY_DAEMON_MS : BUSY_OTHERS_MS);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    /* Until the file is known to be ours, closing it must not write the log into it. */
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (store->mode != STORE_READER && sqlite3_db_readonly(store->db, "main") == 1) {
        store->code = SQLITE_READONLY;
        return db_fail(store, STORE_FAILED, "%s cannot be written: %s.", store->path,
            store->mode == STORE_DAEMON ? "check its owner and mode, and whether its file system is read-only"
                                        : "only root and the daemon's user may do this");
    }
    return db_exec(store, "PRAGMA cell_size_check = ON");
}

/* Whose file it is, and of which version. STORE_OPENED: ours and fit. STORE_FRESH: empty. */
static int connect_judge(Store *store, const StoreIdentity *identity, StoreOpening *ret) {
    int64_t application = 0, version = 0, tables = 0;
    int r = db_integer(store, 0, &application, "PRAGMA application_id", "");
    if (r == 0) r = schema_version(store, &version);
    if (r == 0) r = db_integer(store, 0, &tables, "SELECT count(*) FROM sqlite_schema", "");
    if (r != 0) return r;
    if (tables == 0 && version == 0) {
        *ret = STORE_FRESH;
        return 0;
    }
    if (application != SCHEMA_APPLICATION)
        return db_fail(store, STORE_CORRUPT, "%s is not a database of portwatch.", store->path);
    if (version > SCHEMA_VERSION) {
        *ret = STORE_NEWER;
        (void)db_fail(store, 0,
            "%s was written by a newer portwatch (format %d, this one knows %d): install that version, or move the "
            "file away "
            "to learn anew.",
            store->path, (int)version, SCHEMA_VERSION);
        return 0;
    }
    if (store->mode != STORE_DAEMON) {
        *ret = version < SCHEMA_VERSION ? STORE_OLDER : STORE_OPENED;
        if (version < SCHEMA_VERSION)
            (void)db_fail(
                store, 0, "%s is of an older format: restart portwatchd, which brings it up to date.", store->path);
        return 0;
    }
    r = check_pages(store);
    if (r != 0) return r;

    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    r = db_query(store, &statement, "SELECT value FROM meta WHERE key = 'machine_id'", "");
    if (r == 0) r = db_step(store, statement, &row);
    if (r != 0) return r;
    *ret = STORE_OPENED;
    if (row && machine_id_valid(identity->machine_id) && strcmp(db_text(statement, 0), identity->machine_id) != 0)
        *ret = STORE_SET_ASIDE_FOREIGN;
    return 0;
}

static int connect_log(Store *store) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement, "PRAGMA journal_mode = WAL", "");
    if (r == 0) r = db_step(store, statement, &row);
    if (r != 0) return r;
    if (!row || strcmp(db_text(statement, 0), "wal") != 0) {
        store->code = SQLITE_CANTOPEN;
        return db_fail(store, STORE_FAILED,
            "%s cannot use a write-ahead log: the file system lacks shared memory or locks.", store->path);
    }
    return 0;
}

static int connect_settle(Store *store, const StoreIdentity *identity) {
    int on = 1, r;
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, store->mode != STORE_DAEMON, NULL);
    (void)sqlite3_file_control(store->db, "main", SQLITE_FCNTL_PERSIST_WAL, &on);
    char sql[256];
    snprintf(sql, sizeof(sql),
        "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = %d; PRAGMA max_page_count = "
        "%d",
        LOG_LIMIT, DB_PAGES_MAX);
    r = db_exec(store, sql);
    if (r != 0 || store->mode != STORE_DAEMON) return r;

    /* Also the proof that the file can be written, now rather than at the first alert. */
    _cleanup_transaction_ Store *open = NULL;
    r = schema_upgrade(store, schema_migrations, schema_n_migrations, identity->now);
    if (r == 0) r = db_begin(store, &open);
    if (r == 0)
        r = db_run(
            store, "INSERT OR IGNORE INTO boot (boot_id, first) VALUES (?, ?)", "ti", store->boot_id, identity->now);
    if (r == 0) r = db_integer(store, 0, &store->boot, "SELECT id FROM boot WHERE boot_id = ?", "t", store->boot_id);
    if (r == 0)
        r = db_run(
            store, "INSERT OR REPLACE INTO meta (key, value) VALUES ('opened', CAST(? AS TEXT))", "i", identity->now);
    if (r == 0)
        r = db_run(store, "INSERT OR REPLACE INTO meta (key, value) VALUES ('boot_id', ?)", "t", store->boot_id);
    if (r == 0 && machine_id_valid(identity->machine_id))
        r = db_run(
            store, "INSERT OR REPLACE INTO meta (key, value) VALUES ('machine_id', ?)", "t", identity->machine_id);
    return r == 0 ? db_commit(&open) : r;
}

static int connect_all(Store *store, const StoreIdentity *identity, StoreOpening *ret_what) {
    int r = connect_file(store);
    if (r == 0) r = connect_judge(store, identity, ret_what);
    if (r != 0) return r;
    if (*ret_what != STORE_OPENED && *ret_what != STORE_FRESH) return 0;
    if (*ret_what == STORE_FRESH && store->mode != STORE_DAEMON) {
        *ret_what = STORE_ABSENT;
        (void)db_fail(store, 0, "%s is empty: portwatchd has not filled it yet.", store->path);
        return 0;
    }
    if (store->mode == STORE_DAEMON) {
        if (*ret_what == STORE_FRESH) r = db_exec(store, "PRAGMA auto_vacuum = INCREMENTAL");
        if (r == 0) r = connect_log(store);
    }
    if (r == 0) r = connect_settle(store, identity);
    if (r == 0 && store->mode == STORE_REQUESTER) sqlite3_set_authorizer(store->db, authorize, NULL);
    return r;
}

int store_connect(const char *dir, const char *path, StoreMode mode, const StoreIdentity *identity, Store **ret,
    StoreOpening *ret_what, char **ret_reason) {
    _cleanup_(store_closep) Store *store = calloc(1, sizeof(Store));
    if (!store) return -ENOMEM;
    store->mode = mode;
    store->dir = strdup(dir);
    store->path = strdup(path);
    store->wal_path = text_printf("%s-wal", path);
    if (!store->dir || !store->path || !store->wal_path) return -ENOMEM;
    snprintf(store->boot_id, sizeof(store->boot_id), "%s", identity->boot_id ? identity->boot_id : "");

    StoreOpening what = STORE_OPENED;
    int r = connect_all(store, identity, &what);
    if (r < 0) return r;
    if (r > 0) what = db_opening(store, r);
    *ret_what = what;
    if (what == STORE_OPENED || what == STORE_FRESH)
        *ret = TAKE_PTR(store);
    else
        *ret_reason = TAKE_PTR(store->reason);
    return 0;
}

void store_close(Store *store) {
    if (!store) return;
    for (size_t i = 0; i < store->n_statements; i++) sqlite3_finalize(store->statements[i].statement);
    sqlite3_close(store->db);
    free(store->dir);
    free(store->path);
    free(store->wal_path);
    free(store->reason);
    free(store);
}
