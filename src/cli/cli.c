#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
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

const char *cli_host(void) {
    static char host[256];
    if (gethostname(host, sizeof host - 1) < 0 || !*host) strcpy(host, "localhost");
    return host;
}

static void read_line(const char *path, char *buffer, size_t size) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buffer, size - 1);
    buffer[n < 0 ? 0 : n] = '\0';
    buffer[strcspn(buffer, "\n")] = '\0';
}

int cli_open_store(const Cli *cli, StoreMode mode, Store **ret, char **ret_reason) {
    char machine_id[64], boot_id[UUID_TEXT_MAX];
    read_line("/etc/machine-id", machine_id, sizeof machine_id);
    read_line("/proc/sys/kernel/random/boot_id", boot_id, sizeof boot_id);
    const StoreIdentity identity = {.machine_id = machine_id, .boot_id = *boot_id ? boot_id : NULL, .now = cli_now()};
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
