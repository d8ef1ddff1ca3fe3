/* Cause: what is known of why a port closed or changed hands. The core only waits for it and passes it on: somebody
 * else asks, and writes it as a JSON text (notify/document.h). Plain values, in memory only. */
#pragma once

#include "core/difference.h"

/* What became of the unit that held the port. */
typedef enum Fate {
    FATE_UNKNOWN,
    FATE_STOPPED,   /* in order: somebody stopped it, or it had done its work */
    FATE_FAILED,    /* and stays so */
    FATE_RETURNING, /* activating, reloading, or waiting for its automatic restart */
} Fate;

typedef struct Cause {
    Surface surface;
    int64_t start; /* boottime: Settling.start of the difference that it belongs to */
    bool answered; /* false: somebody has been asked, the answer is on its way */
    int64_t asked; /* boottime: when, for who asks */
    Fate fate;
    char *document; /* one JSON object; NULL: none */
    Owner *owner;   /* who is asked about; NULL: nobody is known */
    bool seen;      /* he is known from the look before the difference, so that it is about this very run of his unit */
} Cause;

void cause_done(Cause *cause);
