/* portwatch-cause's answer: the document, and its bytes between that process and who asked. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cause.h"

#define ANSWER_BYTES_MAX 32768
#define CAUSE_LINES_MAX 10

/* Owned. `document` is compact JSON:
 *     {"unit": text|null, "state": text|null, "sub": text|null, "result": text|null, "exit": int|null,
 *      "signal": "SIGKILL"|null, "restarts": int|null, "since": RFC 3339|null, "process": "gone"|"alive"|null,
 *      "oom": bool, "summary": text, "journal": [text, at most 10], "missing": text|null}
 * State and sub are the unit's now. Result, exit, signal, oom and since are about the end of the invocation that held
 * the port, where it ended (since: else about the state); where nothing is known of that one, of a later one, and the
 * summary says so. All text is one line and escaped: to be shown as it is. Only
 * `journal` holds what processes wrote. */
typedef struct CauseAnswer {
    Fate fate;
    char *document;
} CauseAnswer;

void cause_answer_done(CauseAnswer *answer);

/* As bytes for one datagram. `final`: nothing better will follow. The caller frees. 0, -ENOMEM, -EMSGSIZE. */
int cause_answer_print(uint64_t id, bool final, const CauseAnswer *answer, char **ret_text);
/* The reverse. The other side is not trusted: members, types, lengths and escaping are checked. -EBADMSG, -ENOMEM. */
int cause_answer_parse(const char *bytes, size_t length, uint64_t *ret_id, bool *ret_final, CauseAnswer *ret);
