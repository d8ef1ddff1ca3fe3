#include "core/rules.h"

#include <errno.h>
#include <string.h>

#define MINUTE (60 * USEC_PER_SEC)
#define DAY (24 * 60 * MINUTE)

static const char *const severity_names[] = {
    [SEVERITY_INFO] = "info",
    [SEVERITY_WARNING] = "warning",
    [SEVERITY_CRITICAL] = "critical",
};

const char *severity_name(Severity severity) {
    return (size_t)severity < ELEMENTSOF(severity_names) ? severity_names[severity] : "unknown";
}

bool severity_parse(const char *text, Severity *ret) {
    for (size_t i = 0; i < ELEMENTSOF(severity_names); i++)
        if (strcmp(text, severity_names[i]) == 0) {
            *ret = (Severity)i;
            return true;
        }
    return false;
}

Rules *rules_new(void) {
    Rules *rules = calloc(1, sizeof(*rules));
    if (!rules) return NULL;
    rules->interval = 2 * USEC_PER_SEC;
    rules->settle = 5 * USEC_PER_SEC;
    rules->settle_closed = 60 * USEC_PER_SEC;
    rules->boot_grace = 2 * MINUTE;
    rules->mode = MODE_PINNED;
    rules->unlisted = WATCH_ALERT;
    rules->unlisted_local = WATCH_LOG;
    rules->flapping = (Flapping){6, 60 * MINUTE};
    rules->remind = DAY;
    rules->retain = 90 * DAY;
    return rules;
}

static void port_rule_done(PortRule *rule) {
    free(rule->place.file);
    free(rule->header);
    free(rule->name);
    free(rule->expect_place.file);
    free(rule->addresses);
    free(rule->unit);
    free(rule->exe);
    free(rule->user);
    free(rule->stated_place.file);
    strv_free(rule->notify);
}

static void ignore_rule_done(IgnoreRule *rule) {
    free(rule->place.file);
    free(rule->name);
    free(rule->unit);
    free(rule->exe);
    free(rule->user);
    free(rule->namespace);
}

static void notifier_rule_done(NotifierRule *rule) {
    free(rule->place.file);
    free(rule->name);
    free(rule->plugin);
    for (size_t i = 0; i < rule->n_settings; i++) {
        free(rule->settings[i].key);
        free(rule->settings[i].value);
        free(rule->settings[i].place.file);
    }
    free(rule->settings);
}

void rules_free(Rules *rules) {
    if (!rules) return;
    for (size_t i = 0; i < rules->n_ports; i++) port_rule_done(&rules->ports[i]);
    for (size_t i = 0; i < rules->n_ignores; i++) ignore_rule_done(&rules->ignores[i]);
    for (size_t i = 0; i < rules->n_notifiers; i++) notifier_rule_done(&rules->notifiers[i]);
    free(rules->ports);
    free(rules->ignores);
    free(rules->notifiers);
    free(rules->file);
    strv_free(rules->notify);
    strv_free(rules->warnings);
    free(rules);
}

/* A section without a protocol means tcp and udp, as people mean it; udplite is only ever meant by name. */
static bool protocol_covered(bool any, Protocol stated, Protocol protocol) {
    return any ? protocol == PROTOCOL_TCP || protocol == PROTOCOL_UDP : protocol == stated;
}

const PortRule *rules_find(const Rules *rules, Protocol protocol, uint16_t port) {
    const PortRule *best = NULL;

    for (size_t i = 0; i < rules->n_ports; i++) {
        const PortRule *rule = &rules->ports[i];
        if (port < rule->first || port > rule->last) continue;
        if (!protocol_covered(rule->any_protocol, rule->protocol, protocol)) continue;
        int width = rule->last - rule->first;
        int best_width = best ? best->last - best->first : 0;
        if (!best || width < best_width || (width == best_width && best->any_protocol && !rule->any_protocol))
            best = rule;
    }
    return best;
}

const PortRule *rules_find_in(const Rules *rules, const char *namespace, Protocol protocol, uint16_t port) {
    return namespace[0] ? NULL : rules_find(rules, protocol, port);
}

const NotifierRule *rules_notifier(const Rules *rules, const char *name) {
    for (size_t i = 0; i < rules->n_notifiers; i++)
        if (strcmp(rules->notifiers[i].name, name) == 0) return &rules->notifiers[i];
    return NULL;
}

bool rules_tell(const Rules *rules) {
    for (size_t i = 0; i < rules->n_notifiers; i++)
        if (rules->notifiers[i].events) return true;
    return false;
}

bool rules_user_is(const char *user, const Owner *owner) {
    if (!owner || owner->uid == UID_UNKNOWN) return false;

    size_t digits = strspn(user, "0123456789");
    if (digits > 0 && user[digits] == '\0') {
        errno = 0;
        unsigned long long uid = strtoull(user, NULL, 10);
        return errno == 0 && uid == owner->uid;
    }
    return owner->user && strcmp(owner->user, user) == 0;
}

static bool text_is(const char *wanted, const char *found) {
    return found && strcmp(wanted, found) == 0;
}

static bool ignore_covers_owner(const IgnoreRule *rule, const Owner *owner) {
    /* The name as shown is taken too: it is what a person copies from `portwatch list`. */
    if (rule->unit && !owner_unit_is(rule->unit, owner->unit) && !text_is(rule->unit, owner->unit_shown)) return false;
    if (rule->exe && !text_is(rule->exe, owner->exe)) return false;
    if (rule->user && !rules_user_is(rule->user, owner)) return false;
    return true;
}

static bool ignore_covers(const IgnoreRule *rule, const Endpoint *endpoint) {
    bool asks_owner = rule->unit || rule->exe || rule->user;

    /* The parser refuses such a section; were one to arrive, it must not silence everything. */
    if (!asks_owner && !rule->has_port && !rule->has_address && !rule->namespace) return false;
    if (rule->namespace && strcmp(rule->namespace, endpoint->namespace[0] ? endpoint->namespace : "host") != 0)
        return false;
    if (rule->has_port) {
        if (endpoint->port < rule->first || endpoint->port > rule->last) return false;
        if (!protocol_covered(rule->any_protocol, rule->protocol, endpoint->protocol)) return false;
    }
    if (rule->has_address && address_compare(&rule->address, &endpoint->address) != 0) return false;
    if (!asks_owner) return true;

    /* One stranger in a SO_REUSEPORT group, or nobody known at all, is a reason to look. */
    if (endpoint->n_owners == 0) return false;
    for (size_t i = 0; i < endpoint->n_owners; i++)
        if (!ignore_covers_owner(rule, endpoint->owners[i])) return false;
    return true;
}

const IgnoreRule *rules_ignores(const Rules *rules, const Endpoint *endpoint) {
    for (size_t i = 0; i < rules->n_ignores; i++)
        if (ignore_covers(&rules->ignores[i], endpoint)) return &rules->ignores[i];
    return NULL;
}
