/* portwatch explain PORT: why it can, or cannot, be reached. */
#include "cli/explain.h"

#include <errno.h>
#include <string.h>

#include "cli/port.h"
#include "notify/document.h"

static void case_done(Case *c) {
    endpoints_done(&c->expected);
    free(c->rows);
    owner_unref(c->before);
    json_decref(c->cause);
    json_decref(c->told);
    for (size_t i = 0; i < c->n_elsewhere; i++) {
        free(c->elsewhere[i].comm);
        free(c->elsewhere[i].netns);
    }
    quotes_done(&c->quotes);
    free(c->sharers);
    for (size_t i = 0; i < c->n_findings; i++) {
        free(c->findings[i].text);
        free(c->findings[i].next);
    }
    free(c->findings);
}

void explanation_done(Explanation *e) {
    for (size_t i = 0; i < e->n_cases; i++) case_done(&e->cases[i]);
    free(e->host.addresses);
    free(e->firewall.ruleset);
    free(e->firewall.reason);
    look_done(&e->look);
    *e = (Explanation){0};
}

/* Names are asked for only where one family is served and the other is not. */
static bool names_matter(const Explanation *e) {
    for (size_t i = 0; i < e->n_cases; i++) {
        bool any4 = false, any6 = false;
        for (size_t k = 0; k < e->cases[i].n_rows; k++) {
            const Endpoint *row = e->cases[i].rows[k].endpoint;
            if (!address_is_any(&row->address) || endpoint_is_dual(row)) continue;
            *(row->address.family == AF_INET ? &any4 : &any6) = true;
        }
        if (any4 != any6) return true;
    }
    return false;
}

static int gather(const Cli *cli, const Port *port, Explanation *e) {
    const KernelRoots roots = KERNEL_ROOTS_DEFAULT;
    e->port = port->number;
    e->now = cli_now();
    int r = look_take(cli, &e->look);
    if (r >= 0) r = explain_bound(e, port->any_protocol, port->protocol);
    if (r >= 0) r = explain_host(e);
    if (r >= 0 && names_matter(e)) r = explain_names(&e->host);
    if (r >= 0) r = explain_firewall(&e->firewall);
    for (size_t i = 0; i < e->n_cases && r >= 0; i++) {
        Case *c = &e->cases[i];
        r = explain_before(cli, e, c);
        if (r >= 0) r = explain_cause(cli, c);
        if (r >= 0 && c->n_rows > 0) r = explain_sharers(&roots, c);
        if (r >= 0 && c->n_rows == 0) r = explain_elsewhere(&roots, c);
        if (r >= 0 && e->firewall.ruleset) r = quotes_make(e->firewall.ruleset, c->protocol, c->port, &c->quotes);
    }
    return r;
}

int command_explain(Cli *cli) {
    Port port;
    if (!port_read(cli->arguments[0], &port)) return EXIT_USAGE;
    if (port.number == 0) return cli_usage("explain takes one port, as 443 or 53/udp");
    _cleanup_(explanation_done) Explanation e = {.port = port.number};
    int r = gather(cli, &port, &e);
    if (r >= 0) r = explain_judge(&e);
    if (r >= 0) r = cli->json ? explain_print_json(&e) : explain_print(cli, &e);
    return r < 0 ? cli_failed(r) : e.exit_code;
}
