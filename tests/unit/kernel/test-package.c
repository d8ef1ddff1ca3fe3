/* Packages out of dpkg's lists, as dpkg 1.21 writes them. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/package.h"
#include "test.h"
#include "tree.h"

static Tree tree;
static Packages *packages;

static int set_up(void **state) {
    (void)state;
    tree_make(&tree);
    tree_write(&tree, "var/lib/dpkg/status", "Package: x\n");
    tree_write(&tree, "var/lib/dpkg/info/nginx.list", "/.\n/usr\n/usr/sbin\n/usr/sbin/nginx\n/usr/share/both\n");
    tree_write(&tree, "var/lib/dpkg/info/libx:amd64.list", "/.\n/usr/lib/x/helper\n/usr/share/both\n");
    tree_write(&tree, "var/lib/dpkg/info/iproute2.list", "/.\n/bin\n/bin/ss\n/sbin/ip");
    tree_write(&tree, "var/lib/dpkg/info/nginx.md5sums", "/usr/sbin/not-a-list\n");
    tree_write(&tree, "var/lib/dpkg/info/Bad name.list", "/usr/sbin/bad\n");
    tree_write(&tree, "var/lib/dpkg/info/dash.list", "/bin/sh\n");
    tree_write(&tree, "var/lib/dpkg/diversions", "/bin/sh\n/bin/sh.distrib\nlocal\n");
    assert_int_equal(packages_new(tree.path, &packages), 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    packages = packages_free(packages);
    tree_remove(&tree);
    return 0;
}

static void merge_usr(const char *name) {
    char path[128], target[64];
    snprintf(path, sizeof(path), "%s/%s", tree.path, name);
    snprintf(target, sizeof(target), "usr/%s", name);
    assert_int_equal(symlink(target, path), 0);
}

/* The package of one program as a socket's owner. */
static const char *package_of(const char *exe, bool host) {
    static char text[64];
    Owner *owner = owner_new();
    owner->exe = strdup(exe);
    owner->exe_host = host;
    Endpoint endpoint = {.owners = &owner, .n_owners = 1};
    Endpoints list = {.items = &endpoint, .n = 1};
    assert_int_equal(packages_fill(packages, &list), 0);
    snprintf(text, sizeof(text), "%s", owner->package ? owner->package : "-");
    owner_unref(owner);
    return text;
}

static void test_lists(void **state) {
    (void)state;
    assert_string_equal(package_of("/usr/sbin/nginx", true), "nginx");
    assert_string_equal(package_of("/usr/lib/x/helper", true), "libx");
    assert_string_equal(package_of("/usr/sbin", true), "nginx");
    assert_string_equal(package_of("/usr/sbin/ngin", true), "-");
    assert_string_equal(package_of("/usr/sbin/nginx ", true), "-");
    assert_string_equal(package_of("/usr/sbin/not-a-list", true), "-");
    assert_string_equal(package_of("/usr/sbin/bad", true), "-");
    assert_string_equal(package_of("/usr/share/both", true), "-"); /* of two: of none */
    assert_string_equal(package_of("/bin/sh", true), "-");         /* diverted */
    /* A container's /usr/sbin/nginx is not the host's. */
    assert_string_equal(package_of("/usr/sbin/nginx", false), "-");
    assert_string_equal(package_of("[kernel]", true), "-");
}

static void test_merged_usr(void **state) {
    (void)state;
    /* Where /bin is a directory of its own, /usr/bin/ss is another file. */
    assert_string_equal(package_of("/usr/bin/ss", true), "-");
    packages = packages_free(packages);
    assert_int_equal(packages_new(tree.path, &packages), 0);
    merge_usr("bin");
    merge_usr("sbin");
    assert_string_equal(package_of("/usr/bin/ss", true), "iproute2");
    assert_string_equal(package_of("/usr/sbin/ip", true), "iproute2"); /* the last line has no end */
    assert_string_equal(package_of("/bin/ss", true), "iproute2");
    assert_string_equal(package_of("/usr/bin/sh", true), "-");
}

static void test_kept_until_dpkg_changes(void **state) {
    (void)state;
    assert_string_equal(package_of("/opt/new", true), "-");
    tree_write(&tree, "var/lib/dpkg/info/new.list", "/opt/new\n");
    assert_string_equal(package_of("/opt/new", true), "-"); /* not looked for again */
    tree_write(&tree, "var/lib/dpkg/status", "Package: x\nPackage: new\n");
    assert_string_equal(package_of("/opt/new", true), "new");
}

static void test_many(void **state) {
    (void)state;
    static Endpoint endpoints[1500];
    static Owner *owners[1500];
    for (unsigned i = 0; i < 1500; i++) {
        owners[i] = owner_new();
        owners[i]->exe = malloc(32);
        snprintf(owners[i]->exe, 32, i % 10 ? "/opt/p%u" : "/usr/sbin/nginx", i);
        owners[i]->exe_host = true;
        endpoints[i] = (Endpoint){.owners = &owners[i], .n_owners = 1};
    }
    Endpoints list = {.items = endpoints, .n = 1500};
    for (unsigned k = 0; k < 8; k++) assert_int_equal(packages_fill(packages, &list), 0);
    assert_string_equal(owners[0]->package, "nginx");
    assert_string_equal(owners[1490]->package, "nginx");
    assert_null(owners[1]->package);
    for (unsigned i = 0; i < 1500; i++) owner_unref(owners[i]);
}

static void test_no_dpkg(void **state) {
    (void)state;
    packages = packages_free(packages);
    assert_int_equal(packages_new("/nonexistent", &packages), 0);
    assert_string_equal(package_of("/usr/sbin/nginx", true), "-");
    packages = packages_free(packages);
    assert_int_equal(packages_new(NULL, &packages), 0);
    assert_string_equal(package_of("/usr/sbin/nginx", true), "-");
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_lists),
        TEST(test_merged_usr),
        TEST(test_kept_until_dpkg_changes),
        TEST(test_many),
        TEST(test_no_dpkg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
