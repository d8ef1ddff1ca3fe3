/* Migrations, on a made-up older database and made-up steps. */
#include "fixture.h"

#include <string.h>

#include "store/schema.h"

static const Migration made_up[] = {
    {1, "CREATE TABLE port (number INTEGER NOT NULL) STRICT; INSERT INTO port VALUES (80), (443);"},
    {2, "ALTER TABLE port ADD COLUMN name TEXT; UPDATE port SET name = 'web';"},
    {3, "CREATE TABLE named (name TEXT PRIMARY KEY, n INTEGER) STRICT;"
        "INSERT INTO named SELECT name, count(*) FROM port GROUP BY name; DROP TABLE port;"},
};

static const Migration broken[] = {
    {1, "unused"},
    {2, "unused"},
    {3, "ALTER TABLE port ADD COLUMN colour TEXT; UPDATE port SET name = NULL; INSERT INTO nowhere VALUES (1);"},
};

/* A store on a database that is not laid out by this version. */
static Store *bare(Fixture *f, sqlite3 **ret_db) {
    assert_int_equal(sqlite3_open(fixture_path(f, "made-up.db"), ret_db), SQLITE_OK);
    Store *store = calloc(1, sizeof(Store));
    assert_non_null(store);
    store->db = *ret_db;
    store->dir = strdup(f->dir);
    store->path = strdup(fixture_path(f, "made-up.db"));
    store->wal_path = strdup("");
    return store;
}

static void test_steps(void **state) {
    Fixture *f = *state;
    sqlite3 *db = NULL;
    _cleanup_(store_closep) Store *store = bare(f, &db);
    assert_int_equal(schema_upgrade(store, made_up, 1, NOW), 0);
    assert_int_equal(fixture_query(store, "PRAGMA user_version"), 1);
    assert_int_equal(fixture_query(store, "PRAGMA application_id"), SCHEMA_APPLICATION);
    assert_int_equal(fixture_query(store, "SELECT count(*) FROM port"), 2);
    /* From the older one to the newest, two steps at once. */
    assert_int_equal(schema_upgrade(store, made_up, 3, NOW + 1), 0);
    assert_int_equal(fixture_query(store, "PRAGMA user_version"), 3);
    assert_int_equal(fixture_query(store, "SELECT n FROM named WHERE name = 'web'"), 2);
    assert_int_equal(fixture_query(store, "SELECT count(*) FROM migration"), 3);
    assert_int_equal(fixture_query(store, "SELECT applied FROM migration WHERE version = 3"), NOW + 1);
    /* Nothing left to do. */
    assert_int_equal(schema_upgrade(store, made_up, 3, NOW + 2), 0);
    assert_int_equal(fixture_query(store, "SELECT max(applied) FROM migration"), NOW + 1);
}

static void test_all_or_none(void **state) {
    Fixture *f = *state;
    sqlite3 *db = NULL;
    _cleanup_(store_closep) Store *store = bare(f, &db);
    assert_int_equal(schema_upgrade(store, made_up, 2, NOW), 0);
    assert_int_equal(schema_upgrade(store, broken, 3, NOW), STORE_FAILED);
    assert_non_null(strstr(store_reason(store), "nowhere"));
    assert_int_equal(fixture_query(store, "PRAGMA user_version"), 2);
    assert_int_equal(fixture_query(store, "SELECT count(*) FROM port WHERE name = 'web'"), 2);
    assert_int_equal(fixture_query(store, "SELECT count(*) FROM pragma_table_info('port')"), 2);
    assert_int_equal(schema_upgrade(store, made_up, 3, NOW), 0);
}

/* The daemon, met by a database that has the header but not the tables of version 1, brings it up to date; readers
 * wait for that. */
static void test_older(void **state) {
    Fixture *f = *state;
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(fixture_path(f, STORE_FILE), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                         "PRAGMA application_id = 1350001512; PRAGMA journal_mode = WAL;"
                         "CREATE TABLE migration (version INTEGER PRIMARY KEY, applied INTEGER NOT NULL,"
                         " program TEXT NOT NULL) STRICT; CREATE TABLE meta_0 (x)",
                         NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    fixture_open(f, STORE_READER, STORE_OLDER, "restart portwatchd");
    fixture_open(f, STORE_REQUESTER, STORE_OLDER, "restart portwatchd");
}

/* A database as version 1 wrote it: the real first step, and rows by its own statements. */
static void test_version_1(void **state) {
    Fixture *f = *state;
    sqlite3 *db = NULL;
    Store *old = bare(f, &db);
    assert_int_equal(schema_upgrade(old, schema_migrations, 1, NOW), 0);
    assert_int_equal(fixture_query(old, "PRAGMA user_version"), 1);
    fixture_exec(old,
        "PRAGMA journal_mode = WAL;"
        "INSERT INTO meta VALUES ('machine_id', '" MACHINE "'), ('learned', '1');"
        "INSERT INTO boot VALUES (1, '" BOOT "', 5);"
        "INSERT INTO baseline VALUES ('tcp', 443, '::', '', 0, 1, 77, 'owner unit=nginx.service exe=/usr/sbin/nginx uid=0'"
        " || char(10)), ('udp', 53, '127.0.0.53', 'lo', 0, 2, 78, '');"
        "INSERT INTO pause VALUES (0, 'tcp', 80, 0, 99);"
        "INSERT INTO incident VALUES ('11111111-1111-4111-8111-111111111111', 'K7Q2', 'surface', 'tcp', 5432, 0, 'open',"
        " 'closed', 'same', 'warning', 'tcp 5432 127.0.0.1 count=1' || char(10), '', 10, 11, 12, 13, 1,"
        " '22222222-2222-4222-8222-222222222222'), ('33333333-3333-4333-8333-333333333333', 'AAAA', 'surface', 'tcp', 81,"
        " 0, 'resolved', 'closed', 'same', 'warning', '', '', 1, 2, 0, 0, 0, '');"
        "INSERT INTO event VALUES (1, '22222222-2222-4222-8222-222222222222', '11111111-1111-4111-8111-111111111111',"
        " 'opened', 11, 1, '{}');"
        "INSERT INTO notifier (name, since) VALUES ('admin', 3);"
        "INSERT INTO queue VALUES (1, 1, 'admin', 11, NULL);"
        "INSERT INTO history VALUES (1, 20, 1, 'opened', 'tcp', 5432, 0, 'closed', '', '', 'K7Q2', NULL, 5, 1, 20),"
        " (2, 21, 1, 'notice', '', 0, 0, 'none', '', '', '', 'something', 6, 1, 21);");
    store_close(old);
    assert_int_equal(rename(fixture_path(f, "made-up.db"), fixture_path(f, STORE_FILE)), 0);
    (void)rename(fixture_path(f, "made-up.db-wal"), fixture_path(f, STORE_FILE "-wal"));

    _cleanup_(store_closep) Store *store = fixture_open(f, STORE_DAEMON, STORE_OPENED, NULL);
    assert_int_equal(fixture_query(store, "PRAGMA user_version"), SCHEMA_VERSION);
    _cleanup_(state_done) State loaded = {0};
    assert_int_equal(store_load_state(store, &loaded), 0);
    assert_true(loaded.learned);
    assert_false(loaded.namespaces_learned);
    assert_int_equal(loaded.baseline.n, 2);
    const Endpoint *web = &loaded.baseline.items[0], *dns = &loaded.baseline.items[1];
    assert_int_equal(web->port, 443);
    assert_string_equal(web->namespace, "");
    assert_string_equal(web->owners[0]->exe, "/usr/sbin/nginx");
    assert_int_equal(web->since, 77);
    assert_int_equal(dns->count, 2);
    assert_string_equal(dns->device, "lo");
    assert_int_equal(loaded.n_pauses, 1);
    assert_int_equal(loaded.pauses[0].surface.port, 80);
    assert_int_equal(loaded.n_incidents, 1);
    assert_string_equal(loaded.incidents[0].token, "K7Q2");
    assert_int_equal(loaded.incidents[0].surface.port, 5432);
    assert_false(loaded.incidents[0].surface.whole);
    assert_string_equal(loaded.incidents[0].surface.namespace, "");
    assert_int_equal(loaded.incidents[0].before.n, 1);
    assert_true(loaded.incidents[0].acknowledged);
    assert_int_equal(fixture_query(store, "SELECT count(*) FROM queue WHERE message IS NULL"), 1);
    assert_int_equal(fixture_query(store, "SELECT count(*) FROM incident WHERE namespace = ''"), 2);
    HistoryRow *rows = NULL;
    size_t n = 0;
    assert_int_equal(history_query(store, &(HistoryFilter){.limit = 10}, &rows, &n), 0);
    assert_int_equal(n, 2);
    assert_true(rows[0].transition.has_surface);
    assert_int_equal(rows[0].transition.surface.port, 5432);
    assert_false(rows[1].transition.has_surface);
    assert_string_equal(rows[1].transition.text, "something");
    history_rows_free(rows, n);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_empty, fixture_teardown)
    const struct CMUnitTest tests[] = {TEST(test_steps), TEST(test_all_or_none), TEST(test_older), TEST(test_version_1)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
