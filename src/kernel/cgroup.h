/* The tree of cgroups (cgroups(7)): from ids to places and processes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/cleanup.h"
#include "kernel/place.h"
#include "kernel/roots.h"

/* The cgroup v2 tree. */
typedef struct Cgroups Cgroups;

/* Never fails for want of a v2 tree (then nothing is found in it). 0 or -ENOMEM. */
int cgroups_new(const KernelRoots *roots, Cgroups **ret);
Cgroups *cgroups_free(Cgroups *cgroups); /* takes NULL, returns NULL */
DEFINE_CLEANUP(Cgroups *, cgroups_free);

/* The place of a process, of the bytes of its /proc/PID/cgroup. 0 or -ENOMEM. */
int cgroups_parse(const Cgroups *cgroups, const char *bytes, size_t length, Place *ret);
/* The place of the cgroup with this id (INET_DIAG_CGROUP_ID). By open_by_handle_at(2), which needs CAP_DAC_READ_SEARCH;
 * else by a bounded walk over the tree, a cgroup's id being its inode number. 0, -ESTALE (no such cgroup, any more), or
 * another negative errno. */
int cgroups_place(const Cgroups *cgroups, uint64_t id, Place *ret);
/* The processes in that cgroup itself, at most `max`. The root cgroup is refused with -EOPNOTSUPP: everything is in it.
 */
int cgroups_processes(const Cgroups *cgroups, uint64_t id, size_t max, pid_t **ret, size_t *ret_n);
