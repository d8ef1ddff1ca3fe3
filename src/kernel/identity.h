/* What a process is: read from its directory in procfs. Private to holder.c and identity.c; a `process` is a descriptor
 * of that directory. */
#pragma once

#include <sys/stat.h>

#include "kernel/holder.h"

/* Names of users, asked for once. Zeros are an empty one. */
typedef struct Users {
    struct User *items;
    size_t n;
} Users;

/* As holders_user. */
const char *users_name(Users *cache, uid_t uid);
void users_done(Users *cache);

/* Fills owner, started, directory_uid, exe_link and init of a holder with its pid set, replacing what it had. 0, -ESRCH
 * where it has ended, -EAGAIN where it executes one program after the other, or another negative errno; the holder is
 * then as it was. */
int identity_read(Users *users, int process, Holder *into);
/* Is it another program, user or (`thorough`) cgroup than the holder says? `directory`: fstat(2) of `process`. 0 or
 * negative errno. */
int identity_changed(const Holder *holder, int process, const struct stat *directory, bool thorough, bool *ret);
