/* Who held the port before: by the baseline, else by history; what was told of why; and where he is now. */
#include <errno.h>
#include <string.h>

#include "cli/explain.h"
#include "notify/document.h"
#include "store/history.h"

static void take_owner(Case *c, const Endpoints *list, int64_t when) {
    for (size_t i = 0; i < list->n; i++) {
        const Endpoint *endpoint = &list->items[i];
        if (*endpoint->namespace || endpoint->port != c->port || endpoint->protocol != c->protocol) continue;
        if (endpoint->n_owners == 0) continue;
        owner_unref(c->before);
        c->before = owner_ref(endpoint->owners[0]);
        c->last = when ? when : endpoint->since;
        return;
    }
}

/* The latest row that names an owner; a row that says what left has it on that side. */
static int search_history(const Cli *cli, Case *c) {
    _cleanup_(store_closep) Store *store = NULL;
    _cleanup_free_ char *reason = NULL;
    int r = cli_open_store(cli, STORE_READER, &store, &reason);
    HistoryFilter filter = {
        .has_port = true, .port = c->port, .has_protocol = true, .protocol = c->protocol, .limit = HISTORY_LIMIT};
    for (size_t n = filter.limit; r == 0 && n == filter.limit;) {
        HistoryRow *rows = NULL;
        n = 0;
        r = history_query(store, &filter, &rows, &n);
        for (size_t i = 0; r == 0 && i < n; i++) {
            take_owner(c, &rows[i].transition.before, rows[i].last);
            take_owner(c, &rows[i].transition.after, rows[i].last);
            filter.after = rows[i].id;
        }
        history_rows_free(rows, n);
    }
    c->by_history = c->before != NULL;
    return r < 0 ? r : 0;
}

/* The cause as it was told: a unit that was started again since has another result by now. */
static int search_told(const Cli *cli, Case *c) {
    _cleanup_(store_closep) Store *store = NULL;
    _cleanup_free_ char *reason = NULL, *text = NULL;
    int r = cli_open_store(cli, STORE_READER, &store, &reason);
    if (r == 0) r = history_cause(store, c->incident->id, &text);
    if (r != 0 || !text) return r < 0 ? r : 0;
    _cleanup_json_ json_t *document = document_parse(text);
    c->told = json_incref(json_object_get(document, "data"));
    return 0;
}

/* What the configuration states names the program, but no process: that of the baseline is the one if it fits. */
static int take_stated(Case *c) {
    const PortRule *rule = c->rule;
    if (!rule || (!rule->unit && !rule->exe)) return 0;
    _cleanup_(owner_unrefp) Owner *owner = owner_new();
    if (!owner) return -ENOMEM;
    if (rule->unit && !(owner->unit = strdup(rule->unit))) return -ENOMEM;
    if (rule->exe && !(owner->exe = strdup(rule->exe))) return -ENOMEM;
    if (c->before && owner_same(owner, c->before)) return 0;
    owner_unref(c->before);
    c->before = TAKE_PTR(owner);
    c->last = 0;
    return 0;
}

static bool knows(const Owner *owner) {
    return owner->exe && strcmp(owner->exe, OWNER_EXE_KERNEL) != 0;
}

/* A program that was told another port by mistake listens there now, and nobody expects that. */
static void search_moved(const Explanation *e, Case *c) {
    const Look *look = &e->look;
    for (size_t i = 0; i < look->snapshot.endpoints.n && c->before && knows(c->before); i++) {
        const Endpoint *seen = &look->snapshot.endpoints.items[i];
        if (*seen->namespace || seen->port == c->port || seen->protocol != c->protocol) continue;
        if (endpoints_find(&look->state.baseline, seen)) continue;
        for (size_t k = 0; k < seen->n_owners && !c->moved; k++)
            if (knows(seen->owners[k]) && owner_same(c->before, seen->owners[k])) c->moved = seen;
    }
}

int explain_before(const Cli *cli, const Explanation *e, Case *c) {
    take_owner(c, &c->expected, 0);
    int r = 0;
    if (!c->before && !e->look.state_reason && c->n_rows == 0) r = search_history(cli, c);
    if (r >= 0 && c->incident) r = search_told(cli, c);
    if (r >= 0) r = take_stated(c);
    if (r < 0) return r;
    if (c->n_rows == 0) search_moved(e, c);
    return 0;
}
