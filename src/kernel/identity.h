/* What a process is: read from its directory in procfs. Private to holder.c, identity.c and lookup.c; a `process` is a
 * descriptor of that directory. */
#pragma once

#include <sys/stat.h>

#include "kernel/cgroup.h"
#include "kernel/holder.h"
#include "kernel/users.h"

/* What it takes to read one. Borrowed. */
typedef struct IdentitySources {
    const char *files; /* KernelRoots.files */
    const Cgroups *cgroups;
    Users *users;
} IdentitySources;

/* Fills owner, started, directory_uid, exe_link, cgroup and init of a holder with its pid set, replacing what it had.
 * 0, -ESRCH where it has ended, -EAGAIN where it executes one program after the other, or another negative errno; the
 * holder is then as it was. */
int identity_read(const IdentitySources *sources, int process, Holder *into);
/* Puts a place into an owner: unit, container, slice. Empties the place. 0 or -ENOMEM. */
int identity_place(const char *files, Place *place, Owner *owner);
/* Is it another program, user or (`thorough`) cgroup than the holder says, or has its executable's file gone?
 * `directory`: fstat(2) of `process`. 0 or negative errno. */
int identity_changed(const Holder *holder, int process, const struct stat *directory, bool thorough, bool *ret);
