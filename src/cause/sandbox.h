/* The walls of portwatch-cause (SECURITY.md), raised before it reads a byte of the journal or the bus. */
#pragma once

/* No capabilities, no_new_privs, Landlock (reading the journal, the loader's files and the time zone, nothing else),
 * seccomp (no programs, processes, signals, tracing, no socket but local ones), not dumpable. All descriptors but 0, 1,
 * 2 and `keep` are closed. Started by root it becomes user portwatch, else nobody, with group systemd-journal. Landlock
 * and seccomp are left out where the kernel has none. Negative errno: a wall that every system has could not be raised.
 */
int cause_sandbox(int keep);
