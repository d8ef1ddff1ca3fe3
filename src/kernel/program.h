/* The executable's file of a process: is it still there, and is it the host's? */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum ProgramFile {
    PROGRAM_PRESENT,
    PROGRAM_DELETED,
    PROGRAM_REPLACED, /* another file is at its path */
} ProgramFile;

/* Cuts the " (deleted)" off `exe`, the target of /proc/PID/exe, where the kernel put it, which is not where a file is
 * really called so. By device and inode, and by the path as the process itself sees it: a container's is not the
 * host's. `process`: its directory in procfs. Never waits for a network's file system to answer. */
ProgramFile program_examine(int process, char *exe);
/* The file that runs, by inode and change time (realtime microseconds); zeros where it is not known. */
void program_file(int process, uint64_t *ret_inode, int64_t *ret_changed);
/* Is `exe` (cut as above) one of the host's own files? Then it is the very file at that path below `files`, or was: one
 * that only root could have put there, seen from the same root directory. */
bool program_is_host(int process, const char *exe, ProgramFile file, const char *files);
