/* Endpoints and owners as text for the database. One line an endpoint, after it one line an owner:
 *
 *     tcp 443 :: device=eth0 namespace=docker:web v6only=1 count=4 since=1700000000000000
 *     owner unit=nginx.service exe=/usr/sbin/nginx uid=0 user=root pid=812 comm=nginx cmdline=nginx:%20master
 *
 * Fields are separated by one space; an absent field is not known. In values every byte up to space, %, and from DEL on
 * is %XX. A reader passes over keys it does not know. */
#pragma once

#include "core/endpoint.h"

/* How much of an owner is kept. */
typedef enum Detail {
    DETAIL_FULL,
    DETAIL_SHORT,    /* command lines cut at 256 bytes: history */
    DETAIL_COMPARED, /* only what is compared: to tell whether two lists mean the same */
} Detail;

/* New string; "" for none. NULL: no memory. */
char *endpoints_encode(const Endpoints *endpoints, Detail detail);
char *owners_encode(Owner *const *owners, size_t n, Detail detail);
/* Takes any bytes. 0, -EBADMSG or -ENOMEM; then *ret is untouched. */
int endpoints_decode(const char *text, size_t length, Endpoints *ret);
/* Adds the owners of `text` (lines as above) to the endpoint. On error some may have been added. */
int owners_decode(const char *text, size_t length, Endpoint *endpoint);
