/* A hostile host: a local user who wants mail to be too much, or an opening to be missed. */
#include <string.h>

#include "world.h"

#define SERVICES 15
#define RANDOM_PORTS 120
#define ANY "0.0.0.0"

/* Names that a terminal, a mail or a log might act on. */
static const char *const names[] = {"/tmp/x\r\nSubject: all is well", "/tmp/\033[2Jnothing", "/tmp/\xff\xfe\x80",
    "/tmp/<script>alert(1)</script>", "/tmp/%s%n%s%n", "/tmp/ (deleted)", "/tmp/\xe2\x80\xae gnp.x"};

typedef struct Targets {
    unsigned services, database, random, hidden, pool;
} Targets;

/* Opens and closes at random, some for good. */
static void noise(World *w, int64_t at, int64_t lasts, const Targets *targets) {
    Random *r = &w->random;
    for (unsigned i = 0; i < RANDOM_PORTS; i++)
        for (int64_t t = at + random_between(r, 0, MINUTES(5)); t < at + lasts;
             t += random_spread(r, SECONDS(20), HOURS(1))) {
            world_set(w, t, targets->random + i, 1);
            world_close(w, t + random_spread(r, SECONDS(0.1), MINUTES(3)), targets->random + i, FATE_UNKNOWN);
        }
}

/* A port that opens for a little less than it takes to be told, again and again; at last in earnest. */
static void hide(World *w, int64_t at, unsigned port) {
    Random *r = &w->random;
    int64_t stop = at + random_spread(r, MINUTES(5), HOURS(2));
    while (at < stop) {
        world_set(w, at, port, 1);
        at += SECONDS(4.9);
        world_close(w, at, port, FATE_UNKNOWN);
        at += random_between(r, SECONDS(0.2), SECONDS(4));
    }
    world_set(w, at, port, 1 + random_below(r, 2));
    world_close(w, at + random_spread(r, SECONDS(9), HOURS(12)), port, FATE_UNKNOWN);
}

/* Makes a service crash over and over (it may be easy), and takes its port meanwhile. */
static void take(World *w, int64_t at, unsigned port) {
    Random *r = &w->random;
    int64_t period = random_spread(r, SECONDS(6), MINUTES(4));
    unsigned rounds = 5 + random_below(r, 60), taken = random_below(r, rounds);
    for (unsigned i = 0; i < rounds; i++) {
        world_close(w, at, port, FATE_RETURNING);
        if (i == taken) {
            world_set(w, at + SECONDS(0.3), port, 2);
            at += random_spread(r, SECONDS(2), HOURS(3));
            world_close(w, at, port, FATE_RETURNING);
        }
        world_up(w, at + period / 2, port);
        at += period;
    }
}

/* The database on all addresses, mostly for less than it takes to be told. */
static void widen(World *w, int64_t at, unsigned port) {
    Random *r = &w->random;
    for (unsigned i = 5 + random_below(r, 200); i > 0; i--) {
        world_set(w, at, port, 2);
        at += random_spread(r, SECONDS(0.5), SECONDS(i % 20 == 0 ? 900 : 4.9));
        world_up(w, at, port);
        at += random_spread(r, SECONDS(0.5), MINUTES(2));
    }
}

static void pool(World *w, int64_t at, unsigned port) {
    Random *r = &w->random;
    for (unsigned i = 200; i > 0; i--) {
        world_set(w, at, port, 1);
        at += random_spread(r, SECONDS(0.1), SECONDS(60));
        world_close(w, at, port, FATE_UNKNOWN);
        at += random_spread(r, SECONDS(0.1), SECONDS(60));
    }
}

static Owner *attacker(World *w, unsigned i) {
    return world_owner(w, "session.scope", names[i % ELEMENTSOF(names)], 1001);
}

void host_hostile(World *w) {
    Random *r = &w->random;
    Targets targets = {.services = 0};
    for (unsigned i = 0; i < SERVICES; i++) {
        char name[32];
        snprintf(name, sizeof name, "service%u", i + 1);
        unsigned port = world_service(w, name, PROTOCOL_TCP, (uint16_t)(2001 + i), ANY, NULL);
        world_face(w, port, attacker(w, i), ANY, NULL, NULL);
    }
    targets.database = world_service(w, "postgres", PROTOCOL_TCP, 5432, "127.0.0.1", NULL);
    w->ports[targets.database].silent = false; /* what widens is told, wherever it stood */
    world_face(w, targets.database, w->ports[targets.database].faces[1].owner, ANY, NULL, NULL);
    targets.hidden = world_port(w, PROTOCOL_TCP, 4444);
    world_face(w, targets.hidden, attacker(w, 1), ANY, NULL, NULL);
    world_face(w, targets.hidden, attacker(w, 2), "::", NULL, NULL);
    targets.pool = world_port(w, PROTOCOL_TCP, 0);
    world_face(w, targets.pool, attacker(w, 3), ANY, NULL, NULL);
    targets.random = (unsigned)w->n_ports;
    for (unsigned i = 0; i < RANDOM_PORTS; i++) {
        unsigned port = world_port(w, PROTOCOL_TCP, (uint16_t)(10000 + 37 * i));
        world_face(w, port, attacker(w, i), ANY, NULL, NULL);
    }

    for (int64_t day = 0; day < w->end; day += DAYS(1)) {
        int64_t at = day + random_between(r, 0, HOURS(20));
        if (random_below(r, 60) == 0) noise(w, at, random_spread(r, MINUTES(10), HOURS(4)), &targets);
        if (random_below(r, 12) == 0) hide(w, at, targets.hidden);
        if (random_below(r, 6) == 0) take(w, at, targets.services + random_below(r, SERVICES));
        if (random_below(r, 12) == 0) widen(w, at, targets.database);
        if (random_below(r, 30) == 0) pool(w, at, targets.pool);
        if (random_below(r, 30) == 0)
            world_happens(w, HAPPENS_BLIND, at, at + random_spread(r, SECONDS(1), SECONDS(9)));
        if (random_below(r, 60) == 0) {
            world_happens(w, HAPPENS_STALL, at, 0);
            world_happens(w, HAPPENS_WAKE, at + random_spread(r, SECONDS(10), HOURS(2)), 0);
        }
    }
}
