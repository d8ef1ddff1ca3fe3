/* The stream between the daemon and its notifier children: frames of a 32-bit big-endian length and that many bytes of
 * JSON. This file knows lengths only; frame.h knows what is inside. No I/O. */
#pragma once

#include <stddef.h>

#define WIRE_HEADER 4
#define WIRE_TO_CHILD_MAX ((size_t)16 << 20) /* one message and its document */
#define WIRE_FROM_CHILD_MAX ((size_t)256 << 10)

/* Bytes received and not yet taken. Zero-initialised is empty, apart from `max`. */
typedef struct WireBuffer {
    size_t max; /* longest payload allowed */
    char *data;
    size_t length, allocated;
} WireBuffer;

void wire_done(WireBuffer *buffer);

/* Appends received bytes. 0, -ENOMEM, or -EMSGSIZE if the buffer would exceed one longest frame (take frames first). */
int wire_feed(WireBuffer *buffer, const void *data, size_t length);

/* Looks for a whole frame at the start. 1: *ret_payload points into the buffer, valid until wire_drop; 0: more bytes
 * are needed; -EBADMSG: the length is 0 or above the limit, the stream is of no more use. */
int wire_peek(const WireBuffer *buffer, const char **ret_payload, size_t *ret_length);
/* Removes the frame that wire_peek found. */
void wire_drop(WireBuffer *buffer);

/* Puts the length before a payload. The caller frees. -EMSGSIZE: longer than `max`. */
int wire_pack(const char *payload, size_t length, size_t max, char **ret_frame, size_t *ret_length);
