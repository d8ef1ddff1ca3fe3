/* A full disk and a read-only one: small file systems of our own, in a mount namespace of our own. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "store/ballast.h"

static char *const both[] = {(char *)"mail", (char *)"chat", NULL};
static bool mounts; /* we may mount */

static int setup_disk(void **state) {
    fixture_setup_empty(state);
    Fixture *f = *state;
    if (mounts && mount("tmpfs", f->dir, "tmpfs", 0, "size=40m,mode=0750") < 0) mounts = false;
    return 0;
}

static int teardown_disk(void **state) {
    Fixture *f = *state;
    fixture_close(f);
    (void)umount2(f->dir, MNT_DETACH);
    return fixture_teardown(state);
}

/* Takes all the space there is. */
static void fill(Fixture *f) {
    _cleanup_close_ int fd = open(fixture_path(f, "junk"), O_WRONLY | O_CREAT | O_APPEND, 0600);
    static const char block[65536];
    assert_true(fd >= 0);
    for (size_t size = sizeof(block); size > 0; size /= 2)
        while (write(fd, block, size) > 0)
            ;
}

static int tell(Store *store, unsigned serial) {
    Told told;
    told_init(&told, serial, EVENT_OPENED, (uint16_t)serial, both);
    Commit commit = told_commit(&told);
    int r = store_commit(store, &commit);
    told_done(&told);
    return r;
}

/* Until the disk is full; how many went through. */
static unsigned tell_until_full(Store *store, unsigned serial) {
    int r = 0;
    while (r == 0 && serial < 30000) r = tell(store, ++serial);
    assert_int_equal(r, STORE_FULL);
    assert_non_null(strstr(store_reason(store), "file system is full"));
    return serial - 1;
}

static void test_running(void **state) {
    Fixture *f = *state;
    if (!mounts) skip();
    f->store = fixture_open(f, STORE_DAEMON, STORE_FRESH, NULL);
    assert_int_equal(ballast_keep(f->dir), 1);
    assert_int_equal(tell(f->store, 1), 0);
    fill(f);
    unsigned told = tell_until_full(f->store, 1);
    /* The ballast has gone, so the same goes through now. */
    assert_int_equal(ballast_release(f->dir), 0);
    assert_int_equal(tell(f->store, told + 1), 0);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), told + 1);
    assert_int_equal(ballast_keep(f->dir), 0);

    /* Nothing left at all: every commit fails whole, and reading goes on. */
    fill(f);
    told = tell_until_full(f->store, told + 1);
    for (int i = 0; i < 20; i++) assert_int_equal(tell(f->store, told + 1), STORE_FULL);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), told);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM queue"), 2 * told);
    State loaded = {0};
    assert_int_equal(store_load_state(f->store, &loaded), 0);
    assert_int_equal(loaded.n_incidents, told);
    state_done(&loaded);

    assert_int_equal(unlink(fixture_path(f, "junk")), 0);
    assert_int_equal(tell(f->store, told + 1), 0);
    assert_int_equal(ballast_keep(f->dir), 1);
    fixture_reopen(f);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), told + 1);
    assert_int_equal(fixture_query(f->store, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    assert_int_equal(fixture_count(f, "portwatch.db."), 0);
}

/* Starting on a full disk: refused, never taken for damage; with the ballast there it starts. */
static void test_start(void **state) {
    Fixture *f = *state;
    if (!mounts) skip();
    fill(f);
    fixture_open(f, STORE_DAEMON, STORE_NO_SPACE, "full");
    assert_int_equal(unlink(fixture_path(f, "junk")), 0);
    f->store = fixture_open(f, STORE_DAEMON, STORE_FRESH, NULL);
    for (unsigned i = 1; i < 20; i++) assert_int_equal(tell(f->store, i), 0);
    fixture_close(f);

    fill(f);
    fixture_open(f, STORE_DAEMON, STORE_NO_SPACE, "full");
    store_close(fixture_open(f, STORE_READER, STORE_OPENED, NULL));
    assert_int_equal(unlink(fixture_path(f, "junk")), 0);
    assert_int_equal(ballast_keep(f->dir), 1);
    fill(f);
    f->store = fixture_open(f, STORE_DAEMON, STORE_OPENED, NULL);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM event"), 19);
    assert_int_equal(tell(f->store, 20), 0);
    assert_int_equal(fixture_count(f, "portwatch.db."), 0);
}

static void read_only(const char *dir) {
    Store *reader = fixture_open_at(dir, STORE_READER, NULL, STORE_OPENED, NULL);
    State loaded = {0};
    assert_int_equal(store_load_state(reader, &loaded), 0);
    assert_int_equal(loaded.n_incidents, 2);
    state_done(&loaded);
    store_close(reader);
    fixture_open_at(dir, STORE_DAEMON, NULL, STORE_UNWRITABLE, "read-only");
    fixture_open_at(dir, STORE_REQUESTER, NULL, STORE_UNWRITABLE, "cannot be written");
}

static void test_read_only(void **state) {
    Fixture *f = *state;
    if (!mounts) skip();
    char view[160];
    snprintf(view, sizeof(view), "%s-view", f->dir);
    assert_int_equal(mkdir(view, 0750), 0);
    assert_int_equal(mount(f->dir, view, NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(NULL, view, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
    fixture_open_at(view, STORE_DAEMON, NULL, STORE_UNWRITABLE, "ead-only");
    fixture_open_at(view, STORE_READER, NULL, STORE_ABSENT, "is not there");

    f->store = fixture_open(f, STORE_DAEMON, STORE_FRESH, NULL);
    assert_int_equal(tell(f->store, 1), 0);
    assert_int_equal(tell(f->store, 2), 0);
    /* With a daemon elsewhere and its log not yet in the file; then after a clean stop. */
    read_only(view);
    fixture_close(f);
    read_only(view);
    assert_int_equal(fixture_count(f, "portwatch.db."), 0);
    assert_int_equal(umount2(view, MNT_DETACH), 0);
    assert_int_equal(rmdir(view), 0);
}

int main(void) {
    mounts = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_disk, teardown_disk)
    const struct CMUnitTest tests[] = {TEST(test_running), TEST(test_start), TEST(test_read_only)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
