/* The words of findings: names, addresses, commands. */
#include "cli/explain-words.h"

#include <errno.h>
#include <string.h>

#include "cause/question.h"
#include "notify/document.h"
#include "notify/phrase.h"

char *words_owner(const Owner *owner) {
    _cleanup_json_ json_t *json = owner ? document_owner(owner) : json_null();
    return json ? look_owner_phrase(json) : NULL;
}

static json_t *rows_of(const Case *c) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < c->n_rows; i++) {
        if (json_array_append_new(array, document_endpoint(c->rows[i].endpoint)) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static char *say(const json_t *endpoints, void (*phrase)(FILE *, const json_t *)) {
    char *text = NULL;
    size_t size;
    FILE *out = endpoints ? open_memstream(&text, &size) : NULL;
    if (!out) return NULL;
    phrase(out, endpoints);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

static void say_addresses(FILE *out, const json_t *endpoints) {
    phrase_addresses(out, endpoints, true);
}

static void say_owners(FILE *out, const json_t *endpoints) {
    phrase_owners(out, endpoints, PHRASE_NAME);
}

char *words_addresses(const Case *c) {
    _cleanup_json_ json_t *rows = rows_of(c);
    return say(rows, say_addresses);
}

char *words_holders(const Case *c) {
    _cleanup_json_ json_t *rows = rows_of(c);
    return say(rows, say_owners);
}

char *words_expected_addresses(const Case *c) {
    _cleanup_json_ json_t *rows = document_endpoints(&c->expected);
    return say(rows, say_addresses);
}

/* "/usr/sbin/nginx, nginx.service, user www-data": what the section says, and no more. */
static char *stated_holder(const PortRule *rule) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    const char *const parts[][2] = {{"", rule->exe}, {"", rule->unit}, {"user ", rule->user}};
    for (size_t i = 0, said = 0; i < ELEMENTSOF(parts); i++) {
        if (!parts[i][1]) continue;
        _cleanup_free_ char *part = text_escape(parts[i][1], strlen(parts[i][1]));
        fprintf(out, "%s%s%s", said++ ? ", " : "", parts[i][0], part ? part : "");
    }
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

char *words_expected_holders(const Case *c) {
    if (case_states_holder(c)) return stated_holder(c->rule);
    _cleanup_json_ json_t *rows = document_endpoints(&c->expected);
    return say(rows, say_owners);
}

char *words_place(const Place *place) {
    _cleanup_free_ char *file = text_escape(place->file ? place->file : "", place->file ? strlen(place->file) : 0);
    return file ? text_printf("%s:%u", file, place->line) : NULL;
}

bool case_states_holder(const Case *c) {
    return c->rule && (c->rule->exe || c->rule->unit || c->rule->user);
}

int finding_add(Case *c, const char *kind, Weight weight, char *text, char *next) {
    Finding *longer = text ? reallocarray(c->findings, c->n_findings + 1, sizeof *longer) : NULL;
    if (!longer) {
        free(text);
        free(next);
        return -ENOMEM;
    }
    c->findings = longer;
    c->findings[c->n_findings++] = (Finding){kind, weight, text, next};
    if (weight > c->weight) c->weight = weight;
    return 0;
}

/* A unit that can be started: others have no command that would help. */
static bool is_startable(const char *unit) {
    const char *dot = strrchr(unit, '.');
    return dot && (strcmp(dot, ".service") == 0 || strcmp(dot, ".socket") == 0) && *unit != '-' &&
           strcmp(unit, "run.service") != 0;
}

char *next_unit(const char *command, const Owner *owner, const char *arguments) {
    if (owner && owner->user_unit) return NULL; /* not the system's systemd's */
    const char *unit = owner ? owner->unit_shown ? owner->unit_shown : owner->unit : NULL;
    if (!unit || !unit_name_valid(unit) || !is_startable(unit)) return NULL;
    const char *quote = strchr(unit, '\\') ? "'" : "";
    return text_printf("%s %s%s%s%s", command, quote, unit, quote, arguments);
}

char *next_ss(const Case *c) {
    if (!c->root) return next_portwatch("sudo portwatch explain", c, c->port);
    return text_printf("sudo ss -%clnp 'sport = :%u'", c->protocol == PROTOCOL_TCP ? 't' : 'u', c->port);
}

char *next_holder(const Case *c) {
    for (size_t i = 0; i < c->n_rows; i++)
        for (size_t k = 0; k < c->rows[i].endpoint->n_owners; k++) {
            pid_t pid = c->rows[i].endpoint->owners[k]->pid;
            if (pid > 0) return text_printf("ps -fp %d", pid);
        }
    return next_ss(c);
}

/* TCP needs no protocol: `explain 7071` shows what there is. */
char *next_portwatch(const char *command, const Case *c, uint16_t port) {
    if (c->protocol == PROTOCOL_TCP) return text_printf("%s %u", command, port);
    return text_printf("%s %u/%s", command, port, protocol_name(c->protocol));
}

/* All is well here: is it so from there? */
char *next_from_elsewhere(const Explanation *e, const Case *c) {
    const Endpoint *row = c->n_rows > 0 ? c->rows[0].endpoint : NULL;
    bool v6 = row && row->address.family == AF_INET6, both = !row || endpoint_is_dual(row);
    char text[INET6_ADDRSTRLEN];
    strcpy(text, v6 && !both ? "::1" : "127.0.0.1");
    if (row && !address_is_any(&row->address))
        address_format(&row->address, text);
    else
        for (size_t i = e->host.n; i-- > 0;) {
            const Address *address = &e->host.addresses[i].address;
            bool fits = both || address->family == row->address.family;
            if (fits && !address_is_link_local(address)) address_format(address, text);
        }
    return text_printf("nc -vz%s -w 3 %s %u", c->protocol == PROTOCOL_TCP ? "" : "u", text, c->port);
}
