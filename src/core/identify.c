/* Names of events and incidents: UUIDs for machines, tokens for people. */
#include <errno.h>
#include <string.h>

#include "core/engine.h"

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

static const char token_alphabet[] = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"; /* 32: no I, O, 0, 1 */
#define TOKEN_LENGTH 4

/* One bit for each of the million short tokens. */
typedef struct Taken {
    uint8_t bits[(1 << (5 * TOKEN_LENGTH)) / 8];
} Taken;

static bool token_number(const char *token, uint32_t *ret) {
    uint32_t n = 0;
    if (strlen(token) != TOKEN_LENGTH) return false;
    for (; *token; token++) {
        const char *at = strchr(token_alphabet, *token);
        if (!at) return false;
        n = n << 5 | (uint32_t)(at - token_alphabet);
    }
    *ret = n;
    return true;
}

/* False if it was taken before. */
static bool take_token(Taken *taken, const char *token) {
    uint32_t n;
    if (!token_number(token, &n)) return true;
    uint8_t bit = (uint8_t)(1u << n % 8);
    if (taken->bits[n / 8] & bit) return false;
    taken->bits[n / 8] |= bit;
    return true;
}

static bool is_used(const Decision *decision, const State *state, const char *token) {
    if (state_incident(state, token)) return true;
    for (size_t i = 0; i < decision->n_events; i++)
        if (strcmp(decision->events[i].incident.token, token) == 0) return true;
    return false;
}

static void make_token(
    const Decision *decision, const State *state, Taken *taken, void (*random)(void *, size_t), char *ret) {
    for (size_t attempt = 0;; attempt++) {
        char token[TOKEN_MAX] = "";
        uint8_t bytes[TOKEN_MAX];
        random(bytes, sizeof bytes);
        /* Where very many are taken, or luck is out, a longer one is unique sooner. */
        bool longer = attempt >= 20;
        for (size_t i = 0; i < (longer ? TOKEN_MAX - 1u : TOKEN_LENGTH); i++) token[i] = token_alphabet[bytes[i] & 31];
        /* A token must not read as a port number. */
        if (token[strspn(token, "0123456789")] == '\0') continue;
        if (longer ? is_used(decision, state, token) : !take_token(taken, token)) continue;
        memcpy(ret, token, TOKEN_MAX);
        return;
    }
}

/* The line of history that tells of it was written before it had a name; lines and events are in the same order. */
static size_t name_transition(Decision *decision, size_t from, const Event *e) {
    for (size_t t = from; t < decision->n_transitions; t++) {
        Transition *line = &decision->transitions[t];
        if (line->kind != TRANSITION_OPENED || line->token[0] ||
            line->has_surface != (e->incident.aspect == ASPECT_SURFACE) ||
            surface_compare(&line->surface, &e->surface) != 0)
            continue;
        memcpy(line->token, e->incident.token, TOKEN_MAX);
        return t + 1;
    }
    return from;
}

int decision_identify(Decision *decision, const State *state, void (*random)(void *buffer, size_t size)) {
    if (decision->n_events == 0) return 0;
    _cleanup_free_ Taken *taken = calloc(1, sizeof *taken);
    if (!taken) return -ENOMEM;
    size_t line = 0;
    for (size_t i = 0; i < state->n_incidents; i++) take_token(taken, state->incidents[i].token);
    for (size_t i = 0; i < decision->n_events; i++) take_token(taken, decision->events[i].incident.token);
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
        make_token(decision, state, taken, random, e->incident.token);
        memcpy(e->incident.opening_event, e->id, sizeof e->id);
        line = name_transition(decision, line, e);
    }
    return 0;
}
