/* Which run of a unit a process belongs to. Private to identity.c and its tests. */
#pragma once

#include <stdint.h>

/* The InvocationID that systemd has given to the present run of one of the system's units: the target of the link
 * FILES/run/systemd/units/invocation:UNIT, which it makes for journald before it starts the unit's first process and
 * takes away when the unit has ended. `started`: realtime microseconds of the process that is asked about; one that is
 * older than the link was left over by an earlier run, whose id is not known any more. `files` NULL: nothing is read.
 * *ret is 32 hexadecimal digits, or NULL: not known. 0 or -ENOMEM. */
int invocation_of_unit(const char *files, const char *unit, int64_t started, char **ret);
