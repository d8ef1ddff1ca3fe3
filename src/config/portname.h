/* "443/tcp", "https/tcp", "8000-8100/tcp", "53": the ports of a header or of an ignore section's `port`. */
#pragma once

#include "config/value.h"

typedef struct PortSpan {
    uint16_t first, last; /* inclusive */
    bool any_protocol;
    Protocol protocol;
} PortSpan;

/* Parses it; false with a reason in `reason` (one line, raw bytes of `text` in it). Blocks on getservbyname_r(3) for
 * names of services only. */
bool port_span_parse(const char *text, PortSpan *ret, char *reason, size_t size);

typedef enum SpanRelation {
    SPAN_APART,    /* no port of the same protocol in common */
    SPAN_NARROWER, /* one wins over the other as a whole */
    SPAN_EQUAL,    /* same ports, same protocol */
    SPAN_CROSSED,  /* some ports in common, neither holds the other */
} SpanRelation;

SpanRelation port_span_relate(const PortSpan *a, const PortSpan *b);
