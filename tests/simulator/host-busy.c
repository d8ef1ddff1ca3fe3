/* A busy host: dozens of services, restarts every night, deployments, reboots, sessions, containers that come and go,
 * and among all that a few real incidents. */
#include <string.h>

#include "world.h"

#define ANY "0.0.0.0"
#define ANY6 "::"
#define INNER "10.0.0.5"
#define HERE "127.0.0.1"

typedef struct Service {
    const char *name;
    Protocol protocol;
    uint16_t port;
    const char *address, *second;
} Service;

static const Service services[] = {
    {"sshd", PROTOCOL_TCP, 22, ANY, ANY6},
    {"nginx", PROTOCOL_TCP, 80, ANY, ANY6},
    {"nginx", PROTOCOL_TCP, 443, ANY, ANY6},
    {"postgres", PROTOCOL_TCP, 5432, INNER, NULL},
    {"mysqld", PROTOCOL_TCP, 3306, INNER, NULL},
    {"named", PROTOCOL_TCP, 53, INNER, NULL},
    {"named", PROTOCOL_UDP, 53, INNER, NULL},
    {"ntpd", PROTOCOL_UDP, 123, ANY, ANY6},
    {"vsftpd", PROTOCOL_TCP, 21, ANY, NULL},
    {"rsyncd", PROTOCOL_TCP, 873, INNER, NULL},
    {"dovecot", PROTOCOL_TCP, 143, ANY, ANY6},
    {"dovecot", PROTOCOL_TCP, 993, ANY, ANY6},
    {"slapd", PROTOCOL_TCP, 389, INNER, NULL},
    {"prometheus", PROTOCOL_TCP, 9090, INNER, NULL},
    {"node_exporter", PROTOCOL_TCP, 9100, ANY6, NULL},
    {"grafana", PROTOCOL_TCP, 3000, ANY6, NULL},
    {"exim4", PROTOCOL_TCP, 25, HERE, NULL},
    {"redis", PROTOCOL_TCP, 6379, HERE, NULL},
    {"memcached", PROTOCOL_TCP, 11211, HERE, NULL},
    {"cupsd", PROTOCOL_TCP, 631, HERE, NULL},
};
#define SERVICES ((unsigned)ELEMENTSOF(services))
#define APPS 12
#define CONTAINERS 8

/* Times of day, on average so many a day. */
static unsigned times(Random *random, double a_day) {
    unsigned n = (unsigned)a_day;
    return n + (random_below(random, 1000) < (unsigned)((a_day - n) * 1000));
}

static void nightly(World *w, int64_t day, unsigned apps, unsigned containers) {
    Random *r = &w->random;
    for (unsigned i = 0; i < 6; i++) /* logrotate */
        world_bounce(w, day + HOURS(3) + SECONDS(i + 7.0), random_below(r, SERVICES),
            random_spread(r, SECONDS(0.1), SECONDS(4)), FATE_UNKNOWN);
    if (random_below(r, 10) < 3) /* unattended upgrades */
        for (unsigned i = 1 + random_below(r, 6); i > 0; i--)
            world_bounce(w, day + HOURS(6) + SECONDS(20.0 * i), random_below(r, SERVICES),
                random_spread(r, SECONDS(1), SECONDS(40)), FATE_STOPPED);
    for (unsigned i = 0; i < CONTAINERS && random_below(r, 3) == 0; i++) /* images are pulled anew */
        world_bounce(w, day + HOURS(4) + SECONDS(30.0 * i), containers + i, random_spread(r, SECONDS(2), SECONDS(25)),
            FATE_UNKNOWN);
    for (unsigned i = times(r, 1.5); i > 0; i--) /* deployments */
        world_bounce(w, day + random_between(r, HOURS(9), HOURS(17)), apps + random_below(r, APPS),
            random_spread(r, SECONDS(0.5), SECONDS(10)), FATE_RETURNING);
}

static void sessions(World *w, int64_t day, unsigned x11, unsigned n_x11, unsigned clients, unsigned n_clients,
    unsigned notebook, unsigned jobs) {
    Random *r = &w->random;
    for (unsigned i = times(r, 5); i > 0; i--) {
        unsigned port = x11 + random_below(r, n_x11);
        int64_t at = day + random_between(r, HOURS(8), HOURS(18));
        world_set(w, at, port, 1);
        world_close(w, at + random_spread(r, MINUTES(3), HOURS(4)), port, FATE_UNKNOWN);
    }
    for (unsigned i = times(r, 24); i > 0; i--) {
        unsigned port = clients + random_below(r, n_clients);
        int64_t at = day + random_between(r, 0, DAYS(1));
        world_set(w, at, port, 1);
        world_close(w, at + random_spread(r, SECONDS(0.2), MINUTES(5)), port, FATE_UNKNOWN);
    }
    for (unsigned i = times(r, 8); i > 0; i--) {
        int64_t at = day + random_between(r, HOURS(7), HOURS(20));
        world_set(w, at, jobs, 1);
        world_close(w, at + random_spread(r, SECONDS(20), MINUTES(10)), jobs, FATE_UNKNOWN);
    }
    for (unsigned i = times(r, 0.25); i > 0; i--) {
        int64_t at = day + random_between(r, HOURS(9), HOURS(17));
        world_set(w, at, notebook, 1);
        world_close(w, at + random_spread(r, SECONDS(2), HOURS(3)), notebook, FATE_UNKNOWN);
    }
}

/* What somebody has to hear of. */
static void incident(World *w, int64_t at, unsigned apps, unsigned backdoor) {
    Random *r = &w->random;
    unsigned app = apps + random_below(r, APPS), database = 3;
    int64_t lasts = random_spread(r, MINUTES(2), HOURS(12));
    switch (random_below(r, 6)) {
    case 0: /* crashed for good */
        world_close(w, at, app, FATE_RETURNING);
        world_fate(w, at + SECONDS(8), app, FATE_FAILED);
        world_up(w, at + lasts, app);
        break;
    case 1: /* somebody stopped it, and forgot */
        world_bounce(w, at, app, lasts, FATE_STOPPED);
        break;
    case 2: /* it starts for very long */
        world_bounce(w, at, app, random_spread(r, MINUTES(1), MINUTES(15)), FATE_RETURNING);
        break;
    case 3:
        world_set(w, at, backdoor, 1), world_close(w, at + lasts, backdoor, FATE_UNKNOWN);
        break;
    case 4:
        world_set(w, at, database, 2), world_up(w, at + lasts, database);
        break;
    default: /* another program has taken it */
        world_close(w, at, app, FATE_STOPPED);
        world_set(w, at + random_spread(r, SECONDS(0.2), SECONDS(20)), app, 2);
        world_up(w, at + lasts, app);
    }
}

/* The service is deployed, told, and accepted. Later it goes for good. */
static void new_service(World *w, int64_t at, unsigned port) {
    Random *r = &w->random;
    world_base(w, at, port, 1);
    world_accept(w, at + random_spread(r, MINUTES(2), DAYS(1)), port);
    int64_t gone = at + DAYS(random_between(r, 10, 60));
    world_base(w, gone, port, 0);
    world_accept(w, gone + random_spread(r, MINUTES(2), DAYS(1)), port);
}

static void trouble(World *w) {
    Random *r = &w->random;
    for (int64_t at = random_between(r, 0, DAYS(14)); at < w->end; at += random_between(r, DAYS(2), DAYS(20)))
        world_happens(w, HAPPENS_BLIND, at, at + random_spread(r, SECONDS(1), SECONDS(9)));
    for (int64_t at = random_between(r, 0, DAYS(30)); at < w->end; at += random_between(r, DAYS(5), DAYS(50)))
        world_happens(w, HAPPENS_LOCKED, at, at + random_spread(r, SECONDS(2), MINUTES(2)));
    for (int64_t at = random_between(r, 0, DAYS(40)); at < w->end; at += random_between(r, DAYS(20), DAYS(90)))
        world_happens(w, HAPPENS_MAIL_DOWN, at, at + random_spread(r, MINUTES(5), HOURS(9)));
    for (int64_t at = random_between(r, DAYS(5), DAYS(40)); at < w->end; at += random_between(r, DAYS(20), DAYS(60))) {
        world_happens(w, HAPPENS_STOP, at, 0); /* an upgrade of portwatch */
        world_happens(w, HAPPENS_START, at + random_between(r, SECONDS(1), SECONDS(4)), 0);
    }
}

static unsigned ports_of(World *w, unsigned n, const char *what, uint16_t first, const char *address, bool services_) {
    unsigned at = (unsigned)w->n_ports;
    for (unsigned i = 0; i < n; i++) {
        char name[32], exe[64];
        snprintf(name, sizeof name, "%s%u", what, services_ ? i + 1 : 0);
        if (services_) {
            world_service(w, name, PROTOCOL_TCP, (uint16_t)(first + i), address, NULL);
            continue;
        }
        unsigned port = world_port(w, first ? PROTOCOL_TCP : PROTOCOL_UDP, first ? (uint16_t)(first + i) : 0);
        snprintf(exe, sizeof exe, "/usr/bin/%s", what);
        world_face(w, port, world_owner(w, "session.scope", exe, 1000), address, NULL, NULL);
        w->ports[port].silent = true;
    }
    return at;
}

static void ignore_jobs(World *w) {
    w->rules->ignores = calloc(1, sizeof *w->rules->ignores);
    if (!w->rules->ignores) abort();
    w->rules->ignores[w->rules->n_ignores++] = (IgnoreRule){.name = strdup("jobs"), .exe = strdup("/usr/bin/job")};
}

void host_busy(World *w) {
    Random *r = &w->random;
    for (unsigned i = 0; i < SERVICES; i++)
        world_service(
            w, services[i].name, services[i].protocol, services[i].port, services[i].address, services[i].second);
    world_face(w, 3, w->ports[3].faces[1].owner, ANY, NULL, NULL);
    unsigned apps = ports_of(w, APPS, "app", 8001, ANY, true);
    for (unsigned i = 0; i < APPS; i++)
        world_face(w, apps + i, world_owner(w, "session.scope", "/home/bob/bin/test", 1001), ANY, NULL, NULL);
    unsigned containers = ports_of(w, CONTAINERS, "docker-proxy", 8081, ANY, true);
    unsigned pool = world_service(w, "rpc.mountd", PROTOCOL_TCP, 0, ANY, NULL);
    unsigned x11 = ports_of(w, 4, "sshd-session", 6010, HERE, false);
    unsigned clients = ports_of(w, 12, "resolver", 0, ANY, false);
    unsigned jobs = ports_of(w, 1, "job", 8090, ANY, false);
    ignore_jobs(w);
    unsigned notebook = world_port(w, PROTOCOL_TCP, 8888);
    world_face(w, notebook, world_owner(w, "session.scope", "/home/eve/jupyter", 1002), ANY, NULL, NULL);
    unsigned backdoor = world_port(w, PROTOCOL_TCP, 31337);
    world_face(w, backdoor, world_owner(w, "nginx.service", "/tmp/x", 33), ANY, ANY6, NULL);
    unsigned fresh = world_port(w, PROTOCOL_TCP, 8443);
    world_face(w, fresh, world_owner(w, "shop.service", "/opt/shop/shop", 990), ANY, NULL, NULL);

    for (int64_t day = 0; day < w->end; day += DAYS(1)) {
        nightly(w, day, apps, containers);
        sessions(w, day, x11, 4, clients, 12, notebook, jobs);
        if (random_below(r, 7) == 0)
            world_bounce(w, day + HOURS(5), pool, random_spread(r, SECONDS(0.3), SECONDS(8)), FATE_UNKNOWN);
        if (random_below(r, 12) == 0) incident(w, day + random_between(r, 0, DAYS(1)), apps, backdoor);
        if (random_below(r, 30) == 0) world_reboot(w, day + HOURS(5) + MINUTES(30));
        if (random_below(r, 40) == 0) {
            int64_t at = day + HOURS(22);
            world_happens(w, HAPPENS_PAUSE, at, at + HOURS(1));
            for (unsigned i = 0; i < 6; i++)
                world_bounce(w, at + MINUTES(5), apps + i, random_spread(r, MINUTES(1), HOURS(2)), FATE_STOPPED);
        }
    }
    for (int64_t at = DAYS(12); at < w->end; at += DAYS(90)) new_service(w, at + HOURS(11), fresh);
    trouble(w);
}
