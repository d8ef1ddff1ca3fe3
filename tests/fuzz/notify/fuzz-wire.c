/* The bytes of a notifier's socket: cut into frames, parsed, and what was understood printed and parsed again. The
 * first byte says how large the pieces are in which the rest arrives. */
#include <stdlib.h>
#include <string.h>

#include "notify/frame.h"
#include "notify/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frame_try(const char *payload, size_t length) {
    _cleanup_(frame_done) Frame frame = {0};
    _cleanup_(frame_done) Frame again = {0};
    _cleanup_free_ char *bytes = NULL, *twice = NULL;
    size_t n = 0, m = 0;
    if (frame_parse(payload, length, &frame) < 0) return;
    if (frame_print(&frame, WIRE_TO_CHILD_MAX, &bytes, &n) < 0) abort();
    if (frame_parse(bytes + WIRE_HEADER, n - WIRE_HEADER, &again) < 0) abort();
    if (frame_print(&again, WIRE_TO_CHILD_MAX, &twice, &m) < 0) abort();
    if (n != m || memcmp(bytes, twice, n) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    WireBuffer buffer = {.max = WIRE_FROM_CHILD_MAX};
    size_t piece = (size_t)data[0] + 1;
    for (size_t at = 1; at < size; at += piece) {
        const char *payload = NULL;
        size_t length = 0;
        int r = wire_feed(&buffer, data + at, size - at < piece ? size - at : piece);
        while (r == 0 && (r = wire_peek(&buffer, &payload, &length)) > 0) {
            frame_try(payload, length);
            wire_drop(&buffer);
            r = 0;
        }
        if (r < 0) break;
    }
    wire_done(&buffer);
    /* and without a length, so that the parser is reached by any bytes */
    frame_try((const char *)data, size);
    return 0;
}
