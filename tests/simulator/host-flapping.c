/* A flapping host: services that crash and are started again, quick and slow, two programs that fight for a port, an
 * address that comes and goes with its link. */
#include "world.h"

#define SERVICES 12

/* Down and up again, so many times. How it ends: as it was, or failed for an hour. */
static void crash_loop(World *w, int64_t at, unsigned port) {
    Random *r = &w->random;
    int64_t period = random_spread(r, SECONDS(5), MINUTES(9)), stop = at + random_spread(r, MINUTES(10), HOURS(20));
    int64_t up = period * random_between(r, 10, 90) / 100;
    unsigned most = 2500;
    for (; at < stop && most > 0; most--) {
        world_close(w, at, port, FATE_RETURNING);
        world_up(w, at + period - up, port);
        at += period + random_between(r, 0, period / 10);
    }
    if (random_below(r, 3) > 0) return;
    world_close(w, at, port, FATE_RETURNING);
    world_fate(w, at + SECONDS(1), port, FATE_FAILED);
    world_up(w, at + random_spread(r, MINUTES(5), HOURS(6)), port);
}

static void fight(World *w, int64_t at, unsigned port) {
    Random *r = &w->random;
    int64_t stop = at + random_spread(r, MINUTES(20), HOURS(10)), period = random_spread(r, SECONDS(8), MINUTES(4));
    while (at < stop) {
        world_close(w, at, port, FATE_RETURNING);
        world_set(w, at + random_between(r, SECONDS(0.1), SECONDS(3)), port, 2);
        at += period;
        world_close(w, at, port, FATE_RETURNING);
        world_up(w, at + random_between(r, SECONDS(0.1), SECONDS(3)), port);
        at += period + random_between(r, 0, period);
    }
}

static void address_flaps(World *w, int64_t at, unsigned port) {
    Random *r = &w->random;
    int64_t stop = at + random_spread(r, MINUTES(10), HOURS(30)), period = random_spread(r, SECONDS(6), MINUTES(9));
    while (at < stop) {
        world_set(w, at, port, 2);
        world_up(w, at + period / 2, port);
        at += period + random_between(r, 0, period / 4);
    }
}

void host_flapping(World *w) {
    Random *r = &w->random;
    for (unsigned i = 0; i < SERVICES; i++) {
        char name[32];
        snprintf(name, sizeof name, "worker%u", i + 1);
        world_service(w, name, PROTOCOL_TCP, (uint16_t)(7001 + i), "0.0.0.0", NULL);
    }
    unsigned fought = world_service(w, "frontend", PROTOCOL_TCP, 8080, "0.0.0.0", "::");
    world_face(w, fought, world_owner(w, "session.scope", "/home/bob/frontend", 1001), "0.0.0.0", "::", NULL);
    /* Beside one of its kind the address joins and leaves without a word; a public one beside a private one does not.
     */
    unsigned same = world_service(w, "ntpd", PROTOCOL_UDP, 123, "10.0.0.5", NULL);
    unsigned again = world_face(w, same, w->ports[same].faces[1].owner, "10.0.0.5", "10.0.0.9", NULL);
    w->ports[same].faces[again].class = w->ports[same].faces[1].class;
    unsigned wider = world_service(w, "named", PROTOCOL_UDP, 53, "10.0.0.5", NULL);
    world_face(w, wider, w->ports[wider].faces[1].owner, "10.0.0.5", "203.0.113.7", NULL);

    for (int64_t day = 0; day < w->end; day += DAYS(1)) {
        int64_t at = day + random_between(r, 0, DAYS(1));
        if (random_below(r, 5) == 0) crash_loop(w, at, random_below(r, SERVICES));
        if (random_below(r, 20) == 0) fight(w, at, fought);
        if (random_below(r, 20) == 0) address_flaps(w, at, same);
        if (random_below(r, 20) == 0) address_flaps(w, at, wider);
    }
}
