#include "cli/port.h"

#include <netdb.h>
#include <string.h>

#include "cli/cli.h"

static bool number_parse(const char *text, uint16_t *ret) {
    unsigned value = 0;
    size_t n = strlen(text);
    if (n == 0 || n > 5) return false;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9') return false;
        value = value * 10 + (unsigned)(*p - '0');
    }
    if (value == 0 || value > 65535) return false;
    *ret = (uint16_t)value;
    return true;
}

static bool service_parse(const char *text, const char *protocol, uint16_t *ret) {
    struct servent entry, *found = NULL;
    char buffer[4096];
    if (getservbyname_r(text, protocol, &entry, buffer, sizeof buffer, &found) != 0 || !found) return false;
    *ret = ntohs((uint16_t)found->s_port);
    return *ret != 0;
}

static bool half_parse(const char *text, const Protocol *protocol, Port *ret) {
    Port port = {.any_protocol = !protocol, .protocol = protocol ? *protocol : PROTOCOL_TCP};
    if (strcmp(text, "ephemeral") == 0 || strcmp(text, "ephemeral-local") == 0) {
        port.local = text[strlen("ephemeral")] != '\0';
        port.any_protocol = false;
    } else if (!number_parse(text, &port.number)) {
        const char *name = protocol ? (*protocol == PROTOCOL_TCP ? "tcp" : "udp") : NULL;
        if (!service_parse(text, name, &port.number)) return false;
    }
    *ret = port;
    return true;
}

bool port_parse(const char *text, Port *ret) {
    char copy[64];
    if (strlen(text) >= sizeof copy) return false;
    strcpy(copy, text);
    char *slash = strchr(copy, '/');
    if (!slash) return half_parse(copy, NULL, ret);
    *slash++ = '\0';
    Protocol protocol;
    if (protocol_parse(copy, &protocol)) return half_parse(slash, &protocol, ret);
    if (protocol_parse(slash, &protocol)) return half_parse(copy, &protocol, ret);
    return false;
}

bool port_read(const char *text, Port *ret) {
    if (port_parse(text, ret)) return true;
    _cleanup_free_ char *escaped = text_escape(text, strlen(text));
    cli_error("\"%s\" is no port: write 443/tcp, 443, or https/tcp", escaped ? escaped : "");
    return false;
}

char *port_format(const Port *port, char buffer[static SURFACE_TEXT_MAX]) {
    if (port->number && port->any_protocol) {
        snprintf(buffer, SURFACE_TEXT_MAX, "%u", port->number);
        return buffer;
    }
    return surface_format(&(Surface){.protocol = port->protocol, .port = port->number, .local = port->local}, buffer);
}

bool port_holds(const Port *port, const Surface *surface, const Endpoint *endpoint) {
    if (!port->any_protocol && port->protocol != endpoint->protocol) return false;
    if (port->number) return port->number == endpoint->port;
    return surface->port == 0 && !surface->whole && surface->local == port->local;
}

bool port_names(const Port *port, const Surface *surface) {
    if (surface->whole || (!port->any_protocol && port->protocol != surface->protocol)) return false;
    return port->number == surface->port && (port->number != 0 || port->local == surface->local);
}

json_t *port_json(const Port *port) {
    json_t *object = json_pack("{si}", "port", port->number);
    if (!object) return NULL;
    if (!port->any_protocol && json_object_set_new(object, "protocol", json_string(protocol_name(port->protocol))) < 0)
        goto fail;
    if (port->local && json_object_set_new(object, "local", json_true()) < 0) goto fail;
    return object;
fail:
    json_decref(object);
    return NULL;
}
