/* Starts and ends one portwatch-notify process. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define CHILD_SOCKET 3 /* the descriptor the child finds its socket at */

typedef struct Child {
    pid_t pid;  /* 0: none */
    int pidfd;  /* readable once it has ended */
    int socket; /* stream, non-blocking */
    int output; /* its stdout and stderr, non-blocking; -1: closed */
} Child;

#define CHILD_NONE ((Child){.pid = 0, .pidfd = -1, .socket = -1, .output = -1})

/* Starts `worker` for a plugin, with an empty environment, default signals and no descriptor of ours. `plugin_dir`
 * NULL: the one it was built for. 0 or negative errno (-ENOENT: no such program). */
int child_start(const char *worker, const char *plugin_dir, const char *plugin, Child *ret);

/* Kills it if it still runs, reaps it, closes everything. Blocks only as long as the kernel needs to kill. Writes how
 * it ended ("was killed by SIGSEGV (Segmentation fault)", "exited with status 1") where `ret_how` is not NULL; to be
 * freed, may be NULL. */
void child_end(Child *child, char **ret_how);
