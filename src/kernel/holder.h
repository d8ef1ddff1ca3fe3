/* Processes that hold sockets: who they are, and whether they still are. */
#pragma once

#include "core/endpoint.h"
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
    uint64_t checked; /* round of holders_check in which it was last checked */
} Holder;

typedef struct Holders Holders;

/* 0 or a negative errno. */
int holders_new(const KernelRoots *roots, Holders **ret);
/* All holders must have been released. Takes NULL, returns NULL. */
Holders *holders_free(Holders *holders);
DEFINE_CLEANUP(Holders *, holders_free);

/* The process `pid` that started at `started`, as known or read now (about 100 us), with a reference for the caller.
 * 0, -ESRCH where that process is gone (or another has its pid), -EACCES, -ENOMEM ... May ask NSS for the user's name
 * once per uid, which can block as getpwuid_r(3) does. */
int holders_get(Holders *holders, pid_t pid, uint64_t started, Holder **ret);
Holder *holders_ref(Holder *holder);
void holders_release(Holders *holders, Holder *holder); /* takes NULL */

/* Learns without a system call per process which watched ones ended; sets their `gone`. Returns how many. */
int holders_poll(Holders *holders);

/* Looks whether the process is still the one it was (ended, other program, other user; `thorough`: other cgroup too)
 * and reads it anew where it is not. Once per `round`; 5 to 10 us. Sets gone. 0 or -ENOMEM. */
int holders_check(Holders *holders, Holder *holder, uint64_t round, bool thorough);
/* True if descriptor `fd` of the process is the socket with this inode. One readlink. */
bool holders_has(const Holders *holders, const Holder *holder, int fd, uint32_t inode);

/* The name of a user, or the number as text, from a cache. NULL: no memory. Belongs to the cache. */
const char *holders_user(Holders *holders, uid_t uid);
size_t holders_count(const Holders *holders);
