/* The outbox of each notifier: events wait, become a message, the message is sent or fails.
 *
 * store_commit queues events. After the notifier's group_wait the daemon forms a message of them (outbox_waiting,
 * outbox_form), which from then on keeps its id and bytes. One message at most is in flight a notifier; outbox_result
 * stores each attempt. Nothing leaves the queue in another way, but for notifiers that left the configuration
 * (store/notifiers.h). */
#pragma once

#include "core/incident.h"
#include "store/store.h"

#define OUTBOX_ROWS_MAX 500 /* events in one message */

/* What waits for one notifier is bounded. Beyond that an incident keeps its first and its last event, then the oldest
 * of the least severe go. They are counted, and the next message says so. */
#define OUTBOX_QUEUE_MAX 2000
#define OUTBOX_QUEUE_BYTES ((int64_t)8 << 20)

/* Events that made room for others. */
typedef struct Omitted {
    unsigned count;   /* 0: none */
    int64_t from, to; /* when the first and the last of them were decided */
} Omitted;

/* An event that waits for a notifier. */
typedef struct OutboxRow {
    int64_t id;
    char event[UUID_TEXT_MAX];
    char incident[UUID_TEXT_MAX]; /* "" without one */
    EventType type;
    int64_t time;   /* of the event */
    char *document; /* JSON */
} OutboxRow;

typedef struct OutboxLook {
    unsigned waiting;        /* events not yet in a message */
    int64_t oldest;          /* when the first of them was queued, by the clock of then; 0: none */
    unsigned critical;       /* those of them that are */
    int64_t oldest_critical; /* when the first of these was queued, likewise; 0: none */
    bool in_flight;          /* a message waits to be sent */
    unsigned formed;         /* messages formed within the last hour */
} OutboxLook;

int outbox_look(Store *store, const char *notifier, int64_t now, OutboxLook *ret);

/* The oldest waiting events, in the order they were decided, at most `max` (and OUTBOX_ROWS_MAX). `critical`: only
 * those that are, and whatever waits of the same incident before them, so that its order holds. */
int outbox_waiting(Store *store, const char *notifier, bool critical, size_t max, OutboxRow **ret, size_t *ret_n);
void outbox_rows_free(OutboxRow *rows, size_t n);

/* What the next message to this notifier has to say it leaves out. */
int outbox_omitted(Store *store, const char *notifier, Omitted *ret);

/* Ids of the messages that carried the opened event of an incident to this notifier, oldest first; for References.
 * *ret is a string list, NULL if there are none. */
int outbox_threads(Store *store, const char *incident, const char *notifier, char ***ret);

/* Was this notifier told of an incident that is open? */
int outbox_told(Store *store, const char *incident, const char *notifier, bool *ret);

/* Fixes a message's id and bytes and takes the rows into it, and what was omitted, in one transaction. STORE_GONE: one
 * of the rows is not waiting for this notifier, or a message is in flight already. */
int outbox_form(Store *store, const Message *message, const int64_t *rows, size_t n_rows);

typedef enum RecipientState { RECIPIENT_WAITING, RECIPIENT_DELIVERED, RECIPIENT_REFUSED } RecipientState;

typedef struct Recipient {
    char *address; /* "" where the plugin has no recipients */
    RecipientState state;
    int code;     /* SMTP or HTTP status of the last answer, 0: none */
    char *reason; /* NULL: none */
} Recipient;

typedef struct InFlight {
    bool found;
    Message message;
    unsigned attempts;     /* made so far */
    int64_t next_try;      /* not before; 0 or past: now. A clock that was set back ends the wait */
    Recipient *recipients; /* empty until outbox_set_recipients or the first answer */
    size_t n_recipients;
} InFlight;

/* The message in flight, byte for byte as it was formed. */
int outbox_in_flight(Store *store, const char *notifier, int64_t now, InFlight *ret);
void in_flight_done(InFlight *in_flight);

/* Fixes who gets the message; a second call adds nothing. STORE_GONE: it is not in flight. */
int outbox_set_recipients(Store *store, const char *message, char *const *recipients);

typedef enum MessageState { MESSAGE_WAITING, MESSAGE_SENT, MESSAGE_FAILED } MessageState;

/* Stores an attempt and, for the notifier, whether it works. A delivery to "" stands for every recipient that still
 * waits. The message is sent when every recipient has taken it, failed when nobody waits and somebody refused it, and
 * else waits until next_try. No deliveries: nothing came back; `reason` (may be NULL) says why.
 * STORE_GONE: the message is not in flight. */
int outbox_result(Store *store, const char *message, const Delivery *deliveries, size_t n, const char *reason,
    int64_t next_try, int64_t now, MessageState *ret);

/* Lets the message in flight be tried at once, back-off from its start: after a reload or a successful test. */
int outbox_wake(Store *store, const char *notifier);

/* A message that was refused, for `status`. */
typedef struct FailedMessage {
    char id[UUID_TEXT_MAX];
    char *notifier;
    char *subject;
    char *reason;
    int64_t formed, failed;
} FailedMessage;

/* The latest `max` of them, newest first. */
int outbox_failed(Store *store, size_t max, FailedMessage **ret, size_t *ret_n);
/* The oldest message of this notifier that was refused for good and of which the others have not been told yet (an
 * event with `refused` tells them): its id ("": there is none), subject and reason. */
int outbox_untold(Store *store, const char *notifier, FailedMessage *ret);
void failed_message_done(FailedMessage *message);
void failed_messages_free(FailedMessage *messages, size_t n);
