/* Why a port closed or changed hands: asked as soon as it is seen, for a unit that is started again forgets. */
#include <errno.h>
#include <string.h>

#include "cause/about.h"
#include "cause/client.h"
#include "core/view.h"
#include "daemon/daemon.h"
#include "daemon/log.h"

/* So many differences are asked about at one time; those of a storm beyond it go without. */
#define CAUSES_MAX 256
/* A unit on its way, or one of which nothing was known yet, is asked about anew: soon at first, for a unit that is
 * started over and over is up at one moment and has failed at the next. */
#define ASK_AGAIN_FIRST (USEC_PER_SEC / 4)
#define ASK_AGAIN (3 * USEC_PER_SEC)

typedef struct Asked {
    uint64_t id;
    Surface surface;
    int64_t start;
    Owner *owner;
    bool seen; /* Cause.seen */
} Asked;

struct Causes {
    Daemon *daemon;
    CauseClient *client;
    Asked asked[CAUSE_WAITING_MAX];
    size_t n;
};

static const Settling *find_settling(const State *state, const Asked *asked) {
    for (size_t i = 0; i < state->n_settling; i++)
        if (state->settling[i].asks && state->settling[i].start == asked->start &&
            surface_compare(&state->settling[i].surface, &asked->surface) == 0)
            return &state->settling[i];
    return NULL;
}

static void take(Causes *causes, const Asked *asked, Cause *cause) {
    Daemon *d = causes->daemon;
    if (!find_settling(&d->state, asked)) {
        cause_done(cause);
        return;
    }
    cause->surface = asked->surface;
    cause->start = asked->start;
    cause->answered = true;
    cause->asked = daemon_now().boottime;
    if (state_set_cause(&d->state, cause) < 0) {
        cause_done(cause);
        log_no_memory();
        return;
    }
    daemon_tick_now(d); /* the event may have waited for this only */
}

static void on_answered(uint64_t id, const CauseAnswer *answer, const char *why, void *userdata) {
    Causes *causes = userdata;
    for (size_t i = 0; i < causes->n; i++) {
        if (causes->asked[i].id != id) continue;
        Asked asked = causes->asked[i];
        causes->asked[i] = causes->asked[--causes->n];
        Cause cause = {.fate = answer ? answer->fate : FATE_UNKNOWN, .seen = asked.seen};
        cause.owner = owner_ref(asked.owner);
        const Cause *known = state_cause(&causes->daemon->state, &asked.surface, asked.start);
        /* That there was no answer this time is no news of what was known before. */
        bool silent = !answer && known && known->document;
        if (answer)
            cause.document = strdup(answer->document);
        else if (!silent)
            cause.document = cause_unanswered(asked.owner, why ? why : "no answer");
        if (!silent && !cause.document) log_no_memory();
        take(causes, &asked, &cause);
        owner_unref(asked.owner);
        return;
    }
}

/* False: there is nobody to ask about. */
static bool ask(Causes *causes, const Settling *s, Owner *owner, bool seen) {
    const Daemon *d = causes->daemon;
    CauseQuestion question;
    if (!owner || !cause_question_about(owner, seen, &question)) return false;
    /* Before the first look of this run nobody knows how long ago it was as expected. */
    bool seen_before = s->start > d->first_look;
    if (seen_before) question.since = s->start_realtime - d->rules->interval - USEC_PER_SEC;
    question.open = owner_holds(d->rules, &d->snapshot, &s->surface, owner);
    Asked *asked = &causes->asked[causes->n];
    *asked = (Asked){.surface = s->surface, .start = s->start, .owner = owner, .seen = seen};
    int r = cause_client_ask(causes->client, &question, &asked->id);
    if (r == 0) {
        causes->n++;
        owner_ref(owner);
    } else if (r != -EBUSY && r != -EINVAL)
        log_write(JOURNAL_TROUBLE, NULL, "cannot ask why a port changed: %s", strerror(-r));
    return r != -EINVAL;
}

static bool is_asked(const Causes *causes, const Settling *s) {
    for (size_t i = 0; i < causes->n; i++)
        if (causes->asked[i].start == s->start && surface_compare(&causes->asked[i].surface, &s->surface) == 0)
            return true;
    return false;
}

static int64_t ask_again_at(const Cause *known, const Settling *s, const Now *now) {
    int64_t wait = (now->boottime - s->start) / 2;
    if (wait < ASK_AGAIN_FIRST) wait = ASK_AGAIN_FIRST;
    return known->asked + (wait < ASK_AGAIN ? wait : ASK_AGAIN);
}

void daemon_ask_causes(Daemon *d, const Now *now) {
    Causes *causes = d->causes;
    for (size_t i = 0; causes && i < d->state.n_settling && causes->n < CAUSE_WAITING_MAX; i++) {
        const Settling *s = &d->state.settling[i];
        if (!s->asks || is_asked(causes, s)) continue;
        const Cause *known = state_cause(&d->state, &s->surface, s->start);
        if (known &&
            (known->fate == FATE_FAILED || known->fate == FATE_STOPPED || now->boottime < ask_again_at(known, s, now)))
            continue;
        if (known ? known->answered && !known->owner : d->state.n_causes >= CAUSES_MAX) continue;
        bool seen;
        Owner *owner = state_asked_about(&d->state, d->rules, &d->snapshot, &d->previous, s, &seen);
        bool somebody = ask(causes, s, owner, seen);
        if (known || (somebody && !is_asked(causes, s))) continue;
        Cause cause = {.surface = s->surface, .start = s->start, .asked = now->boottime, .answered = !somebody};
        cause.owner = somebody ? owner_ref(owner) : NULL;
        cause.seen = seen;
        if (state_set_cause(&d->state, &cause) < 0) {
            cause_done(&cause);
            log_no_memory();
        }
    }
}

int daemon_start_causes(Daemon *d) {
    Causes *causes = calloc(1, sizeof *causes);
    if (!causes) return -ENOMEM;
    causes->daemon = d;
    int r = cause_client_new(d->event, d->options.cause_program, CAUSE_DEADLINE, on_answered, causes, &causes->client);
    if (r < 0) {
        free(causes);
        return r;
    }
    d->causes = causes;
    return 0;
}

void daemon_stop_causes(Daemon *d) {
    if (!d->causes) return;
    cause_client_free(d->causes->client);
    while (d->causes->n > 0) owner_unref(d->causes->asked[--d->causes->n].owner);
    free(d->causes);
    d->causes = NULL;
}
