/* Processes that hold sockets: who they are, and whether they still are. */
#pragma once

#include "core/endpoint.h"
#include "kernel/cgroup.h"
#include "kernel/roots.h"

/* One process. Shared by the sockets it holds; reference counted. */
typedef struct Holder {
    unsigned references;
    pid_t pid;
    uint64_t started; /* clock ticks since boot */
    bool gone;        /* it has ended */
    bool init;        /* PID 1, a service manager: sockets it holds are activated through it */
    Owner *owner;     /* what it is as an owner; replaced when it executes another program, changes user or cgroup */
    /* for the check of what it is */
    int pidfd; /* -1: not watched, ask procfs */
    uid_t directory_uid;
    char *exe_link;
    uint64_t cgroup;  /* a hash of its /proc/PID/cgroup */
    uint64_t checked; /* round of holders_check in which it was last checked */
} Holder;

typedef struct Holders Holders;

/* `patience`: microseconds to wait for the name of a user that is not in /etc/passwd; it may also come later. `cgroups`
 * is borrowed. 0 or a negative errno. */
int holders_new(const KernelRoots *roots, const Cgroups *cgroups, int64_t patience, Holders **ret);
/* All holders must have been released. Takes NULL, returns NULL. */
Holders *holders_free(Holders *holders);
DEFINE_CLEANUP(Holders *, holders_free);

/* The process `pid` that started at `started`, as known or read now (about 100 us), with a reference for the caller.
 * 0, -ESRCH where that process is gone (or another has its pid), -EACCES, -ENOMEM ... That it is the one that was meant
 * is certain only if holders_has says so after that: clock ticks are coarse. */
int holders_get(Holders *holders, pid_t pid, uint64_t started, Holder **ret);
Holder *holders_ref(Holder *holder);
void holders_release(Holders *holders, Holder *holder); /* takes NULL */

/* Learns without a system call per process which watched ones ended; sets their `gone`. Returns how many. */
int holders_poll(Holders *holders);

/* Looks whether the process is still the one it was (ended, other program, other user; `thorough`: other cgroup too)
 * and reads it anew where it is not. Once per `round`; 5 to 10 us. Sets gone. 0 or -ENOMEM. */
int holders_check(Holders *holders, Holder *holder, uint64_t round, bool thorough);
/* True if descriptor `fd` of that very process is the socket with this inode, now. */
bool holders_has(const Holders *holders, const Holder *holder, int fd, uint32_t inode);

/* Fills in names of users that were not known yet. Costs nothing where there are none. 0 or -ENOMEM. */
int holders_name_users(Holders *holders);
size_t holders_count(const Holders *holders);
/* The pids of at most `max` holders that live, each once, highest first. Returns how many. */
size_t holders_pids(const Holders *holders, pid_t *pids, size_t max);
