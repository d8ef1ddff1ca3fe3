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

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_empty, fixture_teardown)
    const struct CMUnitTest tests[] = {TEST(test_steps), TEST(test_all_or_none), TEST(test_older)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
