/* Report: all that `status` tells, gathered first and then printed in one of two ways. */
#pragma once

#include <jansson.h>

#include "cli/cli.h"
#include "core/engine.h"
#include "store/notifiers.h"
#include "store/outbox.h"

#define REPORT_FAILED_MAX 10

/* Why nothing leaves for a notifier that could be reached. */
typedef struct Hold {
    bool limited;        /* its hour is full */
    int64_t quiet_until; /* it has a quiet time; 0: no */
    bool quiet_holds;    /* which something waits for that has not been formed into a message yet */
} Hold;

typedef struct Report {
    int running;        /* 1, 0, or negative errno: cannot be seen */
    char *store_reason; /* why there is nothing from the database; NULL: there is */
    Rules *rules;       /* defaults where they cannot be read */
    char *rules_reason; /* why they could not; NULL: they could */
    State state;
    json_t *coverage; /* as the daemon stored it; NULL: it has not */
    NotifierHealth *notifiers;
    size_t n_notifiers;
    Hold *holds;           /* of each notifier */
    FailedMessage *failed; /* the latest */
    size_t n_failed;
    char **notes; /* what is to be set or looked after, one sentence each */
    int64_t now;
    int exit_code;
} Report;

/* 0 or negative errno; what cannot be had is said in the report. */
int report_make(const Cli *cli, Report *ret);
void report_done(Report *report);

/* The exit code of `status`. */
int report_judge(const Report *report);
/* Summary of an open incident in the words of its mail. Allocated; NULL: no memory. */
char *report_incident(const Report *report, const Incident *incident);
int report_print(const Cli *cli, const Report *report);
int report_print_json(const Report *report);

/* True if this notifier sends through a mail server on this host and, by the snapshot, nobody listens where it is said
 * to be. False where that cannot be told. */
bool mailserver_absent(const Snapshot *snapshot, const NotifierRule *rule);
/* Adds notes about notifiers: none configured, or a mail server on loopback where nobody listens. Takes a snapshot
 * where that must be known. 0 or negative errno. */
int report_note_notifiers(const Cli *cli, const Rules *rules, char ***notes);
