#include "cli/look.h"

#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "kernel/sockets.h"
#include "notify/document.h"
#include "notify/phrase.h"
#include "store/state.h"

int look_rules(const Cli *cli, Rules **ret, char **ret_reason) {
    char **errors = NULL;
    _cleanup_(rules_freep) Rules *rules = NULL;
    _cleanup_free_ char *reason = NULL;
    int r = 0;
    if (cli->config_given || access(cli->config, F_OK) == 0 || errno != ENOENT) {
        r = config_load(cli->config, cli_host()->name, &rules, &errors);
        if (r == CONFIG_ERRORS) {
            reason = strdup(errors && errors[0] ? errors[0] : "the configuration is not valid");
            r = reason ? 0 : -ENOMEM;
        }
        strv_free(errors);
    }
    if (r < 0) return r;
    if (!rules && !(rules = rules_new())) return -ENOMEM;
    *ret = TAKE_PTR(rules);
    *ret_reason = TAKE_PTR(reason);
    return 0;
}

static int take_snapshot(const Rules *rules, Snapshot *ret) {
    const KernelRoots roots = KERNEL_ROOTS_DEFAULT;
    const SocketsOptions options = {.resolve_all = true, .all_namespaces = rules->namespaces == SCOPE_ALL};
    _cleanup_(sockets_freep) Sockets *sockets = NULL;
    int r = sockets_new(&roots, &options, &sockets);
    return r < 0 ? r : sockets_take(sockets, ret);
}

static int take_state(const Cli *cli, Look *look) {
    _cleanup_(store_closep) Store *store = NULL;
    int r = cli_open_store(cli, STORE_READER, &store, &look->state_reason);
    if (r != 0) return r < 0 ? r : 0;
    r = store_load_state(store, &look->state);
    if (r > 0) {
        look->state_reason = strdup(store_reason(store));
        return look->state_reason ? 0 : -ENOMEM;
    }
    if (r == 0 && !look->state.learned) {
        look->state_reason = strdup("portwatchd is still learning what is there");
        return look->state_reason ? 0 : -ENOMEM;
    }
    return r;
}

int look_take(const Cli *cli, Look *ret) {
    _cleanup_(look_done) Look look = {.rules = NULL};
    int r = look_rules(cli, &look.rules, &look.rules_reason);
    if (r >= 0) r = take_snapshot(look.rules, &look.snapshot);
    if (r >= 0) r = take_state(cli, &look);
    if (r < 0) return r;
    _cleanup_free_ Surface *more = malloc((look.state.n_incidents + 1) * sizeof *more);
    if (!more) return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < look.state.n_incidents; i++)
        if (look.state.incidents[i].aspect == ASPECT_SURFACE) more[n++] = look.state.incidents[i].surface;
    r = views_make(look.rules, &look.state.baseline, &look.snapshot, more, n, &look.views);
    if (r < 0) return r;
    look.coverage = document_coverage(&look.snapshot, look.rules);
    if (!look.coverage) return -ENOMEM;
    *ret = look;
    look = (Look){.rules = NULL};
    return 0;
}

void look_done(Look *look) {
    views_done(&look->views);
    state_done(&look->state);
    snapshot_done(&look->snapshot);
    rules_free(look->rules);
    free(look->rules_reason);
    free(look->state_reason);
    json_decref(look->coverage);
    *look = (Look){.rules = NULL};
}

json_t *look_document_of(const char *type, const Surface *surface, Change change, Reach reach, const char *name,
    json_t *before, json_t *after) {
    static const char *const reaches[] = {"same", "widened", "narrowed"};
    _cleanup_free_ char *full = text_printf("portwatch.incident.%s", type);
    json_t *label = document_string(name);
    json_t *port = surface && surface->port ? json_integer(surface->port) : json_null();
    json_t *protocol = surface && !surface->whole ? json_string(protocol_name(surface->protocol)) : json_null();
    /* json_pack takes the references it is given even where it fails. */
    return json_pack("{s:s,s:{s:o,s:o,s:o,s:s,s:s,s:o,s:o,s:o}}", "type", full ? full : "", "data", "namespace",
        document_namespace(surface ? surface->namespace : ""), "protocol", protocol, "port", port, "change",
        change_name(change), "reach", reaches[reach], "name", label, "before", before, "after", after);
}

/* Borrowed rows as JSON. */
static json_t *rows_json(const Rows *rows) {
    json_t *array = json_array();
    for (size_t i = 0; array && i < rows->n; i++) {
        if (json_array_append_new(array, document_endpoint(rows->items[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

json_t *look_document(const Look *look, const View *view) {
    Endpoints expected = {0};
    if (difference_expected(&view->surface, view->rule, &view->baseline, &expected) < 0) return NULL;
    json_t *before = document_endpoints(&expected), *after = rows_json(&view->seen);
    endpoints_done(&expected);
    return look_document_of("opened", &view->surface, view->difference.change, view->difference.reach,
        view->rule ? view->rule->name : NULL, before, after);
}

char *look_owner_phrase(const json_t *owner) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    phrase_owner(out, owner, PHRASE_NAME);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}

void look_foot(const Cli *cli, const Look *look) {
    const json_t *unseen = json_object_get(look->coverage, "not_seen");
    printf("\n%sSeen: %s.", cli->colours.dim, phrase_string(look->coverage, "seen"));
    for (size_t i = 0; i < json_array_size(unseen); i++)
        printf("%s%s", i ? "; " : " Not seen: ", json_string_value(json_array_get(unseen, i)));
    printf("%s%s\n", json_array_size(unseen) ? "." : "", cli->colours.reset);
    if (look->rules_reason) printf("Configuration not used: %s\n", look->rules_reason);
    if (look->state_reason) printf("No baseline: %s\n", look->state_reason);
}
