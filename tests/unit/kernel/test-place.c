/* Cgroup paths as systemd, Docker, Podman, containerd, CRI-O, LXC and machined make them, and as people make them who
 * want to be taken for others; names of containers out of the engines' files. */
#include <string.h>

#include "core/endpoint.h"
#include "kernel/container.h"
#include "kernel/json.h"
#include "test.h"
#include "tree.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define POD "kubepods-burstable-pod4f1c2a3b_0000_4d3e_9f11_9b5f1c0aa001"

static void assert_text(const char *found, const char *wanted) {
    if (found && wanted)
        assert_string_equal(found, wanted);
    else
        assert_true(found == wanted);
}

static void test_units(void **state) {
    (void)state;
    static const struct {
        const char *text, *unit, *slice;
        bool user_unit;
    } cases[] = {
        {"0::/system.slice/nginx.service\n", "nginx.service", "system.slice"},
        {"0::/system.slice/nginx.service", "nginx.service", "system.slice"},
        {"0::/system.slice/nginx.service (deleted)\n", "nginx.service", "system.slice"},
        {"0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope", "user-1000.slice"},
        {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service/inner\n", "x.service", "user-1000.slice",
            true},
        {"0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", "init.scope", "user-1000.slice", true},
        {"0::/user.slice/user-1000.slice/user@1000.service\n", "user@1000.service", "user-1000.slice"},
        /* Delegated: whoever has the service may name what is below it as he likes. */
        {"0::/system.slice/mine.service/nginx.service\n", "mine.service", "system.slice"},
        {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service/ssh.service\n", "x.service",
            "user-1000.slice", true},
        {"0::/system.slice/_cgroup.x.service\n", "cgroup.x.service", "system.slice"},
        {"0::/system.slice/dev-disk\\x2dby.service\n", "dev-disk\\x2dby.service", "system.slice"},
        {"0::/system.slice/system-postgresql.slice/postgresql@15-main.service\n", "postgresql@15-main.service",
            "system-postgresql.slice"},
        {"0::/init.scope\n", "init.scope", NULL},
        {"0::/\n", NULL, NULL},
        {"0::/system.slice\n", NULL, "system.slice"},
        {"0::/.service\n", NULL, NULL},
        {"12:cpu:/a.service\n1:name=systemd:/system.slice/ssh.service\n0::/\n", "ssh.service", "system.slice"},
        {"1:name=systemd:/system.slice/ssh.service\n0::/system.slice/new.service\n", "new.service", "system.slice"},
        {"1:name=systemd:/init.scope\n", "init.scope", NULL},
        {"1:cpu,name=systemd:/x.service\n", NULL, NULL},
        {"", NULL, NULL},
        {"0::", NULL, NULL},
        {"::::\n\n:", NULL, NULL},
        /* Not containers, however they are called. */
        {"0::/system.slice/docker.service\n", "docker.service", "system.slice"},
        {"0::/system.slice/docker-registry.service\n", "docker-registry.service", "system.slice"},
        {"0::/system.slice/docker-0123.scope\n", "docker-0123.scope", "system.slice"},
        {"0::/system.slice/crio-not-hex-at-all-no.scope\n", "crio-not-hex-at-all-no.scope", "system.slice"},
        {"0::/system.slice/machine-deb.scope\n", "machine-deb.scope", "system.slice"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(place_done) Place place = {0};
        assert_int_equal(place_parse(cases[i].text, strlen(cases[i].text), "", 0, &place), 0);
        assert_text(place.unit, cases[i].unit);
        assert_text(place.slice, cases[i].slice);
        assert_int_equal(place.user_unit, cases[i].user_unit);
        assert_int_equal(place.container, CONTAINER_NONE);
    }
}

static void test_containers(void **state) {
    (void)state;
    static const struct {
        const char *path;
        ContainerKind kind;
        const char *id, *name, *unit;
        bool user_unit;
    } cases[] = {
        {"/system.slice/docker-" HEX ".scope", CONTAINER_DOCKER, HEX},
        {"/system.slice/docker-" HEX ".scope/system.slice/nginx.service", CONTAINER_DOCKER, HEX},
        {"/docker/" HEX, CONTAINER_DOCKER, HEX},
        {"/docker/" HEX "/init.scope", CONTAINER_DOCKER, HEX},
        {"/machine.slice/libpod-" HEX ".scope/container", CONTAINER_PODMAN, HEX},
        {"/machine.slice/libpod-conmon-" HEX ".scope", CONTAINER_PODMAN, HEX},
        {"/libpod_parent/libpod-" HEX, CONTAINER_PODMAN, HEX},
        {"/system.slice/web.service/libpod-payload-" HEX, CONTAINER_PODMAN, HEX, NULL, "web.service"},
        {"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" HEX ".scope/container", CONTAINER_PODMAN,
            HEX, NULL, NULL, true},
        {"/user.slice/user-1000.slice/user@1000.service/app.slice/web.service/libpod-payload-" HEX, CONTAINER_PODMAN,
            HEX, NULL, "web.service", true},
        {"/kubepods.slice/kubepods-burstable.slice/" POD ".slice/cri-containerd-" HEX ".scope", CONTAINER_KUBERNETES,
            HEX},
        {"/kubepods.slice/kubepods-besteffort.slice/" POD ".slice/crio-" HEX ".scope/container", CONTAINER_KUBERNETES,
            HEX},
        {"/kubepods.slice/" POD ".slice/docker-" HEX ".scope", CONTAINER_KUBERNETES, HEX},
        {"/kubepods/burstable/pod4f1c2a3b/" HEX, CONTAINER_KUBERNETES, HEX},
        {"/system.slice/containerd.service/" POD ".slice:cri-containerd:" HEX, CONTAINER_KUBERNETES, HEX},
        {"/system.slice/nerdctl-" HEX ".scope", CONTAINER_CONTAINERD, HEX},
        {"/default/" HEX, CONTAINER_CONTAINERD, HEX},
        {"/lxc.payload.web-1/system.slice/nginx.service", CONTAINER_LXC, "web-1", "web-1"},
        {"/lxc.payload/web", CONTAINER_LXC, "web", "web"},
        {"/lxc/web/init.scope", CONTAINER_LXC, "web", "web"},
        {"/machine.slice/systemd-nspawn@deb\\x2d12.service/payload/system.slice/nginx.service", CONTAINER_NSPAWN,
            "deb-12", "deb-12", "systemd-nspawn@deb\\x2d12.service"},
        {"/machine.slice/machine-deb.scope/payload/init.scope", CONTAINER_MACHINE, "deb", "deb"},
        {"/machine.slice/machine-qemu\\x2d3\\x2dweb\\x2dfront.scope/libvirt/emulator", CONTAINER_VIRTUAL,
            "qemu-3-web-front", "web-front"},
        {"/machine.slice/machine-lxc\\x2d12\\x2dold.scope", CONTAINER_LXC, "lxc-12-old", "old"},
        /* Names that no output should have to bear. */
        {"/lxc.payload.web\x1b[2J", CONTAINER_LXC},
        {"/lxc.payload.a b", CONTAINER_LXC},
        {"/lxc/a\"<b>", CONTAINER_LXC},
        {"/machine.slice/machine-\\x0a.scope", CONTAINER_MACHINE},
        /* The outermost is what the machine knows of. */
        {"/docker/" HEX "/docker/" HEX "/lxc/x", CONTAINER_DOCKER, HEX},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(place_done) Place place = {0};
        assert_int_equal(place_of_path(cases[i].path, strlen(cases[i].path), &place), 0);
        assert_int_equal(place.container, cases[i].kind);
        assert_text(place.id, cases[i].id);
        assert_text(place.name, cases[i].name);
        assert_text(place.unit, cases[i].unit);
        assert_int_equal(place.user_unit, cases[i].user_unit);
        assert_true(owner_unit_is_container(container_kind(place.container)));
    }
}

/* What all paths begin with where this runs in a container that shows it says nothing of what runs there. */
static void test_inside(void **state) {
    (void)state;
    static const struct {
        const char *text, *init, *unit;
        ContainerKind kind;
    } cases[] = {
        {"0::/docker/" HEX "/system.slice/a.service\n", "0::/docker/" HEX "/init.scope\n", "a.service"},
        {"0::/docker/" HEX "\n", "0::/docker/" HEX "\n", NULL},
        {"0::/docker/" HEX "/docker/" HEX "\n", "0::/docker/" HEX "\n", NULL, CONTAINER_DOCKER},
        {"1:name=systemd:/machine.slice/systemd-nspawn@d.service/system.slice/a.service\n0::/\n",
            "1:name=systemd:/machine.slice/systemd-nspawn@d.service/init.scope\n0::/\n", "a.service"},
        {"0::/docker/" HEX "f/a.service\n", "0::/docker/" HEX "\n", "a.service"},
        {"0::/system.slice/a.service\n", "0::/init.scope\n", "a.service"},
        {"0::/system.slice/a.service\n", "0::/\n", "a.service"},
        {"0::/system.slice/a.service\n", "1:name=systemd:/system.slice\n", "a.service"},
        {"4:memory:/docker/" HEX "\n0::/\n", "4:memory:/\n0::/\n", NULL, CONTAINER_DOCKER},
        {"4:memory:/docker/" HEX "\n1:name=systemd:/system.slice/a.service\n", "", "a.service"},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(place_done) Place place = {0};
        assert_int_equal(
            place_parse(cases[i].text, strlen(cases[i].text), cases[i].init, strlen(cases[i].init), &place), 0);
        assert_text(place.unit, cases[i].unit);
        assert_int_equal(place.container, cases[i].kind);
    }
}

static void expect_name(const Tree *tree, const char *path, const char *wanted) {
    _cleanup_(place_done) Place place = {0};
    _cleanup_free_ char *name = NULL;
    assert_int_equal(place_of_path(path, strlen(path), &place), 0);
    assert_int_equal(container_name(tree->path, &place, &name), 0);
    assert_text(name, wanted);
}

static void test_names(void **state) {
    (void)state;
    static const char docker[] = "/system.slice/docker-" HEX ".scope", podman[] = "/machine.slice/libpod-" HEX ".scope";
    static const char kubernetes[] = "/kubepods.slice/" POD ".slice/cri-containerd-" HEX ".scope";
    static const char crio[] = "/kubepods.slice/" POD ".slice/crio-" HEX ".scope";
    Tree tree;
    tree_make(&tree);
    expect_name(&tree, docker, NULL);
    /* As Docker 20.10 writes it: a volume is named before the container is. */
    tree_write(&tree, "var/lib/docker/containers/" HEX "/config.v2.json",
        "{\"StreamConfig\":{},\"State\":{\"Running\":true,\"Pid\":812,\"Error\":\"a \\\"Name\\\":\\\"/no\\\"\"},"
        "\"MountPoints\":{\"/data\":{\"Name\":\"volume\",\"RW\":true}},\"ID\":\"" HEX "\",\"Name\":\"/web_1.a-b\","
        "\"Driver\":\"overlay2\"}");
    expect_name(&tree, docker, "web_1.a-b");
    expect_name(&tree, "/docker/" HEX "/inner", "web_1.a-b");
    /* Somebody's own cgroup of that name is not that container. */
    expect_name(&tree, "/user.slice/user-1000.slice/user@1000.service/docker-" HEX ".scope", NULL);
    tree_write(&tree, "var/lib/docker/containers/" HEX "/config.v2.json", "{\"Name\":\"/a\\u001b[2Jb\"}");
    expect_name(&tree, docker, NULL);
    tree_write(&tree, "var/lib/docker/containers/" HEX "/config.v2.json", "{\"Name\":\"/a b<i>\"}");
    expect_name(&tree, docker, NULL);
    tree_write(&tree, "var/lib/docker/containers/" HEX "/config.v2.json", "{\"Name\":");
    expect_name(&tree, docker, NULL);

    tree_write(&tree, "var/lib/containers/storage/overlay-containers/containers.json",
        "[{\"id\":\"ffff\",\"names\":[\"other\"],\"layer\":\"x\"},{\"id\":\"" HEX "\",\"names\":[\"db\",\"alias\"],"
        "\"image\":\"y\"}]");
    expect_name(&tree, podman, "db");
    expect_name(&tree, "/system.slice/web.service/libpod-payload-" HEX, "db");

    tree_write(&tree, "run/containerd/io.containerd.runtime.v2.task/k8s.io/" HEX "/config.json",
        "{\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"nginx\"]},\"hostname\":\"web-7d4b9c8-xk2p9\","
        "\"annotations\":{\"io.kubernetes.cri.container-name\":\"nginx\","
        "\"io.kubernetes.cri.sandbox-name\":\"web-7d4b9c8-xk2p9\","
        "\"io.kubernetes.cri.sandbox-namespace\":\"default\"}}");
    expect_name(&tree, kubernetes, "default/nginx");
    tree_write(&tree, "run/containers/storage/overlay-containers/" HEX "/userdata/config.json",
        "{\"annotations\":{\"io.kubernetes.container.name\":\"api\",\"io.kubernetes.pod.namespace\":\"prod\"}}");
    expect_name(&tree, crio, "default/nginx"); /* the first runtime that knows the id */
    tree_write(&tree, "run/containerd/io.containerd.runtime.v2.task/k8s.io/" HEX "/config.json", "{}");
    expect_name(&tree, crio, "prod/api");

    tree_write(&tree, "run/containerd/io.containerd.runtime.v2.task/default/" HEX "/config.json",
        "{\"annotations\":{\"nerdctl/name\":\"cache\"}}");
    expect_name(&tree, "/default/" HEX, "cache");
    expect_name(&tree, "/lxc.payload.web", "web");
    tree_remove(&tree);
}

static void test_json(void **state) {
    (void)state;
    char text[8];
    Json value, rest;
#define JSON(t) ((Json){(t), (t) + strlen(t)})
    assert_true(json_member(JSON(" { \"b\" : [1,{\"a\":\"no\"}] , \"a\" : \"yes\" } "), "a", &value));
    assert_true(json_text(value, text, sizeof(text)));
    assert_string_equal(text, "yes");
    assert_true(json_member(JSON("{\"a\":\"\"}"), "a", &value) && json_text(value, text, sizeof(text)));
    assert_string_equal(text, "");
    assert_true(json_member(JSON("{\"a\":-1.5e3}"), "a", &value));
    assert_false(json_text(value, text, sizeof(text)));
    assert_true(json_member(JSON("{\"a\":\"12345678\"}"), "a", &value));
    assert_false(json_text(value, text, sizeof(text))); /* too long */
    static const char *const bad[] = {"", "{", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"", "{\"a\":\"\\", "[]", "{}",
        "{\"b\":1}", "{\"b\":1,", "{\"b\":{\"a\":1}}", "{b:1}", "\"a\""};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_false(json_member(JSON(bad[i]), "a", &value) && json_text(value, text, sizeof(text)));
    const char *list = "[ \"x\" , [2] , {\"]\":1} ]";
    rest = JSON(list);
    unsigned n = 0;
    while (json_element(&rest, &value)) n++;
    assert_int_equal(n, 3);
    rest = JSON("[]");
    assert_false(json_element(&rest, &value));
#undef JSON
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_inside),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
