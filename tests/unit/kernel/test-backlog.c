/* Listeners that do not accept, as the kernel counts them. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel/backlog.h"
#include "live.h"
#include "test.h"

#define PORT 7400

static int client(void) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

static void test_fills(void **state) {
    int listener = live_bind(PROTOCOL_TCP, "127.0.0.1", PORT, 0, NULL);
    int other = live_bind(PROTOCOL_TCP, "127.0.0.1", PORT + 1, 0, NULL);
    assert_int_equal(listen(listener, 1), 0);
    int clients[2];
    for (unsigned waiting = 0; waiting <= 2; waiting++) {
        if (waiting > 0) clients[waiting - 1] = client();
        _cleanup_free_ Backlog *list = NULL;
        size_t n = 0;
        /* the listener's half of it is done a moment later, perhaps */
        for (int i = 0; i < 6000 && (n != 1 || list[0].waiting != waiting); i++) {
            if (i > 0) usleep(10 * 1000);
            free(list);
            list = NULL;
            assert_int_equal(backlog_read(PORT, &list, &n), 0);
        }
        assert_int_equal(n, 1);
        assert_int_equal(list[0].waiting, waiting);
        assert_int_equal(list[0].limit, 1);
        assert_int_equal(backlog_full(&list[0]), waiting == 2);
    }
    int accepted = accept(listener, NULL, NULL);
    assert_true(accepted >= 0);
    _cleanup_free_ Backlog *list = NULL;
    size_t n;
    assert_int_equal(backlog_read(PORT, &list, &n), 0);
    assert_false(backlog_full(&list[0]));
    close(accepted);
    close(clients[0]);
    close(clients[1]);
    close(listener);
    close(other);
}

static void test_each_socket(void **state) {
    int fds[] = {live_bind(PROTOCOL_TCP, "0.0.0.0", PORT, LIVE_REUSEPORT, NULL),
        live_bind(PROTOCOL_TCP, "0.0.0.0", PORT, LIVE_REUSEPORT, NULL),
        live_bind(PROTOCOL_TCP, "::", PORT, LIVE_V6ONLY, "lo")};
    _cleanup_free_ Backlog *list = NULL;
    size_t n;
    assert_int_equal(backlog_read(PORT, &list, &n), 0);
    assert_int_equal(n, 3);
    assert_int_equal(list[0].address.family, AF_INET);
    assert_string_equal(list[0].device, "");
    assert_int_equal(list[2].address.family, AF_INET6);
    assert_string_equal(list[2].device, "lo");
    for (size_t i = 0; i < 3; i++) close(fds[i]);
}

static void test_none(void **state) {
    _cleanup_free_ Backlog *list = NULL;
    size_t n = 7;
    assert_int_equal(backlog_read(PORT, &list, &n), 0);
    assert_int_equal(n, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fills),
        cmocka_unit_test(test_each_socket),
        cmocka_unit_test(test_none),
    };
    live_enter();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
