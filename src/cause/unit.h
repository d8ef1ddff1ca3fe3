/* A unit's state, from systemd over the system bus (org.freedesktop.systemd1(5)). */
#pragma once

#include "cause/facts.h"

/* Fills facts->unit for facts->question.unit. Blocks until `deadline` (microseconds of CLOCK_MONOTONIC) at most. Where
 * systemd cannot be asked, unit.known stays false and facts->missing says why; so it does for a unit of a user's own
 * systemd, which the system's knows nothing of. A unit that is not loaded is read from disk by systemd, as `systemctl
 * show` has it. 0 or -ENOMEM. */
int cause_unit(Facts *facts, uint64_t deadline);

/* Microseconds of CLOCK_MONOTONIC. */
uint64_t now_monotonic(void);
