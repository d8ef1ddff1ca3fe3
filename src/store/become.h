/* Taking on the ids of the state directory's owner: what root opens in a directory that belongs to somebody else must
 * not do more than that owner could, and must leave files that the owner can use. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

typedef struct Become {
    uid_t uid; /* effective ids to return to */
    gid_t gid;
    gid_t *groups;
    int n_groups;
    int active;
} Become;

/* If the effective user is root and `dir` is somebody else's: takes that owner's uid and gid as effective ids and drops
 * the supplementary groups, until store_become_self. Otherwise nothing. 0 or -errno (then nothing has changed).
 * Concerns the whole process. */
int store_become_owner(const char *dir, Become *ret);
/* Returns to the ids from before; ends the process if that fails. Takes an inactive one. */
void store_become_self(Become *become);
