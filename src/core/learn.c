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

int step_learn(Step *step) {
    if (!snapshot_complete(step->snapshot)) return 0;
    Views views = {0};
    int r = views_make(step->rules, &step->state->baseline, step->snapshot, NULL, 0, &views);
    for (size_t i = 0; i < views.n && r >= 0; i++) {
        const View *view = &views.items[i];
        if (!is_news(step, view)) continue;
        r = decision_add_transition(
            step->out, TRANSITION_LEARNED, step->now, &view->surface, CHANGE_NONE, NULL, &view->seen, NULL, NULL);
        if (r >= 0) r = decision_learn(step->out, view, step->now);
    }
    views_done(&views);
    int64_t left = step->rules->boot_grace - step->now->boot_age;
    if (left > 0)
        step_look_at(step, step->now->boottime + left);
    else
        step->out->learned = true;
    return r;
}
