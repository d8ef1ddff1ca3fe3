/* Tries every door there is and says in its result which were open. Settings: secret_path (a file of our uid),
 * database (the daemon's), probe (a directory of our uid). Also tries from its constructor, before main and configure
 * had a say. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/capability.h>

static char open_doors[4096];
static int tried;
static pid_t parent;
static const char *paths[3] = {"/nonexistent", "/nonexistent", "/nonexistent"};
static int settings_seen;

static const pw_key keys[] = {{"secret_path", 0, ""}, {"database", 0, ""}, {"probe", 0, ""}};

__attribute__((format(printf, 2, 3))) static void door(int open, const char *format, ...) {
    char name[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof(name), format, arguments);
    va_end(arguments);
    size_t n = strlen(open_doors);
    tried++;
    if (open) snprintf(open_doors + n, sizeof(open_doors) - n, "%s%s", n ? "; " : "", name);
}

static void try_read(const char *path) {
    int fd = open(path, O_RDONLY);
    door(fd >= 0, "read %s", path);
    if (fd >= 0) close(fd);
}

static void try_write(const char *path, int flags) {
    int fd = open(path, flags, 0666);
    door(fd >= 0, "write %s", path);
    if (fd >= 0) close(fd);
}

/* True where the call was let in: anything but "not permitted", "access denied" or "no such call". */
static int let_in(long result) {
    return result >= 0 || (errno != EPERM && errno != EACCES && errno != ENOSYS);
}

static void try_files(void) {
    char path[4096];
    try_read("/etc/shadow");
    try_read("/etc/passwd");
    try_read("/proc/self/environ");
    try_read("/root");
    try_read("/tmp");
    for (int i = 0; i < 3; i++) try_read(paths[i]);
    snprintf(path, sizeof(path), "/proc/%d/environ", parent);
    try_read(path);
    snprintf(path, sizeof(path), "/proc/%d/mem", parent);
    try_read(path);
    snprintf(path, sizeof(path), "/proc/%d/fd/1", parent);
    try_read(path);
    snprintf(path, sizeof(path), "%s/new", paths[2]);
    try_write(path, O_WRONLY | O_CREAT);
    try_write(paths[1], O_RDWR);
    try_write(paths[1], O_RDONLY | O_TRUNC);
    try_write("/tmp/portwatch-hostile", O_WRONLY | O_CREAT);
    try_write("/dev/shm/portwatch-hostile", O_WRONLY | O_CREAT);
    try_write("/usr/portwatch-hostile", O_WRONLY | O_CREAT);
    try_write("/dev/tty", O_RDWR);
    try_write("/dev/null", O_RDWR);
    door(mkdir(path, 0777) == 0, "mkdir");
    door(symlink("/etc/shadow", path) == 0, "symlink");
    door(link(paths[0], path) == 0, "link");
    door(mknod(path, S_IFIFO | 0666, 0) == 0, "mkfifo");
    door(rename(paths[1], path) == 0, "rename");
    door(unlink(paths[1]) == 0, "unlink");
    door(truncate(paths[1], 0) == 0, "truncate");
    door(chmod(paths[1], 0666) == 0, "chmod");
    door(chmod(paths[2], 0) == 0, "chmod directory");
    door(chown(paths[1], getuid(), getgid()) == 0, "chown");
    door(utimes(paths[1], NULL) == 0, "utimes");
    door(syscall(SYS_setxattr, paths[1], "user.x", "y", 1, 0) == 0, "setxattr");
    door(let_in(syscall(452, AT_FDCWD, paths[1], 0666, 0)), "fchmodat2");
    door(let_in(syscall(463, AT_FDCWD, paths[1], 0, "user.x", NULL, 0)), "setxattrat");
    door(let_in(syscall(466, AT_FDCWD, paths[1], 0, "user.x")), "removexattrat");
    door(let_in(syscall(469, AT_FDCWD, paths[1], NULL, 0, 0)), "file_setattr");
}

static void try_processes(void) {
    char buffer[16];
    struct iovec local = {buffer, sizeof(buffer)}, remote = {(void *)&open_doors, sizeof(buffer)};
    struct rlimit limit = {0, 0};
    struct f_owner_ex owner = {F_OWNER_PID, parent};
    siginfo_t info = {.si_code = SI_QUEUE};
    int pair[2];
    door(kill(parent, 0) == 0, "kill parent 0");
    door(kill(parent, SIGTERM) == 0, "kill parent");
    door(kill(-1, SIGCONT) == 0, "kill all");
    door(let_in(syscall(SYS_tkill, parent, 0)), "tkill");
    door(let_in(syscall(SYS_tgkill, parent, parent, 0)), "tgkill");
    door(let_in(syscall(SYS_rt_sigqueueinfo, parent, SIGCONT, &info)), "rt_sigqueueinfo");
    door(let_in(syscall(SYS_pidfd_open, parent, 0)), "pidfd_open");
    door(let_in(syscall(SYS_pidfd_send_signal, 0, 0, NULL, 0)), "pidfd_send_signal");
    door(let_in(ptrace(PTRACE_ATTACH, parent, 0, 0)), "ptrace attach");
    door(let_in(ptrace(PTRACE_SEIZE, parent, 0, 0)), "ptrace seize");
    door(let_in(process_vm_readv(parent, &local, 1, &remote, 1, 0)), "process_vm_readv");
    door(let_in(process_vm_writev(parent, &local, 1, &remote, 1, 0)), "process_vm_writev");
    door(let_in(prlimit(parent, RLIMIT_NOFILE, NULL, &limit)), "prlimit parent");
    door(let_in(setpriority(PRIO_PROCESS, (id_t)parent, 19)), "setpriority parent");
    door(let_in(syscall(SYS_sched_setaffinity, parent, sizeof(buffer), buffer)), "sched_setaffinity parent");
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0) {
        door(let_in(fcntl(pair[0], F_SETOWN, parent)), "F_SETOWN");
        door(let_in(fcntl(pair[0], F_SETOWN_EX, &owner)), "F_SETOWN_EX");
        door(let_in(ioctl(pair[0], FIOSETOWN, &parent)), "FIOSETOWN");
        close(pair[0]);
        close(pair[1]);
    } else
        door(1, "socketpair is shut, which libcurl needs");
    door(let_in(ioctl(0, TIOCSTI, "x")), "TIOCSTI");
    door(let_in(syscall(SYS_kcmp, parent, getpid(), 0, 0, 0)), "kcmp");
}

static void try_programs(void) {
    char *arguments[] = {(char *)"/bin/sh", (char *)"-c", (char *)":", NULL};
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid(pid, NULL, 0);
    door(pid >= 0, "fork");
    door(let_in(syscall(SYS_vfork)), "vfork");
    door(system(":") == 0, "system");
    door(let_in(execve("/bin/sh", arguments, NULL)), "execve");
    int fd = open("/usr/bin/true", O_RDONLY);
    door(let_in(syscall(SYS_execveat, fd, "", arguments, NULL, AT_EMPTY_PATH)), "execveat");
    if (fd >= 0) close(fd);
}

static void try_kernel(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2] = {{0}}, want[2] = {{0}};
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "/run/dbus/system_bus_socket"};
    int pair[2];
    syscall(SYS_capget, &header, caps);
    door(caps[0].effective | caps[0].permitted | caps[0].inheritable | caps[1].permitted, "capabilities");
    want[0].effective = want[0].permitted = 1;
    door(syscall(SYS_capset, &header, want) == 0, "capset");
    door(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 19, 0, 0) == 0, "ambient");
    door(setuid(0) == 0, "setuid");
    door(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1, "no_new_privs is off");
    door(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0, "dumpable");
    door(let_in(unshare(CLONE_NEWUSER)), "unshare");
    door(let_in(syscall(SYS_setns, 0, 0)), "setns");
    door(let_in(mount("none", "/", "tmpfs", 0, NULL)), "mount");
    door(let_in(chroot("/usr")), "chroot");
    door(let_in(syscall(SYS_bpf, 0, NULL, 0)), "bpf");
    door(let_in(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0)), "perf_event_open");
    door(let_in(syscall(SYS_userfaultfd, 0)), "userfaultfd");
    door(let_in(syscall(SYS_io_uring_setup, 1, NULL)), "io_uring");
    door(let_in(syscall(SYS_keyctl, 0, 0)), "keyctl");
    door(let_in(syscall(SYS_add_key, NULL, NULL, NULL, 0, 0)), "add_key");
    door(let_in(shmget(IPC_PRIVATE, 4096, 0600)), "shmget");
    door(let_in(syscall(SYS_mq_open, "x", O_RDWR, 0, NULL)), "mq_open");
    door(let_in(socket(AF_UNIX, SOCK_STREAM, 0)), "unix socket");
    door(let_in(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair)), "unix datagram pair");
    door(connect(3, (struct sockaddr *)&address, sizeof(address)) == 0, "reconnect our socket");
    door(let_in(socket(AF_PACKET, SOCK_RAW, 0)), "packet socket");
    door(let_in(socket(AF_INET, SOCK_RAW, 1)), "raw socket");
    door(let_in(socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG)), "netlink sock_diag");
    door(let_in(socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT)), "netlink uevent");
    door(let_in(socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT)), "netlink audit");
    door(let_in(socket(AF_VSOCK, SOCK_STREAM, 0)), "vsock");
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    door(fd < 0, "no IP socket at all");
    door(listen(fd, 1) == 0, "listen");
    close(fd);
#ifdef __x86_64__
    /* x32 numbers would pass a filter that looks at the architecture alone: the process is killed instead; not tried */
#endif
}

/* Neither is data of the process by RLIMIT_DATA's count. */
static void try_memory(void) {
    size_t much = (size_t)1 << 30;
    void *memory = mmap(NULL, much, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
#ifndef __SANITIZE_ADDRESS__ /* ASan itself needs more */
    door(memory != MAP_FAILED, "shared memory");
#endif
    if (memory != MAP_FAILED) munmap(memory, much);
    signal(SIGXFSZ, SIG_IGN);
    int fd = memfd_create("x", 0);
    door(fd >= 0 && ftruncate(fd, 4096) == 0, "memfd");
    if (fd >= 0) close(fd);
}

static void try_descriptors(void) {
    int count = 0;
    for (int fd = 4; fd < 1024; fd++) count += fcntl(fd, F_GETFD) >= 0;
    door(count, "inherited descriptors");
}

static void *nothing(void *argument) {
    return argument;
}

static void try_needed(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, nothing, NULL) == 0)
        pthread_join(thread, NULL);
    else
        door(1, "threads are shut, which libcurl needs");
    int fd = open("/usr/lib/os-release", O_RDONLY);
    if (fd >= 0)
        close(fd);
    else
        door(1, "/usr is shut, which everything needs");
    fd = open("/etc/hosts", O_RDONLY);
    if (fd >= 0)
        close(fd);
    else
        door(1, "/etc/hosts is shut, which the resolver needs");
}

__attribute__((constructor)) static void early(void) {
    parent = getppid();
    try_read("/etc/shadow");
    door(kill(parent, 0) == 0, "early kill");
    door(getenv("HOME") || getenv("CREDENTIALS_DIRECTORY"), "environment");
}

static int configure(const pw_setting *settings, size_t n, const pw_faults *faults, void **instance) {
    (void)faults;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++)
            if (strcmp(settings[i].key, keys[k].name) == 0) paths[k] = strdup(settings[i].value);
    settings_seen = (int)n;
    *instance = paths;
    return 0;
}

static void deliver(void *instance, const pw_message *message, const char *recipient, pw_result *result) {
    (void)instance, (void)message, (void)recipient;
    try_files();
    try_processes();
    try_programs();
    try_kernel();
    try_memory();
    try_descriptors();
    try_needed();
    result->outcome = PW_REFUSED;
    snprintf(result->reason, sizeof(result->reason), "tried %d doors as uid %d, open: %.440s", tried, (int)getuid(),
        open_doors[0] ? open_doors : "none");
}

static void release(void *instance) {
    (void)instance;
}

static const pw_plugin plugin = {.abi = PW_ABI,
    .size = sizeof(pw_plugin),
    .name = "hostile",
    .version = "1",
    .keys = keys,
    .n_keys = 3,
    .configure = configure,
    .deliver = deliver,
    .release = release};

const pw_plugin *pw_plugin_v1(void) {
    return &plugin;
}
