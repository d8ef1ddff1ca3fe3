#include "cause/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "cause/seccomp.h"
#include "core/cleanup.h"

#define DATA_MAX ((rlim_t)256 << 20)

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

static int descriptors_close(int keep) {
    if (keep > 3 && close_range(3, (unsigned)keep - 1, 0) < 0) return -errno;
    return close_range((unsigned)keep + 1, ~0U, 0) < 0 ? -errno : 0;
}

static int limit_set(int resource, rlim_t value) {
    struct rlimit now, limit = {value, value};
    if (getrlimit(resource, &now) < 0) return -errno;
    if (value > now.rlim_max) limit.rlim_cur = limit.rlim_max = now.rlim_max;
    return setrlimit(resource, &limit) < 0 ? -errno : 0;
}

/* Failure leaves a root without capabilities, as in a container that maps one user. */
static void user_leave_root(void) {
    if (geteuid() != 0 && getuid() != 0) return;
    const struct group *group = getgrnam("systemd-journal");
    gid_t journal = group ? group->gr_gid : 0;
    const struct passwd *user = getpwnam("portwatch");
    if (!user) user = getpwnam("nobody");
    uid_t uid = user ? user->pw_uid : 65534;
    gid_t gid = user ? user->pw_gid : 65534;
    if (setgroups(group ? 1 : 0, &journal) == 0 && setresgid(gid, gid, gid) == 0 && setresuid(uid, uid, uid) == 0)
        return;
}

/* The unit's filter refuses capset. There none are left but inheritable ones (cause_child_start), with which nothing
 * can be done under no_new_privs. */
static int capabilities_clear(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct now[2], none[2] = {0};
    /* The bounding set needs CAP_SETPCAP; without it no_new_privs does the same job. */
    for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++) {
    }
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    user_leave_root();
    if (syscall(SYS_capset, &header, none) == 0) return 0;
    int r = -errno;
    return syscall(SYS_capget, &header, now) == 0 && !(now[0].permitted | now[1].permitted) ? 0 : r;
}

static int allow_read(int ruleset, const char *path) {
    struct stat st;
    _cleanup_close_ int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) return 0; /* what is not there is not read */
    struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE, .parent_fd = fd};
    if (S_ISDIR(st.st_mode)) rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

/* Kernel: Documentation/userspace-api/landlock.rst. Connecting to a local socket is no access to a file there. */
static int landlock_raise(void) {
    static const char *const readable[] = {
        "/var/log/journal",
        "/run/log/journal",
        "/etc/machine-id",
        /* libsystemd loads what unpacks an entry; and how to tell the time */
        "/usr",
        "/lib",
        "/lib64",
        "/etc/ld.so.cache",
        "/etc/localtime",
    };
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0) return 0;
    struct landlock_ruleset_attr attr = {.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1}; /* ABI 1 */
    if (abi >= 2) attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3) attr.handled_access_fs |= 1ULL << 14; /* truncate; newer than Debian 12's headers */
    _cleanup_close_ int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
    if (ruleset < 0) return -errno;
    int r = 0;
    for (size_t i = 0; r == 0 && i < ELEMENTSOF(readable); i++) r = allow_read(ruleset, readable[i]);
    if (r < 0) return r;
    return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

int cause_sandbox(int keep) {
    int r = descriptors_close(keep);
    if (r == 0) r = limit_set(RLIMIT_CORE, 0);
    if (r == 0 && !WITH_ASAN) r = limit_set(RLIMIT_DATA, DATA_MAX);
    if (r == 0) r = capabilities_clear();
    if (r < 0) return r;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -errno;
    r = landlock_raise();
    if (r == 0) r = cause_seccomp();
    return r;
}
