/* Difference: what is expected on one surface against what a snapshot shows. Pure. */
#pragma once

#include "core/endpoint.h"
#include "core/rules.h"
#include "core/snapshot.h"

/* What an incident is about: one (protocol, port). Ephemeral TCP ports without a section form one surface; those on
 * loopback only form another. */
typedef struct Surface {
    Protocol protocol;
    uint16_t port; /* 0: the ephemeral ports together */
    bool local; /* with port 0: those that listen on loopback only */
} Surface;

#define SURFACE_TEXT_MAX 32
/* "443/tcp", "tcp/ephemeral", "tcp/ephemeral-local": for people. Returns buffer. */
char *surface_format(const Surface *surface, char buffer[static SURFACE_TEXT_MAX]);
/* "tcp/443": for JSON subjects. */
char *surface_subject(const Surface *surface, char buffer[static SURFACE_TEXT_MAX]);
int surface_compare(const Surface *a, const Surface *b);

typedef enum Change {
    CHANGE_NONE,
    CHANGE_CLOSED, /* nothing left of what was expected */
    CHANGE_OPENED, /* nothing was expected */
    CHANGE_ADDRESS,
    CHANGE_OWNER,
    CHANGE_BLIND, /* of a self incident: tables cannot be read */
    CHANGE_MAX,
} Change;

typedef enum Reach {
    REACH_SAME, /* rank of the addresses unchanged, or not applicable */
    REACH_WIDENED, /* loopback only -> more */
    REACH_NARROWED, /* more -> loopback only, or addresses gone and none added */
} Reach;

const char *change_name(Change change); /* "none", "closed", ... */
bool change_parse(const char *text, Change *ret);
