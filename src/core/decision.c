#include "core/decision.h"

#include <errno.h>
#include <string.h>

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

static int count_away(Decision *decision) {
    Transition *last = &decision->transitions[decision->n_transitions - 1];
    unsigned n = last->has_surface || !last->text ? 0 : (unsigned)strtoul(last->text, NULL, 10);
    char text[64];
    snprintf(text, sizeof text, "%u more transitions in the same moment", n + 1);
    if (n > 0) {
        char *copy = strdup(text);
        if (!copy) return -ENOMEM;
        free(last->text);
        last->text = copy;
        return 0;
    }
    if (grow(&decision->transitions, decision->n_transitions, sizeof *last) < 0) return -ENOMEM;
    Transition summary = {.kind = decision->transitions[decision->n_transitions - 1].kind,
        .time = decision->transitions[0].time,
        .text = strdup(text)};
    if (!summary.text) return -ENOMEM;
    decision->transitions[decision->n_transitions++] = summary;
    return 0;
}

int decision_add_transition(Decision *decision, TransitionKind kind, const Now *now, const Surface *surface, Change change,
    const Rows *before, const Rows *after, const char *token, const char *text) {
    if (is_observation(kind) && decision->n_transitions >= ENGINE_TRANSITIONS_MAX) return count_away(decision);
    Transition t = {.kind = kind, .time = now->realtime, .has_surface = surface != NULL, .change = change};
    if (surface) t.surface = *surface;
    if (token) snprintf(t.token, sizeof t.token, "%s", token);
    if ((before && rows_copy(before, &t.before) < 0) || (after && rows_copy(after, &t.after) < 0) ||
        (text && !(t.text = strdup(text))) ||
        grow(&decision->transitions, decision->n_transitions, sizeof t) < 0) {
        transition_done(&t);
        return -ENOMEM;
    }
    decision->transitions[decision->n_transitions++] = t;
    return 0;
}

static const Endpoint *rows_find(const Rows *rows, const Endpoint *key) {
    for (size_t i = 0; i < rows->n; i++)
        if (endpoint_compare(rows->items[i], key) == 0) return rows->items[i];
    return NULL;
}

static int share_owners(Endpoint *endpoint, const Endpoint *from) {
    while (endpoint->n_owners > 0) owner_unref(endpoint->owners[--endpoint->n_owners]);
    for (size_t i = 0; i < from->n_owners; i++)
        if (endpoint_add_owner(endpoint, from->owners[i]) < 0) return -ENOMEM;
    return 0;
}

static bool owner_learned(const Rows *baseline, const Endpoint *seen) {
    for (size_t i = 0; i < baseline->n; i++)
        for (size_t o = 0; o < baseline->items[i]->n_owners && seen->n_owners > 0; o++)
            if (owner_same(baseline->items[i]->owners[o], seen->owners[0])) return true;
    return false;
}

int decision_move_baseline(Decision *decision, const View *view, const Now *now, bool join) {
    BaselineChange change = {.surface = view->surface};
    bool udp_pool = view->surface.port == 0 && view->surface.protocol != PROTOCOL_TCP;
    int r = rows_copy(&view->baseline, &change.before);
    if (r >= 0 && udp_pool) r = rows_copy(&view->baseline, &change.after);
    for (size_t i = 0; i < view->seen.n && r >= 0; i++) {
        const Endpoint *seen = view->seen.items[i], *known = rows_find(&view->baseline, seen);
        /* Of clients' ports it is enough to know who has them. */
        if (udp_pool && (known || owner_learned(&view->baseline, seen) || change.after.n >= 64)) continue;
        Endpoint copy = {0};
        r = endpoint_copy(seen, &copy);
        if (r < 0) break;
        copy.since = known && known->since ? known->since : now->realtime;
        if (known && (seen->n_owners == 0 || (join && known->n_owners > seen->n_owners))) r = share_owners(&copy, known);
        if (r >= 0) r = endpoints_take(&change.after, &copy);
        endpoint_done(&copy);
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

int decision_learn(Decision *decision, const View *view, const Now *now) {
    int r = decision_move_baseline(decision, view, now, true);
    if (r < 0) return r;
    Endpoints *after = &decision->baseline[decision->n_baseline - 1].after;
    size_t n = after->n;
    for (size_t i = 0; i < view->baseline.n && r >= 0; i++) {
        bool there = false;
        for (size_t a = 0; a < n && !there; a++) there = endpoint_compare(&after->items[a], view->baseline.items[i]) == 0;
        if (!there) r = endpoints_add(after, view->baseline.items[i]);
    }
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

bool decision_writes(const Decision *d) {
    return d->n_events || d->n_updates || d->n_baseline || d->n_transitions || d->pauses_changed || d->learned;
}

void decision_done(Decision *decision) {
    for (size_t i = 0; i < decision->n_events; i++) event_done(&decision->events[i]);
    for (size_t i = 0; i < decision->n_updates; i++) incident_done(&decision->updates[i]);
    for (size_t i = 0; i < decision->n_baseline; i++) {
        endpoints_done(&decision->baseline[i].before);
        endpoints_done(&decision->baseline[i].after);
    }
    for (size_t i = 0; i < decision->n_transitions; i++) transition_done(&decision->transitions[i]);
    free(decision->events);
    free(decision->updates);
    free(decision->baseline);
    free(decision->transitions);
    free(decision->pauses);
    free(decision->settling);
    memset(decision, 0, sizeof *decision);
}

void uuid_format(const uint8_t bytes[static 16], char ret[static UUID_TEXT_MAX]) {
    uint8_t b[16];
    memcpy(b, bytes, sizeof b);
    b[6] = (b[6] & 0x0f) | 0x40; /* RFC 4122: version 4 */
    b[8] = (b[8] & 0x3f) | 0x80;
    char *o = ret;
    for (size_t i = 0; i < sizeof b; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *o++ = '-';
        o += sprintf(o, "%02x", b[i]);
    }
}

static bool token_taken(const Decision *decision, const State *state, const char *token) {
    if (state_incident(state, token)) return true;
    for (size_t i = 0; i < decision->n_events; i++)
        if (strcmp(decision->events[i].incident.token, token) == 0) return true;
    return false;
}

static void make_token(const Decision *decision, const State *state, void (*random)(void *, size_t), char *ret) {
    static const char alphabet[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"; /* 32: no I, O, 0, 1 */
    /* Four letters are a million tokens; where very many are open, a longer one is unique sooner. */
    for (size_t attempt = 0;; attempt++) {
        char token[TOKEN_MAX] = "";
        uint8_t bytes[TOKEN_MAX];
        random(bytes, sizeof bytes);
        for (size_t i = 0; i < (attempt < 20 ? 4u : TOKEN_MAX - 1u); i++) token[i] = alphabet[bytes[i] & 31];
        /* A token must not read as a port number. */
        if (token[strspn(token, "0123456789")] == '\0' || token_taken(decision, state, token)) continue;
        memcpy(ret, token, TOKEN_MAX);
        return;
    }
}

void decision_identify(Decision *decision, const State *state, void (*random)(void *buffer, size_t size)) {
    for (size_t i = 0; i < decision->n_events; i++) {
        Event *e = &decision->events[i];
        uint8_t bytes[16];
        if (!e->id[0]) {
            random(bytes, sizeof bytes);
            uuid_format(bytes, e->id);
        }
        if (!e->has_incident || e->incident.id[0]) continue;
        random(bytes, sizeof bytes);
        uuid_format(bytes, e->incident.id);
        make_token(decision, state, random, e->incident.token);
        memcpy(e->incident.opening_event, e->id, sizeof e->id);
        /* The line of history that tells of it was written before it had a name. */
        for (size_t t = 0; t < decision->n_transitions; t++) {
            Transition *line = &decision->transitions[t];
            if (line->kind == TRANSITION_OPENED && !line->token[0] &&
                line->has_surface == (e->incident.aspect == ASPECT_SURFACE) &&
                surface_compare(&line->surface, &e->surface) == 0)
                memcpy(line->token, e->incident.token, TOKEN_MAX);
        }
    }
}
