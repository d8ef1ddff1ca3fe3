/* What the engine decided, in and out of the database. */
#pragma once

#include "core/engine.h"
#include "store/store.h"

/* Fills the stored part of *ret (which is zero or done): learned, baseline (sorted), open incidents, pauses. For every
 * mode. On failure *ret stays untouched. */
int store_load_state(Store *store, State *ret);

/* An event's document and the notifiers that are to get it. Borrowed. */
typedef struct EventDocument {
    const char *event_id;
    const char *document;   /* JSON text */
    char *const *notifiers; /* names, NULL-terminated; NULL or empty: nobody is told */
} EventDocument;

/* The answer to a request; see store/request.h. Borrowed. */
typedef struct RequestAnswer {
    int64_t id;
    int code;         /* exit code of the command line */
    const char *text; /* what it prints, or JSON; NULL: nothing */
} RequestAnswer;

typedef struct Commit {
    const Decision *decision; /* every event has an id, and a document below; NULL: none */
    const EventDocument *documents;
    size_t n_documents;
    const RequestAnswer *answer; /* NULL: none */
    int64_t now;
} Commit;

/* Writes all of it in one transaction: baseline, incidents (as they stand in their events), events, one queue row a
 * notifier, history, learned, pauses, answer. An EVENT_LEARNED marks its notifiers as told, one
 * about a notifier that its failing was, or is over. Notifiers it does not know
 * get a row. STORE_GONE: nobody waits for `answer` any more; then nothing has been written. -EINVAL: an event without
 * id or document. */
int store_commit(Store *store, const Commit *commit);

/* What the daemon sees and does not see, JSON, for `status`. Written only if it differs from what is stored. */
int store_set_coverage(Store *store, const char *text);
/* New string, or NULL if none was stored. */
int store_coverage(Store *store, char **ret);
