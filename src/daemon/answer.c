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
