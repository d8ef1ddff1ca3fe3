/* A baseline out of a file: sections of a configuration that state what is to be expected. */
#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "core/view.h"
#include "daemon/answer.h"

/* Of ranges, too. */
#define ROWS_MAX 20000

typedef struct Import {
    Daemon *d;
    const char *file;
    const Rules *rules;
    const json_t *users;
    Endpoints rows;
    Surface *only;
    size_t n_only;
    char **errors;
} Import;

static void import_done(Import *import) {
    endpoints_done(&import->rows);
    free(import->only);
    strv_free(import->errors);
}

static int complain(Import *import, const char *file, unsigned line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static int complain(Import *import, const char *file, unsigned line, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    _cleanup_free_ char *reason = text_vprintf(format, arguments);
    va_end(arguments);
    _cleanup_free_ char *text = reason ? text_printf("%s:%u: %s", file, line, reason) : NULL;
    _cleanup_free_ char *escaped = text ? text_escape(text, strlen(text)) : NULL;
    return escaped ? strv_append(&import->errors, escaped) : -ENOMEM;
}

/* The parser has found nothing wrong with these lines; here it is asked whether they belong to a baseline. */
static int check_line(Import *import, const char *line, size_t length, unsigned number) {
    static const char *const keys[] = {"address", "unit", "exe", "user"};
    if (length == 0 || line[0] == '#' || line[0] == ';' || line[0] == '\r') return 0;
    if (line[0] == '[') {
        if (length > 6 && memcmp(line, "[port:", 6) == 0) return 0;
        return complain(import, import->file, number, "a baseline is made of [port:...] sections alone");
    }
    size_t n = 0;
    while (n < length && line[n] != '=' && line[n] != ':' && line[n] != ' ' && line[n] != '\t') n++;
    for (size_t i = 0; i < ELEMENTSOF(keys); i++)
        if (strlen(keys[i]) == n && memcmp(keys[i], line, n) == 0) return 0;
    return complain(import, import->file, number,
        "%.*s is for the configuration: a baseline says address, unit, exe and user", (int)(n < 64 ? n : 64), line);
}

static int check_lines(Import *import, const char *text) {
    int r = 0;
    unsigned number = 1;
    for (const char *line = text; *line && r == 0; number++) {
        size_t length = strcspn(line, "\n");
        r = check_line(import, line, length, number);
        line += length + (line[length] == '\n');
    }
    return r;
}

/* The owner that a section states; NULL where it states none. */
static int make_owner(Import *import, const PortRule *rule, Owner **ret) {
    *ret = NULL;
    if (!rule->unit && !rule->exe && !rule->user) return 0;
    _cleanup_(owner_unrefp) Owner *owner = owner_new();
    if (!owner) return -ENOMEM;
    if (rule->unit && !(owner->unit = strdup(rule->unit))) return -ENOMEM;
    if (rule->exe && !(owner->exe = strdup(rule->exe))) return -ENOMEM;
    if (rule->user) {
        const json_t *uid = json_object_get(import->users, rule->user);
        if (!json_is_integer(uid))
            return complain(import, rule->stated_place.file ? rule->stated_place.file : import->file, rule->place.line,
                "there is no user %s on this host", rule->user);
        owner->uid = (uid_t)json_integer_value(uid);
        if (!(owner->user = strdup(rule->user))) return -ENOMEM;
    }
    *ret = TAKE_PTR(owner);
    return 0;
}

static int add_row(Import *import, const PortRule *rule, uint16_t port, const Address *address, Owner *owner) {
    Endpoint row = {.protocol = rule->protocol, .port = port, .address = *address, .count = 1};
    row.v6only = address->family == AF_INET6 && address_is_any(address);
    int r = owner ? endpoint_add_owner(&row, owner) : 0;
    if (r >= 0) r = endpoints_take(&import->rows, &row);
    endpoint_done(&row);
    return r;
}

static int add_port(Import *import, const PortRule *rule, uint16_t port, Owner *owner) {
    const Endpoint any = {.protocol = rule->protocol, .port = port};
    const Surface own = {.protocol = rule->protocol, .port = port};
    Surface at = surface_of(import->d->rules, &import->d->snapshot, &any);
    if (surface_compare(&at, &own) != 0)
        return complain(import, rule->place.file, rule->place.line,
            "%u/%s is one of the ephemeral ports, which count together: give it a section in the configuration", port,
            protocol_name(rule->protocol));
    if (import->rows.n + rule->n_addresses > ROWS_MAX)
        return complain(import, rule->place.file, rule->place.line, "more than %d addresses", ROWS_MAX);
    Surface *longer = reallocarray(import->only, import->n_only + 1, sizeof *longer);
    if (!longer) return -ENOMEM;
    import->only = longer;
    longer[import->n_only++] = own;
    int r = 0;
    for (size_t i = 0; i < rule->n_addresses && r == 0; i++)
        r = add_row(import, rule, port, &rule->addresses[i], owner);
    return r;
}

static int add_section(Import *import, const PortRule *rule) {
    _cleanup_(owner_unrefp) Owner *owner = NULL;
    if (rule->n_addresses == 0 || rule->any_protocol)
        return complain(import, rule->place.file, rule->place.line, "[%s] says no address", rule->header);
    int r = make_owner(import, rule, &owner);
    for (unsigned port = rule->first; port <= rule->last && r == 0 && !import->errors; port++)
        if (rules_find(import->rules, rule->protocol, (uint16_t)port) == rule)
            r = add_port(import, rule, (uint16_t)port, owner);
    return r;
}

static int read_sections(Import *import, const char *text) {
    int r = check_lines(import, text);
    for (size_t i = 0; i < import->rules->n_ports && r == 0 && !import->errors; i++)
        r = add_section(import, &import->rules->ports[i]);
    if (r == 0 && !import->errors && import->n_only == 0)
        r = complain(import, import->file, 1, "there is no [port:...] section in it");
    return r == 0 ? endpoints_sort(&import->rows) : r;
}

static int refuse(Daemon *d, const Request *request, char *const *errors, Answer *answer) {
    json_t *list = json_array();
    for (char *const *line = errors; list && *line; line++)
        if (json_array_append_new(list, document_string_safe(*line)) < 0) {
            json_decref(list);
            return -ENOMEM;
        }
    if (json_object_set_new(answer->object, "errors", list) < 0) return -ENOMEM;
    size_t n = strv_length(errors);
    int r = answer_text(answer, 2, "%zu mistake%s; nothing changed", n, n == 1 ? "" : "s");
    return r < 0 ? r : answer_reply(d, request, NULL, answer);
}

int baseline_import(Daemon *d, const Request *request, const json_t *arguments, Answer *answer) {
    const char *file = json_string_value(json_object_get(arguments, "file"));
    const char *text = json_string_value(json_object_get(arguments, "text"));
    if (!file || !text || strlen(text) > CONFIG_BYTES_MAX) {
        int r = answer_text(answer, 2, "that is no file, or a too large one; nothing changed");
        return r < 0 ? r : answer_reply(d, request, NULL, answer);
    }
    ConfigFile one = {.name = (char *)file, .bytes = (char *)text, .length = strlen(text)};
    const ConfigFiles files = {&one, 1};
    _cleanup_(rules_freep) Rules *rules = NULL;
    char **errors = NULL;
    int r = config_parse(&files, d->host.name, &rules, &errors);
    if (r == CONFIG_ERRORS) r = refuse(d, request, errors, answer);
    strv_free(errors);
    if (r < 0 || !rules) return r;
    _cleanup_(import_done)
        Import import = {.d = d, .file = file, .rules = rules, .users = json_object_get(arguments, "users")};
    r = read_sections(&import, text);
    if (r < 0) return r;
    if (import.errors) return refuse(d, request, import.errors, answer);
    _cleanup_free_ char *what = text_escape(file, strlen(file));
    if (!what) return -ENOMEM;
    return baseline_replace(d, request,
        &(Replacement){.kind = VERSION_IMPORTED,
            .rows = &import.rows,
            .only = import.only,
            .n_only = import.n_only,
            .by = request->who,
            .reason = json_string_value(json_object_get(arguments, "reason")),
            .what = what},
        answer);
}
