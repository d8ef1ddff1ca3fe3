/* The lock of the state directory, and the ballast. */
#include "fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/ballast.h"

static void test_lock(void **state) {
    Fixture *f = *state;
    int fd = -1, second = -1;
    assert_int_equal(state_lock_held(f->dir), 0);
    assert_int_equal(state_lock(f->dir, &fd), 0);
    assert_true(fd >= 0);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_int_equal(state_lock_held(f->dir), 1);
    assert_int_equal(state_lock(f->dir, &second), 1);
    assert_int_equal(second, -1);
    close(fd);
    assert_int_equal(state_lock_held(f->dir), 0);
    assert_int_equal(state_lock_held("/nonexistent"), 0);
    assert_int_equal(state_lock("/nonexistent", &fd), -ENOENT);
}

/* Across processes, and gone with its holder however that ends. */
static void test_killed(void **state) {
    Fixture *f = *state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        int fd;
        char c = 0;
        if (state_lock(f->dir, &fd) != 0 || write(ready[1], &c, 1) != 1) _exit(1);
        for (;;) pause();
    }
    char c;
    int fd = -1;
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(state_lock_held(f->dir), 1);
    assert_int_equal(state_lock(f->dir, &fd), 1);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(state_lock_held(f->dir), 0);
    assert_int_equal(state_lock(f->dir, &fd), 0);
    close(fd);
}

static void test_directory(void **state) {
    Fixture *f = *state;
    const char *dir = fixture_path(f, "new");
    mode_t mask = umask(0);
    assert_int_equal(state_directory_make(dir), 0);
    umask(mask);
    struct stat st;
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0750);
    /* One that is there keeps its mode. */
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(state_directory_make(dir), 0);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(state_directory_make("/nonexistent/below"), -ENOENT);
}

static void test_ballast(void **state) {
    Fixture *f = *state;
    assert_int_equal(ballast_release(f->dir), 0);
    assert_int_equal(ballast_keep(f->dir), 1);
    assert_int_equal(ballast_keep(f->dir), 1);
    struct stat st;
    assert_int_equal(stat(fixture_path(f, "ballast"), &st), 0);
    assert_true(st.st_size == BALLAST_SIZE && st.st_blocks * 512 >= BALLAST_SIZE);
    assert_int_equal(ballast_release(f->dir), 1);
    assert_int_equal(ballast_release(f->dir), 0);
    assert_int_equal(ballast_keep("/nonexistent"), -ENOENT);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_empty, fixture_teardown)
    const struct CMUnitTest tests[] = {TEST(test_lock), TEST(test_killed), TEST(test_directory), TEST(test_ballast)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
