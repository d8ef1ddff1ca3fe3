/* Real network namespaces: found, named, read, and let go. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kernel/namespaces.h"
#include "kernel/space-name.h"
#include "live.h"
#include "test.h"

static const KernelRoots roots = KERNEL_ROOTS_DEFAULT;
static TablesShared shared;
static Owners *owners;
static int64_t now;

static int setup(void **state) {
    (void)state;
    shared = (TablesShared){.roots = roots, .first = 32768, .last = 60999};
    now = 1;
    return owners_new(&roots, &(OwnersOptions){.resolve_all = true}, &owners);
}

static int teardown(void **state) {
    (void)state;
    owners = owners_free(owners);
    return 0;
}

static uint64_t inode_of(pid_t pid) {
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/proc/%d/ns/net", (int)pid);
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

static void listen_elsewhere(void) {
    if (unshare(CLONE_NEWNET) < 0) _exit(77);
    live_bind(PROTOCOL_TCP, "0.0.0.0", 8443, 0, NULL);
}

static Space *space_of(Namespaces *namespaces, uint64_t inode) {
    Space *space;
    for (size_t i = 0; (space = namespaces_get(namespaces, i)); i++)
        if (space->inode == inode) return space;
    return NULL;
}

static void update(Namespaces *namespaces) {
    now += 2000000;
    assert_int_equal(namespaces_update(namespaces, owners, now), 0);
}

/* Where very many processes are made at the same time it is found with all others in turn, not at once. */
static Space *found(Namespaces *namespaces, pid_t pid) {
    uint64_t inode = inode_of(pid);
    for (int i = 0; i < 10000 && !space_of(namespaces, inode); i++) update(namespaces);
    return space_of(namespaces, inode);
}

static bool listens(Space *space, uint16_t port) {
    assert_int_equal(tables_take(&space->tables, now), 0);
    assert_int_equal(tables_remember(&space->tables, now), 0);
    for (size_t i = 0; i < space->tables.rows.n; i++)
        if (space->tables.rows.items[i].port == port) return true;
    return false;
}

static Namespaces *open_namespaces(const char *names, bool enter) {
    Namespaces *namespaces = NULL;
    assert_int_equal(namespaces_new(&shared, &(NamespacesOptions){.names = names, .enter = enter}, &namespaces), 0);
    return namespaces;
}

/* Found at once if it was there before, soon if it came later, and read in either case; the caller's own namespace is
 * the same before and after. */
static void test_found(void **state) {
    (void)state;
    uint64_t home = inode_of(getpid());
    pid_t early = live_child(listen_elsewhere, NULL);
    _cleanup_(namespaces_freep) Namespaces *namespaces = open_namespaces("/nowhere", true);
    update(namespaces);
    assert_true(namespaces_found(namespaces));
    Space *space = space_of(namespaces, inode_of(early));
    assert_non_null(space);
    assert_true(space->open);
    assert_true(listens(space, 8443));
    assert_null(space_of(namespaces, home));
    pid_t late = live_child(listen_elsewhere, NULL);
    space = found(namespaces, late);
    assert_non_null(space);
    assert_true(space->open && listens(space, 8443));
    assert_int_equal(strncmp(space->name, "program:/", 9), 0);
    assert_int_equal(inode_of(getpid()), home);
    live_kill(early);
    live_kill(late);
}

static int moved[2];

static void move_later(void) {
}

static void move_now(void) {
    char c;
    if (read(moved[0], &c, 1) == 1) listen_elsewhere();
}

/* A process that moves after it was first looked at. */
static void test_moved(void **state) {
    (void)state;
    assert_int_equal(pipe(moved), 0);
    _cleanup_(namespaces_freep) Namespaces *namespaces = open_namespaces("/nowhere", true);
    update(namespaces);
    pid_t child = live_child(move_later, move_now);
    update(namespaces);
    uint64_t home = inode_of(getpid());
    assert_int_equal(inode_of(child), home);
    assert_int_equal(write(moved[1], "x", 1), 1);
    for (int i = 0; i < 3000 && inode_of(child) == home; i++) usleep(10000);
    assert_int_not_equal(inode_of(child), home);
    assert_non_null(found(namespaces, child));
    live_kill(child);
    close(moved[0]);
    close(moved[1]);
}

/* Our own socket must not keep it alive: the kernel gives an inode's number out again only once it is gone. */
static void test_let_go(void **state) {
    (void)state;
    _cleanup_(namespaces_freep) Namespaces *namespaces = open_namespaces("/nowhere", true);
    pid_t child = live_child(listen_elsewhere, NULL);
    update(namespaces);
    uint64_t inode = inode_of(child);
    Space *space = space_of(namespaces, inode);
    assert_non_null(space);
    assert_true(listens(space, 8443));
    live_kill(child);
    update(namespaces);
    space = space_of(namespaces, inode);
    if (space) assert_false(listens(space, 8443));
    /* Two turns through all processes at the most. */
    for (int i = 0; i < 10000 && space_of(namespaces, inode); i++) update(namespaces);
    assert_null(space_of(namespaces, inode));
}

/* Not where somebody else's namespace has its number by now. */
static bool is_lost(Namespaces *namespaces, uint64_t inode) {
    const Space *space = space_of(namespaces, inode);
    return space && space->lost > 0;
}

/* Without entering they are counted only. */
static void test_counted(void **state) {
    (void)state;
    pid_t child = live_child(listen_elsewhere, NULL);
    _cleanup_(namespaces_freep) Namespaces *namespaces = open_namespaces("/nowhere", false);
    update(namespaces);
    Space *space = space_of(namespaces, inode_of(child));
    assert_non_null(space);
    assert_false(space->open);
    assert_null(namespaces_trouble(namespaces));
    uint64_t inode = inode_of(child);
    live_kill(child);
    /* Seen to be lost, it is let go as soon as all processes were looked at, not with one look in ten seconds. */
    now += 20000000;
    update(namespaces);
    for (int i = 0; i < 10000 && is_lost(namespaces, inode); i++, now++)
        assert_int_equal(namespaces_update(namespaces, owners, now), 0);
    assert_false(is_lost(namespaces, inode));
}

/* As ip-netns(8) makes them: a file, with the namespace mounted on it. */
static void test_named(void **state) {
    (void)state;
    char directory[] = "/tmp/portwatch-names-XXXXXX", file[64], from[64];
    assert_non_null(mkdtemp(directory));
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    pid_t child = live_child(listen_elsewhere, NULL);
    uint64_t inode = inode_of(child);
    snprintf(file, sizeof file, "%s/bl ue\n", directory);
    snprintf(from, sizeof from, "/proc/%d/ns/net", (int)child);
    _cleanup_(namespaces_freep) Namespaces *namespaces = open_namespaces(directory, true);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(mount(from, file, NULL, MS_BIND, NULL), 0);
    live_kill(child);
    update(namespaces);
    Space *space = space_of(namespaces, inode);
    assert_non_null(space);
    assert_string_equal(space->name, "netns:bl ue\n");
    assert_true(space->open);
    assert_false(listens(space, 8443));
    for (int i = 0; i < 50; i++) update(namespaces);
    assert_non_null(space_of(namespaces, inode));
    assert_int_equal(umount2(file, MNT_DETACH), 0);
    assert_int_equal(unlink(file), 0);
    for (int i = 0; i < 10000 && space_of(namespaces, inode); i++) update(namespaces);
    assert_null(space_of(namespaces, inode));
    rmdir(directory);
}

static void expect_name(const Owner *owner, const char *file, const char *expected) {
    char name[NAMESPACE_MAX] = "";
    assert_int_equal(space_name_of(owner, file, name), *expected != '\0');
    assert_string_equal(name, expected);
}

static void test_names(void **state) {
    (void)state;
    static const char made_up[] = "cni-5d1b3a70-6d6f-4c1c-9d45-7d0b8a6f0c11";
    Owner owner = {.unit = (char *)"web.service", .exe = (char *)"/usr/bin/web"};
    expect_name(&owner, NULL, "unit:web.service");
    expect_name(&owner, "blue", "netns:blue");
    expect_name(&owner, made_up, "unit:web.service");
    owner.unit = (char *)"session.scope";
    expect_name(&owner, NULL, "program:/usr/bin/web");
    owner.unit = (char *)"user@1000.service";
    expect_name(&owner, NULL, "program:/usr/bin/web");
    expect_name(NULL, "blue", "netns:blue");
    expect_name(NULL, made_up, "netns:cni-5d1b3a70-6d6f-4c1c-9d45-7d0b8a6f0c11");
    expect_name(NULL, NULL, "");
    owner.container = (char *)"docker container web";
    owner.container_id = (char *)"0123456789abcdef0123";
    expect_name(&owner, "blue", "docker:web");
    owner.container = (char *)"docker container";
    expect_name(&owner, NULL, "docker:0123456789ab");
    owner.container = (char *)"systemd machine mail";
    expect_name(&owner, NULL, "machine:mail");
    /* A user's own container is not root's of that name, nor his service root's. */
    owner = (Owner){.unit = (char *)"web.service", .exe = (char *)"/usr/bin/web", .user_unit = true};
    expect_name(&owner, NULL, "program:/usr/bin/web");
    owner.container = (char *)"podman container web";
    owner.slice = (char *)"user-1000.slice";
    expect_name(&owner, NULL, "podman:web@1000");
    /* Long ones that begin alike stay two. */
    char a[400], b[400], one[NAMESPACE_MAX], two[NAMESPACE_MAX];
    memset(a, 'a', sizeof a);
    memset(b, 'a', sizeof b);
    b[399] = 'b';
    namespace_name("docker", a, sizeof a, one);
    namespace_name("docker", b, sizeof b, two);
    assert_int_equal(strlen(one), NAMESPACE_MAX - 1);
    assert_int_not_equal(strcmp(one, two), 0);
}

int main(void) {
    live_enter();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_found, setup, teardown),
        cmocka_unit_test_setup_teardown(test_moved, setup, teardown),
        cmocka_unit_test_setup_teardown(test_let_go, setup, teardown),
        cmocka_unit_test_setup_teardown(test_counted, setup, teardown),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup_teardown(test_named, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
