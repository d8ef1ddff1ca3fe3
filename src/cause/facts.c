#include "cause/facts.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"
#include "core/text.h"

bool facts_later(const Facts *facts) {
    const char *asked = facts->question.invocation, *present = facts->unit.invocation;
    return facts->unit.known && asked[0] && present[0] && strcmp(asked, present) != 0;
}

void journal_done(JournalFacts *journal) {
    for (size_t i = 0; i < journal->n_lines; i++) free(journal->lines[i]);
    *journal = (JournalFacts){0};
}

void facts_done(Facts *facts) {
    journal_done(&facts->journal);
    free(facts->missing);
    *facts = (Facts){0};
}

int facts_missing(Facts *facts, const char *reason) {
    char *text = facts->missing ? text_printf("%s; %s", facts->missing, reason) : strdup(reason);
    if (!text) return -ENOMEM;
    free(facts->missing);
    facts->missing = text;
    return 0;
}

void word_copy(const char *text, size_t length, char ret[static WORD_MAX]) {
    ret[0] = '\0';
    if (length >= WORD_MAX) return;
    for (size_t i = 0; i < length; i++)
        if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9') || text[i] == '-')) return;
    memcpy(ret, text, length);
    ret[length] = '\0';
}
