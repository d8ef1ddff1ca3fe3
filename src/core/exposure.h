/* Exposure: how wide the circle is that an endpoint can receive from, as far as its address says. A firewall may stand
 * before it; nobody asks that here. Pure. */
#pragma once

#include "core/endpoint.h"

/* In rising order. A change to a higher one is a widening. */
typedef enum Exposure {
    EXPOSURE_NONE,
    EXPOSURE_LOOPBACK, /* 127/8, ::1, or bound to the device lo */
    EXPOSURE_LINK,     /* 169.254/16, fe80::/10 */
    EXPOSURE_PRIVATE,  /* RFC 1918, RFC 6598 (shared address space), RFC 4193 (unique local) and multicast */
    EXPOSURE_PUBLIC,   /* any other single address; all addresses of one device */
    EXPOSURE_ALL,      /* all addresses of IPv4 or of IPv6 */
    EXPOSURE_ALL_DUAL, /* of both */
    EXPOSURE_MAX,
} Exposure;

/* "none", "loopback", "link", "private", "public", "all", "all-dual": as in documents. */
const char *exposure_name(Exposure exposure);
/* Of one address on one device ("" for none). */
Exposure exposure_of(const Address *address, const char *device);
/* The widest of several, both families' wildcards together being wider than one. Link-local ones come and go without a
 * word and count only where there is nothing else. Zero-initialised is none. */
typedef struct ExposureSum {
    Exposure widest;
    bool all4, all6, link;
} ExposureSum;

void exposure_add(ExposureSum *sum, const Address *address, const char *device);
Exposure exposure_total(const ExposureSum *sum);
/* True if only this host can send there. */
bool exposure_is_local(const Endpoint *endpoint);
Exposure exposure_of_endpoints(const Endpoints *endpoints);
/* Does having `has` leave nothing new in `adds`, both on one device: a circle as wide, of the same family where it is
 * all addresses? Loopback stays apart: it is covered by loopback only. Link-local ones neither cover nor are covered.
 */
bool exposure_covers(const Endpoint *has, const Address *adds, const char *device);
