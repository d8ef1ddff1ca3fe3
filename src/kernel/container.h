/* Names of containers, from the files their engines keep: no engine is asked, no socket opened. */
#pragma once

#include "kernel/place.h"

/* The name of the container of a place, as people call it: Docker's and Podman's name, Kubernetes' NAMESPACE/CONTAINER
 * (a pod's own name and its hostname are new in each rollout), what the path says for the rest. Reads at most 4 MiB
 * below `files`, the root of the file system the engines keep their state in (NULL: nothing is read). *ret is NULL
 * where the name is not to be known: other users' containers, other directories than the usual. The caller frees. 0 or
 * -ENOMEM. */
int container_name(const char *files, const Place *place, char **ret);
