/* Tell: the sentences with which a mail begins: since when, what, and what was before. Pure. */
#pragma once

#include <stdio.h>

#include "notify/prose.h"

/* One to three lines. 0 or -ENOMEM; the stream's own error is the caller's. */
int tell_write(FILE *out, const json_t *document, const ProseOptions *options);
