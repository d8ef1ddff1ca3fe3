/* How many descriptors each process had when it was last counted. Whoever made a socket since then has more by now:
 * that says whom to look into first, and nothing else. One that closed as many as it made is not noticed.
 *
 * Counted by the size that stat(2) gives of /proc/PID/fd (Linux 6.2; before that it is 0, and only new processes are
 * noticed): 3 to 8 us a process, its descriptors are not read. Start times are not kept: to read one costs several
 * times that, and a number used again can at worst hide a process from this one look. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/cleanup.h"
#include "kernel/roots.h"

/* Of more processes nothing is remembered. */
#define CENSUS_MAX 16384u

typedef struct Counted {
    pid_t pid;
    uint32_t descriptors;
} Counted;

typedef struct Census {
    Counted *items; /* by pid */
    size_t n;
    bool taken; /* else nothing is known of anybody */
} Census;

/* Counts all processes. What cannot be listed is no error: then nothing is remembered. 0 or -ENOMEM. */
int census_take(Census *census, const KernelRoots *roots);
/* Counts these processes, which shall be all there are, and lists those that have more descriptors than remembered or
 * are not known, few descriptors first; nobody where nothing was remembered. What is remembered of those listed stays:
 * see census_looked. The caller frees. 0 or -ENOMEM. */
int census_compare(Census *census, const KernelRoots *roots, const pid_t *pids, size_t n, Counted **ret, size_t *ret_n);
/* One of those listed was looked into: from now on it is what it had when it was counted. */
void census_looked(Census *census, const Counted *counted);
void census_done(Census *census);
