/* Inside store/ only: one more line of history, within the caller's transaction. */
#pragma once

#include "core/incident.h"
#include "store/db.h"

/* A bounce like one of the last day's (same surface, same difference) counts there instead. */
int history_record(Store *store, const Transition *transition);
/* A sentence about portwatch itself; printf-like, at most 300 bytes. */
int history_notice(Store *store, int64_t now, const char *format, ...) __attribute__((format(printf, 3, 4)));
