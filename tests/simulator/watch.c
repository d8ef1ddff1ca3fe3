#include "watch.h"

#include <string.h>

#define EPOCH SECONDS(1750000000)
#define ANSWER_TAKES (USEC_PER_SEC / 20)
#define ASK_AGAIN SECONDS(3)
#define BOOT SECONDS(1) /* the machine's clock is never 0 */

void watch_init(Daemon *watch, World *world, uint64_t seed) {
    *watch = (Daemon){.world = world, .reader = {.world = world}, .script = {.world = world}, .random = {seed}};
    watch->booted = -DAYS(1);
    watch->next = INT64_MAX;
    queue_init(&watch->queue, seed);
}

void watch_done(Daemon *watch) {
    state_done(&watch->state);
    snapshot_done(&watch->snapshot);
    snapshot_done(&watch->previous);
    queue_done(&watch->queue);
    reader_done(&watch->reader);
}

static Now now_at(const Daemon *watch, int64_t t) {
    int64_t boottime = t - watch->booted + BOOT;
    return (Now){boottime, EPOCH + t, boottime};
}

static Random *tokens; /* decision_identify takes no userdata */

static void random_bytes(void *buffer, size_t size) {
    for (size_t i = 0; i < size; i++) ((uint8_t *)buffer)[i] = (uint8_t)(random_next(tokens) >> 32);
}

static void digest(Daemon *watch, const Event *event, int64_t t) {
    const uint64_t parts[] = {(uint64_t)t, event->type, event->surface.port, event->change, event->after.n};
    for (size_t i = 0; i < ELEMENTSOF(parts); i++) watch->digest = (watch->digest ^ parts[i]) * UINT64_C(1099511628211);
}

static void check_open(Daemon *watch, int64_t t) {
    const State *state = &watch->state;
    if (state->n_incidents > watch->open_most) watch->open_most = state->n_incidents;
    for (size_t i = 0; i < state->n_incidents; i++)
        for (size_t k = 0; k < i; k++)
            if (state->incidents[i].aspect == state->incidents[k].aspect &&
                surface_compare(&state->incidents[i].surface, &state->incidents[k].surface) == 0) {
                watch->reader.wrong++;
                reader_complain(&watch->reader, t, "FALSE: two open incidents of one port");
            }
}

/* Takes the decision. */
static void commit(Daemon *watch, Decision *d, int64_t t) {
    bool writes = decision_writes(d), locked = writes && t < watch->locked_until;
    if (writes) watch->moved = t; /* the next look meets another state */
    tokens = &watch->random;
    if (writes && decision_identify(d, &watch->state, random_bytes) < 0) abort();
    bool told = d->n_events > 0 && !locked;
    for (size_t i = 0; i < d->n_events && !locked; i++) {
        const Event *e = &d->events[i];
        reader_event(&watch->reader, e, e->seen - EPOCH, t);
        queue_add(&watch->queue, e, t);
        digest(watch, e, t);
        watch->event_types[e->type]++;
    }
    for (size_t i = 0; i < d->n_transitions && !locked; i++) {
        watch->transitions[d->transitions[i].kind]++;
        watch->history++;
        watch->history_per_day[t / DAYS(1) % 400]++;
    }
    if (engine_apply(&watch->state, d, !locked) < 0) abort();
    if (told) check_open(watch, t);
}

static Fate fate_of(World *world, const Surface *surface) {
    const Port *port = world_find(world, surface);
    return port && port->face == 0 ? port->fate : FATE_UNKNOWN;
}

/* As src/daemon/cause.c: asked at once, anew every three seconds as long as there is no final answer. */
static void ask(Daemon *watch, int64_t t) {
    State *state = &watch->state;
    for (size_t i = 0; i < state->n_settling; i++) {
        const Settling *s = &state->settling[i];
        if (!s->asks) continue;
        const Cause *known = state_cause(state, &s->surface, s->start);
        bool final = known && (known->fate == FATE_FAILED || known->fate == FATE_STOPPED);
        int64_t boottime = now_at(watch, t).boottime;
        if (final || (known && boottime < known->asked + ASK_AGAIN)) continue;
        Cause cause = {.surface = s->surface, .start = s->start, .asked = boottime, .answered = known != NULL};
        cause.fate = known ? fate_of(watch->world, &s->surface) : FATE_UNKNOWN;
        if (state_set_cause(state, &cause) < 0) abort();
        if (!known) watch->answer_at = t + ANSWER_TAKES;
    }
}

static void answer(Daemon *watch, int64_t t) {
    for (size_t i = 0; i < watch->state.n_causes; i++) {
        Cause *c = &watch->state.causes[i];
        if (c->answered) continue;
        c->answered = true;
        c->fate = fate_of(watch->world, &c->surface);
    }
    watch->answer_at = 0;
    watch->next = t;
}

static void look(Daemon *watch, int64_t t) {
    bool blind = t < watch->blind_until;
    watch->still = watch->version == watch->world->version && !blind;
    if (!watch->still) watch->moved = t;
    if (!watch->still || watch->looks == 0) {
        snapshot_done(&watch->previous);
        watch->previous = watch->snapshot;
        world_snapshot(watch->world, blind, &watch->snapshot);
    }
    watch->version = blind ? 0 : watch->world->version;
    Now now = now_at(watch, t);
    Decision d;
    if (engine_step(watch->world->rules, &watch->state, &watch->snapshot, &now, &d) < 0) abort();
    watch->deadline = d.next_look == INT64_MAX ? INT64_MAX : t + d.next_look - now.boottime;
    commit(watch, &d, t);
    ask(watch, t);
    watch->looks++;
    watch->last = t;
    watch->next = t + watch->world->rules->interval;
    if (watch->deadline < watch->next) watch->next = watch->deadline > t ? watch->deadline : t + 1;
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The next time at which a look could decide anything new. */
static int64_t next_matter(const Daemon *watch, int64_t happens) {
    int64_t at = earlier(happens, watch->deadline);
    for (size_t i = 0; i < watch->state.n_incidents; i++) {
        const Incident *incident = &watch->state.incidents[i];
        if (incident->next_reminder) at = earlier(at, incident->next_reminder - EPOCH);
    }
    for (size_t i = 0; i < watch->state.n_pauses; i++) at = earlier(at, watch->state.pauses[i].until - EPOCH);
    return at;
}

/* Leaves out looks that decide nothing. */
static void skip(Daemon *watch, int64_t happens) {
    int64_t interval = watch->world->rules->interval;
    bool moved = !watch->still || watch->version != watch->world->version;
    moved = moved || watch->state.incomplete_runs > 0;
    if (watch->every_look || moved || watch->answer_at || watch->last < watch->locked_until) return;
    /* What was asked is asked anew after a change. */
    if (watch->next != watch->last + interval || watch->last < watch->moved + ASK_AGAIN + interval) return;
    int64_t matter = next_matter(watch, happens);
    /* The last regular look before something matters. */
    int64_t at = watch->last + (matter - 1 - watch->last) / interval * interval;
    if (matter <= watch->last || at <= watch->next) return;
    /* A look that is not the last may be left out too where nothing waits for it. */
    watch->next = at;
    watch->state.last_step = now_at(watch, at - interval).boottime;
}

/* A new process: what is not stored is forgotten. */
static void forget(Daemon *watch) {
    State *state = &watch->state;
    free(state->settling);
    state->settling = NULL;
    state->n_settling = 0;
    for (size_t i = 0; i < state->n_causes; i++) cause_done(&state->causes[i]);
    state->n_causes = 0;
    free(state->flaps);
    state->flaps = NULL;
    state->n_flaps = 0;
    state->last_step = 0;
    state->incomplete_runs = 0;
    for (size_t i = 0; i < state->n_pauses; i++) state->pauses[i].ends = 0;
    watch->up = false;
    watch->answer_at = 0;
    watch->next = INT64_MAX;
}

static void put(Daemon *watch, Port *port, unsigned face, Fate fate, int64_t t) {
    watch->world->version++; /* a unit's state as well: looks are not left out */
    port->fate = fate;
    port->fate_since = t;
    if (face == port->face) return;
    bool news = face_class(port, face) != face_class(port, port->face);
    if (news) reader_stretch_ends(&watch->reader, port, t);
    if (port->roams && port->face == 0) port->number = (uint16_t)(32768 + random_below(&watch->random, 28000));
    port->face = face;
    port->script_dirty = true;
    if (news) reader_stretch_begins(&watch->reader, port, t);
}

static void start(Daemon *watch, int64_t t) {
    watch->up = true;
    watch->next = t;
    watch->version = 0;
    watch->reader.observed_since = t;
}

static void accept_port(Daemon *watch, const Port *port, int64_t t) {
    const Surface surface = {.protocol = port->protocol, .port = port->roams ? 0 : port->number};
    const Acceptance acceptance = {.surface = &surface, .by = "ann", .reason = "deployed"};
    Now now = now_at(watch, t);
    Decision d;
    int r = engine_accept(watch->world->rules, &watch->state, &watch->snapshot, &now, &acceptance, &d, NULL);
    if (r < 0) abort();
    if (r == REQUEST_DONE) commit(watch, &d, t);
}

static void pause_all(Daemon *watch, int64_t until, int64_t t) {
    Now now = now_at(watch, t);
    Decision d;
    if (engine_pause(&watch->state, &now, NULL, until - t, "ann", &d) < 0) abort();
    commit(watch, &d, t);
}

static void excuse(Daemon *watch, int64_t until) {
    if (watch->reader.excused_until < until) watch->reader.excused_until = until;
}

static void reboot(Daemon *watch, const Happening *h) {
    forget(watch);
    watch->booted = h->until;
    watch->reader.graced_until = h->until + watch->world->rules->boot_grace;
    watch->reader.observed_since = INT64_MAX / 4; /* until it starts */
    for (size_t i = 0; i < watch->world->n_ports; i++) put(watch, &watch->world->ports[i], 0, FATE_UNKNOWN, h->time);
}

static void happen(Daemon *watch, const Happening *h) {
    Port *port = &watch->world->ports[h->port];
    int64_t t = h->time;
    switch (h->kind) {
    case HAPPENS_SET:
        put(watch, port, h->face, h->fate, t);
        break;
    case HAPPENS_UP:
        put(watch, port, port->base, FATE_UNKNOWN, t);
        break;
    case HAPPENS_BASE:
        port->base = h->face;
        port->boots = true;
        put(watch, port, h->face, FATE_UNKNOWN, t);
        break;
    case HAPPENS_FATE:
        port->fate = h->fate;
        port->fate_since = t;
        watch->world->version++;
        break;
    case HAPPENS_ACCEPT:
        if (watch->up) accept_port(watch, port, t);
        break;
    case HAPPENS_PAUSE:
        if (watch->up) pause_all(watch, h->until, t);
        excuse(watch, h->until);
        break;
    case HAPPENS_REBOOT:
        reboot(watch, h);
        break;
    case HAPPENS_STOP:
        forget(watch);
        watch->reader.observed_since = INT64_MAX / 4;
        break;
    case HAPPENS_START:
        start(watch, t);
        break;
    case HAPPENS_STALL:
        watch->asleep = true;
        watch->reader.observed_since = INT64_MAX / 4;
        break;
    case HAPPENS_WAKE:
        watch->asleep = false;
        watch->version = 0; /* a look at once */
        watch->reader.observed_since = t;
        break;
    case HAPPENS_BLIND:
        watch->blind_until = h->until;
        excuse(watch, h->until);
        watch->version = 0;
        break;
    case HAPPENS_LOCKED:
        watch->locked_until = h->until;
        excuse(watch, h->until);
        break;
    case HAPPENS_MAIL_DOWN:
        watch->queue.down_until = h->until;
        break;
    }
}

static int64_t next_minute(const Daemon *watch, int64_t t) {
    for (size_t i = 0; i < watch->world->n_ports; i++)
        if (watch->world->ports[i].script_dirty) return (t / MINUTES(1) + 1) * MINUTES(1);
    return INT64_MAX;
}

void watch_run(Daemon *watch) {
    World *world = watch->world;
    world_begin(world);
    for (size_t i = 0; i < world->n_ports; i++) reader_stretch_begins(&watch->reader, &world->ports[i], 0);
    world->version = 1;
    start(watch, 0);
    size_t at = 0;
    int64_t t = 0, minute = INT64_MAX;
    for (;;) {
        int64_t happens = at < world->n_happenings ? world->happenings[at].time : world->end;
        if (watch->up && !watch->asleep) skip(watch, happens);
        int64_t looks = watch->up && !watch->asleep ? (watch->next > t ? watch->next : t) : INT64_MAX;
        int64_t answers = watch->answer_at ? watch->answer_at : INT64_MAX;
        t = earlier(earlier(happens, minute), earlier(earlier(looks, answers), watch->queue.look));
        if (t >= world->end) break;
        if (t == happens) {
            happen(watch, &world->happenings[at++]);
            if (minute == INT64_MAX) minute = next_minute(watch, t);
        } else if (t == minute) {
            script_run(&watch->script, &watch->reader, t);
            minute = next_minute(watch, t);
        } else if (t == answers)
            answer(watch, t);
        else if (t == looks)
            look(watch, t);
        else
            queue_look(&watch->queue, t);
    }
    for (size_t i = 0; i < world->n_ports; i++) reader_stretch_ends(&watch->reader, &world->ports[i], world->end);
}
