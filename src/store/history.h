/* What was observed and what was told, one row a transition, and what leaves the database with time. */
#pragma once

#include "core/incident.h"
#include "store/store.h"

typedef struct HistoryRow {
    int64_t id; /* ascending */
    Transition transition;
    unsigned count; /* bounces of one kind within a day are one row */
    int64_t last;   /* time of the last of them; else the transition's time */
} HistoryRow;

typedef struct HistoryFilter {
    bool has_port; /* also finds the port among the ephemeral ones */
    uint16_t port;
    bool has_protocol;
    Protocol protocol;
    int64_t since; /* rows whose last time is this or later */
    int64_t after; /* rows with a higher id: to go on, and to follow */
    size_t limit;  /* at most this many, at most HISTORY_LIMIT */
} HistoryFilter;

#define HISTORY_LIMIT 1000

/* The first `limit` rows that pass, ascending. *ret and its rows are the caller's (history_rows_free). */
int history_query(Store *store, const HistoryFilter *filter, HistoryRow **ret, size_t *ret_n);
void history_rows_free(HistoryRow *rows, size_t n);
/* The id of the newest row, 0 if there is none. */
int history_last(Store *store, int64_t *ret);

/* The document of an incident's latest event that tells a cause (data.cause). The caller frees; NULL: there is none. */
int history_cause(Store *store, const char *incident, char **ret_document);

#define HISTORY_ROWS_MAX 100000

/* Removes some of what is older than `retain` and nobody waits for: history, sent and failed messages, ended incidents
 * and their events, answered requests, events queued for a notifier that left the configuration that long ago (history
 * says so). Also the oldest history above HISTORY_ROWS_MAX rows; and where the database comes near its size limit, the
 * oldest sent messages and history whatever their age. Never: what waits for a configured notifier, an open incident,
 * the messages that opened it. Gives free pages back to the file system. A call takes a bounded time; *ret_more (may be
 * NULL) says that another would find more. */
int store_expire(Store *store, int64_t now, int64_t retain, bool *ret_more);
