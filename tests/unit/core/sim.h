/* A small world for the engine: snapshots from one line of text, a clock that only moves when told, and what was told
 * as text.
 *
 * A snapshot is "tcp 0.0.0.0:80 @nginx; tcp [::]:443 v6only @a @b; udp 10.0.0.1:53 dev=eth0 exe=/x uid=7
 * unit=u.service".
 * @name is a wholly known owner; exe=, uid=, unit= make one of those fields only; no owner means nobody is known.
 * "replaced", "deleted" and "file=N" are said of the file of the owners before it, "pending" of the endpoint.
 * "incomplete udp" marks a table. Times are in seconds and may be fractions. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/engine.h"
#include "core/view.h"

#define EPHEMERAL_FIRST 32768
#define EPHEMERAL_LAST 60999

typedef struct Sim {
    Rules *rules;
    State state;
    Now now;
    char *told;        /* events since the last sim_told, a line each */
    char *history;     /* transitions since the last sim_history */
    int64_t next_look; /* of the last step */
    bool commit_fails;
    bool quiet; /* tell and keep nothing: for long runs */
    Event last; /* the last event */
} Sim;

/* Started long ago, at a first step with this snapshot (NULL: nothing done yet). */
void sim_init(Sim *sim, const char *learned);
void sim_done(Sim *sim);
/* As init on a machine booted `age` seconds ago; no step yet. */
void sim_init_booting(Sim *sim, double age);

/* Parses a snapshot; aborts the test if it cannot. */
void snapshot_parse(const char *text, Snapshot *ret);
/* A section with [portwatch]'s values; strings put into it must come from strdup. */
PortRule *sim_section(Sim *sim, const char *header);
IgnoreRule *sim_ignore(Sim *sim);
/* Forgets every section, as a reload would. */
void sim_no_sections(Sim *sim);

void sim_step(Sim *sim, const Snapshot *snapshot);
/* One look, now. */
void sim_look(Sim *sim, const char *text);
/* A look every interval for so long, the first one interval from now. */
void sim_run(Sim *sim, double seconds, const char *text);
/* Only time passes. Looks cease: longer than three intervals is a gap. */
void sim_pass(Sim *sim, double seconds);
/* The daemon is restarted: only what is stored is left. */
void sim_restart(Sim *sim);
void sim_set_clock(Sim *sim, int64_t seconds); /* realtime jumps by so much */

/* Answers of requests; a decision is applied. */
int sim_accept(Sim *sim, const char *text, const char *token, const Surface *surface);
/* Until `seconds` from now; ahead where nothing differs. */
int sim_accept_until(Sim *sim, const char *text, const char *token, const Surface *surface, double seconds);
/* The baseline of all ports, or of `only`, becomes what the text shows. */
int sim_replace(Sim *sim, const char *seen, const char *baseline, VersionKind kind, const Surface *only);
int sim_pause(Sim *sim, double seconds, const Surface *surface);
int sim_resume(Sim *sim, const Surface *surface);
int sim_ack(Sim *sim, const char *token);
const char *sim_token(Sim *sim); /* of the only open incident */

/* Somebody was asked why this port differs, or (with a document) has answered. Asserts that asking was wanted. */
void sim_cause(Sim *sim, uint16_t port, Fate fate, const char *document);

/* Exactly this was told since the last call: "opened 80/tcp opened warning\n". */
void sim_told(Sim *sim, const char *expected);
/* Exactly these transitions: "bounced 80/tcp none\n". */
void sim_history(Sim *sim, const char *expected);
void sim_forget_history(Sim *sim);
/* The baseline as "tcp 0.0.0.0:80 nginx\n", owners by the last part of exe. */
void sim_baseline(Sim *sim, const char *expected);

/* Deterministic random numbers. */
uint64_t sim_random(void);
void sim_random_bytes(void *buffer, size_t size);
