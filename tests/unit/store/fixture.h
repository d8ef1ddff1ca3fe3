/* What the tests of the database share: a directory of its own, an open store, small decisions. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* After the headers it needs. */
#include <cmocka.h>

#include "store/db.h"
#include "store/history.h"
#include "store/lock.h"
#include "store/notifiers.h"
#include "store/outbox.h"
#include "store/request.h"
#include "store/state.h"

#define NOW INT64_C(1700000000000000)
#define MACHINE "0123456789abcdef0123456789abcdef"
#define BOOT "5d1b3a70-6d6f-4c1c-9d45-7d0b8a6f0c11"
#define MINUTE (60 * USEC_PER_SEC)
#define HOURS (60 * MINUTE)
#define DAYS (24 * HOURS)

typedef struct Fixture {
    char dir[128]; /* the state directory, 0750 */
    Store *store;  /* the daemon's; NULL after fixture_close */
} Fixture;

/* For cmocka: a new directory with an open database. */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* The same without a database. */
int fixture_setup_empty(void **state);

/* Opens and expects the outcome; NULL where that has no handle. `reason_has` (NULL: no reason) must be in the reason.
 */
Store *fixture_open(Fixture *f, StoreMode mode, StoreOpening expected, const char *reason_has);
Store *fixture_open_at(
    const char *dir, StoreMode mode, const StoreIdentity *identity, StoreOpening expected, const char *reason_has);
void fixture_close(Fixture *f);
void fixture_reopen(Fixture *f);

/* "DIR/name"; one of four buffers in turn. */
const char *fixture_path(const Fixture *f, const char *name);
/* Files in the directory whose names begin so. */
unsigned fixture_count(const Fixture *f, const char *prefix);
/* An integer of the database. */
int64_t fixture_query(Store *store, const char *sql);
void fixture_exec(Store *store, const char *sql);

Endpoint fixture_endpoint(Protocol protocol, uint16_t port, const char *address, const char *exe);

/* A decision with one incident on a TCP port: `type` opened or resolved, one endpoint, a baseline row if resolved. */
typedef struct Told {
    Decision decision;
    EventDocument document;
    char text[64];
} Told;

void told_init(Told *told, unsigned serial, EventType type, uint16_t port, char *const *notifiers);
void told_done(Told *told);
Commit told_commit(const Told *told);
/* Commits an opened event with this serial number for the notifiers. */
void fixture_tell(Store *store, unsigned serial, uint16_t port, char *const *notifiers);
/* Id of the event / incident / message with this number. */
const char *fixture_uuid(char kind, unsigned serial, char buffer[static UUID_TEXT_MAX]);

/* Forms a message of everything that waits. */
void fixture_form(Store *store, const char *notifier, unsigned serial);
