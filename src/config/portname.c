#include "config/portname.h"

#include <netdb.h>
#include <string.h>

#define fail(...) (snprintf(reason, size, __VA_ARGS__), false)

static bool is_number(const char *text) {
    return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static bool number_parse(const char *text, uint16_t *ret, char *reason, size_t size) {
    if (text[0] == '0' && text[1] != '\0') return fail("'%s' begins with a zero", text);
    unsigned long number = strlen(text) > 5 ? 65536 : strtoul(text, NULL, 10);
    if (number < 1 || number > 65535) return fail("'%s' is no port: from 1 to 65535", text);
    *ret = (uint16_t)number;
    return true;
}

static bool service_find(const char *name, const char *protocol, uint16_t *ret) {
    struct servent entry, *found = NULL;
    char buffer[4096];

    if (getservbyname_r(name, protocol, &entry, buffer, sizeof(buffer), &found) != 0 || !found) return false;
    *ret = ntohs((uint16_t)found->s_port);
    return *ret != 0;
}

static bool service_parse(const char *name, PortSpan *span, char *reason, size_t size) {
    uint16_t tcp = 0, udp = 0;
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+_-";

    if (*name == '\0' || name[strspn(name, letters)] != '\0' || strpbrk(name, "abcdefghijklmnopqrstuvwxyz") == NULL)
        return fail("'%s' is no port, range of ports or name of a service", name);

    bool want_tcp = span->any_protocol || span->protocol == PROTOCOL_TCP;
    bool want_udp = span->any_protocol || span->protocol != PROTOCOL_TCP;
    bool has_tcp = want_tcp && service_find(name, "tcp", &tcp);
    bool has_udp = want_udp && service_find(name, "udp", &udp);
    if (has_tcp && has_udp && tcp != udp)
        return fail("'%s' is port %u for tcp and %u for udp; write the number", name, tcp, udp);
    if (!has_tcp && !has_udp)
        return fail("/etc/services knows no service '%s'%s%s; write the number", name,
            span->any_protocol ? "" : " for ",
            span->any_protocol               ? ""
            : span->protocol == PROTOCOL_TCP ? "tcp"
                                             : "udp");
    span->first = span->last = has_tcp ? tcp : udp;
    return true;
}

static bool range_parse(const char *text, PortSpan *span, char *reason, size_t size) {
    char first[64];
    const char *dash = strchr(text, '-');

    if (dash) {
        snprintf(first, sizeof(first), "%.*s", (int)(dash - text), text);
        if (is_number(first) && is_number(dash + 1)) {
            if (!number_parse(first, &span->first, reason, size) || !number_parse(dash + 1, &span->last, reason, size))
                return false;
            if (span->last < span->first)
                return fail("the range '%s' ends before it begins; did you mean %u-%u?", text, span->last, span->first);
            return true;
        }
    } else if (is_number(text)) {
        if (!number_parse(text, &span->first, reason, size)) return false;
        span->last = span->first;
        return true;
    }
    return service_parse(text, span, reason, size);
}

bool port_span_parse(const char *text, PortSpan *ret, char *reason, size_t size) {
    static const char *const protocols[] = {"tcp", "udp", "udplite", NULL};
    PortSpan span = {.any_protocol = true};
    char port[64];
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);

    if (length >= sizeof(port)) return fail("'%s' is too long", text);
    snprintf(port, sizeof(port), "%.*s", (int)length, text);
    if (slash) {
        Protocol other;
        if (protocol_parse(port, &other)) return fail("the port comes first: %s/%s", slash + 1, port);
        if (!protocol_parse(slash + 1, &span.protocol)) {
            const char *near = value_near(slash + 1, protocols);
            return fail("'%s' is no protocol: tcp, udp or udplite%s%s%s", slash + 1, near ? "; did you mean " : "",
                near ? near : "", near ? "?" : "");
        }
        span.any_protocol = false;
    }
    if (!range_parse(port, &span, reason, size)) return false;
    *ret = span;
    return true;
}

static bool spans_share_protocol(const PortSpan *a, const PortSpan *b) {
    if (a->any_protocol && b->any_protocol) return true;
    if (a->any_protocol) return b->protocol != PROTOCOL_UDPLITE;
    if (b->any_protocol) return a->protocol != PROTOCOL_UDPLITE;
    return a->protocol == b->protocol;
}

SpanRelation port_span_relate(const PortSpan *a, const PortSpan *b) {
    if (!spans_share_protocol(a, b) || a->last < b->first || b->last < a->first) return SPAN_APART;
    if (a->first == b->first && a->last == b->last)
        return a->any_protocol == b->any_protocol ? SPAN_EQUAL : SPAN_NARROWER;
    bool a_holds = a->first <= b->first && a->last >= b->last;
    bool b_holds = b->first <= a->first && b->last >= a->last;
    return a_holds || b_holds ? SPAN_NARROWER : SPAN_CROSSED;
}
