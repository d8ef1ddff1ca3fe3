/* What a cgroup's path says of the processes in it: systemd unit (systemd's CGROUP_DELEGATION, cg_path_get_unit),
 * slice, user session, container. Parsers of bytes; nothing is looked up.
 *
 * A path is read from its root: what stands to the left was made by those who manage the machine, what stands to the
 * right by those to whom a part of the tree was delegated, and may be named to look like something else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/cleanup.h"

typedef enum ContainerKind {
    CONTAINER_NONE,
    CONTAINER_DOCKER,
    CONTAINER_PODMAN,
    CONTAINER_KUBERNETES, /* whatever runs it: containerd, CRI-O, Docker */
    CONTAINER_CONTAINERD, /* without Kubernetes, as nerdctl has it */
    CONTAINER_LXC,        /* LXD and Incus too */
    CONTAINER_NSPAWN,
    CONTAINER_MACHINE, /* any other that systemd-machined knows */
    CONTAINER_VIRTUAL, /* libvirt's qemu: the emulator itself is on the host */
    CONTAINER_MAX,
} ContainerKind;

/* "docker container" ...; NULL for CONTAINER_NONE. Two words: no unit's name has a blank. */
const char *container_kind(ContainerKind kind);

/* Strings belong to the Place. */
typedef struct Place {
    char *unit;     /* the unit that manages the processes, NULL: none, or only a scope made for the container */
    char *slice;    /* the innermost slice of the system's service manager, NULL: none */
    bool user_unit; /* unit or container is one of the user's own service manager: what it is called is his choice */
    ContainerKind container;
    char *id;   /* the container's id, for kinds without one its name; safe characters only */
    char *name; /* the container's name, where the path has it; safe characters only */
} Place;

/* Of one path. 0 or -ENOMEM. */
int place_of_path(const char *path, size_t length, Place *ret);
/* Of the bytes of /proc/PID/cgroup: the v2 line, else that of v1's name=systemd, else any with a container. `init` are
 * the same bytes of PID 1 (may be empty): in a container the paths may begin with that container's own place, which
 * says nothing of what runs in it. 0 or -ENOMEM. */
int place_parse(const char *bytes, size_t length, const char *init, size_t init_length, Place *ret);
void place_done(Place *place);

/* True if a container's name is of characters that no output needs to fear: letters, digits and "._:@/+-". */
bool container_name_is_safe(const char *name);
