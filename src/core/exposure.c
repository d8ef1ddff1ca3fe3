#include "core/exposure.h"

#include <string.h>

const char *exposure_name(Exposure exposure) {
    static const char *const names[EXPOSURE_MAX] = {
        [EXPOSURE_NONE] = "none",
        [EXPOSURE_LOOPBACK] = "loopback",
        [EXPOSURE_LINK] = "link",
        [EXPOSURE_PRIVATE] = "private",
        [EXPOSURE_PUBLIC] = "public",
        [EXPOSURE_ALL] = "all",
        [EXPOSURE_ALL_DUAL] = "all-dual",
    };
    return names[exposure];
}

static bool is_private(const Address *a) {
    const uint8_t *b = a->bytes;
    if (a->family == AF_INET6) return (b[0] & 0xfe) == 0xfc || b[0] == 0xff;
    return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168) ||
           (b[0] == 100 && (b[1] & 0xc0) == 64) || (b[0] & 0xf0) == 0xe0;
}

Exposure exposure_of(const Address *address, const char *device) {
    Address plain = address_plain(address);
    if (address_is_loopback(&plain) || strcmp(device, "lo") == 0) return EXPOSURE_LOOPBACK;
    if (address_is_any(&plain)) return *device ? EXPOSURE_PUBLIC : EXPOSURE_ALL;
    if (address_is_link_local(&plain)) return EXPOSURE_LINK;
    return is_private(&plain) ? EXPOSURE_PRIVATE : EXPOSURE_PUBLIC;
}

void exposure_add(ExposureSum *sum, const Address *address, const char *device) {
    Exposure exposure = exposure_of(address, device);
    if (exposure == EXPOSURE_LINK)
        sum->link = true;
    else if (exposure > sum->widest)
        sum->widest = exposure;
    if (exposure == EXPOSURE_ALL) *(address_plain(address).family == AF_INET ? &sum->all4 : &sum->all6) = true;
}

Exposure exposure_total(const ExposureSum *sum) {
    if (sum->widest == EXPOSURE_NONE && sum->link) return EXPOSURE_LINK;
    return sum->all4 && sum->all6 ? EXPOSURE_ALL_DUAL : sum->widest;
}

bool exposure_is_local(const Endpoint *endpoint) {
    return exposure_of(&endpoint->address, endpoint->device) == EXPOSURE_LOOPBACK;
}

Exposure exposure_of_endpoints(const Endpoints *endpoints) {
    ExposureSum sum = {0};
    for (size_t i = 0; i < endpoints->n; i++) {
        const Endpoint *e = &endpoints->items[i];
        exposure_add(&sum, &e->address, e->device);
        if (endpoint_is_dual(e)) exposure_add(&sum, &(Address){.family = AF_INET}, e->device);
    }
    return exposure_total(&sum);
}

bool exposure_covers(const Endpoint *has, const Address *adds, const char *device) {
    if (strcmp(has->device, device) != 0) return false;
    Exposure old = exposure_of(&has->address, has->device), new = exposure_of(adds, device);
    if (old == EXPOSURE_LINK || new == EXPOSURE_LINK) return false;
    if (old == EXPOSURE_LOOPBACK || new == EXPOSURE_LOOPBACK) return old == new;
    if (new == EXPOSURE_ALL)
        return old == EXPOSURE_ALL && (has->address.family == adds->family || endpoint_is_dual(has));
    return old >= new;
}
