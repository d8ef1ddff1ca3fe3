/* A life of the store as the daemon leads it, step by step: the same rows each time, so that after every step all of
 * the database is known, whatever happened on the way. */
#pragma once

#include "fixture.h"

/* Beside 0, StoreError and negative errno: the opening failed, LIFE_OPENING + StoreOpening. */
#define LIFE_OPENING 100

typedef struct Life {
    const char *dir;
    Store *store;     /* NULL: not open */
    char reason[256]; /* of the last opening */
    uint64_t seen;    /* over everything the steps have read */
} Life;

typedef struct Step Step;

/* One thing the daemon, or the command line beside it, does. Fails as the store's functions do; is called again then.
 */
struct Step {
    const char *name;
    int (*run)(Life *life, const Step *step);
    bool parts; /* more than one transaction: a failure may come after the first */
    /* what the function makes of it */
    unsigned number, incident;
    EventType type;
    const char *text;
    int64_t time;
};

/* From a database of version 1 (life_begin), and from none at all. */
extern const Step life_steps[], life_fresh[];
extern const size_t life_n_steps, life_n_fresh;

/* Makes a database of version 1, with an incident and an event that waits for both notifiers. */
void life_begin(Fixture *f);
/* Over every row of every table. The store must work. */
uint64_t life_digest(Store *store);

/* For the steps: another handle, as store_open; the result is a step's. */
int life_open(Life *life, StoreMode mode, Store **ret);
void life_see(Life *life, const char *text);
void life_see_number(Life *life, int64_t number);

/* Those that only read. */
int life_load(Life *life, const Step *step);
int life_in_flight(Life *life, const Step *step);
int life_next(Life *life, const Step *step);
int life_answered(Life *life, const Step *step);
int life_status(Life *life, const Step *step);
