/* Incident: the life of one difference; event: one thing worth telling about it. Plain values, no I/O.
 * Times are realtime microseconds unless their comment says otherwise. */
#pragma once

#include "core/difference.h"
#include "core/message.h"

typedef enum Aspect { ASPECT_SURFACE, ASPECT_SELF } Aspect;

typedef enum IncidentState {
    INCIDENT_OPEN,
    INCIDENT_RESOLVED, /* returned, unwatched or restated */
    INCIDENT_ACCEPTED,
    INCIDENT_ROLLED, /* baseline = rolling: told once, now the new normal */
} IncidentState;

/* How an incident ended. */
typedef enum Ending {
    ENDING_NONE,
    ENDING_RETURNED,  /* the expected state is back */
    ENDING_ACCEPTED,  /* by somebody (Event.by) */
    ENDING_UNWATCHED, /* the configuration no longer watches this port */
    ENDING_RESTATED,  /* the configuration now expects what is there */
    ENDING_ROLLED,
} Ending;

#define TOKEN_MAX 8

typedef struct Incident {
    char id[UUID_TEXT_MAX]; /* "" until assigned */
    char token[TOKEN_MAX];  /* four of A-Z2-9 without look-alikes; unique among open incidents */
    Aspect aspect;
    Surface surface; /* zero for ASPECT_SELF */
    IncidentState state;
    Change change;
    Reach reach;
    Severity severity;
    Endpoints before; /* what was expected when it opened */
    Endpoints told;   /* what stood at the last event */
    int64_t opened;   /* when the difference was first seen */
    int64_t last_event;
    int64_t next_reminder; /* 0: none */
    int64_t remind_step;   /* microseconds until the reminder after that */
    bool acknowledged;
    unsigned returns; /* how often it has come back, where it comes and goes */
    char opening_event[UUID_TEXT_MAX];
} Incident;

int incident_copy(const Incident *incident, Incident *ret);
void incident_done(Incident *incident);

typedef enum EventType {
    EVENT_OPENED,
    EVENT_CHANGED,
    EVENT_RESOLVED,
    EVENT_REMINDER,
    EVENT_LEARNED, /* baseline learned; also sent alone to a notifier configured later */
    EVENT_SELF,    /* a notice about portwatch itself: configuration, delivery, database */
    EVENT_TEST,
    EVENT_TYPE_MAX,
} EventType;

const char *event_type_name(EventType type); /* "opened", ..., "learned", "self", "test" */
/* The EventMask bit that a notifier's `events` must hold. EVENT_TEST: EVENT_MASK_ALL (always passes). */
unsigned event_mask(EventType type);

typedef struct Event {
    char id[UUID_TEXT_MAX]; /* "" until assigned */
    EventType type;
    int64_t time; /* when it was decided */
    bool has_incident;
    Incident incident; /* as it stands after this event */
    Ending ending;     /* EVENT_RESOLVED only */
    char *by;          /* who accepted; NULL */
    char *reason;      /* why, as given with accept; NULL */
    int64_t until;     /* it was accepted until then; 0: for good */
    Change change;
    Reach reach;
    Severity severity;
    Surface surface;
    char *name;              /* the section's name; NULL */
    Endpoints before, after; /* expected, and what stands now */
    int64_t seen;            /* when the told state was first seen */
    char *subject; /* EVENT_SELF: what it is about: "configuration", "delivery", "database", "blind"; else NULL */
    char *summary; /* EVENT_SELF: one sentence for people; else NULL */
    char *about;   /* EVENT_SELF: the notifier that fails, or (`about_works`) works again; else NULL */
    bool about_works;
    char *refused; /* EVENT_SELF: the message that was refused for good; else NULL */
    char *cause;   /* JSON text; NULL: none known */
    char **notify; /* names of notifiers; NULL: every one */
} Event;

int event_copy(const Event *event, Event *ret);
void event_done(Event *event);

/* One line of history. Observed, whether told or not. */
typedef enum TransitionKind {
    TRANSITION_LEARNED, /* entered the baseline at first sight */
    TRANSITION_BOUNCED, /* left and came back (or came and went) inside the settle time */
    TRANSITION_LOGGED,  /* changed where nobody is to be told (unlisted = log) */
    TRANSITION_IGNORED, /* the same for `ignore` and [ignore:] */
    TRANSITION_JOINED, /* joined the baseline without an alert: same owner, nothing more exposed, link-local, more known
                        */
    TRANSITION_OPENED, /* and the events, as they are told */
    TRANSITION_CHANGED,
    TRANSITION_RESOLVED,
    TRANSITION_REMINDED,
    TRANSITION_ACCEPTED,
    TRANSITION_ACKNOWLEDGED,
    TRANSITION_PAUSED,
    TRANSITION_RESUMED,
    TRANSITION_EXPIRED,  /* an acceptance that was limited in time is over */
    TRANSITION_REVERTED, /* the baseline went back to an earlier version */
    TRANSITION_IMPORTED, /* the baseline was taken from a file */
    TRANSITION_NOTICE,   /* self events */
    TRANSITION_MAX,
} TransitionKind;

const char *transition_name(TransitionKind kind);

typedef struct Transition {
    TransitionKind kind;
    int64_t time;
    bool has_surface;
    Surface surface;
    Change change;
    Endpoints before, after;
    char token[TOKEN_MAX]; /* "" without an incident */
    char *text;            /* a sentence, escaped; NULL: none */
} Transition;

void transition_done(Transition *transition);
