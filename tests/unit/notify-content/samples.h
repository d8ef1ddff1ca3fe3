/* Events as the engine makes them, for the tests of documents and prose. */
#pragma once

#include "core/incident.h"
#include "notify/document.h"

/* Sunday 1 March 2026, 14:02:03 in a zone one hour east of Greenwich. */
#define SAMPLE_TIME INT64_C(1772370123000000)
#define HOSTILE_NAME "x\r\nBcc: a@b\x1b[2J\"</script>"

/* The zone the expected texts are in. */
void sample_zone(void);
Owner *sample_owner(const char *unit, const char *exe, const char *user, uid_t uid, pid_t pid);
/* Adds tcp ADDRESS:PORT; `owner`'s reference is taken, NULL for none known. */
void sample_listen(Endpoints *list, const char *address, uint16_t port, Owner *owner);
/* An event of an open incident on tcp/PORT: before and after empty. */
void sample_event(Event *event, EventType type, Change change, uint16_t port);
/* The event's document, parsed; with a plain coverage. */
json_t *sample_document(const Event *event);

/* postgres on 5432: this host only for 41 days, then all addresses. The mail of the design page. */
void sample_widened(Event *event, EventType type);
/* A hostile program on 8080, `type` opened or resolved. */
void sample_hostile(Event *event, EventType type);
/* The event, in another network namespace. */
void sample_in(Event *event, const char *namespace);
/* Fills `events` with one of every kind; returns how many. */
#define SAMPLES_MAX 32
size_t sample_all(Event events[static SAMPLES_MAX]);
