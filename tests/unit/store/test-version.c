/* Every change of the baseline is a version, and each of them can be gone back to as long as it is kept. */
#include "fixture.h"

#include <string.h>

#include "store/version.h"

static const Surface web = {.protocol = PROTOCOL_TCP, .port = 443}, dns = {.protocol = PROTOCOL_UDP, .port = 53};

static void change(Store *store, int64_t now, const Surface *surface, VersionKind kind, const char *by,
    const char *before, const char *after) {
    BaselineChange one = {
        .surface = *surface, .kind = kind, .by = by ? strdup(by) : NULL, .why = by ? strdup("as planned") : NULL};
    const char *exe[] = {before, after};
    for (unsigned i = 0; i < 2; i++) {
        if (!exe[i]) continue;
        Endpoint row = fixture_endpoint(surface->protocol, surface->port, "0.0.0.0", exe[i]);
        row.since = NOW;
        assert_int_equal(endpoints_take(i ? &one.after : &one.before, &row), 0);
    }
    Decision decision = {.baseline = malloc(sizeof one), .n_baseline = 1};
    decision.baseline[0] = one;
    Commit commit = {.decision = &decision, .now = now};
    assert_int_equal(store_commit(store, &commit), 0);
    decision_done(&decision);
}

/* "443 /a" and so on, of the baseline with that version. */
static void expect_at(Store *store, int64_t number, const char *expected) {
    Endpoints rows = {0};
    VersionFound found;
    int64_t oldest, newest;
    char text[256] = "";
    assert_int_equal(version_baseline(store, number, &found, &oldest, &newest, &rows), 0);
    assert_int_equal(found, VERSION_FOUND);
    for (size_t i = 0; i < rows.n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%u %s\n", rows.items[i].port,
            rows.items[i].owners[0]->exe);
    assert_string_equal(text, expected);
    endpoints_done(&rows);
}

static void test_versions(void **state) {
    Fixture *f = *state;
    /* What is learned in several looks is one version. */
    change(f->store, NOW, &web, VERSION_LEARNED, NULL, NULL, "/a");
    change(f->store, NOW + 1, &dns, VERSION_LEARNED, NULL, NULL, "/d");
    change(f->store, NOW + 2, &web, VERSION_ACCEPTED, "ops", "/a", "/b");
    change(f->store, NOW + 3, &web, VERSION_EXPIRED, NULL, "/b", "/a");
    change(f->store, NOW + 4, &dns, VERSION_ROLLED, NULL, "/d", NULL);
    fixture_reopen(f);
    expect_at(f->store, 0, "");
    expect_at(f->store, 1, "443 /a\n53 /d\n");
    expect_at(f->store, 2, "443 /b\n53 /d\n");
    expect_at(f->store, 3, "443 /a\n53 /d\n");
    expect_at(f->store, 4, "443 /a\n");
    VersionFound found;
    int64_t oldest, newest;
    Endpoints none = {0};
    assert_int_equal(version_baseline(f->store, 5, &found, &oldest, &newest, &none), 0);
    assert_int_equal(found, VERSION_UNKNOWN);
    assert_int_equal(newest, 4);

    Version *versions;
    size_t n;
    assert_int_equal(version_query(f->store, &(VersionFilter){.limit = 10}, &versions, &n), 0);
    assert_int_equal(n, 4);
    assert_int_equal(versions[0].n_changes, 2);
    assert_int_equal(versions[0].last, NOW + 1);
    assert_int_equal(versions[1].kind, VERSION_ACCEPTED);
    assert_string_equal(versions[1].who, "ops");
    assert_string_equal(versions[1].why, "as planned");
    assert_string_equal(versions[1].changes[0].before.items[0].owners[0]->exe, "/a");
    assert_string_equal(versions[1].changes[0].after.items[0].owners[0]->exe, "/b");
    assert_null(versions[2].who);
    versions_free(versions, n);
    VersionFilter filter = {.has_port = true, .port = 53, .limit = 10};
    assert_int_equal(version_query(f->store, &filter, &versions, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(versions[0].n_changes, 1);
    assert_int_equal(versions[1].number, 4);
    versions_free(versions, n);
    filter = (VersionFilter){.has_protocol = true, .protocol = PROTOCOL_TCP, .after = 1, .limit = 1};
    assert_int_equal(version_query(f->store, &filter, &versions, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(versions[0].number, 2);
    versions_free(versions, n);
}

/* One decision in one name is one version; a commit that fails leaves none. */
static void test_one_decision_is_one_version(void **state) {
    Fixture *f = *state;
    BaselineChange changes[3] = {{.surface = web, .kind = VERSION_ACCEPTED, .by = strdup("ops")},
        {.surface = dns, .kind = VERSION_ACCEPTED, .by = strdup("ops")}, {.surface = dns, .kind = VERSION_EXPIRED}};
    changes[2].surface.port = 54;
    for (unsigned i = 0; i < 3; i++) {
        Endpoint row = fixture_endpoint(changes[i].surface.protocol, changes[i].surface.port, "::", "/x");
        assert_int_equal(endpoints_take(&changes[i].after, &row), 0);
    }
    Decision decision = {.baseline = malloc(sizeof changes), .n_baseline = 3};
    memcpy(decision.baseline, changes, sizeof changes);
    RequestAnswer answer = {.id = 77};
    Commit commit = {.decision = &decision, .now = NOW, .answer = &answer};
    assert_int_equal(store_commit(f->store, &commit), STORE_GONE);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM version"), 0);
    commit.answer = NULL;
    assert_int_equal(store_commit(f->store, &commit), 0);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM version"), 2);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM version_change WHERE version = 1"), 2);
    decision_done(&decision);
}

/* A port that comes and goes without a word is one row a day. */
static void test_joins_are_counted(void **state) {
    Fixture *f = *state;
    change(f->store, NOW, &web, VERSION_LEARNED, NULL, NULL, "/a");
    for (int i = 0; i < 1000; i++)
        change(f->store, NOW + i * MINUTE, &dns, VERSION_JOINED, NULL, i % 2 ? "/d" : NULL, i % 2 ? NULL : "/d");
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM version"), 2);
    assert_int_equal(fixture_query(f->store, "SELECT times FROM version WHERE id = 2"), 1000);
    change(f->store, NOW + 2 * DAYS, &dns, VERSION_JOINED, NULL, NULL, "/d");
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM version"), 3);
    expect_at(f->store, 1, "443 /a\n");
    expect_at(f->store, 3, "443 /a\n53 /d\n");
    /* What somebody did is never counted into it. */
    change(f->store, NOW + 2 * DAYS, &dns, VERSION_ACCEPTED, "ops", "/d", NULL);
    change(f->store, NOW + 2 * DAYS, &dns, VERSION_JOINED, NULL, NULL, "/d");
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM version"), 5);
}

static void expire(Store *store, int64_t now) {
    bool more = true;
    for (unsigned i = 0; more; i++) {
        assert_true(i < 1000);
        assert_int_equal(store_expire(store, now, 90 * DAYS, &more), 0);
    }
}

static void test_old_versions_leave(void **state) {
    Fixture *f = *state;
    change(f->store, NOW, &web, VERSION_LEARNED, NULL, NULL, "/a");
    change(f->store, NOW, &dns, VERSION_LEARNED, NULL, NULL, "/d");
    change(f->store, NOW + DAYS, &web, VERSION_ACCEPTED, "ops", "/a", "/b");
    change(f->store, NOW + 2 * DAYS, &web, VERSION_ACCEPTED, "ops", "/b", "/c");
    expire(f->store, NOW + 91 * DAYS);
    /* The latest of each port stays, however old; what its port was before it, too. */
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM version_change"), 3);
    expire(f->store, NOW + 400 * DAYS);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM version_change"), 2);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM version"), 2);
    VersionFound found;
    int64_t oldest, newest;
    Endpoints none = {0};
    assert_int_equal(version_baseline(f->store, 1, &found, &oldest, &newest, &none), 0);
    assert_int_equal(found, VERSION_FORGOTTEN);
    assert_int_equal(oldest, 2);
    expect_at(f->store, 2, "443 /b\n53 /d\n");
    expect_at(f->store, 3, "443 /c\n53 /d\n");
}

static void test_too_many_versions_leave(void **state) {
    Fixture *f = *state;
    fixture_exec(f->store,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 21000) INSERT INTO version (time, "
        "last,"
        " boot, kind) SELECT 1700000000000000, 1700000000000000, 1, 'accepted' FROM n;"
        "INSERT INTO version_change SELECT '', 'tcp', 443 + id % 2, 0, id, '', 'tcp 443 ::' || char(10) FROM version");
    expire(f->store, NOW + 1);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM version"), VERSION_CHANGES_MAX);
    assert_int_equal(fixture_query(f->store, "SELECT min(version) FROM version_change"), 1001);
}

static void test_loans(void **state) {
    Fixture *f = *state;
    Loan *loans = calloc(2, sizeof *loans);
    loans[0] = (Loan){.surface = web, .made = NOW, .until = NOW + 5, .by = strdup("ops"), .reason = strdup("a\nb")};
    Endpoint row = fixture_endpoint(PROTOCOL_TCP, 443, "::", "/x");
    assert_int_equal(endpoints_take(&loans[0].before, &row), 0);
    loans[1] = (Loan){.surface = dns, .ahead = true, .made = NOW, .until = NOW + 6, .by = strdup("ops")};
    Decision decision = {.loans = loans, .n_loans = 2, .loans_changed = true};
    Commit commit = {.decision = &decision, .now = NOW};
    assert_int_equal(store_commit(f->store, &commit), 0);
    decision_done(&decision);
    fixture_reopen(f);
    _cleanup_(state_done) State loaded = {0};
    assert_int_equal(store_load_state(f->store, &loaded), 0);
    assert_int_equal(loaded.n_loans, 2);
    const Loan *loan = state_loan(&loaded, &web);
    assert_false(loan->ahead);
    assert_int_equal(loan->until, NOW + 5);
    assert_string_equal(loan->reason, "a\nb");
    assert_string_equal(loan->before.items[0].owners[0]->exe, "/x");
    loan = state_loan(&loaded, &dns);
    assert_true(loan->ahead);
    assert_null(loan->reason);
    Decision none = {.loans_changed = true};
    commit.decision = &none;
    assert_int_equal(store_commit(f->store, &commit), 0);
    assert_int_equal(fixture_query(f->store, "SELECT count(*) FROM loan"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_versions, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_one_decision_is_one_version, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_joins_are_counted, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_old_versions_leave, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_too_many_versions_leave, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_loans, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
