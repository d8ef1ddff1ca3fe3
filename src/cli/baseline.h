/* What `portwatch baseline` does beside showing it. Each takes the whole command line and returns the exit code. */
#pragma once

#include "cli/cli.h"

int baseline_log(Cli *cli);    /* [PORT]: every version */
int baseline_diff(Cli *cli);   /* [VERSION [VERSION]] */
int baseline_revert(Cli *cli); /* VERSION [PORT] [--reason TEXT] */
