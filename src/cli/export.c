/* portwatch baseline export: sections of a configuration that state what was learned. */
#include <errno.h>
#include <string.h>

#include "cli/baseline.h"
#include "cli/look.h"
#include "config/config.h"
#include "notify/document.h"

/* The one value that all owners of these rows have; NULL: they differ, or one is not known. */
static const char *common(
    const Endpoint *rows, size_t n, const char *(*value)(const Owner *owner, char *buffer), char buffer[static 32]) {
    const char *found = NULL;
    char other[32];
    for (size_t i = 0; i < n; i++) {
        if (rows[i].n_owners == 0) return NULL;
        for (size_t k = 0; k < rows[i].n_owners; k++) {
            const char *text = value(rows[i].owners[k], found ? other : buffer);
            if (!text || (found && strcmp(found, text) != 0)) return NULL;
            if (!found) found = text;
        }
    }
    return found;
}

static const char *owner_unit(const Owner *owner, char *buffer) {
    return owner->unit;
}

static const char *owner_exe(const Owner *owner, char *buffer) {
    return owner->exe;
}

static const char *owner_user(const Owner *owner, char *buffer) {
    if (owner->uid == UID_UNKNOWN) return NULL;
    if (owner->user) return owner->user;
    snprintf(buffer, 32, "%u", owner->uid);
    return buffer;
}

static bool has_device(const Endpoint *rows, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (rows[i].device[0]) return true;
    return false;
}

static void put_addresses(FILE *out, const Endpoint *rows, size_t n) {
    char text[INET6_ADDRSTRLEN];
    bool any4 = false;
    for (size_t i = 0; i < n; i++)
        any4 = any4 || (rows[i].address.family == AF_INET && address_is_any(&rows[i].address));
    for (size_t i = 0; i < n; i++) {
        if (endpoint_is_dual(&rows[i]) && !any4) {
            fputs("address = 0.0.0.0\n", out);
            any4 = true;
        }
        fprintf(out, "address = %s\n", address_format(&rows[i].address, text));
    }
}

static char *section_text(const Endpoint *rows, size_t n) {
    static const struct {
        const char *key;
        const char *(*value)(const Owner *owner, char *buffer);
    } keys[] = {{"unit", owner_unit}, {"exe", owner_exe}, {"user", owner_user}};
    char *text = NULL, buffer[32];
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    fprintf(out, "[port:%u/%s]\n", rows->port, protocol_name(rows->protocol));
    put_addresses(out, rows, n);
    for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
        const char *value = common(rows, n, keys[i].value, buffer);
        if (value) fprintf(out, "%s = %s\n", keys[i].key, value);
    }
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

/* A configuration may not take everything that a kernel does: whatever it would refuse is written as a comment. */
static int is_taken(char *text, bool *ret) {
    ConfigFile one = {.name = (char *)"export", .bytes = text, .length = strlen(text)};
    const ConfigFiles files = {&one, 1};
    _cleanup_(rules_freep) Rules *rules = NULL;
    char **errors = NULL;
    int r = config_parse(&files, NULL, &rules, &errors);
    strv_free(errors);
    *ret = r == CONFIG_OK && rules->n_ports == 1;
    return r < 0 ? r : 0;
}

static int put_commented(const char *text, const char *why) {
    _cleanup_json_ json_t *safe = document_string_safe(text);
    if (!safe) return -ENOMEM;
    printf("# %s\n", why);
    for (const char *line = json_string_value(safe); *line;) {
        size_t n = strcspn(line, "\n");
        if (n > 0) printf("#%.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    return 0;
}

static int put_section(const Endpoint *rows, size_t n) {
    _cleanup_free_ char *text = section_text(rows, n);
    bool taken = false, device = has_device(rows, n);
    int r = text ? is_taken(text, &taken) : -ENOMEM;
    if (r < 0) return r;
    putchar('\n');
    if (device) return put_commented(text, "Bound to a device, which a configuration cannot say:");
    if (!taken) return put_commented(text, "A configuration cannot say this:");
    fputs(text, stdout);
    return 0;
}

int baseline_export(Cli *cli) {
    if (cli->n_arguments != 1 || cli->reason || cli->json) return cli_usage("usage: portwatch baseline export");
    _cleanup_(look_done) Look look = {.rules = NULL};
    int r = look_take(cli, &look);
    if (r < 0) return cli_failed(r);
    if (look.state_reason) {
        cli_error("%s", look.state_reason);
        return EXIT_UNKNOWN;
    }
    puts("# What portwatch learned here. As a file in portwatch.conf.d it is stated; `portwatch baseline import`\n"
         "# makes it what is expected. Addresses that another host does not have are to be changed for it.");
    const Endpoints *list = &look.state.baseline;
    size_t left = 0;
    for (size_t first = 0, end; first < list->n && r >= 0; first = end) {
        const Endpoint *e = &list->items[first];
        for (end = first + 1; end < list->n && list->items[end].port == e->port &&
                              list->items[end].protocol == e->protocol &&
                              strcmp(list->items[end].namespace, e->namespace) == 0;)
            end++;
        Surface at = surface_of(look.rules, &look.snapshot, e);
        if (e->namespace[0] || at.port == 0)
            left += end - first;
        else
            r = put_section(e, end - first);
    }
    if (r < 0) return cli_failed(r);
    if (left > 0) printf("\n# Left out: %zu on ephemeral ports or in other network namespaces.\n", left);
    return EXIT_WELL;
}
