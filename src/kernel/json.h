/* Just enough of JSON (RFC 8259) to find a text in the files container engines keep: no copy, no tree, no recursion.
 * Hostile bytes give wrong texts at worst, never a read beyond `end`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct Json {
    const char *at, *end;
} Json;

/* The value of a member of an object: the first of that key. False: it is no object, or has none. */
bool json_member(Json object, const char *key, Json *ret);
/* Takes the next element off an array; `rest` is the array's value at first. False at its end. */
bool json_element(Json *rest, Json *ret);
/* A string without escapes that fits into the buffer. */
bool json_text(Json value, char *buffer, size_t size);
