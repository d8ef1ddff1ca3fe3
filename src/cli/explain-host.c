/* Is there a way to this host at all: its addresses, and what its name stands for. */
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "cli/explain.h"

#define GETENT "/usr/bin/getent"
#define GETENT_WAIT (2 * USEC_PER_SEC)
#define ADDRESSES_MAX 4096

static bool address_of(const struct sockaddr *name, Address *ret) {
    Address address = {0};
    if (!name) return false;
    if (name->sa_family == AF_INET)
        memcpy(address.bytes, &((const struct sockaddr_in *)(const void *)name)->sin_addr, 4);
    else if (name->sa_family == AF_INET6)
        memcpy(address.bytes, &((const struct sockaddr_in6 *)(const void *)name)->sin6_addr, 16);
    else
        return false;
    address.family = (uint8_t)name->sa_family;
    *ret = address;
    return true;
}

static int add_all(const struct ifaddrs *list, HostFacts *host) {
    size_t n = 0;
    for (const struct ifaddrs *one = list; one && n < ADDRESSES_MAX; one = one->ifa_next) n++;
    host->addresses = calloc(n + 1, sizeof *host->addresses);
    if (!host->addresses) return -ENOMEM;
    for (const struct ifaddrs *one = list; one && host->n < n; one = one->ifa_next) {
        HostAddress *here = &host->addresses[host->n];
        const unsigned up = IFF_UP | IFF_RUNNING;
        if ((one->ifa_flags & up) != up || (one->ifa_flags & IFF_LOOPBACK)) continue;
        if (!address_of(one->ifa_addr, &here->address) || address_is_loopback(&here->address)) continue;
        snprintf(here->device, sizeof here->device, "%s", one->ifa_name);
        bool *has = here->address.family == AF_INET ? &host->has4 : &host->has6;
        if (!address_is_link_local(&here->address)) *has = true;
        host->n++;
    }
    return 0;
}

int explain_host(Explanation *e) {
    struct ifaddrs *list = NULL;
    e->host.name4 = e->host.name6 = -1;
    if (getifaddrs(&list) < 0) {
        e->host.unread = true;
        return 0;
    }
    int r = add_all(list, &e->host);
    freeifaddrs(list);
    return r;
}

/* By a program of its own: asking the network for a name may take half a minute and cannot be cut short. */
int explain_names(HostFacts *host) {
    char *arguments[] = {GETENT, "ahosts", (char *)cli_host()->name, NULL};
    _cleanup_free_ char *out = NULL, *error = NULL;
    int r = program_run(arguments, GETENT_WAIT, 65536, &out, &error);
    if (r == -ENOMEM) return r;
    if (r != 0 || !out) return 0;
    host->name4 = host->name6 = 0;
    char *state = NULL;
    for (char *line = strtok_r(out, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
        Address address;
        line[strcspn(line, " \t%")] = '\0';
        if (!address_parse(line, &address) || address_is_loopback(&address) || address_is_link_local(&address))
            continue;
        *(address.family == AF_INET ? &host->name4 : &host->name6) = 1;
    }
    return 0;
}
