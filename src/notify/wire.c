#include "notify/wire.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t length_read(const char *header) {
    const unsigned char *h = (const unsigned char *)header;
    return (size_t)h[0] << 24 | (size_t)h[1] << 16 | (size_t)h[2] << 8 | h[3];
}

void wire_done(WireBuffer *buffer) {
    free(buffer->data);
    buffer->data = NULL;
    buffer->length = buffer->allocated = 0;
}

int wire_feed(WireBuffer *buffer, const void *data, size_t length) {
    /* room for one longest frame and what one read may bring with it */
    size_t limit = buffer->max + WIRE_HEADER + (64 << 10);
    if (length > limit || buffer->length > limit - length) return -EMSGSIZE;
    size_t needed = buffer->length + length;
    if (needed > buffer->allocated) {
        size_t size = buffer->allocated < 4096 ? 4096 : buffer->allocated;
        while (size < needed) size *= 2;
        char *grown = realloc(buffer->data, size);
        if (!grown) return -ENOMEM;
        buffer->data = grown;
        buffer->allocated = size;
    }
    if (length > 0) memcpy(buffer->data + buffer->length, data, length);
    buffer->length = needed;
    return 0;
}

int wire_peek(const WireBuffer *buffer, const char **ret_payload, size_t *ret_length) {
    if (buffer->length < WIRE_HEADER) return 0;
    size_t length = length_read(buffer->data);
    if (length == 0 || length > buffer->max) return -EBADMSG;
    if (buffer->length - WIRE_HEADER < length) return 0;
    *ret_payload = buffer->data + WIRE_HEADER;
    *ret_length = length;
    return 1;
}

void wire_drop(WireBuffer *buffer) {
    if (buffer->length < WIRE_HEADER) return;
    size_t used = WIRE_HEADER + length_read(buffer->data);
    if (used > buffer->length) used = buffer->length;
    buffer->length -= used;
    memmove(buffer->data, buffer->data + used, buffer->length);
    if (buffer->length == 0 && buffer->allocated > 65536) wire_done(buffer); /* a large message has passed */
}

int wire_pack(const char *payload, size_t length, size_t max, char **ret_frame, size_t *ret_length) {
    if (length == 0 || length > max) return -EMSGSIZE;
    char *frame = malloc(WIRE_HEADER + length);
    if (!frame) return -ENOMEM;
    for (size_t i = 0; i < WIRE_HEADER; i++) frame[i] = (char)(length >> (24 - 8 * i) & 0xff);
    memcpy(frame + WIRE_HEADER, payload, length);
    *ret_frame = frame;
    *ret_length = WIRE_HEADER + length;
    return 0;
}
