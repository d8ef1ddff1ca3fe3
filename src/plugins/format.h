/* What a message looks like to the service it is posted to. Each form keeps to that service's published limits whatever
 * the message holds, and names in it can neither mark up, nor link, nor mention anybody. The same message gives the
 * same bytes. Pure. */
#pragma once

#include <stdbool.h>

#include "plugins/plugin.h"

typedef enum Format {
    FORMAT_CLOUDEVENTS, /* the document as it is */
    FORMAT_SLACK,
    FORMAT_DISCORD,
    FORMAT_NTFY,
    FORMAT_MAX,
} Format;

/* False: there is no format of this name. */
bool format_parse(const char *name, Format *ret);

/* How urgent a message is: the most urgent of its events that are not over. */
typedef enum Grade { GRADE_RESOLVED, GRADE_INFO, GRADE_WARNING, GRADE_CRITICAL } Grade;

/* By the document; one that cannot be read is GRADE_INFO. */
Grade format_grade(const char *document);

/* The body of a POST; `topic` is for ntfy only. The caller frees. NULL: no memory. */
char *format_body(Format format, const pw_message *message, const char *topic);

/* slack.c: an incoming webhook. discord.c: Execute Webhook. ntfy.c: publishing as JSON, which goes to the root URL. */
char *slack_body(const pw_message *message);
char *discord_body(const pw_message *message);
char *ntfy_body(const pw_message *message, const char *topic);

#define NTFY_TOPIC_MAX 64
/* True if this is the name of an ntfy topic. */
bool ntfy_topic_valid(const char *topic);
