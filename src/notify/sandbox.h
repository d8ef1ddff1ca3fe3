/* The walls of a notifier child (DESIGN: SECURITY.md). Linux only; single-threaded callers only.
 *
 * Why a uid is not enough: a child of the daemon's uid could read its 0400 files, signal it, trace it and write its
 * database. So: no capabilities, no_new_privs, Landlock (nothing but reading /usr, the plugin's folder, CA and resolver
 * files), seccomp (no signals, tracing, programs, local sockets, file attributes), limits, an own session, not
 * dumpable, dead with its parent. */
#pragma once

#include "core/text.h"

/* Raises every wall. `plugin_dir` is an open directory that stays readable; `parent` is the pid that started us. All
 * descriptors but 0, 1, 2, `keep` and `plugin_dir` are closed. Started by root, the process becomes user portwatch,
 * else nobody. *ret_missing lists walls this system does not have ("landlock: ..."). Negative errno: a wall every
 * system has could not be raised; nothing foreign may be run then. */
int sandbox_enter(int plugin_dir, int keep, int parent, char ***ret_missing);

/* Its parts. 0, or negative errno where the kernel does not have it. */
int sandbox_landlock(int plugin_dir);
int sandbox_seccomp(void);
