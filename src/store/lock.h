/* The state directory and its lock, which is the daemon's liveness. */
#pragma once

#include <stdbool.h>

/* Makes the state directory (0750) if it is not there; its parent must be. 0 or -errno. */
int state_directory_make(const char *dir);
/* Takes the lock of the state directory (an OFD lock on the file `lock`, 0640), without waiting. Returns 0 and the
 * descriptor that holds it (closed on exec; children of fork share it until they close it), 1 if another process has
 * it, or -errno. */
int state_lock(const char *dir, int *ret_fd);
/* Whether somebody holds the lock. 1 yes, 0 no (also where there is no lock file), or -errno. */
int state_lock_held(const char *dir);
