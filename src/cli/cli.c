#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/message.h"

void colours_init(Colours *ret, bool wanted) {
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    bool colour = wanted && isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && !(term && strcmp(term, "dumb") == 0);
    *ret = colour ? (Colours){"\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[0m"}
                  : (Colours){"", "", "", "", "", ""};
}

void cli_error(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fflush(stdout); /* in the order it was said, where both go to one place */
    fputs("portwatch: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

int cli_usage(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("portwatch: ", stderr);
    vfprintf(stderr, format, arguments);
    fputs("\nTry portwatch --help.\n", stderr);
    va_end(arguments);
    return EXIT_USAGE;
}

int cli_failed(int error) {
    cli_error("%s", error == -ENOMEM ? "not enough memory" : strerror(-error));
    return EXIT_UNKNOWN;
}

int64_t cli_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

const Host *cli_host(void) {
    static Host host;
    if (!*host.name) host_read(&host);
    return &host;
}

int cli_open_store(const Cli *cli, StoreMode mode, Store **ret, char **ret_reason) {
    const Host *host = cli_host();
    const StoreIdentity identity = {
        .machine_id = host->machine_id, .boot_id = *host->boot_id ? host->boot_id : NULL, .now = cli_now()};
    StoreOpening what;
    _cleanup_free_ char *reason = NULL;
    _cleanup_(store_closep) Store *store = NULL;
    int r = store_open(cli->state_dir, mode, &identity, &store, &what, &reason);
    if (r < 0) return r;
    if (!store) {
        if (!reason) reason = strdup("the database cannot be opened");
        *ret_reason = TAKE_PTR(reason);
        return *ret_reason ? 1 : -ENOMEM;
    }
    *ret = TAKE_PTR(store);
    return 0;
}

void cli_heading(const Cli *cli, const char *text) {
    printf("\n%s%s%s\n", cli->colours.bold, text, cli->colours.reset);
}
