/* Owners in time: restarts, groups, and those that cannot be seen for a while. */
#include "sim.h"

static void test_restart_and_socket_activation(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:22 exe=/usr/sbin/sshd unit=session.scope uid=0");
    sim_run(&sim, 20, "tcp 0.0.0.0:22 exe=/usr/sbin/sshd unit=session.scope uid=0");
    sim_told(&sim, "");
    sim_run(&sim, 8, "tcp 0.0.0.0:22 exe=/tmp/sshd unit=session.scope uid=0");
    sim_told(&sim, "opened 22/tcp owner warning\n");
    sim_done(&sim);
}

/* A tick, or a day, in which nobody is known neither opens, resolves nor restates anything. */
static void test_unknown_is_no_event(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @a");
    sim_run(&sim, 100, "tcp 0.0.0.0:80; tcp 0.0.0.0:81 unit=a.service");
    sim_told(&sim, "");
    sim_history(&sim, "");
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\ntcp 0.0.0.0:81 a\n");
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @b; tcp 0.0.0.0:81 @a");
    sim_told(&sim, "opened 80/tcp owner warning\n");
    sim_run(&sim, 100, "tcp 0.0.0.0:80; tcp 0.0.0.0:81 @a");
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @b; tcp 0.0.0.0:81 @a");
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @a; tcp 0.0.0.0:81 @a");
    sim_told(&sim, "resolved 80/tcp owner warning returned\n");
    sim_done(&sim);
}

/* Being unknown now and then does not put off what is settling. */
static void test_unknown_does_not_hide(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80 @a");
    for (int i = 0; i < 5; i++) {
        sim_run(&sim, 2, "tcp 0.0.0.0:80 @evil");
        sim_run(&sim, 2, "tcp 0.0.0.0:80");
    }
    sim_told(&sim, "opened 80/tcp owner warning\n");
    sim_done(&sim);
}

/* A new member of a REUSEPORT group is told; it goes: that is the baseline again. */
static void test_group(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80 @a count=4");
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @a @b count=5");
    sim_told(&sim, "opened 80/tcp owner warning\n");
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @a @b count=9");
    sim_told(&sim, "");
    sim_run(&sim, 8, "tcp 0.0.0.0:80 @a count=4");
    sim_told(&sim, "resolved 80/tcp owner warning returned\n");
    sim_done(&sim);

    sim_init(&sim, "tcp 0.0.0.0:80 @a @b");
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @a");
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @b @a");
    sim_told(&sim, "");
    sim_history(&sim, "");
    sim_done(&sim);
}

/* The baseline keeps what it knows better, and learns what it did not know. */
static void test_better_known(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80; tcp 10.0.0.1:81 @a");
    sim_run(&sim, 20, "tcp 0.0.0.0:80 @a; tcp 10.0.0.1:81 unit=a.service; tcp [fe80::1]:81 @a");
    sim_told(&sim, "");
    sim_baseline(&sim, "tcp 0.0.0.0:80 a\ntcp 10.0.0.1:81 a\ntcp [fe80::1]:81 a\n");
    sim_run(&sim, 20, "tcp 0.0.0.0:80 @b; tcp 10.0.0.1:81 @a; tcp [fe80::1]:81 @a");
    sim_told(&sim, "opened 80/tcp owner warning\n");
    sim_done(&sim);
}

/* Kernel-owned UDP is a surface of its own, also while its owner cannot be seen. */
static void test_kernel_owned(void **state) {
    Sim sim;
    sim_init(&sim, "udp 0.0.0.0:51820 @kernel");
    sim_run(&sim, 200, "udp 0.0.0.0:51820");
    sim_told(&sim, "");
    sim_run(&sim, 8, "udp 0.0.0.0:51820 @kernel; udp 0.0.0.0:51821 @kernel");
    sim_told(&sim, "opened 51821/udp opened warning\n");
    sim_run(&sim, 200, "udp 0.0.0.0:51820 @kernel; udp 0.0.0.0:51821");
    sim_told(&sim, "");
    sim_run(&sim, 200, "udp 0.0.0.0:51820 @evil; udp 0.0.0.0:51821 @kernel");
    sim_told(&sim, "opened 51820/udp owner warning\n");
    sim_run(&sim, 200, "udp 10.0.0.1:51820 @evil; udp 0.0.0.0:51821 @kernel");
    sim_told(&sim, "changed 51820/udp closed warning\n");
    sim_done(&sim);
}

/* Nor does an ignored endpoint come out from behind its section when its owner cannot be seen. */
static void test_ignored_while_unknown(void **state) {
    Sim sim;
    sim_init(&sim, "");
    IgnoreRule *ignore = sim_ignore(&sim);
    ignore->unit = strdup("rpc.service");
    ignore->exe = strdup("/usr/bin/rpc");
    sim_run(&sim, 20, "tcp 0.0.0.0:700 @rpc");
    sim_forget_history(&sim);
    sim_run(&sim, 200, "tcp 0.0.0.0:700");
    sim_run(&sim, 200, "tcp 0.0.0.0:700 exe=/usr/bin/rpc");
    sim_told(&sim, "");
    sim_history(&sim, "");
    sim_run(&sim, 8, "tcp 0.0.0.0:700 exe=/usr/bin/evil");
    sim_told(&sim, "opened 700/tcp opened warning\n");
    sim_done(&sim);
}

/* An upgrade replaces the file first and restarts the service a while later: that while is no head start. */
static void test_restart_after_upgrade(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80 @nginx; tcp [::]:80 v6only @nginx");
    sim_run(&sim, 50, "tcp 0.0.0.0:80 @nginx replaced; tcp [::]:80 v6only @nginx replaced");
    sim_run(&sim, 20, "");
    sim_run(&sim, 2, "tcp 0.0.0.0:80 @nginx");
    sim_run(&sim, 200, "tcp 0.0.0.0:80 @nginx; tcp [::]:80 v6only @nginx");
    sim_told(&sim, "");
    sim_run(&sim, 50, "tcp 0.0.0.0:80 @nginx replaced; tcp [::]:80 v6only @nginx replaced");
    sim_run(&sim, 4, "tcp 0.0.0.0:80 @evil");
    sim_told(&sim, "");
    sim_run(&sim, 4, "tcp 0.0.0.0:80 @evil");
    sim_told(&sim, "opened 80/tcp address narrowed warning\n");
    sim_done(&sim);
}

/* A program whose file was replaced or removed and that listens on is told once, as information. */
static void test_outdated_program(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80 @nginx");
    sim_run(&sim, 60, "tcp 0.0.0.0:80 @nginx replaced");
    sim_told(&sim, "");
    sim_run(&sim, 4, "tcp 0.0.0.0:80 @nginx replaced");
    sim_told(&sim, "opened 80/tcp program info\n");
    assert_int_equal(sim.state.n_incidents, 0);
    sim_run(&sim, 200, "tcp 0.0.0.0:80 @nginx replaced");
    sim_run(&sim, 200, "tcp 0.0.0.0:80 @nginx");
    sim_told(&sim, "");
    /* After its restart it can happen again. */
    sim_run(&sim, 70, "tcp 0.0.0.0:80 @nginx deleted");
    sim_told(&sim, "opened 80/tcp program info\n");
    sim_done(&sim);

    /* An upgrade that restarts it in time is nothing. */
    sim_init(&sim, "tcp 0.0.0.0:80 @nginx");
    sim_run(&sim, 30, "tcp 0.0.0.0:80 @nginx replaced");
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @nginx");
    sim_told(&sim, "");
    sim_done(&sim);

    /* Beside something worse it is no matter, and does not keep that from ending. */
    sim_init(&sim, "tcp 127.0.0.1:80 @nginx");
    sim_run(&sim, 10, "tcp 0.0.0.0:80 @nginx");
    sim_told(&sim, "opened 80/tcp address widened critical\n");
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @nginx replaced");
    sim_told(&sim, "");
    sim_run(&sim, 10, "tcp 127.0.0.1:80 @nginx replaced");
    sim_told(&sim, "resolved 80/tcp address widened critical returned\n");
    sim_done(&sim);
}

/* The same program from another file, at the same path, as after an upgrade: history, and told where that is wanted. */
static void test_upgraded_program(void **state) {
    Sim sim;
    sim_init(&sim, "tcp 0.0.0.0:80 @nginx file=7");
    sim_forget_history(&sim);
    sim_run(&sim, 20, "");
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @nginx file=8");
    sim_told(&sim, "");
    sim_history(&sim, "bounced 80/tcp none\n"); /* one line, which says so */
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @nginx file=7");
    sim_history(&sim, "joined 80/tcp none\n");
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @nginx file=8");
    sim_told(&sim, "");
    /* Another owner for a moment, as a look in the middle of an execve(2) has it: one line, too. */
    sim_forget_history(&sim);
    sim_look(&sim, "tcp 0.0.0.0:80 exe=/usr/bin/sd-executor");
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @nginx file=7");
    sim_history(&sim, "bounced 80/tcp none\n");
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @nginx file=8");
    sim_forget_history(&sim);
    sim_run(&sim, 200, "tcp 0.0.0.0:80 @nginx file=8");
    sim_history(&sim, "");
    /* One whose file could not be looked at is not another. */
    sim_run(&sim, 200, "tcp 0.0.0.0:80 @nginx");
    sim_run(&sim, 200, "tcp 0.0.0.0:80 @nginx file=8");
    sim_history(&sim, "");
    sim_restart(&sim);
    sim.rules->upgrades = UPGRADES_ALERT;
    sim_run(&sim, 200, "tcp 0.0.0.0:80 @nginx file=8");
    sim_told(&sim, "");
    sim_run(&sim, 70, "tcp 0.0.0.0:80 @nginx file=9");
    sim_told(&sim, "opened 80/tcp program info\n");
    assert_int_equal(sim.state.n_incidents, 0);
    sim_run(&sim, 200, "tcp 0.0.0.0:80 @nginx file=9");
    sim_told(&sim, "");
    /* A section of its own has the last word. */
    sim_section(&sim, "80/tcp")->upgrades = UPGRADES_LOG;
    sim_run(&sim, 200, "tcp 0.0.0.0:80 @nginx file=10");
    sim_told(&sim, "");
    sim_done(&sim);

    /* One that was told as outdated is told once more when it runs from the new file. */
    sim_init(&sim, "tcp 0.0.0.0:80 @nginx file=7");
    sim.rules->upgrades = UPGRADES_ALERT;
    sim_run(&sim, 70, "tcp 0.0.0.0:80 @nginx file=7 replaced");
    sim_told(&sim, "opened 80/tcp program info\n");
    sim_run(&sim, 70, "tcp 0.0.0.0:80 @nginx file=8");
    sim_told(&sim, "opened 80/tcp program info\n");
    sim_done(&sim);

    /* What was learned by an older version without it is completed. */
    sim_init(&sim, "tcp 0.0.0.0:80 @nginx");
    sim.rules->upgrades = UPGRADES_ALERT;
    sim_run(&sim, 100, "tcp 0.0.0.0:80 @nginx file=7");
    sim_told(&sim, "");
    sim_run(&sim, 70, "tcp 0.0.0.0:80 @nginx file=8");
    sim_told(&sim, "opened 80/tcp program info\n");
    sim_done(&sim);
}

/* While an owner is still being looked up there is a name worth waiting for, but not for ever. */
static void test_pending_owner(void **state) {
    Sim sim;
    sim_init(&sim, "");
    sim_run(&sim, 10, "tcp 0.0.0.0:80 pending");
    sim_told(&sim, "");
    sim_run(&sim, 2, "tcp 0.0.0.0:80 @nginx");
    sim_told(&sim, "opened 80/tcp opened warning\n");
    assert_int_equal(sim.last.after.items[0].n_owners, 1);
    sim_run(&sim, 16, "tcp 0.0.0.0:80 @nginx; tcp 0.0.0.0:81 pending");
    sim_told(&sim, "");
    sim_run(&sim, 2, "tcp 0.0.0.0:80 @nginx; tcp 0.0.0.0:81 pending");
    sim_told(&sim, "opened 81/tcp opened warning\n");
    sim_done(&sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upgraded_program),
        cmocka_unit_test(test_restart_after_upgrade),
        cmocka_unit_test(test_restart_and_socket_activation),
        cmocka_unit_test(test_unknown_is_no_event),
        cmocka_unit_test(test_unknown_does_not_hide),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_better_known),
        cmocka_unit_test(test_kernel_owned),
        cmocka_unit_test(test_ignored_while_unknown),
        cmocka_unit_test(test_outdated_program),
        cmocka_unit_test(test_pending_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
