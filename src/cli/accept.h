/* What accept shares with the commands that change the baseline. Private to src/cli. */
#pragma once

#include <jansson.h>

#include "cli/cli.h"

/* Two lists of endpoints as rows with - and +, coloured. 0 or -ENOMEM. */
int accept_print_rows(const Cli *cli, const json_t *before, const json_t *after, const char *indent);
/* The answer of revert and import: "changed", "errors" and "text". 0 or -ENOMEM. */
int baseline_print_changed(const Cli *cli, const json_t *answer, int code);
/* --reason, if it was given. 0 or -ENOMEM. */
int accept_put_reason(const Cli *cli, json_t *arguments);
