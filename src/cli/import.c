/* portwatch baseline import: a file's sections become what is expected. */
#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "cli/accept.h"
#include "cli/baseline.h"
#include "cli/request.h"
#include "config/config.h"
#include "notify/document.h"

/* The daemon never waits for who knows users: they are looked up here. A mistake in the file is for it to say. */
static json_t *find_users(const ConfigFiles *files) {
    _cleanup_(rules_freep) Rules *rules = NULL;
    char **errors = NULL;
    json_t *users = json_object();
    int r = config_parse(files, cli_host()->name, &rules, &errors);
    strv_free(errors);
    for (size_t i = 0; users && r == CONFIG_OK && i < rules->n_ports; i++) {
        const char *name = rules->ports[i].user;
        char buffer[4096], *end = NULL;
        struct passwd entry, *found = NULL;
        if (!name || json_object_get(users, name)) continue;
        unsigned long number = strtoul(name, &end, 10);
        bool numeric = *name >= '0' && *name <= '9' && !*end && number < UINT32_MAX;
        if (!numeric && (getpwnam_r(name, &entry, buffer, sizeof buffer, &found) != 0 || !found)) continue;
        json_int_t uid = numeric ? (json_int_t)number : (json_int_t)found->pw_uid;
        if (json_object_set_new(users, name, json_integer(uid)) < 0) {
            json_decref(users);
            return NULL;
        }
    }
    return users;
}

static int send_file(Cli *cli, const ConfigFile *file) {
    const ConfigFiles files = {(ConfigFile *)file, 1};
    json_t *text = json_stringn(file->bytes, file->length);
    if (!text || strlen(json_string_value(text)) != file->length) {
        json_decref(text);
        _cleanup_free_ char *escaped = text_escape(file->name, strlen(file->name));
        cli_error("%s is no text in UTF-8", escaped ? escaped : "the file");
        return EXIT_UNKNOWN;
    }
    json_t *arguments =
        json_pack("{s:o,s:o,s:o}", "file", document_string(file->name), "text", text, "users", find_users(&files));
    if (!arguments || accept_put_reason(cli, arguments) < 0) {
        json_decref(arguments);
        return cli_failed(-ENOMEM);
    }
    _cleanup_json_ json_t *answer = NULL;
    int code = request_run(cli, "import", arguments, REQUEST_WAIT, EXIT_UNKNOWN, &answer);
    if (!answer) return code;
    if (!cli->json) return baseline_print_changed(cli, answer, code) < 0 ? cli_failed(-ENOMEM) : code;
    _cleanup_free_ char *out = document_text_pretty(answer);
    if (!out) return cli_failed(-ENOMEM);
    puts(out);
    return code;
}

int baseline_import(Cli *cli) {
    if (cli->n_arguments != 2) return cli_usage("usage: portwatch baseline import FILE [--reason TEXT]");
    const char *path = cli->arguments[1];
    _cleanup_free_ char *bytes = malloc(CONFIG_BYTES_MAX + 1);
    if (!bytes) return cli_failed(-ENOMEM);
    bool from_stdin = strcmp(path, "-") == 0;
    FILE *in = from_stdin ? stdin : fopen(path, "re");
    if (!in) {
        cli_error("%s: %s", path, strerror(errno));
        return EXIT_UNKNOWN;
    }
    size_t length = fread(bytes, 1, CONFIG_BYTES_MAX + 1, in);
    bool bad = ferror(in) != 0;
    if (!from_stdin) fclose(in);
    if (bad || length > CONFIG_BYTES_MAX) {
        cli_error("%s cannot be read, or is larger than %zu bytes", path, CONFIG_BYTES_MAX);
        return EXIT_UNKNOWN;
    }
    const ConfigFile file = {.name = (char *)(from_stdin ? "standard input" : path), .bytes = bytes, .length = length};
    return send_file(cli, &file);
}
