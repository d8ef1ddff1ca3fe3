#include "core/cause.h"

#include <errno.h>
#include <string.h>

#include "core/step.h"

void cause_done(Cause *cause) {
    free(cause->document);
    memset(cause, 0, sizeof *cause);
}

static Cause *find(const State *state, const Surface *surface, int64_t start) {
    for (size_t i = 0; i < state->n_causes; i++) {
        Cause *c = &state->causes[i];
        if (c->start == start && surface_compare(&c->surface, surface) == 0) return c;
    }
    return NULL;
}

const Cause *state_cause(const State *state, const Surface *surface, int64_t start) {
    return find(state, surface, start);
}

int state_set_cause(State *state, Cause *cause) {
    Cause *old = find(state, &cause->surface, cause->start);
    if (!old) {
        Cause *longer = reallocarray(state->causes, state->n_causes + 1, sizeof *longer);
        if (!longer) return -ENOMEM;
        state->causes = longer;
        old = &longer[state->n_causes++];
    } else
        cause_done(old);
    *old = *cause;
    *cause = (Cause){0};
    return 0;
}

void state_forget_causes(State *state) {
    size_t kept = 0;
    for (size_t i = 0; i < state->n_causes; i++) {
        Cause *c = &state->causes[i];
        bool settling = false;
        for (size_t s = 0; s < state->n_settling && !settling; s++)
            settling = state->settling[s].asks && state->settling[s].start == c->start &&
                       surface_compare(&state->settling[s].surface, &c->surface) == 0;
        if (settling)
            state->causes[kept++] = *c;
        else
            cause_done(c);
    }
    state->n_causes = kept;
}
