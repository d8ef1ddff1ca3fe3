#include "core/filter.h"

Wanted filter_event(const NotifierRule *rule, const Event *event) {
    if (event->notify && !strv_contains(event->notify, rule->name)) return WANTED_NO;
    if (event->type == EVENT_TEST) return WANTED_YES;
    if (!(rule->events & event_mask(event->type))) return WANTED_NO;
    if (event->type == EVENT_LEARNED || event->severity >= rule->severity) return WANTED_YES;
    bool goes_on = event->type == EVENT_CHANGED || event->type == EVENT_RESOLVED;
    return event->has_incident && goes_on ? WANTED_IF_TOLD : WANTED_NO;
}
