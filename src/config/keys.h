/* The keys of each kind of section, and the rules they fill. */
#pragma once

#include "config/value.h"

/* What a section's keys are written into; which member counts is the section's kind. */
typedef struct Target {
    Rules *rules; /* [portwatch], and the defaults of the rest */
    PortRule *port;
    IgnoreRule *ignore;
    NotifierRule *notifier;
    const char *host; /* for %H; NULL: not known */
} Target;

/* Takes every entry of the section over into the target; complains about unknown keys and bad values. */
void keys_apply(Complaints *complaints, const Section *section, Target *target);

/* A key that is not portwatch's own is the plugin's: kept in target->notifier as it is written, %H replaced. */
void setting_take(const Context *context, const Target *target);

/* Copies a place out of the files. False (and complaints->no_memory) without memory. */
bool place_set(Complaints *complaints, Place *place, Spot spot);
