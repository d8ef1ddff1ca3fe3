/* The facts as the answer that is sent (answer.h): fate, and a JSON text. Pure. */
#pragma once

#include "cause/answer.h"
#include "cause/facts.h"

/* 0, or -ENOMEM. */
int cause_document(const Facts *facts, CauseAnswer *ret);
