#include "core/incident.h"

#include <errno.h>
#include <string.h>

int incident_copy(const Incident *incident, Incident *ret) {
    Incident copy = *incident;
    copy.before = copy.told = (Endpoints){0};
    if (endpoints_copy(&incident->before, &copy.before) < 0 || endpoints_copy(&incident->told, &copy.told) < 0) {
        incident_done(&copy);
        return -ENOMEM;
    }
    *ret = copy;
    return 0;
}

void incident_done(Incident *incident) {
    endpoints_done(&incident->before);
    endpoints_done(&incident->told);
    memset(incident, 0, sizeof *incident);
}

const char *event_type_name(EventType type) {
    static const char *const names[EVENT_TYPE_MAX] = {
        [EVENT_OPENED] = "opened",
        [EVENT_CHANGED] = "changed",
        [EVENT_RESOLVED] = "resolved",
        [EVENT_REMINDER] = "reminder",
        [EVENT_LEARNED] = "learned",
        [EVENT_SELF] = "self",
        [EVENT_TEST] = "test",
    };
    return names[type];
}

unsigned event_mask(EventType type) {
    static const unsigned masks[EVENT_TYPE_MAX] = {
        [EVENT_OPENED] = EVENT_MASK_OPENED,
        [EVENT_CHANGED] = EVENT_MASK_CHANGED,
        [EVENT_RESOLVED] = EVENT_MASK_RESOLVED,
        [EVENT_REMINDER] = EVENT_MASK_REMINDER,
        [EVENT_LEARNED] = EVENT_MASK_NOTICE,
        [EVENT_SELF] = EVENT_MASK_NOTICE,
        [EVENT_TEST] = EVENT_MASK_ALL,
    };
    return masks[type];
}

static int copy_text(char **text) {
    if (!*text) return 0;
    *text = strdup(*text);
    return *text ? 0 : -ENOMEM;
}

int event_copy(const Event *event, Event *ret) {
    Event copy = *event;
    copy.incident.before = copy.incident.told = copy.before = copy.after = (Endpoints){0};
    copy.notify = NULL;
    int r = copy_text(&copy.by);
    if (copy_text(&copy.reason) < 0) r = -ENOMEM;
    if (copy_text(&copy.name) < 0) r = -ENOMEM;
    if (copy_text(&copy.subject) < 0) r = -ENOMEM;
    if (copy_text(&copy.summary) < 0) r = -ENOMEM;
    if (copy_text(&copy.about) < 0) r = -ENOMEM;
    if (copy_text(&copy.refused) < 0) r = -ENOMEM;
    if (copy_text(&copy.cause) < 0) r = -ENOMEM;
    if (r >= 0) r = endpoints_copy(&event->before, &copy.before);
    if (r >= 0) r = endpoints_copy(&event->after, &copy.after);
    if (r >= 0) r = incident_copy(&event->incident, &copy.incident);
    if (r >= 0 && event->notify && !(copy.notify = strv_copy(event->notify))) r = -ENOMEM;
    if (r < 0) {
        event_done(&copy);
        return r;
    }
    *ret = copy;
    return 0;
}

void event_done(Event *event) {
    incident_done(&event->incident);
    free(event->by);
    free(event->reason);
    free(event->name);
    free(event->subject);
    free(event->summary);
    free(event->about);
    free(event->refused);
    free(event->cause);
    endpoints_done(&event->before);
    endpoints_done(&event->after);
    strv_free(event->notify);
    memset(event, 0, sizeof *event);
}

const char *transition_name(TransitionKind kind) {
    static const char *const names[TRANSITION_MAX] = {
        [TRANSITION_LEARNED] = "learned",
        [TRANSITION_BOUNCED] = "bounced",
        [TRANSITION_LOGGED] = "logged",
        [TRANSITION_IGNORED] = "ignored",
        [TRANSITION_JOINED] = "joined",
        [TRANSITION_OPENED] = "opened",
        [TRANSITION_CHANGED] = "changed",
        [TRANSITION_RESOLVED] = "resolved",
        [TRANSITION_REMINDED] = "reminded",
        [TRANSITION_ACCEPTED] = "accepted",
        [TRANSITION_ACKNOWLEDGED] = "acknowledged",
        [TRANSITION_PAUSED] = "paused",
        [TRANSITION_RESUMED] = "resumed",
        [TRANSITION_EXPIRED] = "expired",
        [TRANSITION_REVERTED] = "reverted",
        [TRANSITION_IMPORTED] = "imported",
        [TRANSITION_NOTICE] = "notice",
    };
    return names[kind];
}

void transition_done(Transition *transition) {
    endpoints_done(&transition->before);
    endpoints_done(&transition->after);
    free(transition->text);
    memset(transition, 0, sizeof *transition);
}
