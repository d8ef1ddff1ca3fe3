/* A look: a fresh snapshot beside what is known of the configuration and the baseline. Needs neither daemon nor
 * database; what is missing is said. */
#pragma once

#include <jansson.h>

#include "cli/cli.h"
#include "core/engine.h"
#include "core/view.h"

typedef struct Look {
    Snapshot snapshot;
    Rules *rules;       /* all defaults where the configuration cannot be read */
    char *rules_reason; /* why it could not; NULL: it could */
    State state;
    char *state_reason; /* why there is no baseline; NULL: there is one */
    Views views;
    json_t *coverage;
} Look;

/* Takes a snapshot with every owner (some 10 ms to a second on a machine with thousands of processes), reads
 * configuration and database. 0 or negative errno. */
int look_take(const Cli *cli, Look *ret);
void look_done(Look *look);
/* Only the configuration: for commands that look at nothing. */
int look_rules(const Cli *cli, Rules **ret, char **ret_reason);

/* The view of a surface as an event's document, so that it is said in the same words as in a mail; `expected` are the
 * rows the baseline or the configuration wants. Type "opened". NULL: no memory. */
json_t *look_document(const Look *look, const View *view);
/* A document for phrase_summary made of parts. before, after are taken. NULL: no memory. */
json_t *look_document_of(const char *type, const Surface *surface, Change change, Reach reach, const char *name,
    json_t *before, json_t *after);
/* An owner of a document in a few words: "nginx (user www-data)". Allocated; NULL: no memory. */
char *look_owner_phrase(const json_t *owner);
/* "Seen: ... Not seen: ..." and what configuration and baseline lack, as lines. */
void look_foot(const Cli *cli, const Look *look);
