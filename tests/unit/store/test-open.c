/* Opening: what is taken, what is set aside, what is refused. */
#include "fixture.h"

#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/aside.h"
#include "store/ballast.h"
#include "store/schema.h"

#define NOBODY 65534

static mode_t mode_of(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static char *const both[] = {(char *)"mail", (char *)"chat", NULL};

static void damage(const char *path, off_t offset, size_t size) {
    _cleanup_close_ int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    char junk[4096];
    memset(junk, 0xa5, sizeof(junk));
    assert_int_equal(pwrite(fd, junk, size, offset), (ssize_t)size);
}

static void test_fresh(void **state) {
    Fixture *f = *state;
    char dir[160];
    snprintf(dir, sizeof(dir), "%s/below", f->dir);
    Store *store = fixture_open_at(dir, STORE_DAEMON, NULL, STORE_FRESH, NULL);
    assert_int_equal(mode_of(dir), 0750);
    assert_int_equal(fixture_query(store, "PRAGMA user_version"), SCHEMA_VERSION);
    assert_int_equal(fixture_query(store, "SELECT count(*) FROM migration"), SCHEMA_VERSION);
    assert_int_equal(fixture_query(store, "PRAGMA synchronous"), 2);
    assert_int_equal(fixture_query(store, "PRAGMA foreign_keys"), 1);
    assert_int_equal(fixture_query(store, "PRAGMA auto_vacuum"), 2);
    assert_int_equal(fixture_query(store, "SELECT (SELECT journal_mode FROM pragma_journal_mode) = 'wal'"), 1);
    assert_int_equal(fixture_query(store, "SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND NOT strict"
                                          " AND name NOT LIKE 'sqlite_%'"),
        0);
    static const char *const names[] = {"portwatch.db", "portwatch.db-wal", "portwatch.db-shm"};
    char path[200];
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        assert_int_equal(mode_of(path), 0640);
    }
    assert_string_equal(strrchr(store_wal_path(store), '/'), "/portwatch.db-wal");
    store_close(store);
    /* Readers without write access need the log to be there after a clean stop. */
    assert_int_equal(mode_of(path), 0640);
    snprintf(path, sizeof(path), "%s/portwatch.db-wal", dir);
    assert_int_equal(mode_of(path), 0640);
}

static void test_absent(void **state) {
    Fixture *f = *state;
    fixture_open(f, STORE_READER, STORE_ABSENT, "portwatch.db");
    fixture_open(f, STORE_REQUESTER, STORE_ABSENT, "portwatch.db");
    fixture_open_at("/nonexistent/portwatch", STORE_READER, NULL, STORE_ABSENT, "is not there");
    fixture_open_at("/nonexistent/portwatch", STORE_DAEMON, NULL, STORE_ABSENT, "is not there");
    assert_int_equal(fixture_count(f, "portwatch"), 0);
    /* Made but not filled: a daemon that was killed just then. */
    close(open(fixture_path(f, STORE_FILE), O_WRONLY | O_CREAT, 0640));
    fixture_open(f, STORE_READER, STORE_ABSENT, "empty");
    f->store = fixture_open(f, STORE_DAEMON, STORE_FRESH, NULL);
}

static void test_reopen(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, both);
    fixture_reopen(f);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue"), 2);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM boot"), 1);
    /* A directory by way of a link. */
    char link[160];
    snprintf(link, sizeof(link), "%s/../portwatch-link-%d", f->dir, (int)getpid());
    assert_int_equal(symlink(f->dir, link), 0);
    fixture_close(f);
    f->store = fixture_open_at(link, STORE_DAEMON, NULL, STORE_OPENED, NULL);
    assert_int_equal(unlink(link), 0);
}

static void test_corrupt_header(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, both);
    fixture_close(f);
    damage(fixture_path(f, STORE_FILE), 0, 16);
    fixture_open(f, STORE_READER, STORE_DAMAGED, "restart portwatchd");
    fixture_open(f, STORE_REQUESTER, STORE_DAMAGED, "restart portwatchd");
    assert_int_equal(fixture_count(f, "portwatch.db.corrupt-"), 0);
    f->store = fixture_open(f, STORE_DAEMON, STORE_SET_ASIDE_CORRUPT, "kept as");
    assert_int_equal(fixture_count(f, "portwatch.db.corrupt-20231114T221320Z"), 3);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), 0);
    fixture_reopen(f);
}

static void test_corrupt_page(void **state) {
    Fixture *f = *state;
    for (unsigned i = 1; i < 200; i++) fixture_tell(f->store, i, (uint16_t)i, both);
    int64_t pages = fixture_query(f->store, "PRAGMA page_count");
    assert_true(pages > 20);
    fixture_close(f);
    for (int64_t page = 3; page < pages; page += 4) damage(fixture_path(f, STORE_FILE), page * 4096, 64);
    f->store = fixture_open(f, STORE_DAEMON, STORE_SET_ASIDE_CORRUPT, "damaged");
    /* The same second again: no name is taken twice, nothing is overwritten. */
    fixture_close(f);
    damage(fixture_path(f, STORE_FILE), 0, 100);
    f->store = fixture_open(f, STORE_DAEMON, STORE_SET_ASIDE_CORRUPT, "damaged");
    assert_int_equal(fixture_count(f, "portwatch.db.corrupt-"), 6);
}

/* Damage that the check at start did not meet shows as STORE_CORRUPT, not as an empty answer. */
static void test_corrupt_meanwhile(void **state) {
    Fixture *f = *state;
    for (unsigned i = 1; i < 200; i++) fixture_tell(f->store, i, (uint16_t)i, both);
    fixture_close(f);
    Store *reader = fixture_open(f, STORE_READER, STORE_OPENED, NULL);
    for (int64_t page = 2; page < 20; page++) damage(fixture_path(f, STORE_FILE), page * 4096, 4096);
    State loaded = {0};
    assert_int_equal(store_load_state(reader, &loaded), STORE_CORRUPT);
    assert_non_null(strstr(store_reason(reader), STORE_FILE));
    store_close(reader);
}

static void test_not_ours(void **state) {
    Fixture *f = *state;
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(fixture_path(f, STORE_FILE), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE songs (x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    f->store = fixture_open(f, STORE_DAEMON, STORE_SET_ASIDE_CORRUPT, "not a database of portwatch");
    fixture_close(f);
    assert_int_equal(unlink(fixture_path(f, STORE_FILE)), 0);
    assert_int_equal(mkdir(fixture_path(f, STORE_FILE), 0750), 0);
    fixture_open(f, STORE_DAEMON, STORE_UNWRITABLE, "regular file");
    assert_int_equal(rmdir(fixture_path(f, STORE_FILE)), 0);
    /* No link is followed: it might lead anywhere. */
    assert_int_equal(symlink("/etc/passwd", fixture_path(f, STORE_FILE)), 0);
    fixture_open(f, STORE_DAEMON, STORE_UNWRITABLE, "regular file");
    fixture_open(f, STORE_READER, STORE_UNWRITABLE, "regular file");
}

static void test_stray_log(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, both);
    assert_int_equal(unlink(fixture_path(f, STORE_FILE)), 0);
    Store *old = TAKE_PTR(f->store);
    f->store = fixture_open(f, STORE_DAEMON, STORE_FRESH, NULL);
    assert_int_equal(fixture_count(f, "portwatch.db.stray-"), 2);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), 0);
    store_close(old);
}

static void test_newer(void **state) {
    Fixture *f = *state;
    fixture_exec(f->store, "PRAGMA user_version = 9999");
    fixture_close(f);
    struct stat before, after;
    assert_int_equal(stat(fixture_path(f, STORE_FILE), &before), 0);
    fixture_open(f, STORE_DAEMON, STORE_NEWER, "newer portwatch");
    fixture_open(f, STORE_READER, STORE_NEWER, "newer portwatch");
    fixture_open(f, STORE_REQUESTER, STORE_NEWER, "newer portwatch");
    assert_int_equal(stat(fixture_path(f, STORE_FILE), &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(fixture_count(f, "portwatch.db."), 0);
}

static void test_foreign(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, both);
    fixture_close(f);
    static const char *const none[] = {NULL, "", "uninitialized"};
    for (size_t i = 0; i < ELEMENTSOF(none); i++) {
        StoreIdentity identity = {.machine_id = none[i], .now = NOW};
        store_close(fixture_open_at(f->dir, STORE_DAEMON, &identity, STORE_OPENED, NULL));
    }
    StoreIdentity other = {.machine_id = "ffffffffffffffffffffffffffffffff", .boot_id = BOOT, .now = NOW};
    store_close(fixture_open_at(f->dir, STORE_READER, &other, STORE_OPENED, NULL));
    f->store = fixture_open_at(f->dir, STORE_DAEMON, &other, STORE_SET_ASIDE_FOREIGN, "another machine");
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), 0);
    assert_int_equal(fixture_count(f, "portwatch.db.foreign-"), 3);
    fixture_close(f);
    /* What is kept is whole. */
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open(fixture_path(f, "portwatch.db.foreign-20231114T221320Z"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM queue", -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), 2);
    sqlite3_finalize(statement);
    sqlite3_close(db);
}

/* An id that was not known at first is taken on later, and then it counts. */
static void test_machine_later(void **state) {
    Fixture *f = *state;
    StoreIdentity unknown = {.machine_id = "uninitialized", .now = NOW};
    store_close(fixture_open_at(f->dir, STORE_DAEMON, &unknown, STORE_FRESH, NULL));
    store_close(fixture_open(f, STORE_DAEMON, STORE_OPENED, NULL));
    StoreIdentity other = {.machine_id = "ffffffffffffffffffffffffffffffff", .now = NOW};
    store_close(fixture_open_at(f->dir, STORE_DAEMON, &other, STORE_SET_ASIDE_FOREIGN, "another machine"));
}

static void test_locked(void **state) {
    Fixture *f = *state;
    fixture_close(f);
    int ready[2], done[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        sqlite3 *db = NULL;
        char c = 0;
        int bad = sqlite3_open(fixture_path(f, STORE_FILE), &db) != SQLITE_OK ||
                  sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK;
        if (write(ready[1], &c, 1) != 1) bad = 1;
        if (read(done[0], &c, 1) != 1) bad = 1;
        _exit(bad);
    }
    char c;
    assert_int_equal(read(ready[0], &c, 1), 1);
    fixture_open(f, STORE_DAEMON, STORE_LOCKED, "locked by another process");
    /* Reading goes on. */
    Store *reader = fixture_open(f, STORE_READER, STORE_OPENED, NULL);
    State loaded = {0};
    assert_int_equal(store_load_state(reader, &loaded), 0);
    state_done(&loaded);
    store_close(reader);
    assert_int_equal(write(done[1], &c, 1), 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    f->store = fixture_open(f, STORE_DAEMON, STORE_OPENED, NULL);
    assert_int_equal(fixture_count(f, "portwatch.db."), 0);
}

/* Runs `run` in a child with these ids; its assertions become the child's exit status. */
static void as_user(uid_t uid, gid_t gid, void (*run)(Fixture *), Fixture *f) {
    pid_t child = fork();
    if (child == 0) {
        if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) _exit(1);
        run(f);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void give(Fixture *f, uid_t uid, gid_t gid) {
    static const char *const names[] = {"", STORE_FILE, STORE_FILE "-wal", STORE_FILE "-shm"};
    for (size_t i = 0; i < ELEMENTSOF(names); i++) assert_int_equal(chown(fixture_path(f, names[i]), uid, gid), 0);
}

static void run_reader(Fixture *f) {
    Store *store = fixture_open(f, STORE_READER, STORE_OPENED, NULL);
    State loaded = {0};
    NotifierHealth *health = NULL;
    size_t n = 0;
    assert_int_equal(store_load_state(store, &loaded), 0);
    assert_int_equal(loaded.n_incidents, 1);
    assert_int_equal(store_notifiers(store, NOW, &health, &n), 0);
    assert_int_equal(n, 2);
    notifier_health_free(health, n);
    state_done(&loaded);
    store_close(store);
    fixture_open(f, STORE_REQUESTER, STORE_UNWRITABLE, "only root");
    fixture_open(f, STORE_DAEMON, STORE_UNWRITABLE, "owner and mode");
}

static void run_stranger(Fixture *f) {
    fixture_open(f, STORE_READER, STORE_UNWRITABLE, "ermission");
    fixture_open(f, STORE_DAEMON, STORE_UNWRITABLE, "ermission");
}

static void test_permissions(void **state) {
    Fixture *f = *state;
    if (geteuid() != 0) skip();
    fixture_tell(f->store, 1, 443, both);
    give(f, 0, NOBODY);
    /* With the daemon running, and after a clean stop. */
    as_user(NOBODY, NOBODY, run_reader, f);
    fixture_close(f);
    as_user(NOBODY, NOBODY, run_reader, f);
    as_user(NOBODY, 1, run_stranger, f);
    assert_int_equal(fixture_count(f, "portwatch.db."), 0);
}

/* Root's command line does what the directory's owner could, and leaves nothing of root's behind. */
static void test_become(void **state) {
    Fixture *f = *state;
    if (geteuid() != 0) skip();
    fixture_close(f);
    give(f, NOBODY, NOBODY);
    Store *store = fixture_open(f, STORE_REQUESTER, STORE_OPENED, NULL);
    int64_t id;
    assert_int_equal(request_put(store, "ack", "{}", "root", MINUTE, NOW, &id), 0);
    assert_int_equal(geteuid(), 0);
    assert_int_equal(getegid(), 0);
    store_close(store);
    static const char *const names[] = {STORE_FILE, STORE_FILE "-wal", STORE_FILE "-shm"};
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        struct stat st;
        assert_int_equal(stat(fixture_path(f, names[i]), &st), 0);
        assert_int_equal(st.st_uid, NOBODY);
    }
    /* The owner may have put something in its place that he himself could not read. */
    assert_int_equal(chown(fixture_path(f, STORE_FILE), 0, 0), 0);
    assert_int_equal(chmod(fixture_path(f, STORE_FILE), 0600), 0);
    fixture_open(f, STORE_READER, STORE_UNWRITABLE, "ermission");
    assert_int_equal(geteuid(), 0);
}

static void test_requester_bounds(void **state) {
    Fixture *f = *state;
    fixture_tell(f->store, 1, 443, both);
    Store *store = fixture_open(f, STORE_REQUESTER, STORE_OPENED, NULL);
    char *error = NULL;
    assert_int_not_equal(sqlite3_exec(store->db, "DELETE FROM incident", NULL, NULL, &error), SQLITE_OK);
    assert_int_not_equal(sqlite3_exec(store->db, "UPDATE meta SET value = 1", NULL, NULL, NULL), SQLITE_OK);
    assert_int_not_equal(sqlite3_exec(store->db, "DROP TABLE request", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_free(error);
    assert_int_equal(store_set_coverage(store, "{}"), STORE_FAILED);
    store_close(store);
    store = fixture_open(f, STORE_READER, STORE_OPENED, NULL);
    int64_t id;
    assert_int_equal(request_put(store, "ack", "{}", "me", MINUTE, NOW, &id), STORE_FAILED);
    store_close(store);
}

int main(void) {
#define TEST_EMPTY(name) cmocka_unit_test_setup_teardown(name, fixture_setup_empty, fixture_teardown)
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST_EMPTY(test_fresh),
        TEST_EMPTY(test_absent),
        TEST(test_reopen),
        TEST(test_corrupt_header),
        TEST(test_corrupt_page),
        TEST(test_corrupt_meanwhile),
        TEST_EMPTY(test_not_ours),
        TEST(test_stray_log),
        TEST(test_newer),
        TEST(test_foreign),
        TEST_EMPTY(test_machine_later),
        TEST(test_locked),
        TEST(test_permissions),
        TEST(test_become),
        TEST(test_requester_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
