/* First start: what is seen until boot_grace ends is the baseline. */
#include <errno.h>

#include "core/step.h"

static bool is_news(const Step *step, const View *view) {
    /* Of clients' ports it is enough to know who has them. */
    if (surface_of_clients(&view->surface)) return view->difference.change != CHANGE_NONE;
    for (size_t i = 0; i < view->seen.n; i++) {
        const Endpoint *known = endpoints_find(&step->state->baseline, view->seen.items[i]);
        if (!known || (known->n_owners == 0 && view->seen.items[i]->n_owners > 0)) return true;
    }
    return false;
}

int step_learn_view(Step *step, const View *view) {
    if (!view->decided || !is_news(step, view)) return 0;
    int r = decision_add_transition(
        step->out, TRANSITION_LEARNED, step->now, &view->surface, CHANGE_NONE, NULL, &view->seen, NULL, NULL);
    return r < 0 ? r : decision_learn(step->out, view, step->now);
}

static bool namespaces_seen(const Snapshot *snapshot) {
    if (!snapshot->all_namespaces || !snapshot->namespaces_found) return false;
    for (size_t i = 0; i < snapshot->n_namespaces; i++)
        if (snapshot->namespaces[i].tables[TABLE_TCP4] != TABLE_INCOMPLETE) return true;
    return snapshot->namespaces_unseen == 0; /* there is none */
}

/* Where none can be entered nothing was learned; else a single one that cannot must not put it off for ever. */
void step_namespaces(Step *step) {
    bool all = step->rules->namespaces == SCOPE_ALL, learned = step->state->namespaces_learned;
    if (all && !learned) learned = step->now->boot_age >= step->rules->boot_grace && namespaces_seen(step->snapshot);
    learned = learned && all;
    step->out->namespaces_change = learned != step->state->namespaces_learned;
    step->out->namespaces_learned = learned;
}

int step_learn(Step *step) {
    if (!snapshot_complete(step->snapshot)) return 0;
    Views views = {0};
    int r = views_make(step->rules, &step->state->baseline, step->snapshot, NULL, 0, &views);
    for (size_t i = 0; i < views.n && r >= 0; i++) {
        const View *view = &views.items[i];
        if (view->decided) r = step_learn_view(step, view);
    }
    views_done(&views);
    if (r >= 0) step_namespaces(step);
    int64_t left = step->rules->boot_grace - step->now->boot_age;
    if (left > 0)
        step_look_at(step, step->now->boottime + left);
    else
        step->out->learned = true;
    return r;
}
