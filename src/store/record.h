/* Inside store/ only: one more line of history, a queue that is full; within the caller's transaction. */
#pragma once

#include "core/engine.h"
#include "store/db.h"

/* The baseline's changes as versions of it, before they are made. */
int version_record(Store *store, const Decision *decision, int64_t now);
/* Forgets changes of versions that are older than `before`, or too many; never the latest of a surface. */
int version_expire(Store *store, int64_t before, bool *more);

/* Keeps what waits for each notifier within OUTBOX_QUEUE_MAX events and OUTBOX_QUEUE_BYTES (store/outbox.h). */
int queues_bound(Store *store);

/* A bounce like one of the last day's (same surface, same difference) counts there instead. */
int history_record(Store *store, const Transition *transition);
/* A sentence about portwatch itself; printf-like, at most 300 bytes. */
int history_notice(Store *store, int64_t now, const char *format, ...) __attribute__((format(printf, 3, 4)));
