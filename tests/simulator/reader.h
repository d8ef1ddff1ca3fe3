/* Who reads the messages, and knows the truth as well: what was told is compared with what is. */
#pragma once

#include "world.h"

typedef enum DelayKind {
    DELAY_OPENED,
    DELAY_CHANGED,
    DELAY_CLOSED,
    DELAY_FAILED,    /* closed, and its unit had failed */
    DELAY_RETURNING, /* closed while its unit was on the way back */
    DELAY_RESOLVED,
    DELAY_STEADY,  /* of a flapping port: steady, as it has been before */
    DELAY_EXCUSED, /* through a pause, a boot, a restart, blindness or a database that could not be written */
    DELAY_MAX,
} DelayKind;

typedef struct Delays {
    int64_t *items;
    size_t n;
} Delays;

typedef struct Reader {
    World *world;
    /* what puts off bounds: until then, or since then nothing had been seen */
    int64_t excused_until, observed_since, graced_until;
    Delays delays[DELAY_MAX];
    size_t must, told, lost, late, wrong;
    size_t script_missed, script_told; /* of those that had to be told */
    Delays script_delays;
    char first[256]; /* the first thing that was wrong */
    bool loud;       /* print every one */
} Reader;

void reader_done(Reader *reader);
/* The class of a port changes now; `end`: the year is over. To be called before the port has its new face. */
void reader_stretch_ends(Reader *reader, Port *port, int64_t now);
void reader_stretch_begins(Reader *reader, Port *port, int64_t now);
/* The script has seen this port differ. */
void reader_script_saw(Reader *reader, Port *port, int64_t now);
/* An event, decided now; `seen` is the event's own, since the simulation began. */
void reader_event(Reader *reader, const Event *event, int64_t seen, int64_t now);
void reader_complain(Reader *reader, int64_t now, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "1234 d 05:06:07.890" for people who look for the minute. */
#define MOMENT_MAX 48
const char *moment_text(int64_t t, char buffer[static MOMENT_MAX]);
