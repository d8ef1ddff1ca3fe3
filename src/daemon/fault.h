/* Fault points: where the tests kill the daemon. Built with -Dfault_points=true only; else nothing. */
#pragma once

#ifdef PORTWATCH_FAULT_POINTS
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* PORTWATCH_FAULT=NAME or NAME:N kills the process with SIGKILL the first (Nth) time it comes past NAME. */
static inline void fault_point(const char *name) {
    static unsigned passed;
    const char *wanted = getenv("PORTWATCH_FAULT");
    if (!wanted) return;
    size_t n = strlen(name);
    if (strncmp(wanted, name, n) != 0 || (wanted[n] && wanted[n] != ':')) return;
    unsigned at = wanted[n] == ':' ? (unsigned)strtoul(wanted + n + 1, NULL, 10) : 1;
    if (++passed == at) kill(getpid(), SIGKILL);
}
#else
static inline void fault_point(const char *name) {
    (void)name;
}
#endif
