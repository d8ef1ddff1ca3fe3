#include "daemon/answer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int answer_text(Answer *answer, int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    _cleanup_free_ char *text = text_vprintf(format, arguments);
    va_end(arguments);
    if (!text) return -ENOMEM;
    answer->code = code;
    return json_object_set_new(answer->object, "text", json_string(text)) < 0 ? -ENOMEM : 0;
}

int answer_reply(Daemon *d, const Request *request, Decision *decision, const Answer *answer) {
    _cleanup_free_ char *text = document_text(answer->object);
    if (!text) return -ENOMEM;
    const RequestAnswer row = {.id = request->id, .code = answer->code, .text = text};
    if (decision) return daemon_commit(d, decision, &row);
    int r = request_answer(d->store, &row, daemon_now().realtime);
    if (r == STORE_GONE) return 0;
    return r > 0 ? daemon_store_failed(d, r) : r;
}

size_t answer_port(const json_t *port, Surface ret[static 2]) {
    const json_t *number = json_object_get(port, "port");
    const char *protocol = json_string_value(json_object_get(port, "protocol"));
    json_int_t n = json_integer_value(number);
    if (!json_is_integer(number) || n < 0 || n > 65535) return 0;
    Surface surface = {.port = (uint16_t)n, .local = n == 0 && json_is_true(json_object_get(port, "local"))};
    ret[0] = ret[1] = surface;
    ret[0].protocol = PROTOCOL_TCP;
    ret[1].protocol = PROTOCOL_UDP;
    if (!protocol) return 2;
    return protocol_parse(protocol, &ret[0].protocol) ? 1 : 0;
}
