#include "core/step.h"

#include <errno.h>

static int compare_incidents(const void *a, const void *b) {
    const Incident *const *x = a, *const *y = b;
    return surface_compare(&(*x)->surface, &(*y)->surface);
}

int step_init(Step *step) {
    const State *state = step->state;
    step->incidents = malloc((state->n_incidents + 1) * sizeof *step->incidents);
    if (!step->incidents) return -ENOMEM;
    for (size_t i = 0; i < state->n_incidents; i++)
        if (state->incidents[i].aspect == ASPECT_SURFACE) step->incidents[step->n_incidents++] = &state->incidents[i];
    if (step->n_incidents > 1) qsort(step->incidents, step->n_incidents, sizeof *step->incidents, compare_incidents);
    return 0;
}

void step_done(Step *step) {
    free(step->incidents);
    free(step->over);
}

const Incident *step_incident(const Step *step, const Surface *surface) {
    if (!step->n_incidents) return NULL;
    const Incident key = {.surface = *surface}, *wanted = &key;
    const Incident **found =
        bsearch(&wanted, step->incidents, step->n_incidents, sizeof *step->incidents, compare_incidents);
    return found ? *found : NULL;
}

static int compare_settling(const void *a, const void *b) {
    const Settling *x = a, *y = b;
    int r = surface_compare(&x->surface, &y->surface);
    return r ? r : (int)x->ignored - (int)y->ignored;
}

const Settling *step_settling(const Step *step, const View *view) {
    Settling key = {.surface = view->surface, .ignored = view->ignore != NULL};
    const State *state = step->state;
    if (!state->n_settling) return NULL;
    return bsearch(&key, state->settling, state->n_settling, sizeof key, compare_settling);
}
