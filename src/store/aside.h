/* Inside store/ only: a database that cannot be used is renamed, never deleted. */
#pragma once

#include <stdint.h>

/* Renames portwatch.db, -wal and -shm in `dir` to portwatch.db.WHY-TIME, ...-wal, ...-shm (so that the copy opens with
 * its log) and syncs the directory. The database must be closed. Files that are not there are passed over. On success
 * *ret_name is the new path of the database, the caller frees. 0 or -errno. */
int store_set_aside(const char *dir, const char *why, int64_t now, char **ret_name);
/* A log without its database (left by a crash within store_set_aside) must not meet a new one. 0 or -errno. */
int store_set_aside_stray(const char *dir, int64_t now);
/* Reads the database and its log from end to end: -EIO and the like where the disk, not the content, is to blame. The
 * database must be closed. 0 or -errno. */
int store_readable(const char *dir);
