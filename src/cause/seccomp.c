/* A list of refusals and not of permissions, as in the notifier's child: libc and libsystemd change what they call. */
#include "cause/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"

#if defined(__x86_64__)
#define ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARCH AUDIT_ARCH_PPC64LE
#endif

#ifdef ARCH

static const int refused[] = {
    /* programs and processes */
    SYS_execve,
    SYS_execveat,
    SYS_clone,
    SYS_clone3,
#ifdef SYS_fork
    SYS_fork,
    SYS_vfork,
#endif
    /* other processes */
    SYS_kill,
    SYS_tkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_pidfd_open,
    SYS_pidfd_getfd,
    SYS_pidfd_send_signal,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_process_madvise,
    SYS_kcmp,
    SYS_setpriority,
    SYS_ioprio_set,
    SYS_sched_setaffinity,
    SYS_sched_setattr,
    SYS_sched_setparam,
    SYS_sched_setscheduler,
    SYS_prlimit64,
    /* namespaces, mounts, wide doors of the kernel */
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
    SYS_mount_setattr,
    SYS_open_by_handle_at,
    SYS_name_to_handle_at,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_io_uring_setup,
    SYS_io_uring_enter,
    SYS_io_uring_register,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_personality,
    /* System V and POSIX message passing */
    SYS_mq_open,
    SYS_shmget,
    SYS_shmat,
    SYS_semget,
    SYS_msgget,
    /* attributes of files, which Landlock lets through */
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
    452, /* fchmodat2, setxattrat, removexattrat, file_setattr: newer than Debian 12's headers */
    463,
    466,
    469,
    /* connections */
    SYS_socketpair,
    SYS_bind,
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

int cause_seccomp(void) {
    const struct sock_filter head[] = {
        LOAD(offsetof(struct seccomp_data, arch)),
        IF_EQUAL(ARCH, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        LOAD(offsetof(struct seccomp_data, nr)),
#ifdef __x86_64__
        /* x32: the same architecture with other numbers */
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000U, 0, 1),
        RETURN(SECCOMP_RET_KILL_PROCESS),
#endif
    };
    const struct sock_filter tail[] = {
        /* abort(): ourselves only */
        IF_EQUAL(SYS_tgkill, 0, 4),
        LOAD(ARG_LOW(0)),
        IF_EQUAL(getpid(), 1, 0),
        REFUSE,
        ALLOW,
        IF_EQUAL(SYS_socket, 0, 3),
        LOAD(ARG_LOW(0)),
        IF_EQUAL(AF_UNIX, 1, 0),
        REFUSE,
        ALLOW,
    };
    struct sock_filter code[ELEMENTSOF(head) + 2 * ELEMENTSOF(refused) + ELEMENTSOF(tail)];
    unsigned short n = 0;
    for (size_t i = 0; i < ELEMENTSOF(head); i++) code[n++] = head[i];
    for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
        code[n++] = (struct sock_filter)IF_EQUAL(refused[i], 0, 1);
        code[n++] = (struct sock_filter)REFUSE;
    }
    for (size_t i = 0; i < ELEMENTSOF(tail); i++) code[n++] = tail[i];
    struct sock_fprog program = {.len = n, .filter = code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0) return 0;
    return errno == EINVAL || errno == ENOSYS ? 0 : -errno; /* a kernel built without */
}

#else

int cause_seccomp(void) {
    return 0; /* a machine whose numbers we have not checked */
}

#endif
