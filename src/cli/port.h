/* Ports as people write them. */
#pragma once

#include <jansson.h>

#include "core/difference.h"

typedef struct Port {
    bool any_protocol; /* 443: tcp and udp */
    Protocol protocol;
    uint16_t number; /* 0: the ephemeral ports together */
    bool local;      /* with number 0: those on loopback only */
} Port;

/* "443/tcp", "tcp/443", "https/tcp", "https", "443", "tcp/ephemeral", "tcp/ephemeral-local". Names are those of
 * services(5), which may block. False: it is none of these. */
bool port_parse(const char *text, Port *ret);
/* The same with a message on standard error. */
bool port_read(const char *text, Port *ret);
/* "443/tcp", "443", "tcp/ephemeral". Returns buffer. */
char *port_format(const Port *port, char buffer[static SURFACE_TEXT_MAX]);
/* True for an endpoint on this port, which belongs to `surface`. */
bool port_holds(const Port *port, const Surface *surface, const Endpoint *endpoint);
/* True for the surface this port names. */
bool port_names(const Port *port, const Surface *surface);
/* PORT of cli/request.h. NULL: no memory. */
json_t *port_json(const Port *port);
