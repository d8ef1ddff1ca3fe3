/* What a network namespace is called: see namespace_name in core/endpoint.h. */
#pragma once

#include "kernel/owners.h"

/* By the longest-lived process there (`pid`, 0: none, and when it started) and its name in /run/netns (`file`, NULL:
 * none). A container's name before one that ip-netns(8) gave, that before a service, that before an executable: the
 * first that stays the same when what is in it is started again. *ret is left as it is where nothing is known. 0 or
 * -ENOMEM. */
int space_name(Owners *owners, pid_t pid, uint64_t started, const char *file, char ret[static NAMESPACE_MAX]);
/* The same of an owner (NULL: not known). */
bool space_name_of(const Owner *owner, const char *file, char ret[static NAMESPACE_MAX]);
