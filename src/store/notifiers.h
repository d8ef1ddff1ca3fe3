/* What is known of each notifier over restarts. */
#pragma once

#include "store/store.h"

/* Makes the table follow the configuration: a row for every name, `left` set on those that are not in it any more and
 * cleared on those that are back. What waits for one that left is kept and shown; store_expire drops it once it has
 * been gone for `retain`. Writes only if something differs. */
int store_notifiers_sync(Store *store, char *const *names, int64_t now);

typedef struct NotifierHealth {
    char *name;
    int64_t since;        /* first configured */
    int64_t left;         /* left the configuration; 0: it is in it */
    bool learned;         /* its learned message is queued or sent */
    int64_t last_success; /* 0: never */
    char *last_error;     /* NULL: none */
    int64_t last_error_time;
    int64_t failing_since; /* 0: it works, or nothing was tried */
    int64_t failing_told;  /* when the others were told of that, and not yet of its end; 0: they were not */
    unsigned waiting;      /* events not yet delivered, those in the message in flight too */
    int64_t oldest;        /* when the first of them was queued; 0: none */
    unsigned attempts;     /* of the message in flight */
    int64_t next_try;      /* of the message in flight; 0: none, or at once */
    unsigned failed;       /* messages refused and kept */
    int64_t heartbeat;     /* when the last one was taken; 0: none was */
} NotifierHealth;

/* Every notifier there is a row of, by name; those that left only while something waits for them. */
int store_notifiers(Store *store, int64_t now, NotifierHealth **ret, size_t *ret_n);
void notifier_health_free(NotifierHealth *health, size_t n);

/* A test went through, or did not (reason; NULL: success): as outbox_result does, without a message. */
int store_notifier_result(Store *store, const char *notifier, const char *reason, int64_t now);

/* Heartbeats: when the last was tried (0: never), that one is being tried, what became of it (reason; NULL: it was
 * taken). One that is taken ends the failing only where no message fails. */
int store_heartbeat_tried(Store *store, const char *notifier, int64_t *ret);
int store_heartbeat_try(Store *store, const char *notifier, int64_t now);
int store_heartbeat_result(Store *store, const char *notifier, const char *reason, int64_t now);
