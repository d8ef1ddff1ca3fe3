/* The engine: (rules, state, snapshot, now) -> what to write. Pure: no I/O, no clock, no globals.
 *
 * The caller takes a snapshot, asks engine_step, gives ids to the new events, commits the decision in one transaction
 * and only then lets engine_apply change the state. If the commit fails nothing is applied but the settling timers,
 * and the next step decides the same again. */
#pragma once

#include "core/cause.h"
#include "core/incident.h"

/* The time of a step. */
typedef struct Now {
    int64_t boottime; /* CLOCK_BOOTTIME, microseconds: for waits */
    int64_t realtime; /* CLOCK_REALTIME, microseconds: for dates */
    int64_t boot_age; /* microseconds since PID 1 started */
} Now;

/* How often a port has been as it was before again, of late. Kept in memory only. */
typedef struct Flap {
    Surface surface;
    unsigned n;
    struct {
        int64_t at;                  /* boottime of the return */
        int64_t left;                /* realtime at which it had ceased to be so */
    } returns[FLAPPING_RETURNS_MAX]; /* oldest first */
} Flap;

/* A difference on its way to being told. Kept in memory only. */
typedef struct Settling {
    Surface surface;
    bool ignored;  /* of the endpoints that [ignore:] covers */
    bool quiet;    /* nothing to tell: it will join the baseline */
    bool done;     /* acted upon: goes once the decision is committed */
    int64_t start; /* boottime: first snapshot that differed from the told state */
    int64_t start_realtime;
    int64_t present; /* boottime: since when it is not "closed"; equal to start unless it came back as something else */
    bool closed;     /* nothing of the told state is there */
    bool was_closed; /* at any time since start */
    unsigned snapshots; /* that differed since start */
    bool asks;          /* it closed or changed hands and will be told: why is worth asking */
    bool tells;         /* it will be told */
    bool owner;         /* nothing but owners differs: a look that does not see them says nothing */
    bool program;       /* nothing but a program's file differs */
    bool back;          /* of an open incident: it is as expected again */
    bool noted;         /* history has said already what joins */
    int64_t last;       /* boottime: last snapshot that differed */
} Settling;

#define PAUSE_NAMED_MAX 8

typedef struct Pause {
    bool all;
    Surface surface; /* port of the pause where not all */
    int64_t until;   /* realtime microseconds */
    int64_t ends;    /* the same in boottime, which nobody sets; 0 after a restart: not known. Memory only */
    bool resumed;    /* ended by hand, and history says so. Memory only */
    size_t n_passed; /* what would have been told in the meantime, had it not passed by itself. Memory only */
    Surface passed[PAUSE_NAMED_MAX]; /* the first of these */
} Pause;

/* An acceptance that ends, or one that was given ahead. One a surface. */
typedef struct Loan {
    Surface surface;
    bool ahead;       /* nothing differed: what changes there until then is accepted, for good */
    Endpoints before; /* else: what is expected again afterwards */
    int64_t made;     /* realtime microseconds, as `until` */
    int64_t until;
    int64_t ends;      /* the same in boottime, which nobody sets; 0: not known. Memory only */
    char *by, *reason; /* reason may be NULL */
} Loan;

void loan_done(Loan *loan);

/* What the daemon knows; the stored part is loaded by store/ at start. Zero-initialised is "first start". */
typedef struct State {
    bool learned;            /* first learning is over */
    bool namespaces_learned; /* and that of other network namespaces; false where only the host's is watched */
    Endpoints baseline;      /* sorted; `since` set */
    Incident *incidents;     /* open ones */
    size_t n_incidents;
    Pause *pauses;
    size_t n_pauses;
    Loan *loans;
    size_t n_loans;
    /* memory only */
    Settling *settling;
    size_t n_settling;
    Cause *causes; /* of what is settling, as far as somebody was asked */
    size_t n_causes;
    Flap *flaps;
    size_t n_flaps;
    int64_t last_step;        /* boottime; 0: none yet */
    unsigned incomplete_runs; /* snapshots in a row in which some table was incomplete; while blind, how many complete
                                 ones it takes to see again */
} State;

void state_done(State *state);

/* Why the baseline changed. */
typedef enum VersionKind {
    VERSION_LEARNED,
    VERSION_ACCEPTED,
    VERSION_JOINED, /* came in or left without anybody being told */
    VERSION_ROLLED, /* told once, now the new normal */
    VERSION_REVERTED,
    VERSION_IMPORTED,
    VERSION_EXPIRED, /* a time-limited acceptance is over */
    VERSION_MAX,
} VersionKind;

const char *version_kind_name(VersionKind kind); /* "learned", ... */

/* The new expected rows of one surface: they replace every baseline row of that surface. */
typedef struct BaselineChange {
    Surface surface;
    Endpoints before; /* rows to remove, by key */
    Endpoints after;  /* rows to add; `since` set */
    VersionKind kind;
    char *by, *why; /* who did it and why, raw; NULL: nobody, nothing said */
} BaselineChange;

typedef struct Decision {
    Event *events; /* each incident that an event belongs to is written as event.incident says */
    size_t n_events;
    Incident *updates; /* incidents that change without an event (acknowledged) */
    size_t n_updates;
    BaselineChange *baseline;
    size_t n_baseline;
    Transition *transitions;
    size_t n_transitions;
    Pause *pauses; /* the whole new list, if pauses_changed */
    size_t n_pauses;
    bool pauses_changed;
    Loan *loans; /* the whole new list, if loans_changed */
    size_t n_loans;
    bool loans_changed;
    bool learned;           /* first learning ends with this decision */
    bool namespaces_change; /* with this decision namespaces_learned becomes the state's */
    bool namespaces_learned;
    /* memory only */
    size_t n_observed;            /* transitions that nobody is told of */
    size_t n_counted, counted_at; /* those beyond ENGINE_TRANSITIONS_MAX, and the line that counts them */
    bool steps;                   /* made by engine_step: the timers below replace the state's */
    Settling *settling;
    size_t n_settling;
    Flap *flaps; /* the whole new list, if flaps_changed */
    size_t n_flaps;
    bool flaps_changed;
    int64_t now_boottime;
    unsigned incomplete_runs;
    int64_t next_look; /* boottime of the next deadline, INT64_MAX: none */
} Decision;

/* Snapshots in a row with an incomplete table until portwatch calls itself blind. */
#define ENGINE_BLIND_RUNS 5
/* Transitions written by one step; what is beyond is counted in one line. */
#define ENGINE_TRANSITIONS_MAX 200

/* For so long an event waits for its cause after it has settled. */
#define ENGINE_CAUSE_WAIT (2 * USEC_PER_SEC)
/* For so long it waits where the look-up of an owner is still under way. */
#define ENGINE_OWNER_WAIT (10 * USEC_PER_SEC)
/* For so long a closed port may be away while its unit is on the way back, or while it comes and goes. */
#define ENGINE_RETURN_WAIT (600 * USEC_PER_SEC)

/* True if there is something to commit. */
bool decision_writes(const Decision *decision);
void decision_done(Decision *decision);

/* Decides. `ret` is zeroed and filled; 0 or -ENOMEM. */
int engine_step(const Rules *rules, const State *state, const Snapshot *snapshot, const Now *now, Decision *ret);

/* The answers of people's requests. */
typedef enum RequestResult {
    REQUEST_DONE,
    REQUEST_NOTHING,  /* no difference to accept, nothing to resume */
    REQUEST_UNKNOWN,  /* no open incident has this token */
    REQUEST_MOVED,    /* the port differs now from what was told */
    REQUEST_STATED,   /* the configuration states what must be there */
    REQUEST_UNSEEN,   /* the port's tables could not be read completely */
    REQUEST_FLAPPING, /* it comes and goes, and is as expected now */
    REQUEST_SELF,     /* the incident is portwatch's own: there is nothing to accept */
    REQUEST_POOLED,   /* the port is one of the ephemeral ones, which are one surface */
    REQUEST_SAME,     /* the baseline is that already */
} RequestResult;

/* What to accept and in whose name. */
typedef struct Acceptance {
    const char *token;       /* an incident's, takes exactly the rows last told; or NULL */
    const Surface *surface;  /* takes the present difference of this port; NULL with token NULL: of all */
    const char *by, *reason; /* reason may be NULL */
    int64_t until;           /* realtime, later than now: what was expected before returns then. 0: for good */
    bool ahead;              /* with `until` and `surface`, where nothing differs: what changes there is accepted */
} Acceptance;

/* Longest time for which something is accepted. */
#define ENGINE_LOAN_MAX (366 * 86400 * USEC_PER_SEC)

/* A positive RequestResult, 0 (REQUEST_DONE) with a decision to commit and apply, or -ENOMEM. `ret_at` (may be NULL) is
 * filled with the surface concerned where the result is REQUEST_MOVED or REQUEST_STATED. */
int engine_accept(const Rules *rules, const State *state, const Snapshot *snapshot, const Now *now,
    const Acceptance *acceptance, Decision *ret, Surface *ret_at);
/* No more reminders for this incident. `by` is kept in history. */
int engine_acknowledge(const State *state, const Now *now, const char *token, const char *by, Decision *ret);
/* No alerts for `surface` (NULL: all) until now + duration (microseconds); what still differs then is told then, beside
 * a summary of what passed meanwhile. */
int engine_pause(
    const State *state, const Now *now, const Surface *surface, int64_t duration, const char *by, Decision *ret);
int engine_resume(const State *state, const Now *now, const Surface *surface, const char *by, Decision *ret);

/* A whole new baseline and in whose name. */
typedef struct Replacement {
    VersionKind kind;      /* VERSION_REVERTED or VERSION_IMPORTED */
    const Endpoints *rows; /* sorted */
    const Surface *only;   /* these surfaces; NULL: all */
    size_t n_only;
    const char *by, *reason; /* reason may be NULL */
    const char *what;        /* "version 12", "golden.conf": for people, escaped */
} Replacement;

/* The baseline becomes what it says: REQUEST_DONE with a decision, REQUEST_SAME, or -ENOMEM. What differs then settles
 * and is told as ever; an incident of which the told state is expected now is resolved as accepted. */
int engine_replace_baseline(const Rules *rules, const State *state, const Snapshot *snapshot, const Now *now,
    const Replacement *replacement, Decision *ret);

/* After a load, before the first step: waits by boottime, none longer than it was meant to be, whatever the clock says.
 */
void state_start_loans(State *state, const Now *now);
/* The loan of a surface; NULL: none. */
const Loan *state_loan(const State *state, const Surface *surface);

/* The open incident of a token or surface; NULL: none. */
const Incident *state_incident(const State *state, const char *token);
const Incident *state_incident_at(const State *state, const Surface *surface);

/* What is known of a settling difference; NULL: nobody was asked. */
const Cause *state_cause(const State *state, const Surface *surface, int64_t start);
/* Takes the contents of *cause in the place of what was known; one without a document leaves what was known as it is,
 * but for when somebody was asked. An unanswered one holds its event back for at most ENGINE_CAUSE_WAIT once it has
 * settled; a fate moves the end of its settling. It is forgotten with its difference. 0 or -ENOMEM. */
int state_set_cause(State *state, Cause *cause);
/* Whom to ask about: who was asked about before; else who held the port and does not any more, as seen in the snapshot
 * before, as last told, or as learned; else, where all of them hold it still, the first one learned. Borrowed; NULL:
 * nobody is known. *ret_seen: it is the snapshot before that knows him (Cause.seen); else his process and the run of
 * his unit may be of years ago. */
Owner *state_asked_about(const State *state, const Rules *rules, const Snapshot *snapshot, const Snapshot *previous,
    const Settling *settling, bool *ret_seen);
/* For the next look's state_asked_about: while a socket is being closed its process shows it no more, and for a look
 * nobody is found to hold it. Then whoever held it in the look before stays its holder. 0 or -ENOMEM. */
int snapshot_remember_holders(Snapshot *snapshot, const Snapshot *before);
/* Does an owner like this one hold a socket of the surface, as far as is seen? */
bool owner_holds(const Rules *rules, const Snapshot *snapshot, const Surface *surface, const Owner *owner);

/* What notifiers `names` (NULL-terminated) are told first: what is watched, and each port that differs already. */
int engine_welcome(const Rules *rules, const State *state, const Snapshot *snapshot, const Now *now, char *const *names,
    Decision *ret);

/* Gives ids to the decision's events and new incidents. `random` fills a buffer with random bytes. 0 or -ENOMEM. */
int decision_identify(Decision *decision, const State *state, void (*random)(void *buffer, size_t size));
/* A random (version 4) UUID as text from 16 random bytes. */
void uuid_format(const uint8_t bytes[static 16], char ret[static UUID_TEXT_MAX]);

/* Takes the decision's effects into the state. `committed` false: only the settling timers. Empties the decision.
 * Events must have their incidents' ids by then. */
int engine_apply(State *state, Decision *decision, bool committed);
