/* From cgroups to systemd units (cgroups(7), systemd's CGROUP_DELEGATION). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/cleanup.h"
#include "kernel/roots.h"

/* The unit a cgroup path belongs to: its last component that ends in .service, .socket or .scope, without the
 * underscore systemd puts before names that would clash. *ret is NULL where there is none; the caller frees. 0 or
 * -ENOMEM. */
int cgroup_unit_of_path(const char *path, size_t length, char **ret);
/* The same for the bytes of /proc/PID/cgroup: the v2 line, or the line of v1's name=systemd. */
int cgroup_parse(const char *bytes, size_t length, char **ret);

/* The cgroup v2 tree. */
typedef struct Cgroups Cgroups;

/* Never fails for want of a v2 tree (then nothing is found in it). 0 or -ENOMEM. */
int cgroups_new(const KernelRoots *roots, Cgroups **ret);
Cgroups *cgroups_free(Cgroups *cgroups); /* takes NULL, returns NULL */
DEFINE_CLEANUP(Cgroups *, cgroups_free);

/* The unit of the cgroup with this id (INET_DIAG_CGROUP_ID), NULL where it belongs to none; the caller frees. By
 * open_by_handle_at(2), which needs CAP_DAC_READ_SEARCH; else by a bounded walk over the tree, a cgroup's id being its
 * inode number. 0, -ESTALE (no such cgroup, any more), or another negative errno. */
int cgroups_unit(const Cgroups *cgroups, uint64_t id, char **ret);
/* The processes in that cgroup itself, at most `max`. The root cgroup is refused with -EOPNOTSUPP: everything is in it.
 */
int cgroups_processes(const Cgroups *cgroups, uint64_t id, size_t max, pid_t **ret, size_t *ret_n);
