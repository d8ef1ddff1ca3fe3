/* Section: one event of a mail, in full. Pure. */
#pragma once

#include <stdio.h>

#include "notify/prose.h"

/* What happened, the rows that differ, owners, earlier events it stands for, and what to do. -ENOMEM or 0; the stream's
 * own error is the caller's. */
int section_write(FILE *out, const json_t *document, const ProseOptions *options);
