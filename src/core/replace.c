/* A whole new baseline at once: an earlier version, or a file. */
#include <errno.h>
#include <string.h>

#include "core/step.h"

typedef struct Row {
    Surface surface;
    bool after;
    const Endpoint *endpoint;
} Row;

static int compare_rows(const void *a, const void *b) {
    const Row *x = a, *y = b;
    int r = surface_compare(&x->surface, &y->surface);
    if (r == 0) r = (int)x->after - (int)y->after;
    return r ? r : endpoint_compare(x->endpoint, y->endpoint);
}

static bool is_wanted(const Replacement *replacement, const Surface *surface) {
    for (size_t i = 0; i < replacement->n_only; i++)
        if (surface_compare(&replacement->only[i], surface) == 0) return true;
    return !replacement->only;
}

static void collect(
    const Step *step, const Replacement *replacement, const Endpoints *list, bool after, Row *rows, size_t *n) {
    for (size_t i = 0; i < list->n; i++) {
        Row row = {surface_of(step->rules, step->snapshot, &list->items[i]), after, &list->items[i]};
        if (is_wanted(replacement, &row.surface)) rows[(*n)++] = row;
    }
}

static bool same_expectation(const Endpoint *a, const Endpoint *b) {
    if (endpoint_compare(a, b) != 0 || a->v6only != b->v6only || a->n_owners != b->n_owners) return false;
    for (size_t i = 0; i < a->n_owners; i++)
        if (owner_compare(a->owners[i], b->owners[i]) != 0) return false;
    return true;
}

static bool same_rows(const Rows *a, const Rows *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!same_expectation(a->items[i], b->items[i])) return false;
    return true;
}

/* Does it say the same, one way and the other? What a file leaves open is no reason to know less than was learned. */
static int same_meaning(const Surface *surface, const Rows *before, const Rows *after, bool *ret) {
    Difference there, back;
    int r = difference_make(surface, NULL, before, after, &there);
    if (r >= 0) r = difference_make(surface, NULL, after, before, &back);
    if (r >= 0) *ret = there.change == CHANGE_NONE && back.change == CHANGE_NONE;
    return r;
}

/* An open incident of which the told state is expected now is over. */
static int resolve(Step *step, const Views *views, const Surface *surface, const Rows *after, const Replacement *by) {
    const Incident *incident = step_incident(step, surface);
    const View *view = incident ? views_find(views, surface) : NULL;
    if (!view) return 0;
    Rows told = {0};
    Difference left;
    int r = rows_borrow(&incident->told, &told);
    if (r >= 0) r = difference_make(surface, view->rule, after, &told, &left);
    free(told.items);
    if (r < 0 || left.change != CHANGE_NONE) return r;
    return step_tell_resolved(step, view, incident, ENDING_ACCEPTED, step->now->realtime, by->by, by->reason);
}

static int replace(Step *step, const Views *views, const Surface *surface, const Rows *before, const Rows *after,
    const Replacement *by, const char *words) {
    TransitionKind kind = by->kind == VERSION_IMPORTED ? TRANSITION_IMPORTED : TRANSITION_REVERTED;
    _cleanup_free_ char *why = text_printf("to %s%s%s", by->what, by->reason ? ": " : "", by->reason ? by->reason : "");
    if (!why) return -ENOMEM;
    int r = decision_add_transition(step->out, kind, step->now, surface, CHANGE_NONE, before, after, NULL, words);
    if (r >= 0) r = decision_set_baseline(step->out, surface, before, after, step->now);
    if (r >= 0) r = decision_sign(step->out, by->kind, by->by, why);
    if (r >= 0 && state_loan(step->state, surface)) r = decision_put_loan(step->out, step->state, surface, NULL);
    return r < 0 ? r : resolve(step, views, surface, after, by);
}

static int replace_all(Step *step, const Views *views, const Replacement *by, const char *words) {
    const Endpoints *now = &step->state->baseline;
    size_t most = now->n + by->rows->n + 1, n = 0;
    _cleanup_free_ Row *rows = malloc(most * sizeof *rows);
    _cleanup_free_ const Endpoint **items = malloc(most * sizeof *items);
    if (!rows || !items) return -ENOMEM;
    collect(step, by, now, false, rows, &n);
    collect(step, by, by->rows, true, rows, &n);
    if (n > 1) qsort(rows, n, sizeof *rows, compare_rows);
    for (size_t i = 0; i < n; i++) items[i] = rows[i].endpoint;
    for (size_t first = 0, middle, end; first < n; first = end) {
        const Surface *surface = &rows[first].surface;
        for (middle = first; middle < n && !rows[middle].after && surface_compare(&rows[middle].surface, surface) == 0;)
            middle++;
        for (end = middle; end < n && rows[end].after && surface_compare(&rows[end].surface, surface) == 0;) end++;
        Rows before = {items + first, middle - first}, after = {items + middle, end - middle};
        bool same = same_rows(&before, &after);
        int r = same || by->kind != VERSION_IMPORTED ? 0 : same_meaning(surface, &before, &after, &same);
        if (r >= 0 && !same) r = replace(step, views, surface, &before, &after, by, words);
        if (r < 0) return r;
    }
    return 0;
}

int engine_replace_baseline(const Rules *rules, const State *state, const Snapshot *snapshot, const Now *now,
    const Replacement *replacement, Decision *ret) {
    *ret = (Decision){.next_look = INT64_MAX};
    _cleanup_(step_done) Step step = {.rules = rules, .state = state, .snapshot = snapshot, .now = now, .out = ret};
    _cleanup_free_ Surface *more = malloc((state->n_incidents + 1) * sizeof *more);
    _cleanup_free_ char *text = text_printf("to %s by %s%s%s", replacement->what, replacement->by,
        replacement->reason ? ": " : "", replacement->reason ? replacement->reason : "");
    _cleanup_free_ char *words = text ? text_escape(text, strlen(text)) : NULL;
    if (!more || !words) return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < state->n_incidents; i++)
        if (state->incidents[i].aspect == ASPECT_SURFACE) more[n++] = state->incidents[i].surface;
    _cleanup_(views_done) Views views = {0};
    int r = step_init(&step);
    if (r >= 0) r = views_make(rules, &state->baseline, snapshot, more, n, &views);
    if (r >= 0) r = replace_all(&step, &views, replacement, words);
    if (r >= 0 && ret->n_baseline == 0) r = REQUEST_SAME;
    if (r != 0) decision_done(ret);
    return r;
}
