/* What portwatch-cause answers, whoever sits there: taken or refused, and refused without a trace. What was taken is in
 * the form that is promised: one line, every text escaped and bounded, and the same when printed and parsed again. */
#include <stdlib.h>
#include <string.h>

#include "cause/answer.h"
#include "cause/json.h"

#define TEXT_MAX 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* text_escape leaves nothing below space and no DEL, and jansson nothing that is not UTF-8. */
static void text_try(const json_t *value) {
    if (json_string_length(value) != strlen(json_string_value(value)) || json_string_length(value) > TEXT_MAX) abort();
    for (const char *c = json_string_value(value); *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) abort();
}

static void document_try(const char *text) {
    const char *key;
    json_t *value;
    size_t i;
    _cleanup_json_ json_t *cause = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(cause) || strchr(text, '\n') || !json_is_string(json_object_get(cause, "summary"))) abort();
    json_object_foreach(cause, key, value) {
        if (strcmp(key, "journal") == 0) continue;
        if (json_is_object(value) || json_is_array(value) || json_is_real(value)) abort();
        if (json_is_string(value)) text_try(value);
    }
    const json_t *journal = json_object_get(cause, "journal");
    if (!json_is_array(journal) || json_array_size(journal) > CAUSE_LINES_MAX) abort();
    json_array_foreach(journal, i, value) {
        if (!json_is_string(value)) abort();
        text_try(value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_(cause_answer_done) CauseAnswer answer = {0};
    _cleanup_(cause_answer_done) CauseAnswer again = {0};
    _cleanup_free_ char *bytes = NULL;
    uint64_t id = 7, id_again = 0;
    bool final = true, final_again = false;
    if (cause_answer_parse((const char *)data, size, &id, &final, &answer) < 0) {
        if (id != 7 || !final || answer.document || answer.fate != FATE_UNKNOWN) abort();
        return 0;
    }
    document_try(answer.document);
    if (cause_answer_print(id, final, &answer, &bytes) < 0) abort();
    if (cause_answer_parse(bytes, strlen(bytes), &id_again, &final_again, &again) < 0) abort();
    if (id != id_again || final != final_again || answer.fate != again.fate ||
        strcmp(answer.document, again.document) != 0)
        abort();
    return 0;
}
