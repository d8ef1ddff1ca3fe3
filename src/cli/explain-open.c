/* Judges a port to which something is bound. */
#include <errno.h>
#include <string.h>

#include "cli/explain-words.h"
#include "core/exposure.h"

static const Owner *holder(const Case *c) {
    for (size_t i = 0; i < c->n_rows; i++)
        if (c->rows[i].endpoint->n_owners > 0) return c->rows[i].endpoint->owners[0];
    return NULL;
}

static bool has_word(const Case *c, const char *word) {
    for (size_t i = 0; i < c->n_rows; i++)
        if (c->rows[i].word && strcmp(c->rows[i].word, word) == 0) return true;
    return false;
}

static char *next_accept(const Case *c) {
    if (c->incident) return text_printf("sudo portwatch accept %s --reason \"...\"", c->incident->token);
    char port[SURFACE_TEXT_MAX];
    return text_printf("sudo portwatch accept %s --reason \"...\"", surface_format(&c->surface, port));
}

static Exposure exposure_of_rows(const Case *c) {
    ExposureSum sum = {0};
    for (size_t i = 0; i < c->n_rows; i++) {
        const Endpoint *row = c->rows[i].endpoint;
        exposure_add(&sum, &row->address, row->device);
        if (endpoint_is_dual(row)) exposure_add(&sum, &(Address){.family = AF_INET}, row->device);
    }
    return exposure_total(&sum);
}

/* Who holds it, against who should. */
static int judge_owner(Case *c) {
    _cleanup_free_ char *now = words_holders(c), *where = words_addresses(c), *expected = words_expected_holders(c);
    if (!now || !where || !expected) return -ENOMEM;
    if (c->rule && c->rule->expect == EXPECT_CLOSED) {
        _cleanup_free_ char *place = words_place(&c->rule->expect_place);
        char *next = next_unit("sudo systemctl stop", holder(c), "");
        return finding_add(c, "unexpected", WEIGHT_FAULT,
            place ? text_printf("should be closed, as %s states; %s listens on %s", place, now, where) : NULL,
            next ? next : next_holder(c));
    }
    if (has_word(c, "owner") || c->change == CHANGE_OWNER)
        return finding_add(
            c, "owner", WEIGHT_FAULT, text_printf("held by %s, expected is %s", now, expected), next_holder(c));
    if (has_word(c, "new"))
        return finding_add(c, "unexpected", WEIGHT_FAULT,
            text_printf("listens on %s, where nothing is expected: %s", where, now), next_accept(c));
    return 0;
}

/* Where it is bound, against where it should be. */
static int judge_addresses(Case *c) {
    if (c->expected.n == 0 || has_word(c, "new") || has_word(c, "ignored") || !c->known) return 0;
    Exposure now = exposure_of_rows(c), wanted = exposure_of_endpoints(&c->expected);
    _cleanup_free_ char *here = words_addresses(c), *there = words_expected_addresses(c);
    if (!here || !there) return -ENOMEM;
    if (now < wanted) {
        char *next = next_unit("systemctl cat", holder(c), "");
        return finding_add(c, now == EXPOSURE_LOOPBACK ? "loopback" : "narrower", WEIGHT_FAULT,
            text_printf("listens on %s, expected is %s", here, there), next ? next : next_holder(c));
    }
    if (now == wanted && c->change != CHANGE_ADDRESS) return 0;
    return finding_add(c, now > wanted ? "wider" : "address", WEIGHT_FAULT,
        text_printf("listens on %s, expected is %s", here, there),
        c->reach == REACH_NARROWED ? next_portwatch("portwatch diff", c, c->port) : next_accept(c));
}

static int judge_process(Case *c) {
    for (size_t i = 0; i < c->n_rows; i++) {
        const BoundRow *row = &c->rows[i];
        pid_t pid = row->endpoint->n_owners > 0 ? row->endpoint->owners[0]->pid : 0;
        if (row->state == 'T')
            return finding_add(c, "stopped", WEIGHT_FAULT, text_printf("its process, pid %d, is stopped", pid),
                text_printf("sudo kill -CONT %d", pid));
        if (row->state == 't')
            return finding_add(c, "stopped", WEIGHT_FAULT,
                text_printf("its process, pid %d, is held by a debugger", pid),
                text_printf("grep TracerPid /proc/%d/status", pid));
    }
    return 0;
}

static int judge_backlog(Case *c) {
    const BoundRow *worst = NULL;
    for (size_t i = 0; i < c->n_rows; i++)
        if (c->rows[i].backlog_known && backlog_full(&c->rows[i].backlog) &&
            (!worst || c->rows[i].backlog.waiting > worst->backlog.waiting))
            worst = &c->rows[i];
    if (!worst) return 0;
    char *next = next_unit("sudo systemctl restart", holder(c), "");
    pid_t pid = worst->endpoint->n_owners > 0 ? worst->endpoint->owners[0]->pid : 0;
    if (!next && pid > 0) next = text_printf("ps -Lo pid,tid,stat,wchan:32,comm -p %d", pid);
    return finding_add(c, "backlog", WEIGHT_FAULT,
        text_printf("takes no more connections: %u wait, its backlog has room for %u, and its program accepts none",
            worst->backlog.waiting, worst->backlog.limit),
        next ? next : next_ss(c));
}

static bool device_is_up(const HostFacts *host, const char *device) {
    if (strcmp(device, "lo") == 0) return true;
    for (size_t i = 0; i < host->n; i++)
        if (strcmp(host->addresses[i].device, device) == 0) return true;
    return false;
}

static bool address_is_up(const HostFacts *host, const Address *address) {
    Address plain = address_plain(address);
    if (address_is_any(&plain) || address_is_loopback(&plain)) return true;
    for (size_t i = 0; i < host->n; i++)
        if (address_compare(&host->addresses[i].address, &plain) == 0) return true;
    return false;
}

/* Bound to what is no longer there. UDP binds to broadcast and multicast addresses as well, which are no interface's.
 */
static int judge_binding(const HostFacts *host, Case *c) {
    int r = 0;
    for (size_t i = 0; i < c->n_rows && r >= 0; i++) {
        const Endpoint *row = c->rows[i].endpoint;
        Weight weight = c->n_rows == 1 ? WEIGHT_FAULT : WEIGHT_NOTE;
        char address[INET6_ADDRSTRLEN];
        _cleanup_free_ char *device = text_escape(row->device, strlen(row->device));
        if (!device) return -ENOMEM;
        if (*device && !host->unread && !device_is_up(host, row->device))
            r = finding_add(c, "device", weight,
                text_printf("bound to device %s, which has no address that is up", device), strdup("ip -br address"));
        else if (c->protocol == PROTOCOL_TCP && !host->unread && !address_is_up(host, &row->address))
            r = finding_add(c, "address-gone", weight,
                text_printf("bound to %s, which no interface that is up has", address_format(&row->address, address)),
                strdup("ip -br address"));
        else if (*device)
            r = finding_add(
                c, "device", WEIGHT_NOTE, text_printf("only what comes in through device %s reaches it", device), NULL);
    }
    return r;
}

/* All addresses of one family, and nothing for the other. */
static int judge_families(const HostFacts *host, Case *c) {
    bool all4 = false, all6 = false, any4 = false, any6 = false;
    for (size_t i = 0; i < c->n_rows; i++) {
        const Endpoint *row = c->rows[i].endpoint;
        bool any = address_is_any(&row->address) && !*row->device, v6 = row->address.family == AF_INET6;
        all6 |= any && v6;
        all4 |= (any && !v6) || endpoint_is_dual(row);
        any6 |= v6;
        any4 |= !v6 || endpoint_is_dual(row);
    }
    if (all6 && !any4 && host->has4)
        return finding_add(c, "v6only", c->known && c->expected.n > 0 ? WEIGHT_NOTE : WEIGHT_UNKNOWN,
            text_printf("listens for IPv6 only (v6only): clients that use IPv4 are refused%s",
                host->name4 == 1 ? ", and this host's name stands for an IPv4 address" : ""),
            strdup("sysctl net.ipv6.bindv6only"));
    if (all4 && !any6 && host->name6 == 1)
        return finding_add(c, "v4only", WEIGHT_NOTE,
            strdup("listens for IPv4 only, and this host's name stands for an IPv6 address too: clients may try that "
                   "first"),
            NULL);
    bool lost = (any4 && !any6 && !host->has4 && host->has6) || (any6 && !any4 && !host->has6 && host->has4);
    if (lost && (all4 || all6))
        return finding_add(c, "family", WEIGHT_FAULT,
            text_printf(
                "listens for IPv%c only, and this host has IPv%c addresses only", any4 ? '4' : '6', any4 ? '6' : '4'),
            strdup("ip -br address"));
    return 0;
}

static int judge_host(const HostFacts *host, Case *c) {
    if (exposure_of_rows(c) <= EXPOSURE_LOOPBACK) return 0;
    if (!host->has4 && !host->has6 && !host->unread)
        return finding_add(c, "host", WEIGHT_FAULT,
            text_printf("bound, but this host has no address that is up but loopback%s",
                host->n > 0 ? " and link-local ones" : ""),
            strdup("ip -br address"));
    return judge_families(host, c);
}

static int judge_holders(Case *c) {
    int r = 0;
    bool unseen = false, deleted = false, replaced = false;
    size_t most = 0;
    for (size_t i = 0; i < c->n_rows; i++) {
        const Endpoint *row = c->rows[i].endpoint;
        unseen |= row->n_owners == 0;
        if (row->n_owners > most) most = row->n_owners;
        for (size_t k = 0; k < row->n_owners; k++) {
            deleted |= row->owners[k]->exe_deleted;
            replaced |= row->owners[k]->exe_replaced;
        }
    }
    if (unseen) r = finding_add(c, "owner-unseen", WEIGHT_NOTE, strdup("who holds it cannot be seen"), next_ss(c));
    if (r >= 0 && deleted) r = finding_add(c, "deleted", WEIGHT_NOTE, strdup("its executable's file is gone"), NULL);
    if (r >= 0 && replaced)
        r = finding_add(c, "replaced", WEIGHT_NOTE, strdup("its executable was replaced since it started"),
            next_unit("sudo systemctl restart", holder(c), ""));
    if (r >= 0 && most > 1)
        r = finding_add(c, "shared", WEIGHT_NOTE,
            text_printf("%zu programs share it (SO_REUSEPORT): a connection goes to any of them", most), NULL);
    return r;
}

/* What is said where nothing is wrong. */
static int judge_well(const Explanation *e, Case *c) {
    _cleanup_free_ char *now = words_holders(c), *where = words_addresses(c);
    if (!now || !where) return -ENOMEM;
    if (c->ignore) {
        _cleanup_free_ char *place = words_place(&c->ignore->place);
        return finding_add(c, "ignored", WEIGHT_WELL,
            place ? text_printf("listens on %s: %s; ignored, as %s says", where, now, place) : NULL, NULL);
    }
    if (has_word(c, "ignored"))
        return finding_add(c, "ignored", WEIGHT_WELL,
            text_printf("listens on %s: %s; ports like this are not compared with anything", where, now), NULL);
    if (!c->decided)
        return finding_add(c, "incomplete", WEIGHT_UNKNOWN,
            text_printf("listens on %s: %s; whether that is all cannot be told: %s", where, now,
                c->trouble ? c->trouble : "the kernel's table could not be read"),
            next_ss(c));
    if (c->known)
        return finding_add(c, "open", WEIGHT_WELL, text_printf("listens on %s, as expected: %s", where, now), NULL);
    const char *next = e->look.rules_reason ? "sudo portwatch check-config" : "portwatch status";
    return finding_add(c, "expectation-unknown", WEIGHT_UNKNOWN,
        text_printf("listens on %s: %s; whether that is expected is not known", where, now),
        c->root ? strdup(next) : next_ss(c));
}

int explain_judge_bound(const Explanation *e, Case *c) {
    int r = c->ignore ? 0 : judge_owner(c);
    if (r >= 0) r = judge_addresses(c);
    if (r >= 0) r = judge_process(c);
    if (r >= 0) r = judge_backlog(c);
    if (r >= 0) r = judge_binding(&e->host, c);
    if (r >= 0) r = judge_host(&e->host, c);
    if (r >= 0 && c->weight < WEIGHT_FAULT) r = judge_well(e, c);
    if (r >= 0) r = judge_holders(c);
    return r;
}
