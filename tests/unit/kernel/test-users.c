/* Names of users where NSS answers late, or never. Linked with --wrap=getpwuid_r. */
#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/text.h"
#include "kernel/owners.h"
#include "kernel/users.h"
#include "test.h"
#include "tree.h"

/* NSS answers while the gate is open. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool is_open = true;
static unsigned asked, answered;

int __wrap_getpwuid_r(uid_t uid, struct passwd *entry, char *buffer, size_t size, struct passwd **ret);

int __wrap_getpwuid_r(uid_t uid, struct passwd *entry, char *buffer, size_t size, struct passwd **ret) {
    pthread_mutex_lock(&gate);
    asked++;
    while (!is_open) pthread_cond_wait(&moved, &gate);
    answered++;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&gate);
    *ret = NULL;
    if (uid == 4242) return 0;
    if (size < 8192) return ERANGE;
    snprintf(buffer, size, "ldap%u", (unsigned)uid);
    *entry = (struct passwd){.pw_name = buffer, .pw_uid = uid};
    *ret = entry;
    return 0;
}

static void set_open(bool value) {
    pthread_mutex_lock(&gate);
    is_open = value;
    pthread_cond_broadcast(&moved);
    pthread_mutex_unlock(&gate);
}

static Tree tree;
static char passwd[128];
static Users *users;

static int set_up(void **state) {
    (void)state;
    tree_make(&tree);
    tree_write(&tree, "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\n# no entry\nbroken\nwww-data:x:33:33::/:/bin/sh\n:x:34:34::/:/bin/sh\n");
    snprintf(passwd, sizeof(passwd), "%s/etc/passwd", tree.path);
    is_open = true;
    asked = answered = 0;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    users = users_free(users);
    set_open(true);
    /* The threads end before the next test counts. */
    pthread_mutex_lock(&gate);
    while (answered < asked) pthread_cond_wait(&moved, &gate);
    pthread_mutex_unlock(&gate);
    tree_remove(&tree);
    return 0;
}

static const char *name_of(uid_t uid) {
    const char *name = NULL;
    assert_int_equal(users_name(users, uid, &name), 0);
    return name;
}

static const char *name_soon(uid_t uid) {
    for (unsigned i = 0; i < 6000; i++) {
        const char *name = name_of(uid);
        if (name) return name;
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    }
    return NULL;
}

static void test_file_first(void **state) {
    (void)state;
    assert_int_equal(users_new(passwd, 0, &users), 0);
    set_open(false);
    assert_string_equal(name_of(0), "root");
    assert_string_equal(name_of(33), "www-data");
    assert_int_equal(asked, 0);
    /* The file changes: another size, or another file. */
    tree_write(&tree, "etc/passwd", "root:x:0:0:root:/root:/bin/sh\nwebmaster:x:33:33::/:/bin/sh\n");
    assert_string_equal(name_of(33), "webmaster");
}

static void test_others_by_nss(void **state) {
    (void)state;
    assert_int_equal(users_new(passwd, 60 * USEC_PER_SEC, &users), 0);
    assert_string_equal(name_of(10001), "ldap10001"); /* it may wait, and NSS answers */
    assert_string_equal(name_of(4242), "4242");       /* nobody knows him */
    unsigned before = asked;
    assert_string_equal(name_of(10001), "ldap10001");
    assert_string_equal(name_of(4242), "4242");
    assert_int_equal(asked, before);
}

static void test_nss_hangs(void **state) {
    (void)state;
    assert_int_equal(users_new(passwd, 1000, &users), 0);
    set_open(false);
    for (unsigned i = 0; i < 1000; i++) {
        assert_null(name_of(10001 + i));
        assert_string_equal(name_of(33), "www-data"); /* nobody else waits */
    }
    pthread_mutex_lock(&gate);
    assert_true(asked <= 1); /* not a thousand threads */
    pthread_mutex_unlock(&gate);
    set_open(true);
    assert_string_equal(name_soon(10001), "ldap10001");
    assert_string_equal(name_soon(10002), "ldap10002");
}

static void test_given_up(void **state) {
    (void)state;
    assert_int_equal(users_new(passwd, 0, &users), 0);
    set_open(false);
    assert_null(name_of(10001));
    users = users_free(users); /* does not wait; the thread frees what it has when it comes to its end */
}

/* A tick is not held, the owner is there without its user's name and says that more may come; then it comes. */
static void test_owner(void **state) {
    (void)state;
    const KernelRoots roots = {.proc = tree.proc, .cgroup = tree.cgroup, .files = tree.path};
    SockRow row = {.cookie = 7, .inode = 4711, .port = 80, .table = TABLE_TCP4, .address.family = AF_INET};
    SockRows rows = {.items = &row, .n = 1, .allocated = 1};
    tree_process(&tree, 50, 1, 100, "d", "/usr/sbin/d", 10001, "/");
    tree_socket(&tree, 50, 5, 4711);
    OwnersOptions options = {.udp_settle = 0};
    Owners *owners = NULL;
    assert_int_equal(owners_new(&roots, &options, &owners), 0);
    set_open(false);
    int64_t now = 1000 * USEC_PER_SEC;
    assert_int_equal(owners_update(owners, &rows, now, 32768, 60999), 0);
    const Owner *o = owners_of(owners, &row);
    assert_non_null(o);
    assert_int_equal(o->uid, 10001);
    assert_null(o->user);
    assert_true(owners_pending(owners, &row));
    /* Not for ever. */
    assert_int_equal(owners_update(owners, &rows, now + 5 * USEC_PER_SEC, 32768, 60999), 0);
    assert_null(o->user);
    assert_false(owners_pending(owners, &row));
    set_open(true);
    for (unsigned i = 0; i < 6000 && !o->user; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
        assert_int_equal(owners_update(owners, &rows, now + 6 * USEC_PER_SEC, 32768, 60999), 0);
    }
    assert_string_equal(o->user, "ldap10001");
    assert_ptr_equal(o, owners_of(owners, &row));
    owners_free(owners);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_file_first),
        TEST(test_others_by_nss),
        TEST(test_nss_hangs),
        TEST(test_given_up),
        TEST(test_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
