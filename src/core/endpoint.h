/* An endpoint: a bound local socket that can receive from strangers (TCP in LISTEN, UDP and UDPLITE bound and not
 * connected), and its owners. Plain values; no I/O. */
#pragma once

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/cleanup.h"

typedef enum Protocol { PROTOCOL_TCP, PROTOCOL_UDP, PROTOCOL_UDPLITE, PROTOCOL_MAX } Protocol;

/* "tcp", "udp", "udplite". */
const char *protocol_name(Protocol protocol);
bool protocol_parse(const char *text, Protocol *ret);

typedef struct Address {
    uint8_t family;    /* AF_INET or AF_INET6 */
    uint8_t bytes[16]; /* network order; IPv4 uses the first four, the rest is zero */
} Address;

/* Text as inet_pton(3) takes it, without brackets. False if it is no address. */
bool address_parse(const char *text, Address *ret);
char *address_format(const Address *address, char buffer[static INET6_ADDRSTRLEN]);
int address_compare(const Address *a, const Address *b);
bool address_is_any(const Address *address);
bool address_is_loopback(const Address *address);   /* 127/8, ::1, ::ffff:127/8 */
bool address_is_link_local(const Address *address); /* 169.254/16, fe80::/10 */
Address address_plain(const Address *address);      /* an IPv4-mapped one as IPv4, any other as it is */

#define UID_UNKNOWN ((uid_t)-1)
#define OWNER_EXE_KERNEL "[kernel]"               /* the kernel itself holds the socket (WireGuard, NFS) */
#define OWNER_UNIT_ACTIVATION "socket activation" /* PID 1 holds it and no socket unit's name is known */

/* Who holds an endpoint. Immutable once shared, but that `user` and `package` may become known later; reference counted
 * (not thread safe). Strings are raw bytes from the kernel and belong to attackers: escape them on the way out. */
typedef struct Owner {
    unsigned references;
    /* compared; NULL and UID_UNKNOWN mean "not known" and never differ */
    char *unit; /* systemd unit; transient names as their kind ("session.scope", "run.service"); activating socket unit
                   where PID 1 holds the socket; a container that is no unit's ("docker container web", or without its
                   name) */
    char *exe;  /* path of the executable without " (deleted)", or OWNER_EXE_KERNEL */
    uid_t uid;  /* effective uid of the compared holder */
    /* shown only */
    char *user;       /* name of uid, or its number as text; NULL if uid is unknown, or its name not yet */
    char *unit_shown; /* the unit's name as it is ("session-3.scope"); NULL where equal to unit */
    char *slice;      /* the innermost slice of the system: "system.slice", "user-1000.slice" is that user's session */
    bool user_unit; /* unit or container is one of the service manager of the user whose slice it is: his choice of name
                     */
    char *invocation; /* of that unit of the system's manager, 32 hexadecimal digits: which run of it; NULL: not known.
                         In memory only: by the time it is read from a file the unit has been started again */
    char *container;  /* kind and, where known, name ("podman container db"); NULL: in none */
    char *container_id; /* where the kind has ids, else the name again */
    char *exe_shown; /* executable of the process that serves, where it is not the compared one (socket activation) */
    /* of exe_shown where there is one, else of exe */
    bool exe_deleted;    /* its file is gone */
    bool exe_replaced;   /* another file is at its path by now: an upgrade, and the old program runs on */
    uint64_t exe_inode;  /* of the file that runs; 0: not known */
    int64_t exe_changed; /* realtime microseconds, its ctime: with the inode another after an upgrade */
    bool exe_host;       /* its path is one of the host's own files, not a container's: `package` may be looked up */
    char *package;       /* of the host's package manager; NULL: none, or not looked up */
    pid_t pid;           /* 0: not known */
    char *comm;
    char *cmdline;   /* arguments joined by spaces, at most 4 KiB */
    int64_t started; /* realtime microseconds, 0: not known */
} Owner;

/* A new owner with one reference, all fields unknown. NULL: no memory. */
Owner *owner_new(void);
Owner *owner_ref(Owner *owner);
Owner *owner_unref(Owner *owner); /* takes NULL, returns NULL */
DEFINE_CLEANUP(Owner *, owner_unref);

/* Same owner by unit, exe and uid, unknown fields aside. */
bool owner_same(const Owner *a, const Owner *b);
/* True for a container in place of a unit: a kind, and perhaps a name ("docker container", "docker container web"). */
bool owner_unit_is_container(const char *text);
/* Is `found` what a person means who wrote `wanted`? The same, or a container of the kind that was written alone. */
bool owner_unit_is(const char *wanted, const char *found);
/* A total order for sorting and deduplication by the compared fields (unknown first). */
int owner_compare(const Owner *a, const Owner *b);
/* True if its executable's file is gone or another one by now. */
bool owner_outdated(const Owner *owner);
/* True if both are known to run from a file at this path, and it is not the same one. */
bool owner_file_differs(const Owner *a, const Owner *b);
/* True if `b` knows a compared field that `a` does not. */
bool owner_knows_more(const Owner *a, const Owner *b);
/* Replaces a transient unit name by its kind: session-12.scope -> session.scope, run-u41.service -> run.service,
 * run-r0a1b...scope -> run.scope; any other name is copied. Caller frees. */
char *owner_unit_kind(const char *unit);

/* The name of a network namespace: "" is the host's. Of another one it is what stays the same when its container or
 * unit is started again, never its inode: a kind, a colon and a name ("docker:web", "netns:blue", "unit:foo.service",
 * "program:/usr/bin/foo"). Namespaces of one name are one. Raw bytes that belong to attackers: escape them on the way
 * out. */
#define NAMESPACE_MAX 96
/* Puts kind and name together; one that is too long is cut, and ends in a number made from all of it. */
void namespace_name(const char *kind, const char *name, size_t length, char ret[static NAMESPACE_MAX]);

typedef struct Endpoint {
    Protocol protocol;
    uint16_t port; /* host order */
    Address address;
    bool v6only;           /* only meaningful for IPv6 */
    bool owner_pending;    /* its owner, or the owner's name, is still being looked up; for some seconds at most */
    char device[IFNAMSIZ]; /* bound device (SO_BINDTODEVICE), "" for none */
    unsigned count;        /* sockets with this key (SO_REUSEPORT) */
    Owner **owners;        /* distinct by owner_compare, sorted; none: nobody known */
    size_t n_owners;
    int64_t since;                 /* in a baseline: realtime microseconds when it was learned or accepted; else 0 */
    char namespace[NAMESPACE_MAX]; /* where it lives, "": with the host */
} Endpoint;

/* True for an IPv6 wildcard that serves IPv4 too. */
bool endpoint_is_dual(const Endpoint *endpoint);
/* Order by namespace, protocol, port, family, address, device: the endpoint's key. */
int endpoint_compare(const Endpoint *a, const Endpoint *b);
/* Adds a reference to `owner` to the endpoint's set unless an equal one (owner_compare) is there. 0 or -ENOMEM. */
int endpoint_add_owner(Endpoint *endpoint, Owner *owner);
int endpoint_copy(const Endpoint *endpoint, Endpoint *ret); /* shares the owners by reference */
void endpoint_done(Endpoint *endpoint);

typedef struct Endpoints {
    Endpoint *items;
    size_t n;
    size_t allocated;
} Endpoints;

/* Moves *endpoint into the list (and empties it). 0 or -ENOMEM (then *endpoint is still the caller's). */
int endpoints_take(Endpoints *list, Endpoint *endpoint);
int endpoints_add(Endpoints *list, const Endpoint *endpoint); /* a copy */
int endpoints_copy(const Endpoints *list, Endpoints *ret);
/* Sorts by key and folds equal keys into one endpoint: counts add up, owners unite, v6only is true only if all are. */
int endpoints_sort(Endpoints *list);
const Endpoint *endpoints_find(const Endpoints *list, const Endpoint *key); /* list is sorted */
/* Index of the first one that is not before `key` (list->n: none). The list is sorted. */
size_t endpoints_lower_bound(const Endpoints *list, const Endpoint *key);
void endpoints_done(Endpoints *list);
