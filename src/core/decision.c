#include "core/decision.h"

#include <errno.h>
#include <string.h>

#include "core/answers.h"

/* Makes room for one more element of an array that is grown one by one. `array` points to the pointer to its items. */
static int grow(void *array, size_t n, size_t size) {
    void *items;
    if (n & (n - 1)) return 0; /* room up to the next power of two */
    memcpy(&items, array, sizeof items);
    items = reallocarray(items, n ? n * 2 : 1, size);
    if (!items) return -ENOMEM;
    memcpy(array, &items, sizeof items);
    return 0;
}

int decision_add_event(Decision *decision, Event *event) {
    if (grow(&decision->events, decision->n_events, sizeof *event) < 0) return -ENOMEM;
    decision->events[decision->n_events++] = *event;
    memset(event, 0, sizeof *event);
    return 0;
}

int decision_add_update(Decision *decision, Incident *incident) {
    if (grow(&decision->updates, decision->n_updates, sizeof *incident) < 0) return -ENOMEM;
    decision->updates[decision->n_updates++] = *incident;
    memset(incident, 0, sizeof *incident);
    return 0;
}

int decision_add_settling(Decision *decision, const Settling *settling) {
    if (grow(&decision->settling, decision->n_settling, sizeof *settling) < 0) return -ENOMEM;
    decision->settling[decision->n_settling++] = *settling;
    return 0;
}

int rows_copy(const Rows *rows, Endpoints *ret) {
    Endpoints copy = {0};
    for (size_t i = 0; i < rows->n; i++)
        if (endpoints_add(&copy, rows->items[i]) < 0) {
            endpoints_done(&copy);
            return -ENOMEM;
        }
    *ret = copy;
    return 0;
}

int rows_borrow(const Endpoints *list, Rows *ret) {
    const Endpoint **items = malloc((list->n + 1) * sizeof *items);
    if (!items) return -ENOMEM;
    for (size_t i = 0; i < list->n; i++) items[i] = &list->items[i];
    *ret = (Rows){items, list->n};
    return 0;
}

/* What people asked for and what was told is never counted away. */
static bool is_observation(TransitionKind kind) {
    return kind <= TRANSITION_JOINED;
}

static int count_away(Decision *decision, TransitionKind kind, const Now *now) {
    char text[64];
    snprintf(text, sizeof text, "%zu more transitions in the same moment", decision->n_counted + 1);
    char *copy = strdup(text);
    if (!copy) return -ENOMEM;
    if (decision->n_counted == 0) {
        if (grow(&decision->transitions, decision->n_transitions, sizeof *decision->transitions) < 0) {
            free(copy);
            return -ENOMEM;
        }
        decision->counted_at = decision->n_transitions;
        decision->transitions[decision->n_transitions++] = (Transition){.kind = kind, .time = now->realtime};
    }
    Transition *line = &decision->transitions[decision->counted_at];
    free(line->text);
    line->text = copy;
    decision->n_counted++;
    return 0;
}

int decision_add_transition(Decision *decision, TransitionKind kind, const Now *now, const Surface *surface,
    Change change, const Rows *before, const Rows *after, const char *token, const char *text) {
    if (is_observation(kind) && decision->n_observed >= ENGINE_TRANSITIONS_MAX) return count_away(decision, kind, now);
    Transition t = {.kind = kind, .time = now->realtime, .has_surface = surface != NULL, .change = change};
    if (surface) t.surface = *surface;
    if (token) snprintf(t.token, sizeof t.token, "%s", token);
    if ((before && rows_copy(before, &t.before) < 0) || (after && rows_copy(after, &t.after) < 0) ||
        (text && !(t.text = strdup(text))) || grow(&decision->transitions, decision->n_transitions, sizeof t) < 0) {
        transition_done(&t);
        return -ENOMEM;
    }
    decision->transitions[decision->n_transitions++] = t;
    if (is_observation(kind)) decision->n_observed++;
    return 0;
}

static int compare_rows(const void *a, const void *b) {
    const Endpoint *const *x = a, *const *y = b;
    return endpoint_compare(*x, *y);
}

/* A view's rows are sorted. */
static const Endpoint *rows_find(const Rows *rows, const Endpoint *key) {
    const Endpoint **found = rows->n ? bsearch(&key, rows->items, rows->n, sizeof *rows->items, compare_rows) : NULL;
    return found ? *found : NULL;
}

int endpoint_share_owners(Endpoint *endpoint, const Endpoint *from) {
    while (endpoint->n_owners > 0) owner_unref(endpoint->owners[--endpoint->n_owners]);
    for (size_t i = 0; i < from->n_owners; i++)
        if (endpoint_add_owner(endpoint, from->owners[i]) < 0) return -ENOMEM;
    return 0;
}

/* Of clients' ports it is enough to know who has them, and nobody has to be known twice. */
static int add_client(Endpoints *list, const Endpoint *seen, const Now *now) {
    if (seen->n_owners == 0 || list->n >= POOL_CLIENTS_MAX) return 0;
    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].n_owners > 0 && owners_pass(&list->items[i], seen)) return 0;
    int r = endpoints_add(list, seen);
    if (r >= 0) list->items[list->n - 1].since = now->realtime;
    return r;
}

static int add_expected(Endpoints *list, const Endpoint *seen, const Endpoint *known, const Now *now, bool join) {
    Endpoint copy = {0};
    int r = endpoint_copy(seen, &copy);
    if (r < 0) return r;
    copy.since = known && known->since ? known->since : now->realtime;
    if (known && (seen->n_owners == 0 || (join && !owners_known_better(known, seen))))
        r = endpoint_share_owners(&copy, known);
    if (r >= 0) r = endpoints_take(list, &copy);
    endpoint_done(&copy);
    return r;
}

int decision_move_baseline(Decision *decision, const View *view, const Now *now, bool join) {
    BaselineChange change = {.surface = view->surface, .kind = VERSION_JOINED};
    bool clients = surface_of_clients(&view->surface);
    int r = rows_copy(&view->baseline, &change.before);
    if (r >= 0 && clients) r = rows_copy(&view->baseline, &change.after);
    for (size_t i = 0; i < view->seen.n && r >= 0; i++) {
        const Endpoint *seen = view->seen.items[i];
        r = clients ? add_client(&change.after, seen, now)
                    : add_expected(&change.after, seen, rows_find(&view->baseline, seen), now, join);
    }
    if (r >= 0) r = endpoints_sort(&change.after);
    if (r >= 0) r = grow(&decision->baseline, decision->n_baseline, sizeof change);
    if (r < 0) {
        endpoints_done(&change.before);
        endpoints_done(&change.after);
        return r;
    }
    decision->baseline[decision->n_baseline++] = change;
    return 0;
}

static int64_t earlier_since(const Endpoint *known, const Now *now) {
    return known->since && known->since < now->realtime ? known->since : now->realtime;
}

int decision_learn(Decision *decision, const View *view, const Now *now) {
    /* One date for the whole port: what was learned in several looks did not join what was learned before. */
    Now learned = *now;
    for (size_t i = 0; i < view->baseline.n; i++) learned.realtime = earlier_since(view->baseline.items[i], &learned);
    int r = decision_move_baseline(decision, view, &learned, true);
    if (r < 0) return r;
    decision->baseline[decision->n_baseline - 1].kind = VERSION_LEARNED;
    Endpoints *after = &decision->baseline[decision->n_baseline - 1].after;
    size_t n = after->n;
    for (size_t i = 0; i < view->baseline.n && r >= 0; i++)
        if (!endpoints_find(&(Endpoints){.items = after->items, .n = n}, view->baseline.items[i]))
            r = endpoints_add(after, view->baseline.items[i]);
    return r < 0 ? r : endpoints_sort(after);
}

int decision_copy_pauses(Decision *decision, const State *state) {
    free(decision->pauses);
    decision->pauses = calloc(state->n_pauses + 1, sizeof *decision->pauses); /* room for one more */
    if (!decision->pauses) return -ENOMEM;
    if (state->n_pauses) memcpy(decision->pauses, state->pauses, state->n_pauses * sizeof *decision->pauses);
    decision->n_pauses = state->n_pauses;
    return 0;
}

int decision_sign(Decision *decision, VersionKind kind, const char *by, const char *why) {
    BaselineChange *change = &decision->baseline[decision->n_baseline - 1];
    change->kind = kind;
    if ((by && !(change->by = strdup(by))) || (why && !(change->why = strdup(why)))) return -ENOMEM;
    return 0;
}

int decision_set_baseline(
    Decision *decision, const Surface *surface, const Rows *before, const Rows *after, const Now *now) {
    BaselineChange change = {.surface = *surface, .kind = VERSION_JOINED};
    int r = rows_copy(before, &change.before);
    if (r >= 0) r = rows_copy(after, &change.after);
    for (size_t i = 0; r >= 0 && i < change.after.n; i++) {
        Endpoint *row = &change.after.items[i];
        const Endpoint *known = row->since ? NULL : rows_find(before, row);
        if (!row->since) row->since = known && known->since ? known->since : now->realtime;
    }
    if (r >= 0) r = grow(&decision->baseline, decision->n_baseline, sizeof change);
    if (r < 0) {
        endpoints_done(&change.before);
        endpoints_done(&change.after);
        return r;
    }
    decision->baseline[decision->n_baseline++] = change;
    return 0;
}

bool decision_writes(const Decision *d) {
    return d->n_events || d->n_updates || d->n_baseline || d->n_transitions || d->pauses_changed || d->loans_changed ||
           d->learned || d->namespaces_change;
}

void decision_done(Decision *decision) {
    for (size_t i = 0; i < decision->n_events; i++) event_done(&decision->events[i]);
    for (size_t i = 0; i < decision->n_updates; i++) incident_done(&decision->updates[i]);
    for (size_t i = 0; i < decision->n_baseline; i++) {
        endpoints_done(&decision->baseline[i].before);
        endpoints_done(&decision->baseline[i].after);
        free(decision->baseline[i].by);
        free(decision->baseline[i].why);
    }
    for (size_t i = 0; i < decision->n_loans; i++) loan_done(&decision->loans[i]);
    free(decision->loans);
    for (size_t i = 0; i < decision->n_transitions; i++) transition_done(&decision->transitions[i]);
    free(decision->events);
    free(decision->updates);
    free(decision->baseline);
    free(decision->transitions);
    free(decision->pauses);
    free(decision->settling);
    free(decision->flaps);
    memset(decision, 0, sizeof *decision);
}
