/* The daemon: takes snapshots, asks the core, commits, wakes the queue. Private to src/daemon; one thread, one event
 * loop. Functions that return int give 0 or a negative errno that is unexpected; what is expected to go wrong is logged
 * where it happens and met there. */
#pragma once

#include <systemd/sd-event.h>

#include "config/config.h"
#include "config/host.h"
#include "core/engine.h"
#include "kernel/package.h"
#include "kernel/sockets.h"
#include "notify/channel.h"
#include "notify/document.h"
#include "store/outbox.h"
#include "store/request.h"
#include "store/state.h"

#define EXIT_CONFIG 78 /* systemd: do not start again (RestartPreventExitStatus=) */

typedef struct Options {
    const char *config;
    bool config_given; /* on the command line: then it must be there */
    const char *state_dir;
    const char *plugin_dir; /* NULL: the one built in, which must be root's */
    const char *notify_program, *cause_program;
} Options;

typedef struct Daemon Daemon;
typedef struct Causes Causes;

/* A `portwatch test` under way. */
typedef struct TestRun {
    int64_t request;
    size_t waiting; /* notifiers that have not answered */
    json_t *results;
    sd_event_source *deadline;
    struct TestRun *next;
} TestRun;

/* One configured notifier. */
typedef struct Notifier {
    Daemon *daemon;
    const NotifierRule *rule; /* of daemon->rules */
    Channel *channel;
    sd_event_source *timer;
    bool busy;     /* the channel has a message */
    bool testing;  /* and it is a test */
    TestRun *test; /* to be done next, or under way */
    InFlight in_flight;
    Delivery *results; /* of this attempt, stored when it is over */
    size_t n_results;
    bool refused_known;  /* of every message that was refused for good the others have been told */
    bool result_pending; /* the attempt is over, but could not be stored yet */
    char *result_reason;
    bool failing;         /* said so in the log */
    bool failed;          /* its last attempt did */
    int64_t failing_from; /* boottime: when they began to, if `failed` */
    bool failing_told;    /* the others know */
    bool health_known;    /* what of that was so before a restart */
    int64_t quiet_since;  /* boottime: since when a quiet time holds back what waits; 0: none does */
    bool beating;         /* the channel has a heartbeat */
    bool beats_fail;      /* said so in the log */
    int64_t next_beat;    /* boottime; 0: not known yet */
    char **walls_missing; /* of its child, NULL: all stand or not yet known */
} Notifier;

struct Daemon {
    Options options;
    Host host;
    sd_event *event;
    Rules *rules;
    ConfigFiles files;           /* that the rules were read from */
    char *configuration_trouble; /* why it is not the configured one that is in force; NULL: it is */
    int lock;
    Store *store;
    bool store_failing;   /* said so in the log */
    bool reopen;          /* it is corrupt: open it anew before the next tick */
    char *opening_reason; /* to be told once there is somebody to tell it; NULL: nothing */
    Severity opening_severity;
    Sockets *sockets;
    Packages *packages;
    State state;
    Snapshot snapshot, previous; /* the last one, and the one before */
    int64_t first_look;          /* boottime */
    Causes *causes;
    json_t *coverage; /* of it; NULL: not made yet */
    char **not_seen;  /* said so in the log */
    char *coverage_stored;
    bool coverage_unstored; /* it could not be */
    Notifier **notifiers;
    size_t n_notifiers;
    bool queues_unsynced; /* the store does not know the notifiers yet */
    char **unlearned;     /* notifiers that have not been told what is watched */
    sd_event_source *tick, *requests;
    int64_t last_expire;                           /* boottime */
    int64_t last_look, last_missed, last_coverage; /* boottime */
    unsigned covered_unseen;                       /* namespaces that `coverage` speaks of */
    size_t covered_seen;
    unsigned missed;        /* looks, until an hour after the last of them */
    bool requests_wait;     /* for a tick: there was no snapshot yet, or the store failed */
    int64_t requests_after; /* requests up to this id are under way */
    TestRun *tests;
    bool ready_due; /* systemd waits to hear that the first look is done, or the first after a reload */
    bool stopping;
};

/* daemon.c */
int daemon_run(const Options *options);
Now daemon_now(void);
void daemon_random(void *buffer, size_t size);

/* status.c: one sentence for `systemctl status`. */
void daemon_status(const Daemon *d);
void daemon_ready(Daemon *d); /* the same with READY=1 */

/* record.c: commits a decision with its documents and an answer (NULL: none), logs what it tells, applies it. Takes the
 * decision. 0 committed (or nothing to), a StoreError (said in the log), or negative errno. */
int daemon_commit(Daemon *d, Decision *decision, const RequestAnswer *answer);
/* A notice about portwatch itself, to `names` (NULL: every notifier). */
int daemon_notice(Daemon *d, Severity severity, const char *subject, const char *summary, char *const *names);
/* One to `names` about a notifier that fails, or works again; the database knows then that this was told. Both are
 * warnings, so that who hears of the one hears of the other. */
int daemon_notice_about(Daemon *d, const char *notifier, bool works, const char *summary, char *const *names);
/* One to `names` about a message that was refused for good; the database knows then that this was told. */
int daemon_notice_refused(Daemon *d, const char *message, const char *summary, char *const *names);
int daemon_tell_learned(Daemon *d);
/* Called where the store failed: logs it once, opens a corrupt one anew. */
int daemon_store_failed(Daemon *d, int error);
void daemon_store_worked(Daemon *d); /* something could be written */
int daemon_open_store(Daemon *d);    /* 0, or an exit code; what went wrong is in the log */
void daemon_tell_opening(Daemon *d); /* that a database was set aside, if one was */
int daemon_set_coverage(Daemon *d);

/* tick.c */
int daemon_start_ticks(Daemon *d);
int daemon_look(Daemon *d);      /* a tick, here and now; the next one follows an interval later */
void daemon_tick_now(Daemon *d); /* as soon as the event loop gets there */

/* cause.c */
int daemon_start_causes(Daemon *d);
void daemon_stop_causes(Daemon *d);
/* Asks about what began to settle with this tick, and anew about what was on its way. Answers come by the event loop.
 */
void daemon_ask_causes(Daemon *d, const Now *now);
void daemon_log_ballast(const Daemon *d, int result); /* of ballast_keep */

/* configure.c */
/* At start: 0, or a positive exit code. */
int daemon_load(Daemon *d);
int daemon_reload(Daemon *d);

/* notifiers.c */
/* Names of all notifiers but one (NULL: of all), for notices. NULL: no memory. The caller frees. */
char **daemon_others(const Daemon *d, const char *except);
/* Makes the notifiers follow the rules; those with a delivery under way that did not change keep their channel. */
int daemon_sync_notifiers(Daemon *d);
/* The same for their queues. Where the store fails that is said, and the next tick tries again. 0 or negative errno. */
int daemon_sync_queues(Daemon *d);
void daemon_free_notifiers(Daemon *d);
void daemon_wake_all(Daemon *d);   /* look at every queue soon, from the event loop */
bool daemon_busy(const Daemon *d); /* a delivery is under way */
ChannelOptions daemon_channel_options(const Daemon *d);

/* notifier.c */
int notifier_new(Daemon *d, const NotifierRule *rule, Notifier **ret);
void notifier_free(Notifier *n); /* takes NULL */
void notifier_wake(Notifier *n);

/* heartbeat.c: those that are due. To be called after each look that saw everything and is stored, and only then. */
void daemon_heartbeats(Daemon *d, const Now *now);
/* It is over; `reason` says why it was not taken, NULL: it was. */
void heartbeat_done(Notifier *n, const char *reason);

/* compose.c: the message of waiting events; references are filled. Of rows that together are too large for one message
 * *n becomes the number that it took. 0, StoreError or negative errno. */
int compose_message(Daemon *d, const NotifierRule *rule, const OutboxRow *rows, size_t *n, Message *ret);
int compose_test(Daemon *d, const NotifierRule *rule, Message *ret);

/* requests.c */
int daemon_start_requests(Daemon *d);
void daemon_stop_requests(Daemon *d);
void daemon_look_at_requests(Daemon *d);
/* test.c: a notifier's part of a test is over. `deliveries` may be empty, then `reason` says why. */
void test_done(Daemon *d, TestRun *run, const char *notifier, const Delivery *deliveries, size_t n, const char *reason);
