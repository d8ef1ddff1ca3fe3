/* The script that everybody has written once, run by cron at every full minute:
 *
 *     netstat -ln > now; diff before now | mail; mv now before
 *
 * One mail a run that finds a difference, with all of it. It shows no owner; what opens and closes between two runs it
 * never saw. */
#pragma once

#include "reader.h"

typedef struct Script {
    World *world;
    size_t mails, lines;
    size_t per_day[400];
} Script;

void script_run(Script *script, Reader *reader, int64_t now);
