/* The simulated host: its ports and all that happens to them in a year. The world knows the truth.
 *
 * Times are microseconds since the simulation began. A port has faces: what stands on it at one time. Two faces of one
 * class are the same to people; between classes there is something to tell, if it lasts. */
#pragma once

#include "core/engine.h"
#include "random.h"

#define SECONDS(n) ((int64_t)((n) * (double)USEC_PER_SEC))
#define MINUTES(n) SECONDS(60.0 * (n))
#define HOURS(n) MINUTES(60.0 * (n))
#define DAYS(n) HOURS(24.0 * (n))

#define FACES_MAX 4
#define TURNS_MAX 16
#define FACE_ADDRESSES_MAX 3

typedef struct Face {
    Owner *owner;
    const char *addresses[FACE_ADDRESSES_MAX];
    unsigned class;
} Face;

/* One port, from one change of its class to the next, and who was told of it. */
typedef struct Stretch {
    int64_t from;
    int64_t told;  /* first event of it; 0: none */
    int64_t naive; /* first run of the script that saw it; 0: none */
    bool news;     /* the reader knew something else when it began */
    bool excused;  /* its bound was put off: a pause, a boot, blindness */
} Stretch;

typedef struct Port {
    Protocol protocol;
    uint16_t number;
    bool roams;             /* it opens on another ephemeral number each time */
    bool silent;            /* policy tells nothing of it: loopback, clients' ports, [ignore:] */
    bool boots;             /* it comes up with the machine */
    Face faces[FACES_MAX];  /* the first is "closed" */
    unsigned n_faces, base; /* the face it is brought up with */
    /* the truth at this time */
    unsigned face;
    Fate fate; /* of its unit, while closed */
    int64_t fate_since;
    Stretch stretch;
    /* what the reader of the messages knows */
    unsigned known;
    int64_t known_until; /* when it was last seen to leave what the reader knew */
    unsigned expected;   /* as learned or accepted */
    bool incident;       /* told as open */
    unsigned flapping;   /* told as flapping: a bit for each class that was told with it; 0: not */
    int64_t flapping_since;
    int64_t turns[TURNS_MAX]; /* its latest changes of class, a ring */
    size_t n_turns;
    /* what the script saw last */
    unsigned script_face;
    uint16_t script_number;
    bool script_dirty;
} Port;

typedef enum ChangeKind {
    HAPPENS_SET,       /* the port gets `face`; if that is closed, with `fate` */
    HAPPENS_UP,        /* the port gets its base face */
    HAPPENS_BASE,      /* from now on this is its base face, and it gets it */
    HAPPENS_FATE,      /* of a closed port's unit */
    HAPPENS_ACCEPT,    /* somebody accepts what stands there */
    HAPPENS_PAUSE,     /* somebody pauses everything until `until` */
    HAPPENS_REBOOT,    /* everything is closed, portwatchd is down */
    HAPPENS_STOP,      /* portwatchd ends */
    HAPPENS_START,     /* portwatchd starts */
    HAPPENS_STALL,     /* portwatchd gets no time, as after SIGSTOP */
    HAPPENS_WAKE,      /* and goes on */
    HAPPENS_BLIND,     /* tables are incomplete until `until` */
    HAPPENS_LOCKED,    /* nothing can be committed until `until` */
    HAPPENS_MAIL_DOWN, /* the mail server does not answer until `until` */
} ChangeKind;

typedef struct Happening {
    int64_t time;
    uint32_t order; /* of two at one time */
    ChangeKind kind;
    unsigned port;
    unsigned face;
    Fate fate;
    int64_t until;
} Happening;

typedef struct World {
    const char *name;
    Random random;
    int64_t end;
    Rules *rules;
    Port *ports;
    size_t n_ports;
    Happening *happenings;
    size_t n_happenings;
    Owner **owners;
    size_t n_owners;
    uint64_t version; /* counts changes that a look or a question would show */
} World;

void world_init(World *world, const char *name, uint64_t seed, int64_t length);
void world_done(World *world);

/* `name` is the program's; a hostile one may be anything. Borrowed from the world. */
Owner *world_owner(World *world, const char *unit, const char *exe, uid_t uid);
/* A service of its own name with one face, on `address` and `second` (NULL: none). The index of the port. */
unsigned world_service(
    World *world, const char *name, Protocol protocol, uint16_t number, const char *address, const char *second);
/* A port that is closed at first. */
unsigned world_port(World *world, Protocol protocol, uint16_t number);
/* One more face. Its index. */
unsigned world_face(
    World *world, unsigned port, Owner *owner, const char *address, const char *second, const char *third);

void world_happens(World *world, ChangeKind kind, int64_t at, int64_t until);
void world_set(World *world, int64_t at, unsigned port, unsigned face);
void world_close(World *world, int64_t at, unsigned port, Fate fate);
void world_fate(World *world, int64_t at, unsigned port, Fate fate);
void world_up(World *world, int64_t at, unsigned port);
void world_base(World *world, int64_t at, unsigned port, unsigned face);
void world_accept(World *world, int64_t at, unsigned port);
/* Down for so long, then up again. */
void world_bounce(World *world, int64_t at, unsigned port, int64_t down, Fate fate);
void world_reboot(World *world, int64_t at);

/* Puts what happens in order and brings up what comes up with the machine. */
void world_begin(World *world);
unsigned face_class(const Port *port, unsigned face);
/* The port's endpoints as they are now. */
void port_rows(const Port *port, Endpoints *ret);
void world_snapshot(const World *world, bool blind, Snapshot *ret);
/* The port an event is about, NULL: none. */
Port *world_find(World *world, const Surface *surface);

/* The three hosts. */
void host_busy(World *world);
void host_flapping(World *world);
void host_hostile(World *world);
