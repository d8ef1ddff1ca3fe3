/* Where the kernel's file systems are mounted, and the host's own: arguments, so that tests run on trees of their own.
 */
#pragma once

typedef struct KernelRoots {
    const char *proc;   /* procfs, "/proc" */
    const char *cgroup; /* "/sys/fs/cgroup": cgroup v2 itself, or a v1 tree with v2 at "unified" */
    const char *files;  /* what is before /etc/passwd, /var/lib/dpkg and the like: ""; NULL: none of these is read */
} KernelRoots;

#define KERNEL_ROOTS_DEFAULT ((KernelRoots){.proc = "/proc", .cgroup = "/sys/fs/cgroup", .files = ""})
