/* Pauses: nothing is told for a time, and at its end what changed meanwhile, in one message. */
#include "core/step.h"

#include <errno.h>
#include <string.h>

int64_t pause_left(const Pause *pause, const Now *now) {
    return pause->ends ? pause->ends - now->boottime : pause->until - now->realtime;
}

int64_t step_paused_until(const Step *step, const Surface *surface) {
    int64_t until = 0;
    for (size_t i = 0; i < step->state->n_pauses; i++) {
        const Pause *p = &step->state->pauses[i];
        int64_t left = pause_left(p, step->now);
        if (left > 0 && (p->all || surface_compare(&p->surface, surface) == 0))
            until = later_of(until, step->now->boottime + left);
    }
    return until;
}

static bool covers(const Pause *pause, const Surface *surface) {
    return pause->all || surface_compare(&pause->surface, surface) == 0;
}

/* The decision's own list of pauses. */
static int pauses_begin(Step *step) {
    if (step->out->pauses_changed) return 0;
    int r = decision_copy_pauses(step->out, step->state);
    step->out->pauses_changed = r >= 0;
    return r;
}

int step_end_pauses(Step *step) {
    const State *state = step->state;
    size_t over = 0, kept = 0;
    for (size_t i = 0; i < state->n_pauses; i++)
        if (pause_left(&state->pauses[i], step->now) <= 0) over++;
    if (over == 0) return 0;
    int r = pauses_begin(step);
    if (r < 0) return r;
    step->over = calloc(over, sizeof *step->over);
    if (!step->over) return -ENOMEM;
    Decision *out = step->out;
    for (size_t i = 0; i < out->n_pauses && r >= 0; i++) {
        const Pause p = out->pauses[i];
        if (pause_left(&p, step->now) > 0) {
            out->pauses[kept++] = p;
            continue;
        }
        step->over[step->n_over++] = p;
        if (!p.resumed)
            r = decision_add_transition(out, TRANSITION_RESUMED, step->now, p.all ? NULL : &p.surface, CHANGE_NONE,
                NULL, NULL, NULL, "the pause is over");
    }
    out->n_pauses = kept;
    return r;
}

int step_passed_in_pause(Step *step, const Surface *surface) {
    if (!step_paused_until(step, surface)) return 0;
    int r = pauses_begin(step);
    for (size_t i = 0; r >= 0 && i < step->out->n_pauses; i++) {
        Pause *p = &step->out->pauses[i];
        if (!covers(p, surface)) continue;
        bool named = false;
        for (size_t k = 0; k < p->n_passed && k < PAUSE_NAMED_MAX; k++)
            named = named || surface_compare(&p->passed[k], surface) == 0;
        if (named) continue;
        if (p->n_passed < PAUSE_NAMED_MAX) p->passed[p->n_passed] = *surface;
        p->n_passed++;
    }
    return r;
}

static void put_passed(FILE *out, const Pause *pause) {
    char surface[SURFACE_TEXT_MAX];
    for (size_t i = 0; i < pause->n_passed && i < PAUSE_NAMED_MAX; i++)
        fprintf(out, "%s%s", i ? ", " : "", surface_format(&pause->passed[i], surface));
    if (pause->n_passed > PAUSE_NAMED_MAX) fputs(" and more", out);
}

static char *summary_of(const Pause *pause, size_t changes) {
    char *text = NULL, surface[SURFACE_TEXT_MAX];
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    fprintf(out, "the pause of %s is over: ", pause->all ? "every port" : surface_format(&pause->surface, surface));
    if (changes > 0)
        fprintf(out, "%zu change%s, told beside this", changes, changes == 1 ? "" : "s");
    else
        fputs("all is as it was before", out);
    if (pause->n_passed > 0) {
        fputs("; different for a while, and then as before again: ", out);
        put_passed(out, pause);
    }
    bool failed = ferror(out);
    if (fclose(out) == 0 && !failed) return text;
    free(text);
    return NULL;
}

static int sum_up(Step *step, const Pause *pause) {
    Event e = {.type = EVENT_SELF, .time = step->now->realtime, .seen = step->now->realtime, .severity = SEVERITY_INFO};
    size_t changes = 0;
    for (size_t i = 0; i < step->out->n_events; i++) {
        const Event *told = &step->out->events[i];
        if (told->type == EVENT_REMINDER || !told->has_incident || told->incident.aspect != ASPECT_SURFACE ||
            !covers(pause, &told->surface))
            continue;
        changes++;
        if (told->severity > e.severity) e.severity = told->severity;
    }
    if (changes == 0 && pause->n_passed == 0) return 0;
    const Surface *s = &pause->surface;
    const PortRule *rule = pause->all ? NULL : rules_find_in(step->rules, s->namespace, s->protocol, s->port);
    char **notify = rule && rule->notify ? rule->notify : step->rules->notify;
    e.subject = strdup("pause");
    e.summary = summary_of(pause, changes);
    if (notify) e.notify = strv_copy(notify);
    int r = e.subject && e.summary && (!notify || e.notify) ? 0 : -ENOMEM;
    if (r >= 0)
        r = decision_add_transition(
            step->out, TRANSITION_NOTICE, step->now, NULL, CHANGE_NONE, NULL, NULL, NULL, e.summary);
    if (r >= 0) r = decision_add_event(step->out, &e);
    event_done(&e);
    return r;
}

int step_sum_up_pauses(Step *step) {
    int r = 0;
    for (size_t i = 0; i < step->n_over && r >= 0; i++) r = sum_up(step, &step->over[i]);
    return r;
}
