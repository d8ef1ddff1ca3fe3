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
        for (size_t k = 0; k < state->n_settling && !settling; k++) {
            const Settling *s = &state->settling[k];
            /* A unit on its way back may have opened only some of its sockets by now. */
            settling = (s->asks || c->fate == FATE_RETURNING) && s->start == c->start &&
                       surface_compare(&s->surface, &c->surface) == 0;
        }
        if (settling)
            state->causes[kept++] = *c;
        else
            cause_done(c);
    }
    state->n_causes = kept;
}
