/* From an endpoint's owner to the question about it, and the document where nobody answers: shared by all who ask. */
#pragma once

#include "cause/question.h"
#include "core/endpoint.h"

/* Asks about who held the port; `since` and `open` are the caller's to fill. `seen`: he held it when it was last looked
 * at, so that the run of his unit that is known is the one to ask about; one that was learned or told some time ago may
 * have been followed by others. False: nothing is known to ask about. */
bool cause_question_about(const Owner *owner, bool seen, CauseQuestion *ret);
/* A document as in answer.h in which nothing is known, and `why`. The caller frees; NULL: no memory. */
char *cause_unanswered(const Owner *owner, const char *why);
