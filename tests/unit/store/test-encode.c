/* Endpoints as text: everything comes back, hostile names included, and no bytes break the reader. */
#include "fixture.h"

#include <errno.h>
#include <string.h>

#include "store/encode.h"

static void assert_text(const char *a, const char *b) {
    if (!a || !b)
        assert_ptr_equal(a, b);
    else
        assert_string_equal(a, b);
}

static void test_round_trip(void **state) {
    _cleanup_(endpoints_done) Endpoints list = {0}, back = {0};
    Endpoint a = fixture_endpoint(PROTOCOL_TCP, 443, "::", "/usr/sbin/ng inx\n");
    Endpoint b = fixture_endpoint(PROTOCOL_UDPLITE, 65535, "fe80::1", NULL);
    Endpoint c = fixture_endpoint(PROTOCOL_UDP, 53, "127.0.0.53", "");
    Owner *owner = a.owners[0];
    owner->unit = strdup("x\r\nBcc: a@b\x1b[2J=%41 \xc3\xa9.service");
    owner->unit_shown = strdup("session-3.scope");
    owner->exe_shown = strdup("/usr/bin/ssh d");
    owner->exe_deleted = true;
    owner->exe_replaced = true;
    owner->exe_host = true;
    owner->exe_inode = 7;
    owner->exe_changed = INT64_C(1790000000000001);
    owner->user_unit = true;
    owner->slice = strdup("user-1000.slice");
    owner->container = strdup("podman container d b\n");
    owner->container_id = strdup("0123%41");
    owner->package = strdup("g++-12");
    owner->started = NOW;
    a.v6only = true;
    a.count = 8;
    a.since = NOW;
    strcpy(a.device, "eth 0%");
    strcpy(b.namespace, "docker:a b\n%\xff=");
    assert_int_equal(endpoints_take(&list, &a), 0);
    assert_int_equal(endpoints_take(&list, &b), 0);
    assert_int_equal(endpoints_take(&list, &c), 0);

    _cleanup_free_ char *text = endpoints_encode(&list, DETAIL_FULL);
    assert_non_null(text);
    for (const char *p = text; *p; p++) assert_true(*p == '\n' || (*p >= ' ' && *p < 0x7f));
    assert_int_equal(endpoints_decode(text, strlen(text), &back), 0);
    assert_int_equal(back.n, 3);
    for (size_t i = 0; i < 3; i++) {
        const Endpoint *x = &list.items[i], *y = &back.items[i];
        assert_int_equal(endpoint_compare(x, y), 0);
        assert_int_equal(x->v6only, y->v6only);
        assert_int_equal(x->count, y->count);
        assert_int_equal(x->since, y->since);
        assert_int_equal(x->n_owners, y->n_owners);
    }
    const Owner *there = back.items[0].owners[0];
    owner = list.items[0].owners[0];
    assert_text(there->unit, owner->unit);
    assert_text(there->exe, owner->exe);
    assert_text(there->user, owner->user);
    assert_text(there->unit_shown, owner->unit_shown);
    assert_text(there->exe_shown, owner->exe_shown);
    assert_text(there->comm, owner->comm);
    assert_text(there->cmdline, owner->cmdline);
    assert_int_equal(there->uid, owner->uid);
    assert_int_equal(there->pid, owner->pid);
    assert_int_equal(there->started, owner->started);
    assert_true(there->exe_deleted);
    assert_true(there->exe_replaced);
    assert_true(there->exe_host);
    assert_int_equal(there->exe_inode, 7);
    assert_int_equal(there->exe_changed, owner->exe_changed);
    assert_true(there->user_unit);
    assert_text(there->slice, owner->slice);
    assert_text(there->container, owner->container);
    assert_text(there->container_id, owner->container_id);
    assert_text(there->package, owner->package);
    assert_false(back.items[2].owners[0]->exe_replaced);
    assert_null(back.items[2].owners[0]->package);
    assert_text(back.items[2].owners[0]->exe, "");
}

static void test_detail(void **state) {
    _cleanup_(endpoint_done) Endpoint a = fixture_endpoint(PROTOCOL_TCP, 443, "::", "/x");
    char *cmdline = malloc(4097);
    memset(cmdline, 'a', 4096);
    cmdline[4096] = 0;
    free(a.owners[0]->cmdline);
    a.owners[0]->cmdline = cmdline;
    _cleanup_free_ char *full = owners_encode(a.owners, 1, DETAIL_FULL),
                        *brief = owners_encode(a.owners, 1, DETAIL_SHORT),
                        *compared = owners_encode(a.owners, 1, DETAIL_COMPARED);
    assert_true(strlen(full) > 4096);
    assert_true(strlen(brief) < 512);
    assert_string_equal(compared, "owner exe=/x uid=33\n");
}

static int decode(const char *text) {
    Endpoints list = {0};
    int r = endpoints_decode(text, strlen(text), &list);
    endpoints_done(&list);
    return r;
}

static void test_bad(void **state) {
    assert_int_equal(decode(""), 0);
    assert_int_equal(decode("tcp 443 ::\n"), 0);
    assert_int_equal(decode("tcp 443 :: later=1\nowner later=x%20y\n"), 0);
    static const char *const bad[] = {"\n", "tcp", "tcp 443", "tcp 443\n", "sctp 443 ::\n", "tcp 65536 ::\n",
        "tcp -1 ::\n", "tcp 4x ::\n", "tcp 443 :::\n", "owner exe=/x\n", "tcp 443 :: count\n", "tcp 443 :: count=\n",
        "tcp 443 :: count=99999999999999999999\n", "tcp 443 ::\nowner exe=%\n", "tcp 443 ::\nowner exe=%4\n",
        "tcp 443 ::\nowner exe=%zz\n", "tcp 443 ::\nowner exe=%00\n", "tcp 443 ::\nowner uid=4294967295\n",
        "tcp 443 ::\nowner pid=2147483648\n", "tcp 443 ::\nnobody\n", "tcp 443 ::  count=1\n"};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        if (decode(bad[i]) != -EBADMSG) print_error("taken: %s\n", bad[i]);
        assert_int_equal(decode(bad[i]), -EBADMSG);
    }
    Endpoints list = {0};
    assert_int_equal(endpoints_decode("tcp 443 ::\nowner exe=a\0b\n", 25, &list), -EBADMSG);
}

/* Every cut and every changed byte of a good text is taken or refused, never read beyond (sanitizers watch). */
static void test_mutations(void **state) {
    _cleanup_(endpoints_done) Endpoints list = {0};
    Endpoint a = fixture_endpoint(PROTOCOL_TCP, 443, "::1", "/usr/sbin/nginx");
    assert_int_equal(endpoints_take(&list, &a), 0);
    _cleanup_free_ char *text = endpoints_encode(&list, DETAIL_FULL);
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        for (int c = 0; c < 256; c += 5) {
            char *copy = memcpy(malloc(length), text, length);
            copy[i] = (char)c;
            Endpoints back = {0};
            (void)endpoints_decode(copy, length, &back);
            endpoints_done(&back);
            char *cut = memcpy(malloc(i + 1), text, i + 1);
            (void)endpoints_decode(cut, i + 1, &back);
            endpoints_done(&back);
            free(copy);
            free(cut);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_detail),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
