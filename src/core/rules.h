/* The rules: what the configuration says, as plain values. Filled by config/, read by core, daemon and cli.
 * Immutable after load; a reload makes a new one and swaps. Durations are microseconds. */
#pragma once

#include <stdio.h>

#include "core/endpoint.h"
#include "core/quiet.h"
#include "core/text.h"

typedef enum Expect { EXPECT_BASELINE, EXPECT_OPEN, EXPECT_CLOSED } Expect;
typedef enum Severity { SEVERITY_INFO, SEVERITY_WARNING, SEVERITY_CRITICAL } Severity;
typedef enum Mode { MODE_PINNED, MODE_ROLLING } Mode;
typedef enum Watch { WATCH_ALERT, WATCH_LOG, WATCH_IGNORE } Watch;
typedef enum Upgrades { UPGRADES_LOG, UPGRADES_ALERT } Upgrades;
/* So many returns within so long are flapping. */
typedef struct Flapping {
    unsigned returns; /* 0: off; else FLAPPING_RETURNS_MIN to FLAPPING_RETURNS_MAX */
    int64_t within;
} Flapping;

#define FLAPPING_RETURNS_MIN 3
#define FLAPPING_RETURNS_MAX 20

typedef enum Scope { SCOPE_HOST, SCOPE_ALL } Scope;

/* Bits for a notifier's `events`. */
typedef enum EventMask {
    EVENT_MASK_OPENED = 1 << 0,
    EVENT_MASK_CHANGED = 1 << 1,
    EVENT_MASK_RESOLVED = 1 << 2,
    EVENT_MASK_REMINDER = 1 << 3,
    EVENT_MASK_NOTICE = 1 << 4,
    EVENT_MASK_ALL = (1 << 5) - 1,
} EventMask;

const char *severity_name(Severity severity); /* "info", "warning", "critical" */
bool severity_parse(const char *text, Severity *ret);

/* Where something was written. */
typedef struct Place {
    char *file;
    unsigned line; /* from 1 */
} Place;

/* [port:...]. Every value is resolved: what the section does not set is taken from [portwatch]. */
typedef struct PortRule {
    Place place;          /* of the section header */
    char *header;         /* "port:443/tcp" as written */
    uint16_t first, last; /* inclusive */
    bool any_protocol;    /* no protocol in the header: tcp and udp */
    Protocol protocol;
    char *name; /* NULL: none */
    Expect expect;
    Place expect_place; /* file NULL: not stated */
    Address *addresses; /* stated; n_addresses 0: not stated */
    size_t n_addresses;
    char *unit, *exe, *user; /* stated; NULL: not */
    Place stated_place;      /* of the first of address, unit, exe, user; file NULL: none */
    bool has_severity;
    Severity severity;
    Mode mode;
    Upgrades upgrades;
    Flapping flapping;
    int64_t settle, settle_closed;
    int64_t remind; /* 0: off */
    char **notify;  /* names; NULL: the global list */
} PortRule;

/* [ignore:...]. All set fields must match. */
typedef struct IgnoreRule {
    Place place;
    char *name;
    bool has_port;
    uint16_t first, last;
    bool any_protocol;
    Protocol protocol;
    bool has_address;
    Address address;
    char *unit, *exe, *user;
    char *namespace; /* "host", or one's name; NULL: any */
} IgnoreRule;

/* One key of a [notifier:...] that belongs to its plugin. */
typedef struct Setting {
    char *key;
    char *value; /* as written, %H in from and to already replaced by the host's name */
    Place place;
} Setting;

/* [notifier:...] */
typedef struct NotifierRule {
    Place place;
    char *name;
    char *plugin;
    Setting *settings; /* the plugin's own, in the order written */
    size_t n_settings;
    int64_t group_wait;
    unsigned max_per_hour;
    unsigned events;   /* EventMask; 0: a heartbeat only */
    Severity severity; /* the least that it is sent */
    Quiet quiet;
    bool quiet_critical_waits; /* else what is critical passes a quiet time */
    bool detail_full;          /* command lines too */
    int64_t heartbeat;         /* how often; 0: none */
} NotifierRule;

typedef struct Rules {
    char *file; /* the main file */
    int64_t interval, settle, settle_closed, boot_grace;
    Mode mode;
    Watch unlisted, unlisted_local;
    Upgrades upgrades; /* is a program at the same path that is another file worth a message? */
    Flapping flapping; /* when a port that comes and goes is told once, and then not until it is steady */
    Scope namespaces;  /* which network namespaces are watched */
    int64_t remind;    /* 0: off */
    int64_t retain;
    char **notify;   /* NULL: every notifier */
    PortRule *ports; /* sorted by rules_find's preference is not required; rules_find looks at all */
    size_t n_ports;
    IgnoreRule *ignores;
    size_t n_ignores;
    NotifierRule *notifiers;
    size_t n_notifiers;
    char **warnings; /* "file:line: ..." */
} Rules;

/* All defaults of the manual page, nothing listed. NULL: no memory. */
Rules *rules_new(void);
void rules_free(Rules *rules);
DEFINE_CLEANUP(Rules *, rules_free);

/* The narrowest section for a port: a port before a range, a protocol before none. NULL: unlisted. O(sections). */
const PortRule *rules_find(const Rules *rules, Protocol protocol, uint16_t port);
/* The same for a port in a network namespace: sections speak of the host's ("") only. */
const PortRule *rules_find_in(const Rules *rules, const char *namespace, Protocol protocol, uint16_t port);
const NotifierRule *rules_notifier(const Rules *rules, const char *name);
/* False where every notifier there is only beats. */
bool rules_tell(const Rules *rules);
/* The ignore section that covers this endpoint, or NULL. With several owners all of them must match. */
const IgnoreRule *rules_ignores(const Rules *rules, const Endpoint *endpoint);
/* True if `user` (a name or a number) names this owner's uid; unknown owners match nothing. */
bool rules_user_is(const char *user, const Owner *owner);
