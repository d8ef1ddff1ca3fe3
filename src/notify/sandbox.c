#include "notify/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "core/cleanup.h"

/* Enough for libcurl, TLS and the largest message several times over. */
#define DATA_MAX ((rlim_t)256 << 20)
/* Shared memory is no data to RLIMIT_DATA; the threads' arenas reserve much that they never use. */
#define SPACE_MAX ((rlim_t)1 << 30)

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifndef WITH_ASAN
#define WITH_ASAN 0
#endif

static int limits_set(void) {
    const struct {
        int resource;
        rlim_t value;
    } limits[] = {
        {RLIMIT_CORE, 0},
        {RLIMIT_FSIZE, 0},
        {RLIMIT_NOFILE, 64},
        {RLIMIT_MEMLOCK, 0},
        {RLIMIT_MSGQUEUE, 0},
        {RLIMIT_SIGPENDING, 16},
        {RLIMIT_DATA, DATA_MAX},
        {RLIMIT_AS, SPACE_MAX},
    };
    for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
        /* ASan's shadow memory alone is terabytes of it */
        if (WITH_ASAN && (limits[i].resource == RLIMIT_DATA || limits[i].resource == RLIMIT_AS)) continue;
        struct rlimit now, limit = {limits[i].value, limits[i].value};
        if (getrlimit(limits[i].resource, &now) < 0) return -errno;
        if (limit.rlim_max > now.rlim_max) limit.rlim_cur = limit.rlim_max = now.rlim_max;
        if (setrlimit(limits[i].resource, &limit) < 0) return -errno;
    }
    return 0;
}

static int descriptors_close(int a, int b) {
    int low = a < b ? a : b, high = a < b ? b : a;
    if (low > 3 && close_range(3, (unsigned)low - 1, 0) < 0) return -errno;
    if (high > low + 1 && close_range((unsigned)low + 1, (unsigned)high - 1, 0) < 0) return -errno;
    return close_range((unsigned)high + 1, ~0U, 0) < 0 ? -errno : 0;
}

/* The unit's filter refuses capset. There none are left but inheritable ones (child_start), with which nothing can be
 * done under no_new_privs. */
static int capabilities_clear(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[2], none[2] = {0};
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &header, none) == 0) return 0;
    int r = -errno;
    return syscall(SYS_capget, &header, now) == 0 && !(now[0].permitted | now[1].permitted) ? 0 : r;
}

/* 1: changed, 0: we are not root. */
static int user_leave_root(void) {
    if (geteuid() != 0 && getuid() != 0) return 0;
    errno = 0;
    const struct passwd *user = getpwnam("portwatch");
    if (!user) user = getpwnam("nobody");
    uid_t uid = user ? user->pw_uid : 65534;
    gid_t gid = user ? user->pw_gid : 65534;
    if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) return -errno;
    return 1;
}

static int note(char ***missing, const char *wall, int error) {
    _cleanup_free_ char *text =
        text_printf("%s: %s", wall, error == -ENOSYS ? "this kernel has none" : strerror(-error));
    if (!text) return -ENOMEM;
    return strv_append(missing, text);
}

int sandbox_enter(int plugin_dir, int keep, int parent, char ***ret_missing) {
    char **missing = NULL;
    int r = descriptors_close(plugin_dir, keep);
    if (r < 0) return r;
    setsid(); /* fails only for a session's leader, which is as good */
    r = limits_set();
    if (r < 0) return r;
    /* The bounding set needs CAP_SETPCAP; without it no_new_privs does the same job. */
    for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++) {
    }
    r = user_leave_root();
    if (r < 0) {
        r = note(&missing, "user", r); /* a container that maps one uid */
        if (r < 0) goto fail;
    }
    r = capabilities_clear();
    if (r < 0) goto fail;
    /* after setresuid, which resets both */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
        r = -errno;
        goto fail;
    }
    if (getppid() != parent) {
        r = -ESRCH; /* the parent died before PDEATHSIG was set */
        goto fail;
    }
    r = sandbox_landlock(plugin_dir);
    if (r < 0) r = note(&missing, "landlock", r);
    if (r < 0) goto fail;
    r = sandbox_seccomp();
    if (r < 0) r = note(&missing, "seccomp", r);
    if (r < 0) goto fail;
    *ret_missing = missing;
    return 0;
fail:
    strv_free(missing);
    return r;
}
