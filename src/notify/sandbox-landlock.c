/* Landlock: reading what a TLS client needs, writing nothing (kernel: Documentation/userspace-api/landlock.rst). */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "core/cleanup.h"
#include "notify/sandbox.h"

/* Newer than Debian 12's headers; an older kernel is never asked for them. */
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define NET_BIND_TCP (1ULL << 0)
#define SCOPE_ABSTRACT_UNIX (1ULL << 0)
#define SCOPE_SIGNAL (1ULL << 1)

struct ruleset_attr {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; /* ABI 4 */
    uint64_t scoped;             /* ABI 6 */
};

static const char *const readable[] = {
    "/usr",
    "/lib",
    "/lib64",
    "/lib32", /* where they are not links into /usr */
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ld.so.preload", /* loader */
    "/etc/ssl",
    "/etc/ca-certificates",
    "/etc/pki",
    "/etc/crypto-policies", /* TLS */
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/run/systemd/resolve", /* names */
    "/etc/localtime",
};

static int allow_read(int ruleset, int fd) {
    struct stat st;
    if (fstat(fd, &st) < 0) return -errno;
    struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE, .parent_fd = fd};
    if (S_ISDIR(st.st_mode)) rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

int sandbox_landlock(int plugin_dir) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 0) return errno == EOPNOTSUPP ? -ENOSYS : -errno;
    struct ruleset_attr attr = {
        .handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1, /* all of ABI 1 */
    };
    size_t size = sizeof(uint64_t);
    if (abi >= 2) attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3) attr.handled_access_fs |= FS_TRUNCATE;
    if (abi >= 5) attr.handled_access_fs |= FS_IOCTL_DEV;
    if (abi >= 4) {
        attr.handled_access_net = NET_BIND_TCP;
        size = 2 * sizeof(uint64_t);
    }
    if (abi >= 6) {
        attr.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
        size = 3 * sizeof(uint64_t);
    }
    _cleanup_close_ int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0) return -errno;
    int r = allow_read(ruleset, plugin_dir);
    for (size_t i = 0; r == 0 && i < ELEMENTSOF(readable); i++) {
        /* follows links: the rule is for what is there now (resolv.conf often points into /run) */
        _cleanup_close_ int fd = open(readable[i], O_PATH | O_CLOEXEC);
        if (fd >= 0) r = allow_read(ruleset, fd);
    }
    if (r < 0) return r;
    return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}
