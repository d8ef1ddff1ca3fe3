#include <getopt.h>
#include <stdio.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "portwatch-build.h"

static const char usage[] = "portwatchd [--config FILE] [--state-dir DIR]\n"
                            "\n"
                            "Watches the ports of this machine and tells through notifiers what changes.\n"
                            "Runs in the foreground; logs to the journal or to stderr.\n"
                            "\n"
                            "  --config FILE     the configuration (" PORTWATCH_CONFIG ")\n"
                            "  --state-dir DIR   baseline, queue and history (" PORTWATCH_STATE_DIR ")\n"
                            "  --plugin-dir DIR  notifier plugins (" PORTWATCH_PLUGIN_DIR ")\n"
                            "  --help, --version\n"
                            "\n"
                            "SIGHUP reads the configuration again. See portwatchd(8), portwatch.conf(5).\n";

enum {
    OPTION_CONFIG = 256,
    OPTION_STATE_DIR,
    OPTION_PLUGIN_DIR,
    OPTION_NOTIFY_PROGRAM,
    OPTION_CAUSE_PROGRAM,
    OPTION_HELP,
    OPTION_VERSION
};

int main(int argc, char **argv) {
    static const struct option long_options[] = {
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
        {"plugin-dir", required_argument, NULL, OPTION_PLUGIN_DIR},
        {"notify-program", required_argument, NULL, OPTION_NOTIFY_PROGRAM}, /* for tests in a build directory */
        {"cause-program", required_argument, NULL, OPTION_CAUSE_PROGRAM},
        {"help", no_argument, NULL, OPTION_HELP},
        {"version", no_argument, NULL, OPTION_VERSION},
        {0},
    };
    Options options = {.config = PORTWATCH_CONFIG,
        .state_dir = PORTWATCH_STATE_DIR,
        .notify_program = PORTWATCH_NOTIFY,
        .cause_program = PORTWATCH_CAUSE};
    for (int c; (c = getopt_long(argc, argv, "", long_options, NULL)) != -1;) switch (c) {
        case OPTION_CONFIG:
            options.config = optarg;
            options.config_given = true;
            break;
        case OPTION_STATE_DIR:
            options.state_dir = optarg;
            break;
        case OPTION_PLUGIN_DIR:
            options.plugin_dir = optarg;
            break;
        case OPTION_NOTIFY_PROGRAM:
            options.notify_program = optarg;
            break;
        case OPTION_CAUSE_PROGRAM:
            options.cause_program = optarg;
            break;
        case OPTION_HELP:
            fputs(usage, stdout);
            return 0;
        case OPTION_VERSION:
            puts("portwatchd " PORTWATCH_VERSION);
            return 0;
        default:
            fputs("Try portwatchd --help.\n", stderr);
            return 64;
        }
    if (optind < argc) {
        fprintf(stderr, "portwatchd: takes no arguments\n%s", usage);
        return 64;
    }
    log_open();
    return daemon_run(&options);
}
