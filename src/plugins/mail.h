/* Forms the mail of a message: headers and one text/plain part (RFC 5322, RFC 2045, RFC 2047), CRLF lines, no dot
 * stuffing. Pure: the same message gives the same bytes, so that a retry sends what the first attempt sent.
 * Safe on its own: whatever bytes the message holds, no header can be added or broken and no line is longer than 998.
 */
#pragma once

#include <stdbool.h>

#include "plugins/plugin.h"

/* A new string, or NULL where memory is short. `from` and `to` (ends with NULL) must pass address_valid. */
char *mail_form(const pw_message *message, const char *from, const char *const *to);

/* True for plain LOCAL@DOMAIN in ASCII: no quotes, spaces, routes, comments; at most 254 bytes. */
bool address_valid(const char *text);
