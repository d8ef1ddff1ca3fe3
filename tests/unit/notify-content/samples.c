#include "samples.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void sample_zone(void) {
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
}

static char *copy(const char *text) {
    return text ? strdup(text) : NULL;
}

Owner *sample_owner(const char *unit, const char *exe, const char *user, uid_t uid, pid_t pid) {
    Owner *owner = owner_new();
    owner->unit = copy(unit);
    owner->exe = copy(exe);
    owner->user = copy(user);
    owner->uid = uid;
    owner->pid = pid;
    return owner;
}

void sample_listen(Endpoints *list, const char *address, uint16_t port, Owner *owner) {
    Endpoint endpoint = {.protocol = PROTOCOL_TCP, .port = port, .count = 1};
    if (!address_parse(address, &endpoint.address)) abort();
    endpoint.v6only = strchr(address, ':') != NULL;
    if (owner) {
        endpoint_add_owner(&endpoint, owner);
        owner_unref(owner);
    }
    endpoints_take(list, &endpoint);
}

void sample_event(Event *event, EventType type, Change change, uint16_t port) {
    *event = (Event){.type = type,
        .time = SAMPLE_TIME + 6 * USEC_PER_SEC,
        .has_incident = true,
        .change = change,
        .severity = SEVERITY_WARNING,
        .surface = {.protocol = PROTOCOL_TCP, .port = port},
        .seen = SAMPLE_TIME};
    snprintf(event->id, sizeof event->id, "018f0000-0000-4000-8000-%08x%04x", (unsigned)type, port);
    Incident *incident = &event->incident;
    snprintf(incident->id, sizeof incident->id, "018f0000-0000-4000-9000-00000000%04x", port);
    strcpy(incident->token, "K7Q2");
    incident->surface = event->surface;
    incident->change = change;
    incident->opened = SAMPLE_TIME;
    if (type == EVENT_RESOLVED) {
        event->ending = ENDING_RETURNED;
        event->incident.state = INCIDENT_RESOLVED;
        event->time += 187 * USEC_PER_SEC;
        event->seen += 187 * USEC_PER_SEC;
    }
}

json_t *sample_document(const Event *event) {
    Snapshot snapshot = {.namespaces_found = true, .namespaces_unseen = 2};
    _cleanup_json_ json_t *coverage = document_coverage(&snapshot, NULL);
    _cleanup_free_ char *text = document_event(event, "db1.example.com", "0123456789abcdef", coverage, NULL);
    return text ? document_parse(text) : NULL;
}

static Owner *postgres(pid_t pid) {
    return sample_owner("postgresql@15-main.service", "/usr/lib/postgresql/15/bin/postgres", "postgres", 110, pid);
}

static Owner *python(const char *user, uid_t uid) {
    Owner *owner = sample_owner("session.scope", "/usr/bin/python3.11", user, uid, 4711);
    owner->unit_shown = strdup("session-3.scope");
    owner->cmdline = strdup("python3 -m http.server 8080 --token s3cret");
    owner->comm = strdup("python3");
    return owner;
}

static void since(Endpoints *list, int64_t age_days) {
    for (size_t i = 0; i < list->n; i++) list->items[i].since = SAMPLE_TIME - age_days * 86400 * USEC_PER_SEC;
}

void sample_widened(Event *event, EventType type) {
    sample_event(event, type, CHANGE_ADDRESS, 5432);
    event->severity = SEVERITY_CRITICAL;
    event->reach = REACH_WIDENED;
    Endpoints *expected = type == EVENT_RESOLVED ? &event->incident.before : &event->before;
    sample_listen(expected, "127.0.0.1", 5432, postgres(0));
    since(expected, 41);
    Endpoints *now = type == EVENT_RESOLVED ? &event->before : &event->after;
    sample_listen(now, "0.0.0.0", 5432, postgres(8123));
    sample_listen(now, "::", 5432, postgres(8123));
    if (type == EVENT_RESOLVED) sample_listen(&event->after, "127.0.0.1", 5432, postgres(8200));
}

void sample_hostile(Event *event, EventType type) {
    sample_event(event, type, CHANGE_OPENED, 8080);
    Owner *owner = sample_owner(HOSTILE_NAME ".service", "/tmp/" HOSTILE_NAME, HOSTILE_NAME, 1000, 666);
    owner->comm = strdup(HOSTILE_NAME);
    owner->cmdline = strdup(HOSTILE_NAME " $(reboot) `reboot`");
    event->name = strdup(HOSTILE_NAME);
    sample_listen(type == EVENT_RESOLVED ? &event->before : &event->after, "0.0.0.0", 8080, owner);
}

static void opened(Event *event, EventType type) {
    sample_event(event, type, CHANGE_OPENED, 8080);
    sample_listen(type == EVENT_RESOLVED ? &event->before : &event->after, "0.0.0.0", 8080, python("alice", 1000));
}

static void closed(Event *event, EventType type) {
    sample_event(event, type, CHANGE_CLOSED, 443);
    event->name = strdup("public web");
    Owner *owner = sample_owner("nginx.service", "/usr/sbin/nginx", "www-data", 33, 0);
    Endpoints *expected = type == EVENT_RESOLVED ? &event->incident.before : &event->before;
    sample_listen(expected, "::", 443, owner_ref(owner));
    expected->items[0].v6only = false;
    since(expected, 3);
    if (type == EVENT_RESOLVED) endpoints_copy(expected, &event->after);
    owner_unref(owner);
}

static void flapping(Event *event, EventType type) {
    sample_event(event, type, CHANGE_FLAPPING, 443);
    Owner *owner = sample_owner("nginx.service", "/usr/sbin/nginx", "www-data", 33, 700);
    sample_listen(&event->before, "::", 443, owner_ref(owner));
    sample_listen(&event->after, "::", 443, owner);
    event->before.items[0].v6only = event->after.items[0].v6only = false;
    event->incident.returns = type == EVENT_RESOLVED ? 23 : 6;
    if (type != EVENT_RESOLVED) event->time = event->seen + 24 * 60 * USEC_PER_SEC;
}

static void changed_owner(Event *event, EventType type) {
    sample_event(event, type, CHANGE_OWNER, 80);
    sample_listen(&event->before, "0.0.0.0", 80, sample_owner("nginx.service", "/usr/sbin/nginx", "www-data", 33, 0));
    since(&event->before, 3);
    sample_listen(&event->after, "0.0.0.0", 80, python("mallory", 1001));
}

static void accepted(Event *event) {
    opened(event, EVENT_RESOLVED);
    endpoints_copy(&event->before, &event->after);
    event->ending = ENDING_ACCEPTED;
    event->incident.state = INCIDENT_ACCEPTED;
    event->by = strdup("alice");
    event->reason = strdup("new dashboard");
}

static void ephemeral(Event *event) {
    sample_event(event, EVENT_OPENED, CHANGE_OPENED, 0);
    Owner *statd = sample_owner("rpc-statd.service", "/usr/sbin/rpc.statd", "statd", 106, 700);
    sample_listen(&event->before, "0.0.0.0", 41001, owner_ref(statd));
    sample_listen(&event->after, "0.0.0.0", 42002, owner_ref(statd));
    sample_listen(&event->after, "0.0.0.0", 45678, python("alice", 1000));
    owner_unref(statd);
}

static void portwatch(Event *event, EventType type) {
    *event = (Event){.type = type, .time = SAMPLE_TIME};
    snprintf(event->id, sizeof event->id, "018f0000-0000-4000-a000-%012x", (unsigned)type);
}

static void blind(Event *event, EventType type) {
    sample_event(event, type, CHANGE_BLIND, 0);
    event->severity = SEVERITY_CRITICAL;
    event->incident.aspect = ASPECT_SELF;
    strcpy(event->incident.token, "B2ND");
    strcpy(event->incident.id, "018f0000-0000-4000-b000-000000000001");
    event->subject = strdup("blind");
}

static void put_in(Endpoints *list, const char *namespace) {
    for (size_t i = 0; i < list->n; i++)
        snprintf(list->items[i].namespace, sizeof list->items[i].namespace, "%s", namespace);
}

void sample_in(Event *event, const char *namespace) {
    put_in(&event->before, namespace);
    put_in(&event->after, namespace);
    put_in(&event->incident.before, namespace);
    snprintf(event->surface.namespace, sizeof event->surface.namespace, "%s", namespace);
    event->incident.surface = event->surface;
}

static void whole(Event *event, EventType type) {
    closed(event, type);
    event->name = (free(event->name), NULL);
    Endpoints *expected = type == EVENT_RESOLVED ? &event->incident.before : &event->before;
    sample_listen(expected, "0.0.0.0", 80, sample_owner("nginx.service", "/usr/sbin/nginx", "www-data", 33, 0));
    since(expected, 3);
    event->surface = (Surface){.whole = true};
    sample_in(event, "docker:web");
}

size_t sample_all(Event events[static SAMPLES_MAX]) {
    size_t n = 0;
    sample_widened(&events[n++], EVENT_OPENED);
    sample_widened(&events[n++], EVENT_CHANGED);
    sample_widened(&events[n++], EVENT_REMINDER);
    sample_widened(&events[n++], EVENT_RESOLVED);
    sample_hostile(&events[n++], EVENT_OPENED);
    sample_hostile(&events[n++], EVENT_RESOLVED);
    opened(&events[n++], EVENT_OPENED);
    opened(&events[n++], EVENT_REMINDER);
    opened(&events[n++], EVENT_RESOLVED);
    closed(&events[n++], EVENT_OPENED);
    closed(&events[n++], EVENT_REMINDER);
    closed(&events[n++], EVENT_RESOLVED);
    changed_owner(&events[n++], EVENT_OPENED);
    accepted(&events[n++]);
    ephemeral(&events[n++]);
    flapping(&events[n++], EVENT_OPENED);
    flapping(&events[n++], EVENT_REMINDER);
    flapping(&events[n++], EVENT_RESOLVED);
    blind(&events[n++], EVENT_OPENED);
    blind(&events[n++], EVENT_RESOLVED);
    portwatch(&events[n++], EVENT_TEST);
    portwatch(&events[n], EVENT_SELF);
    events[n].severity = SEVERITY_WARNING;
    events[n].subject = strdup("configuration");
    events[n++].summary = strdup("/etc/portwatch.conf:12: unknown key \"prot\"; the last good configuration runs.");
    portwatch(&events[n], EVENT_LEARNED);
    sample_listen(&events[n].after, "0.0.0.0", 22, sample_owner("ssh.service", "/usr/sbin/sshd", "root", 0, 600));
    sample_listen(
        &events[n].after, "127.0.0.1", 25, sample_owner("exim4.service", "/usr/sbin/exim4", "Debian-exim", 101, 900));
    sample_listen(&events[n].after, "::", 22, sample_owner("ssh.service", "/usr/sbin/sshd", "root", 0, 600));
    sample_listen(
        &events[n].after, "::", 9090, sample_owner("cockpit.socket", "/usr/lib/systemd/systemd", "root", 0, 1));
    sample_listen(&events[n].after, "10.0.0.5", 9100, NULL);
    endpoints_sort(&events[n].after);
    n++;
    opened(&events[n], EVENT_OPENED);
    sample_in(&events[n++], "docker:web");
    closed(&events[n], EVENT_RESOLVED);
    sample_in(&events[n++], "unit:front end.service");
    whole(&events[n++], EVENT_OPENED);
    whole(&events[n++], EVENT_REMINDER);
    whole(&events[n++], EVENT_RESOLVED);
    return n;
}
