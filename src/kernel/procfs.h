/* Reading procfs (proc(5)). A process is addressed by a descriptor of its directory: procfs binds that to the process,
 * not to the number, so what is read through it can never belong to a successor with the same pid (-ESRCH instead).
 * Names from here belong to attackers: comm and command lines hold any bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/roots.h"

typedef struct ProcStat {
    char comm[64]; /* raw bytes, NUL terminated; empty for none */
    char state;    /* 'R', 'S', 'Z' ... */
    pid_t ppid;
    unsigned threads;
    uint64_t started; /* clock ticks since boot */
} ProcStat;

/* Parsers: bytes in, nothing read beyond `length`. False: not of that form (then *ret is untouched). */
bool procfs_parse_stat(const char *bytes, size_t length, ProcStat *ret);       /* /proc/PID/stat */
bool procfs_parse_uid(const char *bytes, size_t length, uid_t *ret_effective); /* /proc/PID/status, "Uid:" */
bool procfs_parse_capabilities(const char *bytes, size_t length, uint64_t *ret_effective); /* "CapEff:" */
bool procfs_parse_port_range(const char *bytes, size_t length, uint16_t *ret_first, uint16_t *ret_last);
bool procfs_parse_last_pid(const char *bytes, size_t length, pid_t *ret); /* /proc/loadavg, the last field */
/* Sockets of one protocol in use, of /proc/net/sockstat or sockstat6: the line `name` ("UDPLITE:"), field "inuse". */
bool procfs_parse_sockstat(const char *bytes, size_t length, const char *name, unsigned long *ret);

/* A descriptor (O_PATH) of the process's directory. 0, -ESRCH, or another negative errno. */
int procfs_open_process(const KernelRoots *roots, pid_t pid, int *ret_fd);

/* Reads at most size - 1 bytes of a file below `dir` (AT_FDCWD for a path) and ends them with NUL; more is cut off.
 * 0 or a negative errno; -ESRCH also where the process is gone. */
int procfs_read(int dir, const char *name, char *buffer, size_t size, size_t *ret_length);
int procfs_read_stat(int process, ProcStat *ret);
int procfs_read_uid(int process, uid_t *ret_effective);
/* A symbolic link of the process ("exe") as it is, raw. The caller frees. -ENOENT: kernel thread or exited leader. */
int procfs_read_link(int process, const char *name, char **ret);
/* The command line, arguments joined by spaces, at most 4 KiB; NULL for none. The caller frees. */
int procfs_read_cmdline(int process, char **ret);

/* All pids, newest first: down from the last one given out, then, where the numbers have wrapped, down from the
 * highest. The caller frees. */
int procfs_list(const KernelRoots *roots, pid_t **ret, size_t *ret_n);

/* Microseconds since PID 1 started, by CLOCK_BOOTTIME: in a container the container's age, elsewhere the uptime. */
int procfs_boot_age(const KernelRoots *roots, int64_t *ret_usec);
/* The kernel's boot id as text of a UUID. */
#define PROCFS_BOOT_ID_MAX 37
int procfs_boot_id(const KernelRoots *roots, char ret[static PROCFS_BOOT_ID_MAX]);
/* Clock ticks since boot as realtime microseconds. */
int64_t procfs_ticks_to_realtime(uint64_t ticks);
/* net.ipv4.ip_local_port_range of the caller's network namespace. */
int procfs_port_range(const KernelRoots *roots, uint16_t *ret_first, uint16_t *ret_last);
int procfs_capabilities(const KernelRoots *roots, uint64_t *ret_effective); /* of this process */
/* True if `roots->proc` shows the pid namespace the machine booted with to this process. */
bool procfs_is_initial_pid_namespace(const KernelRoots *roots);
/* True if roots->proc is procfs and its pids are those this process uses in system calls: pidfd_open(2) makes sense. */
bool procfs_is_live(const KernelRoots *roots);
