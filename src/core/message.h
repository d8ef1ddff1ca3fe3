/* A message: one or more events on their way to one notifier; and what became of an attempt. */
#pragma once

#include <stdint.h>

#include "core/text.h"

#define UUID_TEXT_MAX 37

/* Everything a plugin is given. Fixed when the message is formed; a retry sends the same bytes. */
typedef struct Message {
    char id[UUID_TEXT_MAX];
    char *notifier;
    char *host;        /* this host's name as in subjects and Message-IDs */
    int64_t formed;    /* realtime microseconds */
    char *subject;     /* UTF-8, one line, escaped */
    char *text;        /* UTF-8, plain, lines ended by \n, escaped */
    char *document;    /* JSON: one CloudEvents object, or an array of them */
    char **references; /* ids of the messages that opened these incidents at this notifier; NULL: none */
} Message;

void message_done(Message *message);

typedef enum Outcome {
    OUTCOME_DELIVERED, /* the server took it */
    OUTCOME_RETRY,     /* the notifier is to blame (connect, TLS, AUTH, 4xx, HTTP 5xx): wait and try again */
    OUTCOME_REFUSED,   /* this very message was refused for good (5xx to RCPT or DATA, HTTP 400/413/422) */
} Outcome;

/* The answer for one recipient of a message. */
typedef struct Delivery {
    char *recipient; /* "" where the plugin has no recipients */
    Outcome outcome;
    int code;            /* SMTP or HTTP status, 0 if none */
    int64_t retry_after; /* microseconds the server asked for, 0 if it did not */
    char *reason;        /* one line, escaped, for people; NULL if delivered */
} Delivery;

void delivery_done(Delivery *delivery);
