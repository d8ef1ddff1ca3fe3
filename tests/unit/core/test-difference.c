/* What differs, without time: difference_make and surface_of. */
#include "sim.h"

static Rows borrow(const Snapshot *s, const Endpoint **storage) {
    for (size_t i = 0; i < s->endpoints.n; i++) storage[i] = &s->endpoints.items[i];
    return (Rows){storage, s->endpoints.n};
}

static Difference compare_by(const PortRule *rule, const char *before, const char *after) {
    Snapshot a, b;
    snapshot_parse(before, &a);
    snapshot_parse(after, &b);
    const Endpoint *rows[2][16];
    Rows baseline = borrow(&a, rows[0]), seen = borrow(&b, rows[1]);
    Surface surface = {PROTOCOL_TCP, 80, false};
    Difference d;
    assert_int_equal(difference_make(&surface, rule, &baseline, &seen, &d), 0);
    snapshot_done(&a);
    snapshot_done(&b);
    return d;
}

static void expect_by(const PortRule *rule, const char *before, const char *after, const char *expected) {
    static const char *const reaches[] = {"", " widened", " narrowed"};
    char text[64];
    Difference d = compare_by(rule, before, after);
    snprintf(text, sizeof text, "%s%s%s", change_name(d.change), reaches[d.reach], d.quiet ? " quiet" : "");
    if (strcmp(text, expected) != 0) fail_msg("%s -> %s: expected %s, got %s", before, after, expected, text);
}

static void expect(const char *before, const char *after, const char *expected) {
    expect_by(NULL, before, after, expected);
}

static void test_kinds(void **state) {
    expect("", "", "none");
    expect("tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80 @a", "none");
    expect("tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80 @a count=8", "none");
    expect("tcp 0.0.0.0:80 @a", "", "closed");
    expect("", "tcp 127.0.0.1:80 @a", "opened");
    expect("tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80 @b", "owner");
    expect("tcp 10.0.0.1:80 @a", "tcp 10.0.0.2:80 @b", "address");
    expect("tcp 10.0.0.1:80 @a dev=eth0", "tcp 10.0.0.1:80 @a dev=eth1", "address");
    expect("tcp 10.0.0.1:80 @a", "tcp 10.0.0.1:80 @a; tcp 10.0.0.1:80 @a dev=eth1", "address");
}

static void test_reach(void **state) {
    expect("tcp 127.0.0.1:80 @a", "tcp 0.0.0.0:80 @a", "address widened");
    expect("tcp 127.0.0.1:80 @a", "tcp 127.0.0.1:80 @a; tcp 10.0.0.1:80 @a", "address widened");
    expect("tcp [::1]:80 v6only @a", "tcp [::]:80 @a", "address widened");
    expect("tcp 0.0.0.0:80 @a", "tcp 127.0.0.1:80 @a", "address narrowed");
    expect("tcp 10.0.0.1:80 @a; tcp 10.0.0.2:80 @a", "tcp 10.0.0.1:80 @a", "address narrowed");
    /* Renumbered: one address has gone, one has come. */
    expect("tcp 10.0.0.1:80 @a", "tcp 10.0.0.2:80 @a", "address");
    /* A new address and a new owner at once is told by its reach. */
    expect("tcp 127.0.0.1:80 @a", "tcp 0.0.0.0:80 @b", "address widened");
    assert_int_equal(difference_severity(CHANGE_ADDRESS, REACH_WIDENED), SEVERITY_CRITICAL);
    assert_int_equal(difference_severity(CHANGE_ADDRESS, REACH_NARROWED), SEVERITY_WARNING);
    assert_int_equal(difference_severity(CHANGE_ADDRESS, REACH_SAME), SEVERITY_INFO);
    assert_int_equal(difference_severity(CHANGE_OPENED, REACH_SAME), SEVERITY_WARNING);
    assert_int_equal(difference_severity(CHANGE_CLOSED, REACH_SAME), SEVERITY_WARNING);
    assert_int_equal(difference_severity(CHANGE_OWNER, REACH_SAME), SEVERITY_WARNING);
    assert_int_equal(difference_severity(CHANGE_BLIND, REACH_SAME), SEVERITY_CRITICAL);
}

/* loopback < private < public < all addresses of a family < of both. */
static void test_exposure(void **state) {
    expect("tcp 127.0.0.1:80 @a", "tcp 192.168.1.1:80 @a", "address widened");
    expect("tcp 0.0.0.0:80 @a dev=lo", "tcp 192.168.1.1:80 @a", "address widened");
    expect("tcp 192.168.1.1:80 @a", "tcp 198.51.100.1:80 @a", "address widened");
    expect("tcp 192.168.1.1:80 @a", "tcp 192.168.1.1:80 @a; tcp 198.51.100.1:80 @a", "address widened");
    expect("tcp [fd00::1]:80 @a", "tcp [2001:db8::1]:80 @a", "address widened");
    expect("tcp 100.64.0.1:80 @a", "tcp 100.128.0.1:80 @a", "address widened");
    expect("tcp 172.31.0.1:80 @a", "tcp 172.32.0.1:80 @a", "address widened");
    expect("tcp 198.51.100.1:80 @a", "tcp 0.0.0.0:80 @a", "address widened");
    expect("tcp 198.51.100.1:80 @a", "tcp 198.51.100.1:80 @a; tcp 0.0.0.0:80 @a", "address widened");
    expect("tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80 @a; tcp [::]:80 v6only @a", "address widened");
    expect("tcp 0.0.0.0:80 @a", "tcp [::]:80 @a", "address widened");
    expect("tcp 198.51.100.1:80 @a", "tcp 10.0.0.1:80 @a", "address narrowed");
    expect("tcp [::]:80 @a", "tcp 198.51.100.1:80 @a", "address narrowed");
    /* Nothing that the same owner's address does not reach already. */
    expect("tcp 198.51.100.1:80 @a", "tcp 198.51.100.1:80 @a; tcp 10.0.0.1:80 @a", "none quiet");
    expect("tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80 @a; tcp 10.0.0.1:80 @a", "none quiet");
    expect("tcp 10.0.0.1:80 @a", "tcp 192.168.7.1:80 @a", "address");
}

static void test_dual_stack(void **state) {
    expect("tcp [::]:80 @a", "tcp 0.0.0.0:80 @a; tcp [::]:80 v6only @a", "none");
    expect("tcp 0.0.0.0:80 @a; tcp [::]:80 v6only @a", "tcp [::]:80 @a", "none");
    expect("tcp [::]:80 @a", "tcp [::]:80 v6only @a", "address narrowed");
    expect("tcp [::]:80 @a", "tcp 0.0.0.0:80 @a", "address narrowed");
    expect("tcp [::]:80 @a dev=eth0", "tcp 0.0.0.0:80 @a; tcp [::]:80 v6only @a", "address widened");
    expect("tcp [::]:80 @a", "tcp [::]:80 @a; tcp 0.0.0.0:80 @b", "owner");
    /* A mapped address is that IPv4 address. */
    expect("tcp 127.0.0.1:80 @a", "tcp [::ffff:127.0.0.1]:80 @a", "none");
    expect("tcp 127.0.0.1:80 @a", "tcp [::ffff:10.0.0.1]:80 @a", "address widened");
    expect("tcp [::ffff:0.0.0.0]:80 @a", "tcp 0.0.0.0:80 @a", "none");
}

static void test_quiet(void **state) {
    expect("tcp 10.0.0.1:80 @a", "tcp 10.0.0.1:80 @a; tcp 10.0.0.2:80 @a", "none quiet");
    expect("tcp 127.0.0.1:80 @a", "tcp 127.0.0.1:80 @a; tcp [::1]:80 @a", "none quiet");
    expect("tcp 10.0.0.1:80 @a", "tcp 10.0.0.1:80 @a; tcp 10.0.0.2:80 @b", "address");
    expect("tcp 10.0.0.1:80 @a", "tcp 10.0.0.1:80 @a; tcp 127.0.0.1:80 @a", "address");
    /* By whom is not known: an address more is worth a word. */
    expect("tcp 10.0.0.1:80 @a", "tcp 10.0.0.1:80 @a; tcp 10.0.0.2:80", "address");
    expect("tcp 10.0.0.1:80 @a", "tcp 10.0.0.1:80 @a; tcp [fe80::1]:80 @b", "none quiet");
    expect("tcp 10.0.0.1:80 @a; tcp [fe80::1]:80 @a", "tcp 10.0.0.1:80 @a", "none quiet");
    expect("", "tcp [fe80::1]:80 @a", "none quiet");
    expect("tcp [fe80::1]:80 @a", "", "none quiet");
    /* A unit alone makes no two owners equal. */
    expect("tcp 10.0.0.1:80 @a", "tcp 10.0.0.1:80 @a; tcp 10.0.0.2:80 unit=a.service", "address");
}

/* What joined without a word is no step to anything. */
static void test_link_local_is_no_rank(void **state) {
    expect("tcp [fe80::1]:80 @a", "tcp 0.0.0.0:80 @a; tcp [fe80::1]:80 @a", "opened");
    expect("tcp 127.0.0.1:80 @a; tcp [fe80::1]:80 @a", "tcp 127.0.0.1:80 @a; tcp 0.0.0.0:80 @a", "address widened");
    expect("tcp 10.0.0.1:80 @a; tcp [fe80::1]:80 @a", "tcp [fe80::1]:80 @a", "address narrowed");
    expect("tcp 127.0.0.1:80 @a; tcp [fe80::1]:80 @b", "tcp 127.0.0.1:80 @a; tcp 10.0.0.1:80 @b", "address widened");
}

static void test_owners(void **state) {
    /* A REUSEPORT group: a new member differs, a member less does not. */
    expect("tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80 @a @b", "owner");
    expect("tcp 0.0.0.0:80 @a @b", "tcp 0.0.0.0:80 @b", "none");
    expect("tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80", "none");
    expect("tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80 unit=a.service", "none");
    expect("tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80 unit=a.service exe=/tmp/a", "owner");
    /* Known better joins quietly; known less does not. */
    expect("tcp 0.0.0.0:80", "tcp 0.0.0.0:80 @a", "none quiet");
    expect("tcp 0.0.0.0:80 unit=a.service", "tcp 0.0.0.0:80 @a", "none quiet");
}

static void test_stated(void **state) {
    PortRule closed = {.expect = EXPECT_CLOSED}, open = {.expect = EXPECT_OPEN};
    expect_by(&closed, "tcp 0.0.0.0:80 @a", "", "none");
    expect_by(&closed, "tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80 @a", "opened");
    expect_by(&open, "", "", "closed");
    expect_by(&open, "tcp 0.0.0.0:80 @a", "tcp 127.0.0.1:80 @b", "none");
    open.exe = (char *)"/usr/bin/a";
    expect_by(&open, "", "tcp 127.0.0.1:80 @b", "owner");
    expect_by(&open, "", "tcp 127.0.0.1:80 @a", "none");
    expect_by(&open, "", "tcp 127.0.0.1:80", "none");

    Address all[2];
    address_parse("0.0.0.0", &all[0]);
    address_parse("::", &all[1]);
    PortRule stated = {.addresses = all, .n_addresses = 2};
    expect_by(&stated, "", "tcp [::]:80", "none");
    expect_by(&stated, "", "tcp 0.0.0.0:80; tcp [::]:80 v6only", "none");
    expect_by(&stated, "", "", "closed");
    expect_by(&stated, "", "tcp 0.0.0.0:80", "address narrowed");
    expect_by(&stated, "tcp 127.0.0.1:80 @a", "tcp 127.0.0.1:80 @a", "address narrowed");
    expect_by(&stated, "tcp 127.0.0.1:80 @a", "tcp [::]:80 @b", "owner");
    expect_by(&stated, "tcp 127.0.0.1:80 @a", "tcp [::]:80 @a", "none");
    /* Nobody was ever learned: the first owner joins. */
    expect_by(&stated, "", "tcp [::]:80 @a", "none quiet");
    expect_by(&stated, "", "tcp [::]:80 @a; tcp 10.0.0.1:80 @a", "address");

    PortRule unit = {.unit = (char *)"a.service"};
    expect_by(&unit, "tcp 0.0.0.0:80 @b", "tcp 0.0.0.0:80 @b", "owner");
    expect_by(&unit, "tcp 0.0.0.0:80 unit=b.service", "tcp 0.0.0.0:80 unit=a.service", "none");
    expect_by(&unit, "", "tcp 0.0.0.0:80 unit=a.service", "opened");
    PortRule user = {.user = (char *)"a"};
    expect_by(&user, "tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80 @a", "none");
    expect_by(&user, "tcp 0.0.0.0:80 @b", "tcp 0.0.0.0:80 @b", "owner");
    expect_by(&user, "tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80", "none");
    /* The uid is known, its name not yet. */
    expect_by(&user, "tcp 0.0.0.0:80 @a", "tcp 0.0.0.0:80 uid=7", "none");
    user.user = (char *)"7";
    expect_by(&user, "", "tcp 0.0.0.0:80 uid=7", "opened");
    expect_by(&user, "tcp 0.0.0.0:80", "tcp 0.0.0.0:80 uid=7", "none quiet");
    expect_by(&user, "tcp 0.0.0.0:80", "tcp 0.0.0.0:80 uid=8", "owner");
}

/* What people are shown as expected. */
static void test_expected(void **state) {
    Snapshot a;
    snapshot_parse("tcp 127.0.0.1:80 @a", &a);
    const Endpoint *storage[4];
    Rows rows = borrow(&a, storage);
    Surface surface = {PROTOCOL_TCP, 80, false};
    Address any;
    address_parse("0.0.0.0", &any);
    PortRule stated = {.addresses = &any, .n_addresses = 1}, closed = {.expect = EXPECT_CLOSED};
    Endpoints list;
    assert_int_equal(difference_expected(&surface, &stated, &rows, &list), 0);
    assert_int_equal(list.n, 1);
    assert_true(address_is_any(&list.items[0].address));
    assert_string_equal(list.items[0].owners[0]->exe, "/usr/bin/a");
    endpoints_done(&list);
    assert_int_equal(difference_expected(&surface, &closed, &rows, &list), 0);
    assert_int_equal(list.n, 0);
    assert_int_equal(difference_expected(&surface, NULL, &rows, &list), 0);
    assert_int_equal(list.n, 1);
    endpoints_done(&list);
    snapshot_done(&a);
}

static void expect_surface(Sim *sim, const char *text, const char *expected) {
    Snapshot s;
    snapshot_parse(text, &s);
    char buffer[SURFACE_TEXT_MAX];
    Surface surface = surface_of(sim->rules, &s, &s.endpoints.items[0]);
    assert_string_equal(surface_format(&surface, buffer), expected);
    snapshot_done(&s);
}

static void test_surfaces(void **state) {
    Sim sim;
    sim_init(&sim, NULL);
    sim_section(&sim, "40000/tcp");
    expect_surface(&sim, "tcp 0.0.0.0:80", "80/tcp");
    expect_surface(&sim, "tcp 0.0.0.0:32767", "32767/tcp");
    expect_surface(&sim, "tcp 0.0.0.0:32768", "tcp/ephemeral");
    expect_surface(&sim, "tcp 0.0.0.0:60999", "tcp/ephemeral");
    expect_surface(&sim, "tcp 0.0.0.0:61000", "61000/tcp");
    expect_surface(&sim, "tcp [::1]:45000", "tcp/ephemeral-local");
    expect_surface(&sim, "tcp 0.0.0.0:40000", "40000/tcp");
    expect_surface(&sim, "udp 0.0.0.0:40000 @a", "udp/ephemeral");
    expect_surface(&sim, "udp 127.0.0.1:40000 @a", "udp/ephemeral");
    expect_surface(&sim, "udp 0.0.0.0:51820 @kernel", "51820/udp");
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_reach),
        cmocka_unit_test(test_exposure),
        cmocka_unit_test(test_dual_stack),
        cmocka_unit_test(test_quiet),
        cmocka_unit_test(test_owners),
        cmocka_unit_test(test_stated),
        cmocka_unit_test(test_expected),
        cmocka_unit_test(test_surfaces),
        cmocka_unit_test(test_link_local_is_no_rank),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
