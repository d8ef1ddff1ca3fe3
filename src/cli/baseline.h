/* What `portwatch baseline` does beside showing it. Each takes the whole command line and returns the exit code. */
#pragma once

#include "cli/cli.h"

int baseline_log(Cli *cli);    /* [PORT]: every version */
int baseline_diff(Cli *cli);   /* [VERSION [VERSION]] */
int baseline_export(Cli *cli); /* sections of a configuration that state it */
int baseline_import(Cli *cli); /* FILE [--reason TEXT] */
int baseline_revert(Cli *cli); /* VERSION [PORT] [--reason TEXT] */
