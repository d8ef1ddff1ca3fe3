#include <getopt.h>
#include <string.h>

#include "cli/cli.h"
#include "portwatch-build.h"

/* Options that only some subcommands take. */
enum { TAKES_ALL = 1 << 0, TAKES_REASON = 1 << 1, TAKES_SINCE = 1 << 2, TAKES_FOLLOW = 1 << 3, TAKES_UNTIL = 1 << 4 };

typedef struct Command {
    const char *name, *arguments, *help;
    int (*run)(Cli *cli);
    unsigned takes;
    size_t least, most; /* arguments */
} Command;

static const Command commands[] = {
    {"status", "", "the daemon, what it sees, open incidents, every notifier", command_status, 0, 0, 0},
    {"list", "[PORT]", "endpoints now, with owner, against the baseline", command_list, 0, 0, 1},
    {"diff", "[PORT...]", "baseline against a fresh look, as - and + rows", command_diff, 0, 0, SIZE_MAX},
    {"explain", "PORT", "why a port can or cannot be reached, and what to do next", command_explain, 0, 1, 1},
    {"accept", "TOKEN|PORT|--all [--reason TEXT] [--until TIME]",
        "makes what stands now, or changes until then, the expected state", command_accept,
        TAKES_ALL | TAKES_REASON | TAKES_UNTIL, 0, 1},
    {"ack", "TOKEN", "no more reminders for an incident", command_ack, 0, 1, 1},
    {"pause", "DURATION [PORT]", "no alerts for a time; history goes on", command_pause, 0, 1, 2},
    {"resume", "[PORT]", "ends a pause, or all of them", command_resume, 0, 0, 1},
    {"baseline", "show|log|diff|revert|export|import ...",
        "what is expected, since when and by whom; and back to an earlier version", command_baseline, TAKES_REASON, 1,
        3},
    {"history", "[PORT] [--since T] [--follow]", "what was observed and what was told", command_history,
        TAKES_SINCE | TAKES_FOLLOW, 0, 1},
    {"test", "[NOTIFIER...]", "a test message through the daemon, waits for the answer", command_test, 0, 0, SIZE_MAX},
    {"check-config", "[FILE]", "every mistake in the configuration", command_check_config, 0, 0, 1},
};

static void help(FILE *out) {
    fputs("portwatch [OPTION...] COMMAND\n\n", out);
    Grid *grid = grid_new(2);
    if (!grid) return;
    for (size_t i = 0; i < ELEMENTSOF(commands); i++) {
        grid_cellf(grid, "%s %s", commands[i].name, commands[i].arguments);
        grid_cell(grid, commands[i].help);
    }
    grid_print(grid, out, "  ");
    grid_free(grid);
    fputs("\nPORT is 443/tcp, tcp/443, https/tcp, or 443 for tcp and udp; tcp/ephemeral for the ephemeral ones "
          "together.\n"
          "TIME is 18:00, \"2026-03-01 18:00\", or how long: 30m, 2h. accept --until of a difference is a loan:\n"
          "what was expected before returns then. accept PORT --until where nothing differs approves ahead: what "
          "changes on\n"
          "that port until then is accepted, and stays so.\n"
          "baseline log [PORT], diff [VERSION [VERSION]], revert VERSION [PORT] [--reason TEXT], export,\n"
          "import FILE [--reason TEXT].\n"
          "\n"
          "  --json            the same for programs\n"
          "  --config FILE     the configuration (" PORTWATCH_CONFIG ")\n"
          "  --state-dir DIR   baseline, queue and history (" PORTWATCH_STATE_DIR ")\n"
          "  --plugin-dir DIR  notifier plugins (" PORTWATCH_PLUGIN_DIR ")\n"
          "  --help, --version\n"
          "\n"
          "See portwatch(1), portwatch.conf(5).\n",
        out);
}

static const Command *find_command(const char *name) {
    for (size_t i = 0; i < ELEMENTSOF(commands); i++)
        if (strcmp(commands[i].name, name) == 0) return &commands[i];
    return NULL;
}

enum {
    OPTION_CONFIG = 256,
    OPTION_STATE_DIR,
    OPTION_PLUGIN_DIR,
    OPTION_NOTIFY_PROGRAM,
    OPTION_CAUSE_PROGRAM,
    OPTION_JSON,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_ALL,
    OPTION_REASON,
    OPTION_SINCE,
    OPTION_FOLLOW,
    OPTION_UNTIL,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
    {"plugin-dir", required_argument, NULL, OPTION_PLUGIN_DIR},
    {"notify-program", required_argument, NULL, OPTION_NOTIFY_PROGRAM}, /* for tests in a build directory */
    {"cause-program", required_argument, NULL, OPTION_CAUSE_PROGRAM},   /* the same */
    {"json", no_argument, NULL, OPTION_JSON},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"all", no_argument, NULL, OPTION_ALL},
    {"reason", required_argument, NULL, OPTION_REASON},
    {"since", required_argument, NULL, OPTION_SINCE},
    {"follow", no_argument, NULL, OPTION_FOLLOW},
    {"until", required_argument, NULL, OPTION_UNTIL},
    {0},
};

/* Fills *cli; *taken is the set of subcommands' options that were given. Returns an exit code, or -1 to go on. */
static int read_options(int argc, char **argv, Cli *cli, unsigned *taken) {
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) switch (c) {
        case OPTION_CONFIG:
            cli->config = optarg;
            cli->config_given = true;
            break;
        case OPTION_STATE_DIR:
            cli->state_dir = optarg;
            break;
        case OPTION_PLUGIN_DIR:
            cli->plugin_dir = optarg;
            break;
        case OPTION_NOTIFY_PROGRAM:
            cli->notify_program = optarg;
            break;
        case OPTION_CAUSE_PROGRAM:
            cli->cause_program = optarg;
            break;
        case OPTION_JSON:
            cli->json = true;
            break;
        case OPTION_ALL:
            cli->all = true;
            *taken |= TAKES_ALL;
            break;
        case OPTION_REASON:
            cli->reason = optarg;
            *taken |= TAKES_REASON;
            break;
        case OPTION_SINCE:
            cli->since = optarg;
            *taken |= TAKES_SINCE;
            break;
        case OPTION_FOLLOW:
            cli->follow = true;
            *taken |= TAKES_FOLLOW;
            break;
        case OPTION_UNTIL:
            cli->until = optarg;
            *taken |= TAKES_UNTIL;
            break;
        case OPTION_HELP:
            help(stdout);
            return EXIT_WELL;
        case OPTION_VERSION:
            puts("portwatch " PORTWATCH_VERSION);
            return EXIT_WELL;
        default:
            fputs("Try portwatch --help.\n", stderr);
            return EXIT_USAGE;
        }
    return -1;
}

int main(int argc, char **argv) {
    Cli cli = {.config = PORTWATCH_CONFIG,
        .state_dir = PORTWATCH_STATE_DIR,
        .notify_program = PORTWATCH_NOTIFY,
        .cause_program = PORTWATCH_CAUSE};
    unsigned taken = 0;
    int r = read_options(argc, argv, &cli, &taken);
    if (r >= 0) return r;
    if (optind == argc) {
        help(stderr);
        return EXIT_USAGE;
    }
    const Command *command = find_command(argv[optind]);
    if (!command) return cli_usage("there is no command \"%s\"", argv[optind]);
    cli.arguments = argv + optind + 1;
    cli.n_arguments = (size_t)(argc - optind - 1);
    if ((taken & ~command->takes) != 0 || cli.n_arguments < command->least || cli.n_arguments > command->most)
        return cli_usage("usage: portwatch %s %s", command->name, command->arguments);
    colours_init(&cli.colours, !cli.json);
    r = command->run(&cli);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_error("cannot write the output");
        return r == EXIT_WELL ? EXIT_UNKNOWN : r;
    }
    return r;
}
