/* What is bound to the port, and what should be. */
#include <errno.h>
#include <string.h>

#include "cli/explain.h"
#include "cli/marks.h"
#include "cli/port.h"
#include "kernel/procfs.h"

static bool is_here(const Case *c, const Endpoint *endpoint) {
    return !*endpoint->namespace && endpoint->protocol == c->protocol && endpoint->port == c->port;
}

/* The state of the process that holds it: a stopped one accepts nothing. */
static char process_state(const Endpoint *endpoint) {
    const KernelRoots roots = KERNEL_ROOTS_DEFAULT;
    for (size_t i = 0; i < endpoint->n_owners; i++) {
        _cleanup_close_ int process = -1;
        ProcStat stat;
        if (endpoint->owners[i]->pid <= 0) continue;
        if (procfs_open_process(&roots, endpoint->owners[i]->pid, &process) < 0) continue;
        if (procfs_read_stat(process, &stat) == 0) return stat.state;
    }
    return 0;
}

static void take_backlog(BoundRow *row, const Backlog *list, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const Backlog *one = &list[i];
        if (address_compare(&one->address, &row->endpoint->address) != 0) continue;
        if (strcmp(one->device, row->endpoint->device) != 0) continue;
        bool fuller = backlog_full(one) > backlog_full(&row->backlog) || one->waiting > row->backlog.waiting;
        if (!row->backlog_known || fuller) row->backlog = *one;
        row->backlog_known = true;
    }
}

static int add_rows(Explanation *e, Case *c, const Mark *marks) {
    const Endpoints *seen = &e->look.snapshot.endpoints;
    _cleanup_free_ Backlog *backlogs = NULL;
    size_t n = 0;
    for (size_t i = 0; i < seen->n; i++) c->n_rows += is_here(c, &seen->items[i]);
    c->rows = calloc(c->n_rows + 1, sizeof *c->rows);
    if (!c->rows) return -ENOMEM;
    /* Without it all else can still be told. */
    if (c->protocol == PROTOCOL_TCP && c->n_rows > 0 && backlog_read(c->port, &backlogs, &n) == -ENOMEM) return -ENOMEM;
    BoundRow *row = c->rows;
    for (size_t i = 0; i < seen->n; i++) {
        if (!is_here(c, &seen->items[i])) continue;
        *row = (BoundRow){.endpoint = &seen->items[i], .word = marks[i].word};
        row->state = process_state(row->endpoint);
        take_backlog(row, backlogs, n);
        if (marks[i].view->ignore) c->ignore = marks[i].view->ignore;
        c->surface = marks[i].view->surface;
        row++;
    }
    return 0;
}

/* The rows that the port's own section, its baseline, or the baseline of the ephemeral ports want there. */
static int add_expected(Explanation *e, Case *c) {
    for (size_t i = 0; i < e->look.views.n; i++) {
        const View *view = &e->look.views.items[i];
        Endpoints expected = {0};
        if (*view->surface.namespace || view->surface.protocol != c->protocol) continue;
        if (view->surface.port != 0 && view->surface.port != c->port) continue;
        int r = difference_expected(&view->surface, view->rule, &view->baseline, &expected);
        bool any = false;
        for (size_t k = 0; k < expected.n && r >= 0; k++) {
            if (!is_here(c, &expected.items[k])) continue;
            r = endpoints_add(&c->expected, &expected.items[k]);
            any = true;
        }
        endpoints_done(&expected);
        if (r < 0) return r;
        if (any && c->n_rows == 0) c->surface = view->surface;
    }
    return endpoints_sort(&c->expected);
}

static void add_trouble(const Snapshot *snapshot, Case *c) {
    c->decided = snapshot_decides(snapshot, "", c->protocol);
    for (Table table = 0; table < TABLE_MAX; table++)
        if (table_protocol(table) == c->protocol && snapshot->tables[table] == TABLE_INCOMPLETE && !c->trouble)
            c->trouble = snapshot->trouble[table];
}

static int fill(Explanation *e, Case *c, const Mark *marks) {
    const Snapshot *snapshot = &e->look.snapshot;
    c->surface = (Surface){.protocol = c->protocol, .port = c->port};
    surface_format(&c->surface, c->title);
    c->rule = rules_find(e->look.rules, c->protocol, c->port);
    c->ephemeral = !c->rule && c->port >= snapshot->ephemeral_first && c->port <= snapshot->ephemeral_last;
    c->root = geteuid() == 0;
    c->known = !e->look.state_reason && !e->look.rules_reason;
    add_trouble(snapshot, c);
    int r = add_rows(e, c, marks);
    if (r >= 0) r = add_expected(e, c);
    if (r < 0) return r;
    c->incident = state_incident_at(&e->look.state, &c->surface);
    /* Of the ephemeral ports together nothing follows for one of them. */
    const View *view = c->surface.port ? views_find(&e->look.views, &c->surface) : NULL;
    if (!view || !view->decided || view->watch == WATCH_IGNORE || !c->known) return 0;
    c->change = view->difference.change;
    c->reach = view->difference.reach;
    return 0;
}

static bool says_something(const Case *c) {
    bool stated = c->rule && c->rule->expect != EXPECT_BASELINE;
    return c->n_rows > 0 || c->expected.n > 0 || stated || c->incident;
}

static void forget(Case *c) {
    endpoints_done(&c->expected);
    free(c->rows);
}

/* Without a protocol: those that have anything to say; if none has, TCP. */
int explain_bound(Explanation *e, bool any_protocol, Protocol protocol) {
    _cleanup_free_ Mark *marks = calloc(e->look.snapshot.endpoints.n + 1, sizeof *marks);
    if (!marks) return -ENOMEM;
    int r = marks_make(&e->look, marks);
    for (Protocol p = 0; p < PROTOCOL_MAX && r >= 0; p++) {
        if (any_protocol ? p == PROTOCOL_UDPLITE : p != protocol) continue;
        e->cases[e->n_cases] = (Case){.protocol = p, .port = e->port};
        r = fill(e, &e->cases[e->n_cases++], marks);
    }
    if (r < 0 || !any_protocol) return r;
    bool tcp = says_something(&e->cases[0]), udp = says_something(&e->cases[1]);
    if (tcp && udp) return 0;
    forget(&e->cases[udp ? 0 : 1]);
    if (udp) e->cases[0] = e->cases[1];
    e->n_cases = 1;
    return 0;
}
