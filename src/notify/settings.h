/* From what a notifier's section says to what its plugin is given: checks keys against those the plugin declares and
 * reads the files that values come from (NAME_file, credential). The child never opens those files: it could not. */
#pragma once

#include "core/rules.h"
#include "notify/frame.h"

#define SETTINGS_FILE_MAX ((size_t)1 << 20)

typedef struct Resolved {
    FrameSetting *settings;  /* to be sent */
    const Setting **origins; /* the same number: where each was written; points into the rule */
    size_t n;
} Resolved;

void resolved_done(Resolved *resolved);
/* The rule `from` is about to go; `to` has the same settings in the same order: points the origins there. */
void resolved_move(Resolved *resolved, const NotifierRule *from, const NotifierRule *to);

/* Resolves a rule. `credentials` is the directory in which `credential = NAME` is portwatch_NAME or NAME (NULL: there
 * is none). Faults of the configuration go to `errors` as "file:line: [notifier:x] key: reason", and then *ret holds
 * what was right. Reads files (may block on a slow disk). 0 or -ENOMEM. */
int settings_resolve(const NotifierRule *rule, const FrameKey *keys, size_t n_keys, const char *credentials,
    Resolved *ret, char ***errors);

/* Turns a fault that the plugin reported into the same kind of line. 0 or -ENOMEM. */
int settings_fault(const NotifierRule *rule, const Resolved *resolved, const FrameFault *fault, char ***errors);

/* A fault without a key of its own: "file:line: [notifier:x] reason", at the section's header. 0 or -ENOMEM. */
int settings_trouble(const NotifierRule *rule, const char *reason, char ***errors);
