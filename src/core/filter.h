/* Which events a notifier gets. */
#pragma once

#include "core/incident.h"
#include "core/rules.h"

typedef enum Wanted {
    WANTED_NO,
    WANTED_YES,
    WANTED_IF_TOLD, /* if the notifier was told of this incident before: who heard of it hears how it goes on */
} Wanted;

/* By the port's `notify`, and the notifier's `events` and `severity`. Tests and what was learned have no severity: they
 * show that messages arrive. */
Wanted filter_event(const NotifierRule *rule, const Event *event);
