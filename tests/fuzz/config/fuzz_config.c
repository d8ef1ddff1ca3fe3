/* The configuration: any bytes give rules or messages, and a pack gives back what it took. A byte 0x1e parts the files
 * of one configuration. */
#include <stdlib.h>
#include <string.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FILES 4
#define check(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

/* What every message promises: one line that a terminal does not act upon. */
static void check_messages(char *const *messages) {
    for (; messages && *messages; messages++)
        for (const char *p = *messages; *p; p++) check((unsigned char)*p >= 0x20 && *p != 0x7f);
}

static void check_rules(const Rules *rules) {
    for (size_t i = 0; i < rules->n_ports; i++) {
        const PortRule *rule = &rules->ports[i];
        Protocol protocol = rule->any_protocol ? PROTOCOL_TCP : rule->protocol;
        check(rule->first > 0 && rule->first <= rule->last && rule->header && rule->place.file);
        check(rules_find(rules, protocol, rule->first) != NULL);
        check(!rule->any_protocol || (rule->n_addresses == 0 && !rule->unit && !rule->exe && !rule->user));
        for (char **name = rule->notify; name && *name; name++) check(rules_notifier(rules, *name));
    }
    for (size_t i = 0; i < rules->n_ignores; i++) {
        const IgnoreRule *rule = &rules->ignores[i];
        check(rule->has_port || rule->has_address || rule->unit || rule->exe || rule->user);
    }
    for (size_t i = 0; i < rules->n_notifiers; i++) {
        const NotifierRule *rule = &rules->notifiers[i];
        check(rule->plugin && rules_notifier(rules, rule->name) == rule);
        for (size_t j = 0; j < rule->n_settings; j++)
            check(rule->settings[j].value[0] && rule->settings[j].place.file && !strstr(rule->settings[j].value, "%H"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const names[FILES] = {"a", "a.d/1.conf", "a.d/2.conf", "a.d/\x1b[2J.conf"};
    ConfigFile items[FILES] = {0};
    ConfigFiles files = {.items = items}, back = {0};
    Rules *rules = NULL;
    char **errors = NULL, *packed = NULL;
    size_t length;

    const char *p = (const char *)data, *end = p + size;
    while (files.n < FILES && p <= end && data) {
        const char *cut = files.n + 1 < FILES ? memchr(p, 0x1e, (size_t)(end - p)) : NULL;
        size_t n = cut ? (size_t)(cut - p) : (size_t)(end - p);
        items[files.n] = (ConfigFile){(char *)names[files.n], (char *)p, n, .exposed = true};
        files.n++;
        p += n + 1;
    }

    int r = config_parse(&files, "host.example.com", &rules, &errors);
    check((r == CONFIG_OK && rules && !errors) || (r == CONFIG_ERRORS && !rules && errors && errors[0]));
    check_messages(errors);
    if (rules) {
        check_messages(rules->warnings);
        check_rules(rules);
    }
    rules_free(rules);
    strv_free(errors);

    if (config_unpack((const char *)data, size, &back) == 0) {
        check(config_pack(&back, &packed, &length) == 0);
        check(length == size && memcmp(packed, data, size) == 0);
        free(packed);
        config_files_done(&back);
    }
    return 0;
}
