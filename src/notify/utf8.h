/* UTF-8, strictly (RFC 3629): JSON carries nothing else. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

bool utf8_valid(const char *text);

/* A copy in which every byte that is not part of valid UTF-8 is '?'. At most `length` bytes are read. NULL: no memory.
 */
char *utf8_clean(const char *text, size_t length);
