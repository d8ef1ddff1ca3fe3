/* The seccomp filter: a list of what is refused (EPERM), in classic BPF written here.
 *
 * Not libseccomp: one more library in the most exposed process for a filter of one page. A list of refusals and not of
 * permissions, because libc, libcurl and third-party plugins change what they call with every release, and a filter
 * that breaks mail on an upgrade is switched off. Landlock is the wall for files; this one stands where Landlock has
 * none: other processes, kernel interfaces, local sockets, and attributes of files, which Landlock does not cover. */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "core/cleanup.h"
#include "notify/sandbox.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCH AUDIT_ARCH_PPC64LE
#elif defined(__i386__)
#define ARCH AUDIT_ARCH_I386
#elif defined(__arm__)
#define ARCH AUDIT_ARCH_ARM
#endif

#ifdef ARCH

/* Always refused. */
static const int refused[] = {
    /* signals to others (tgkill: below) */
    SYS_kill,
    SYS_tkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_pidfd_open,
    SYS_pidfd_getfd,
    SYS_pidfd_send_signal,
    /* other processes */
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_process_madvise,
    SYS_kcmp,
    SYS_move_pages,
    SYS_migrate_pages,
    SYS_setpriority,
    SYS_ioprio_set,
    SYS_sched_setaffinity,
    SYS_sched_setattr,
    SYS_sched_setparam,
    SYS_sched_setscheduler,
    /* programs */
    SYS_execve,
    SYS_execveat,
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
#endif
    /* namespaces, mounts */
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_fsmount,
    SYS_fsconfig,
    SYS_fspick,
    SYS_mount_setattr,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    /* wide doors of the kernel */
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_acct,
    SYS_quotactl,
    SYS_syslog,
    SYS_settimeofday,
    SYS_clock_settime,
    SYS_adjtimex,
    SYS_sethostname,
    SYS_setdomainname,
    SYS_personality,
    SYS_fanotify_init,
#ifdef SYS_modify_ldt
    SYS_modify_ldt,
#endif
#ifdef SYS_iopl
    SYS_iopl,
    SYS_ioperm,
#endif
    /* System V and POSIX message passing with others of our uid */
    SYS_mq_open,
    SYS_mq_unlink,
#ifdef SYS_shmget
    SYS_shmget,
    SYS_shmat,
    SYS_shmctl,
    SYS_semget,
    SYS_semctl,
    SYS_semtimedop,
    SYS_msgget,
    SYS_msgctl,
    SYS_msgsnd,
    SYS_msgrcv,
#endif
    /* attributes of files: the daemon's are of our uid, and Landlock lets these through */
    SYS_truncate,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fchown,
    SYS_fchownat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    SYS_utimensat,
#ifdef SYS_chmod
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
#endif
    /* newer than Debian 12's headers, the same numbers everywhere */
    452, /* fchmodat2 */
    463, /* setxattrat */
    466, /* removexattrat */
    469, /* file_setattr */
/* 32 bits have some twice, and many behind one number */
#ifdef SYS_socketcall
    SYS_socketcall,
    SYS_ipc,
#endif
#ifdef SYS_truncate64
    SYS_truncate64,
#endif
#ifdef SYS_chown32
    SYS_chown32,
    SYS_lchown32,
    SYS_fchown32,
#endif
#ifdef SYS_utimensat_time64
    SYS_utimensat_time64,
#endif
    /* waiting for strangers */
    SYS_listen,
    SYS_accept4,
#ifdef SYS_accept
    SYS_accept,
#endif
};

#define ARG_LOW(n) (offsetof(struct seccomp_data, args[n]) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0))
#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(offset))
#define IF_EQUAL(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(value), yes, no)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (unsigned)(value))
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)
#define ALLOW RETURN(SECCOMP_RET_ALLOW)

#define PROGRAM_MAX 512

typedef struct Program {
    struct sock_filter code[PROGRAM_MAX];
    unsigned short n;
} Program;

static void add(Program *p, const struct sock_filter *code, size_t n) {
    for (size_t i = 0; i < n && p->n < PROGRAM_MAX; i++) p->code[p->n++] = code[i];
}

#define ADD(p, ...)                                                                                                    \
    add(p, (const struct sock_filter[]){__VA_ARGS__},                                                                  \
        sizeof((const struct sock_filter[]){__VA_ARGS__}) / sizeof(struct sock_filter))

/* A block for one system call: `...` decides about its arguments and ends in returns; its length lets the others pass.
 */
#define FOR_CALL(p, number, ...)                                                                                       \
    ADD(p,                                                                                                             \
        IF_EQUAL(number, 0,                                                                                            \
            (unsigned char)(sizeof((const struct sock_filter[]){__VA_ARGS__}) / sizeof(struct sock_filter))),          \
        __VA_ARGS__)

int sandbox_seccomp(void) {
    Program p = {.n = 0};
    ADD(&p, LOAD(offsetof(struct seccomp_data, arch)), IF_EQUAL(ARCH, 1, 0), RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(offsetof(struct seccomp_data, nr)));
#ifdef __x86_64__
    /* x32: the same architecture with other numbers */
    ADD(&p, BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000U, 0, 1), RETURN(SECCOMP_RET_KILL_PROCESS));
#endif
    for (size_t i = 0; i < ELEMENTSOF(refused); i++) ADD(&p, IF_EQUAL(refused[i], 0, 1), REFUSE);
    /* glibc falls back to clone, whose flags can be seen */
    ADD(&p, IF_EQUAL(SYS_clone3, 0, 1), RETURN(SECCOMP_RET_ERRNO | ENOSYS));
    /* threads (libcurl's resolver), never processes */
    FOR_CALL(&p, SYS_clone, LOAD(ARG_LOW(0)), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0), REFUSE, ALLOW);
    /* abort() and pthread_kill: our own threads only */
    FOR_CALL(&p, SYS_tgkill, LOAD(ARG_LOW(0)), IF_EQUAL(getpid(), 1, 0), REFUSE, ALLOW);
    FOR_CALL(&p, SYS_prlimit64, LOAD(ARG_LOW(0)), IF_EQUAL(0, 2, 0), IF_EQUAL(getpid(), 1, 0), REFUSE, ALLOW);
    /* IP, and the routing table that getaddrinfo asks for. A local socket of any other kind reaches services that trust
     * our uid. */
    FOR_CALL(&p, SYS_socket, LOAD(ARG_LOW(0)), IF_EQUAL(AF_INET, 5, 0), IF_EQUAL(AF_INET6, 4, 0),
        IF_EQUAL(AF_NETLINK, 0, 2), LOAD(ARG_LOW(2)), IF_EQUAL(NETLINK_ROUTE, 1, 0), REFUSE, ALLOW);
    /* A datagram pair could be connected anew, to somebody else. */
    FOR_CALL(&p, SYS_socketpair, LOAD(ARG_LOW(1)), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf),
        IF_EQUAL(SOCK_STREAM, 1, 0), REFUSE, ALLOW);
    /* SIGIO to a process of our uid is a signal too. */
    FOR_CALL(&p, SYS_fcntl, LOAD(ARG_LOW(1)), IF_EQUAL(F_SETOWN, 3, 0), IF_EQUAL(F_SETOWN_EX, 2, 0),
        IF_EQUAL(F_SETSIG, 1, 0), ALLOW, REFUSE);
#ifdef SYS_fcntl64
    FOR_CALL(&p, SYS_fcntl64, LOAD(ARG_LOW(1)), IF_EQUAL(F_SETOWN, 3, 0), IF_EQUAL(F_SETOWN_EX, 2, 0),
        IF_EQUAL(F_SETSIG, 1, 0), ALLOW, REFUSE);
#endif
    FOR_CALL(&p, SYS_ioctl, LOAD(ARG_LOW(1)), IF_EQUAL(FIOSETOWN, 3, 0), IF_EQUAL(SIOCSPGRP, 2, 0),
        IF_EQUAL(TIOCSTI, 1, 0), ALLOW, REFUSE);
    ADD(&p, ALLOW);
    if (p.n >= PROGRAM_MAX) return -E2BIG;
    struct sock_fprog program = {.len = p.n, .filter = p.code};
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) < 0 ? -errno : 0;
}

#else

int sandbox_seccomp(void) {
    return -ENOSYS; /* a machine whose numbers we have not checked */
}

#endif
