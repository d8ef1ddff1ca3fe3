/* portwatch check-config: every mistake, before it is in force. */
#include <errno.h>
#include <string.h>

#include "cli/cli.h"
#include "config/config.h"
#include "notify/check.h"
#include "notify/document.h"
#include "portwatch-build.h"

static void errors_free(char ***errors) {
    strv_free(*errors);
}

/* Each plugin is asked in a child of its own, as at start and at reload. */
static int check_plugins(const Cli *cli, const Rules *rules, char ***errors) {
    /* ExecReload= has what the daemon has; at a terminal it is the folder that the next start will pass. */
    const char *passed = getenv("CREDENTIALS_DIRECTORY");
    const ChannelOptions options = {.worker = cli->notify_program,
        .plugin_dir = cli->plugin_dir,
        .credentials = passed ? passed : PORTWATCH_CREDENTIALS};
    return notifiers_check(&options, rules, errors);
}

static json_t *list_json(char *const *list) {
    json_t *array = json_array();
    for (; array && list && *list; list++) {
        if (json_array_append_new(array, document_string_safe(*list)) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static int print_json(const char *file, char *const *errors, char *const *warnings) {
    _cleanup_json_ json_t *whole = json_pack(
        "{s:o,s:o,s:o}", "file", document_string(file), "errors", list_json(errors), "warnings", list_json(warnings));
    _cleanup_free_ char *text = whole ? document_text_pretty(whole) : NULL;
    if (!text) return -ENOMEM;
    puts(text);
    return 0;
}

int command_check_config(Cli *cli) {
    const char *file = cli->n_arguments > 0 ? cli->arguments[0] : cli->config;
    _cleanup_(errors_free) char **errors = NULL;
    _cleanup_(rules_freep) Rules *rules = NULL;
    int r = config_load(file, cli_host()->name, &rules, &errors);
    if (r == CONFIG_OK) r = check_plugins(cli, rules, &errors);
    if (r < 0) return cli_failed(r);
    if (cli->json) {
        r = print_json(file, errors, rules ? rules->warnings : NULL);
        if (r < 0) return cli_failed(r);
        return errors ? EXIT_UNKNOWN : EXIT_WELL;
    }
    for (char *const *warning = rules ? rules->warnings : NULL; warning && *warning; warning++)
        fprintf(stderr, "warning: %s\n", *warning);
    for (char **error = errors; error && *error; error++) fprintf(stderr, "%s\n", *error);
    if (errors) return EXIT_UNKNOWN;
    printf("%s is good: %zu port section%s, %zu notifier%s\n", file, rules->n_ports, rules->n_ports == 1 ? "" : "s",
        rules->n_notifiers, rules->n_notifiers == 1 ? "" : "s");
    return EXIT_WELL;
}
