/* The inside of a document, shared by document.c (the event), document-endpoint.c and document-coverage.c. As in
 * document.h, NULL means that memory was short. */
#pragma once

#include "notify/document.h"

/* Sets a member; a NULL value (memory was short) makes the whole object NULL, so that callers check once. */
void document_put(json_t **object, const char *key, json_t *value);
/* RFC 3339; null for 0. `usec`: realtime. */
json_t *document_moment(int64_t usec);
/* The first `max` of them. */
json_t *document_first(const Endpoints *endpoints, size_t max);
