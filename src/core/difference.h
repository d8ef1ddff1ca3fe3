/* Difference: what is expected on one surface against what a snapshot shows. Pure. */
#pragma once

#include "core/endpoint.h"
#include "core/rules.h"
#include "core/snapshot.h"

/* What an incident is about: one (namespace, protocol, port). Ephemeral TCP ports without a section form one surface;
 * those on loopback only form another. Of a namespace in which nothing is left all ports together are one, too. */
typedef struct Surface {
    Protocol protocol;
    uint16_t port;                 /* 0: the ephemeral ports together */
    bool local;                    /* with port 0: those that listen on loopback only */
    bool whole;                    /* every port of the namespace; protocol, port and local are 0 */
    char namespace[NAMESPACE_MAX]; /* "" the host's */
} Surface;

#define SURFACE_TEXT_MAX (48 + 4 * NAMESPACE_MAX)
/* "443/tcp", "tcp/ephemeral", "tcp/ephemeral-local", "443/tcp in container web", "container web": for people, escaped.
 * Returns buffer. */
char *surface_format(const Surface *surface, char buffer[static SURFACE_TEXT_MAX]);
/* "container", "namespace" or "namespace of", to be put before the rest of its name, which *ret_name becomes. */
const char *namespace_words(const char *namespace, const char **ret_name);
/* "container web", "namespace blue", "namespace of foo.service": for people, escaped. Not for the host's. */
char *namespace_format(const char *namespace, char buffer[static SURFACE_TEXT_MAX]);
/* "tcp/443", "docker:web/tcp/443", "docker:web": for JSON subjects, escaped. */
char *surface_subject(const Surface *surface, char buffer[static SURFACE_TEXT_MAX]);
/* The ephemeral UDP ports: history only. */
static inline bool surface_of_clients(const Surface *surface) {
    return !surface->whole && surface->port == 0 && surface->protocol != PROTOCOL_TCP;
}
int surface_compare(const Surface *a, const Surface *b);

typedef enum Change {
    CHANGE_NONE,
    CHANGE_CLOSED, /* nothing left of what was expected */
    CHANGE_OPENED, /* nothing was expected */
    CHANGE_ADDRESS,
    CHANGE_OWNER,
    CHANGE_PROGRAM,  /* the same owner, but its executable's file is gone or another: told once */
    CHANGE_FLAPPING, /* it comes and goes: told once, and again when it is steady */
    CHANGE_BLIND,    /* of a self incident: tables cannot be read */
    CHANGE_MAX,
} Change;

typedef enum Reach {
    REACH_SAME,     /* as exposed as before (core/exposure.h), or not applicable */
    REACH_WIDENED,  /* more exposed: loopback < private < public < all addresses of a family < of both */
    REACH_NARROWED, /* less exposed, or addresses gone and none added */
} Reach;

const char *change_name(Change change); /* "none", "closed", ... */
bool change_parse(const char *text, Change *ret);

/* Borrowed endpoints of one surface. */
typedef struct Rows {
    const Endpoint **items;
    size_t n;
} Rows;

/* True if every row listens on loopback only (or there is none). */
bool rows_local(const Rows *rows);

typedef struct Difference {
    Change change;
    Reach reach;   /* CHANGE_ADDRESS only */
    bool upgraded; /* CHANGE_NONE, but a program is another file at the same path; quiet, unless the rules want it told
                    */
    bool quiet; /* CHANGE_NONE, yet something should join the baseline or leave it unannounced: an address as exposed as
                   one that its owner already has, one that joined so, one of many below the same owner's 0.0.0.0, a
                   link-local one, or a better known owner */
} Difference;

/* Owners of ephemeral UDP ports that are kept; later ones make no difference. */
#define POOL_CLIENTS_MAX 64

/* Compares by reach: dual-stack [::] equals 0.0.0.0 and [::]; counts are not compared. Owners compare by owner_same: a
 * new member of an endpoint's owners differs, a missing one does not, an unknown one neither. `rule` (NULL: none) may
 * state what is expected: that wins over `baseline`. Ephemeral surfaces compare by address and owner, and by number for
 * TCP; a UDP one only by owner. 0 or -ENOMEM. */
int difference_make(
    const Surface *surface, const PortRule *rule, const Rows *baseline, const Rows *seen, Difference *ret);

/* The rows that are expected, for people: the baseline, or what the rule states in its place. 0 or -ENOMEM. */
int difference_expected(const Surface *surface, const PortRule *rule, const Rows *baseline, Endpoints *ret);

/* severity of a change where no section states one. */
Severity difference_severity(Change change, Reach reach);
