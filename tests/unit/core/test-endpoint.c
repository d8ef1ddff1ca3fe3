#include "sim.h"

static Address address(const char *text) {
    Address a = {0};
    assert_true(address_parse(text, &a));
    return a;
}

static void test_address(void **state) {
    static const struct {
        const char *text;
        bool any, loopback, link_local;
    } cases[] = {
        {"0.0.0.0", true, false, false},
        {"::", true, false, false},
        {"127.0.0.1", false, true, false},
        {"127.255.1.2", false, true, false},
        {"::1", false, true, false},
        {"::ffff:127.0.0.1", false, true, false},
        {"128.0.0.1", false, false, false},
        {"::2", false, false, false},
        {"169.254.3.4", false, false, true},
        {"169.253.3.4", false, false, false},
        {"fe80::1", false, false, true},
        {"febf::1", false, false, true},
        {"fec0::1", false, false, false},
        {"10.0.0.1", false, false, false},
        {"::127.0.0.1", false, false, false},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Address a = address(cases[i].text);
        char buffer[INET6_ADDRSTRLEN];
        assert_string_equal(address_format(&a, buffer), cases[i].text);
        assert_int_equal(address_is_any(&a), cases[i].any);
        assert_int_equal(address_is_loopback(&a), cases[i].loopback);
        assert_int_equal(address_is_link_local(&a), cases[i].link_local);
    }
    static const char *const bad[] = {"", "1.2.3", "[::1]", "::1%lo", "localhost", "1.2.3.4.5", "::g", "0.0.0.0:80"};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        Address kept = address("10.0.0.1"), a = kept;
        assert_false(address_parse(bad[i], &a));
        assert_int_equal(address_compare(&a, &kept), 0);
    }
    Address v4 = address("0.0.0.0"), v6 = address("::"), ten = address("10.0.0.1");
    assert_true(address_compare(&v4, &v6) < 0);
    assert_true(address_compare(&v4, &ten) < 0);
    assert_true(address_compare(&v6, &ten) > 0);
}

static void test_protocol(void **state) {
    for (Protocol p = 0; p < PROTOCOL_MAX; p++) {
        Protocol parsed;
        assert_true(protocol_parse(protocol_name(p), &parsed));
        assert_int_equal(parsed, p);
    }
    Protocol p;
    assert_false(protocol_parse("TCP", &p));
    assert_false(protocol_parse("sctp", &p));
}

static Owner owner(const char *exe, const char *unit, uid_t uid) {
    return (Owner){.references = 1, .exe = (char *)exe, .unit = (char *)unit, .uid = uid};
}

static void expect_same(Owner a, Owner b, bool same) {
    assert_int_equal(owner_same(&a, &b), same);
    assert_int_equal(owner_same(&b, &a), same);
    assert_int_equal(owner_compare(&a, &b), -owner_compare(&b, &a));
}

static void test_owner_same(void **state) {
    Owner a = owner("/usr/sbin/nginx", "nginx.service", 33);
    expect_same(a, a, true);
    expect_same(a, owner("/usr/sbin/nginx", "nginx.service", 34), false);
    expect_same(a, owner("/usr/sbin/evil", "nginx.service", 33), false);
    expect_same(a, owner("/usr/sbin/nginx", "other.service", 33), false);
    expect_same(a, owner(NULL, "nginx.service", 33), true);
    expect_same(a, owner("/usr/sbin/nginx", NULL, 33), true);
    expect_same(a, owner("/usr/sbin/nginx", "nginx.service", UID_UNKNOWN), true);
    expect_same(a, owner(NULL, NULL, UID_UNKNOWN), true);
    expect_same(a, owner("/usr/sbin/evil", NULL, UID_UNKNOWN), false);
    /* A unit alone never makes two owners equal where more is known to differ. */
    expect_same(a, owner(NULL, "nginx.service", 1000), false);
    /* A restart is not a new owner. */
    Owner restarted = a;
    restarted.pid = 99;
    restarted.cmdline = (char *)"other";
    restarted.started = 7;
    expect_same(a, restarted, true);
    Owner less = owner("/usr/sbin/nginx", NULL, 33);
    assert_true(owner_knows_more(&less, &a));
    assert_false(owner_knows_more(&a, &less));
    assert_int_equal(owner_compare(&a, &a), 0);
    assert_true(owner_compare(&less, &a) < 0);
}

static void test_containers(void **state) {
    Owner web = owner("/usr/sbin/nginx", "docker container web", 0), kind = owner("/usr/sbin/nginx", "docker container", 0);
    Owner web2 = owner("/usr/sbin/nginx", "docker container web2", 0);
    expect_same(web, web2, false);
    expect_same(web, owner("/usr/sbin/nginx", "podman container web", 0), false);
    expect_same(web, owner("/usr/sbin/nginx", "podman container", 0), false);
    expect_same(web, owner("/usr/sbin/nginx", "docker.service", 0), false);
    expect_same(owner("/x", "docker", 0), owner("/x", "docker container", 0), false); /* no kind: one word */
    /* A name that is not known differs from none, and is worth learning. */
    expect_same(kind, web, true);
    expect_same(kind, web2, true);
    assert_true(owner_knows_more(&kind, &web));
    assert_false(owner_knows_more(&web, &kind));
    assert_false(owner_knows_more(&web, &web2));
}

static void test_container_units(void **state) {
    static const char *const good[] = {"docker container", "docker container web", "systemd machine deb-12",
        "kubernetes container default/nginx", "virtual machine x"};
    static const char *const bad[] = {"", " ", "container", "docker", "docker containers", "docker container ",
        "docker container a b", "docker  container", "Docker container", "nginx.service", "a machinery"};
    for (size_t i = 0; i < ELEMENTSOF(good); i++) assert_true(owner_unit_is_container(good[i]));
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) assert_false(owner_unit_is_container(bad[i]));
    assert_true(owner_unit_is("docker container", "docker container web"));
    assert_true(owner_unit_is("docker container web", "docker container web"));
    assert_false(owner_unit_is("docker container web", "docker container"));
    assert_false(owner_unit_is("docker container", "docker containers"));
    assert_false(owner_unit_is("docker container", NULL));
    assert_false(owner_unit_is("nginx.service", "nginx.service x"));
}

static void test_unit_kind(void **state) {
    static const struct {
        const char *unit, *kind;
    } cases[] = {
        {"session-3.scope", "session.scope"},
        {"session-c12.scope", "session.scope"},
        {"session-c.scope", "session-c.scope"},
        {"session-.scope", "session-.scope"},
        {"session-web.scope", "session-web.scope"},
        {"run-u41.service", "run.service"},
        {"run-r0123456789abcdef0123456789abcdef.scope", "run.scope"},
        {"run-1234.service", "run.service"},
        {"run-p1234-i99.service", "run.service"},
        {"run-backup.service", "run-backup.service"},
        {"run-u.service", "run-u.service"},
        {"nginx.service", "nginx.service"},
        {"docker-registry.service", "docker-registry.service"},
        {"", ""},
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_free_ char *kind = owner_unit_kind(cases[i].unit);
        assert_string_equal(kind, cases[i].kind);
    }
}

static void expect_row(const Endpoints *list, size_t i, const char *where, unsigned count, size_t owners) {
    char buffer[INET6_ADDRSTRLEN];
    assert_string_equal(address_format(&list->items[i].address, buffer), where);
    assert_int_equal(list->items[i].count, count);
    assert_int_equal(list->items[i].n_owners, owners);
}

static void test_sort_folds(void **state) {
    Snapshot s;
    snapshot_parse(
        "tcp [::]:80 v6only @a; udp 0.0.0.0:53; tcp 0.0.0.0:80 @b; tcp 0.0.0.0:80 @a count=2; tcp [::]:80 @a;"
        "tcp 0.0.0.0:80 @b dev=eth0; tcp 0.0.0.0:22",
        &s);
    assert_int_equal(s.endpoints.n, 5);
    assert_int_equal(s.endpoints.items[0].port, 22);
    expect_row(&s.endpoints, 1, "0.0.0.0", 3, 2);
    expect_row(&s.endpoints, 2, "0.0.0.0", 1, 1);
    assert_string_equal(s.endpoints.items[2].device, "eth0");
    expect_row(&s.endpoints, 3, "::", 2, 1);
    assert_false(s.endpoints.items[3].v6only); /* one of the two serves IPv4 */
    assert_int_equal(s.endpoints.items[4].protocol, PROTOCOL_UDP);
    assert_ptr_equal(endpoints_find(&s.endpoints, &s.endpoints.items[3]), &s.endpoints.items[3]);
    Endpoint absent = {.port = 23};
    assert_null(endpoints_find(&s.endpoints, &absent));
    assert_null(endpoints_find(&(Endpoints){0}, &absent));

    Endpoints copy;
    assert_int_equal(endpoints_copy(&s.endpoints, &copy), 0);
    snapshot_done(&s);
    assert_int_equal(copy.n, 5);
    assert_string_equal(copy.items[1].owners[0]->exe, "/usr/bin/a");
    endpoints_done(&copy);
    endpoints_done(&copy); /* half-built and done twice */
}

static void test_snapshot(void **state) {
    Snapshot s;
    snapshot_parse("tcp 0.0.0.0:80; incomplete udp", &s);
    assert_true(snapshot_decides(&s, "", PROTOCOL_TCP));
    assert_false(snapshot_decides(&s, "", PROTOCOL_UDP));
    assert_true(snapshot_decides(&s, "", PROTOCOL_UDPLITE));
    assert_false(snapshot_complete(&s));
    for (Table t = 0; t < TABLE_MAX; t++) s.tables[t] = TABLE_COMPLETE;
    /* A kernel without udplite is coverage, not incompleteness. */
    s.tables[TABLE_UDPLITE4] = s.tables[TABLE_UDPLITE6] = TABLE_ABSENT;
    assert_true(snapshot_complete(&s));
    assert_true(snapshot_decides(&s, "", PROTOCOL_UDPLITE));
    s.tables[TABLE_TCP6] = TABLE_INCOMPLETE;
    assert_false(snapshot_decides(&s, "", PROTOCOL_TCP));
    snapshot_done(&s);
}

static void test_surface_names(void **state) {
    char buffer[SURFACE_TEXT_MAX];
    Surface web = {PROTOCOL_TCP, 443, false}, pool = {PROTOCOL_TCP, 0, false}, local = {PROTOCOL_TCP, 0, true};
    assert_string_equal(surface_format(&web, buffer), "443/tcp");
    assert_string_equal(surface_subject(&web, buffer), "tcp/443");
    assert_string_equal(surface_format(&pool, buffer), "tcp/ephemeral");
    assert_string_equal(surface_subject(&local, buffer), "tcp/ephemeral-local");
    assert_true(surface_compare(&pool, &local) < 0 && surface_compare(&local, &web) < 0);
    for (Change c = 0; c < CHANGE_MAX; c++) {
        Change parsed;
        assert_true(change_parse(change_name(c), &parsed));
        assert_int_equal(parsed, c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address),
        cmocka_unit_test(test_protocol),
        cmocka_unit_test(test_owner_same),
        cmocka_unit_test(test_containers),
        cmocka_unit_test(test_container_units),
        cmocka_unit_test(test_unit_kind),
        cmocka_unit_test(test_sort_folds),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_surface_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
