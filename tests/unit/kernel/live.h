/* Real sockets in a network namespace of the test's own. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/snapshot.h"

/* Enters a new network namespace with lo up; ends the program with 77 (skipped) where that is not allowed. */
void live_enter(void);
/* A bound socket: TCP listens. Flags below; device NULL: none. Fails the program. */
enum { LIVE_REUSEPORT = 1, LIVE_V6ONLY = 2 };
int live_bind(Protocol protocol, const char *address, uint16_t port, unsigned flags, const char *device);
/* Runs body in a child that ends with its parent, and returns when body did; the child goes on with loop, or sleeps
 * until it is killed. */
pid_t live_child(void (*body)(void), void (*loop)(void));
void live_kill(pid_t pid);
/* The endpoint of a snapshot, or NULL. */
const Endpoint *live_find(const Snapshot *snapshot, Protocol protocol, const char *address, uint16_t port);
