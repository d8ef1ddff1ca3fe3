/* Which package of the host's package manager an executable came with. Of dpkg's own lists, without running it; rpm
 * keeps its index in a database of its own, so there nothing is known. */
#pragma once

#include "core/endpoint.h"

typedef struct Packages Packages;

/* `files`: KernelRoots.files, must outlive it. 0 or -ENOMEM. */
int packages_new(const char *files, Packages **ret);
Packages *packages_free(Packages *packages); /* takes NULL, returns NULL */
DEFINE_CLEANUP(Packages *, packages_free);

/* Fills in `package` of those owners of `endpoints` whose executable is the host's own and whose package is not known
 * yet. What was found is kept until dpkg changes something; anything new costs one pass over dpkg's lists, some tens of
 * milliseconds on a large machine: for owners that somebody is shown, never once a tick. A file that is diverted, or
 * that two packages claim, has none. At most 256 executables a call. 0 or -ENOMEM; what cannot be read is not known. */
int packages_fill(Packages *packages, const Endpoints *endpoints);
