#include "world.h"

#include <math.h>
#include <string.h>

#define EPHEMERAL_FIRST 32768
#define EPHEMERAL_LAST 60999

int64_t random_spread(Random *random, int64_t a, int64_t b) {
    double u = (double)(random_next(random) >> 11) / (double)(UINT64_C(1) << 53);
    return (int64_t)((double)a * exp(u * log((double)b / (double)a)));
}

/* A test that has no memory has nothing to say. */
static void *grown(void *items, size_t n, size_t size) {
    if (n & (n - 1)) return items;
    items = reallocarray(items, n ? n * 2 : 1, size);
    if (!items) abort();
    return items;
}

static char *copied(const char *text) {
    char *copy = strdup(text);
    if (!copy) abort();
    return copy;
}

void world_init(World *world, const char *name, uint64_t seed, int64_t length) {
    *world = (World){.name = name, .random = {seed}, .end = length, .rules = rules_new()};
    if (!world->rules) abort();
}

void world_done(World *world) {
    for (size_t i = 0; i < world->n_owners; i++) owner_unref(world->owners[i]);
    free(world->owners);
    free(world->ports);
    free(world->happenings);
    rules_free(world->rules);
}

Owner *world_owner(World *world, const char *unit, const char *exe, uid_t uid) {
    Owner *owner = owner_new();
    if (!owner) abort();
    owner->unit = copied(unit);
    owner->exe = copied(exe);
    owner->uid = uid;
    owner->pid = (pid_t)(1000 + world->n_owners);
    world->owners = grown(world->owners, world->n_owners, sizeof *world->owners);
    return world->owners[world->n_owners++] = owner;
}

unsigned world_port(World *world, Protocol protocol, uint16_t number) {
    world->ports = grown(world->ports, world->n_ports, sizeof *world->ports);
    world->ports[world->n_ports] = (Port){.protocol = protocol, .number = number, .roams = number == 0, .n_faces = 1};
    return (unsigned)world->n_ports++;
}

unsigned world_face(
    World *world, unsigned port, Owner *owner, const char *address, const char *second, const char *third) {
    Port *p = &world->ports[port];
    if (p->n_faces == FACES_MAX) abort();
    p->faces[p->n_faces] = (Face){owner, {address, second, third}, p->n_faces};
    return p->n_faces++;
}

unsigned world_service(
    World *world, const char *name, Protocol protocol, uint16_t number, const char *address, const char *second) {
    char unit[64], exe[64];
    snprintf(unit, sizeof unit, "%s.service", name);
    snprintf(exe, sizeof exe, "/usr/sbin/%s", name);
    unsigned port = world_port(world, protocol, number);
    world_face(world, port, world_owner(world, unit, exe, (uid_t)(100 + world->n_ports)), address, second, NULL);
    world->ports[port].base = 1;
    world->ports[port].boots = true;
    world->ports[port].silent = strncmp(address, "127.", 4) == 0;
    return port;
}

static void add(World *world, Happening happening) {
    if (happening.time < 0 || happening.time >= world->end) return;
    happening.order = (uint32_t)world->n_happenings;
    world->happenings = grown(world->happenings, world->n_happenings, sizeof happening);
    world->happenings[world->n_happenings++] = happening;
}

void world_happens(World *world, ChangeKind kind, int64_t at, int64_t until) {
    add(world, (Happening){.time = at, .kind = kind, .until = until});
}

void world_set(World *world, int64_t at, unsigned port, unsigned face) {
    add(world, (Happening){.time = at, .kind = HAPPENS_SET, .port = port, .face = face});
}

void world_close(World *world, int64_t at, unsigned port, Fate fate) {
    add(world, (Happening){.time = at, .kind = HAPPENS_SET, .port = port, .fate = fate});
}

void world_fate(World *world, int64_t at, unsigned port, Fate fate) {
    add(world, (Happening){.time = at, .kind = HAPPENS_FATE, .port = port, .fate = fate});
}

void world_up(World *world, int64_t at, unsigned port) {
    add(world, (Happening){.time = at, .kind = HAPPENS_UP, .port = port});
}

void world_base(World *world, int64_t at, unsigned port, unsigned face) {
    add(world, (Happening){.time = at, .kind = HAPPENS_BASE, .port = port, .face = face});
}

void world_accept(World *world, int64_t at, unsigned port) {
    add(world, (Happening){.time = at, .kind = HAPPENS_ACCEPT, .port = port});
}

void world_bounce(World *world, int64_t at, unsigned port, int64_t down, Fate fate) {
    world_close(world, at, port, fate);
    world_up(world, at + down, port);
}

void world_reboot(World *world, int64_t at) {
    Random *random = &world->random;
    int64_t up = at + random_between(random, SECONDS(15), SECONDS(60));
    add(world, (Happening){.time = at, .kind = HAPPENS_REBOOT, .until = up});
    add(world, (Happening){.time = up + random_between(random, SECONDS(3), SECONDS(20)), .kind = HAPPENS_START});
    for (unsigned i = 0; i < world->n_ports; i++)
        if (world->ports[i].boots) world_up(world, up + random_between(random, SECONDS(2), SECONDS(90)), i);
}

static int compare_happenings(const void *a, const void *b) {
    const Happening *x = a, *y = b;
    if (x->time != y->time) return x->time < y->time ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

void world_begin(World *world) {
    if (world->n_happenings > 1)
        qsort(world->happenings, world->n_happenings, sizeof *world->happenings, compare_happenings);
    for (size_t i = 0; i < world->n_ports; i++) {
        Port *p = &world->ports[i];
        p->face = p->known = p->expected = p->script_face = p->boots ? p->base : 0;
        if (p->roams) p->number = EPHEMERAL_FIRST;
        p->script_number = p->number;
    }
}

unsigned face_class(const Port *port, unsigned face) {
    return port->faces[face].class;
}

void port_rows(const Port *port, Endpoints *ret) {
    const Face *face = &port->faces[port->face];
    *ret = (Endpoints){0};
    for (size_t i = 0; port->face && i < FACE_ADDRESSES_MAX && face->addresses[i]; i++) {
        Endpoint e = {.protocol = port->protocol, .port = port->number, .count = 1};
        if (!address_parse(face->addresses[i], &e.address) || endpoint_add_owner(&e, face->owner) < 0 ||
            endpoints_take(ret, &e) < 0)
            abort();
    }
    if (endpoints_sort(ret) < 0) abort();
}

/* What an interrupted dump leaves out is anybody's guess: here, every third row. */
static bool left_out(bool blind, size_t row) {
    return blind && row % 3 == 0;
}

void world_snapshot(const World *world, bool blind, Snapshot *ret) {
    *ret = (Snapshot){.ephemeral_first = EPHEMERAL_FIRST, .ephemeral_last = EPHEMERAL_LAST};
    for (Table t = 0; blind && t < TABLE_MAX; t++) ret->tables[t] = TABLE_INCOMPLETE;
    for (size_t i = 0, row = 0; i < world->n_ports; i++) {
        Endpoints rows;
        if (world->ports[i].face == 0) continue;
        port_rows(&world->ports[i], &rows);
        for (size_t k = 0; k < rows.n; k++, row++)
            if (!left_out(blind, row) && endpoints_take(&ret->endpoints, &rows.items[k]) < 0) abort();
        endpoints_done(&rows);
    }
    if (endpoints_sort(&ret->endpoints) < 0) abort();
}

Port *world_find(World *world, const Surface *surface) {
    for (size_t i = 0; i < world->n_ports; i++) {
        Port *p = &world->ports[i];
        if (p->protocol != surface->protocol) continue;
        if (surface->port ? p->number == surface->port && !p->roams : p->roams && !p->silent && !surface->local)
            return p;
    }
    return NULL;
}
