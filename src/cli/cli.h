/* The command line: what every subcommand is given, and what they share. Private to src/cli. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "config/host.h"
#include "core/cleanup.h"
#include "core/text.h"
#include "notify/grid.h"
#include "store/store.h"

/* Exit codes; the first three fit what NRPE expects. */
enum { EXIT_WELL = 0, EXIT_DIFFERS = 1, EXIT_UNKNOWN = 2, EXIT_USAGE = 64 };

/* Escape sequences; all empty off a terminal, with NO_COLOR, and with --json. */
typedef struct Colours {
    const char *bold, *dim, *red, *green, *yellow, *reset;
} Colours;

typedef struct Cli {
    const char *config, *state_dir;
    const char *plugin_dir; /* NULL: the one built in */
    const char *notify_program, *cause_program;
    bool config_given; /* on the command line */
    bool json;
    Colours colours;
    /* the subcommand's own */
    bool all, follow;
    const char *reason, *since, *until;
    char **arguments; /* NULL-terminated, without the subcommand's name */
    size_t n_arguments;
} Cli;

/* A subcommand: a row in main.c's table. Returns the exit code. */
int command_accept(Cli *cli);
int command_ack(Cli *cli);
int command_baseline(Cli *cli);
int command_check_config(Cli *cli);
int command_diff(Cli *cli);
int command_explain(Cli *cli);
int command_history(Cli *cli);
int command_list(Cli *cli);
int command_pause(Cli *cli);
int command_resume(Cli *cli);
int command_status(Cli *cli);
int command_test(Cli *cli);

void colours_init(Colours *ret, bool wanted);
/* "portwatch: ..." on standard error. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, with a hint at --help. Returns EXIT_USAGE. */
int cli_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says that memory was short, or what else a negative errno means. Returns EXIT_UNKNOWN. */
int cli_failed(int error);

int64_t cli_now(void); /* realtime microseconds */
/* This host, as the daemon sees it. Static storage. */
const Host *cli_host(void);
/* Opens the database. 0 with *ret, or negative errno, or 1 with *ret_reason (allocated): why there is none to read. */
int cli_open_store(const Cli *cli, StoreMode mode, Store **ret, char **ret_reason);
/* A heading of a section of output. */
void cli_heading(const Cli *cli, const char *text);
