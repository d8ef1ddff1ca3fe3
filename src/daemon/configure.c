/* The configuration: at start, at reload, and the last good one. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "notify/check.h"
#include "store/notifiers.h"

#define LAST_GOOD "last-good.conf"
#define LAST_GOOD_MAX ((size_t)CONFIG_FILES_MAX * (CONFIG_BYTES_MAX + 4096))

static int64_t monotonic(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

static void log_warnings(const Rules *rules) {
    if (rules->warnings)
        log_write(JOURNAL_CONFIG_WARNING, &(LogFields){.lines = rules->warnings}, "the configuration is dubious:");
}

static void log_not_kept(int r) {
    if (r < 0) log_write(JOURNAL_TROUBLE, NULL, "cannot keep the configuration as the last good one: %s", strerror(-r));
}

/* Files -> rules, plugins asked too. 0, CONFIG_ERRORS with *ret_errors, -ENOMEM. */
static int understand(Daemon *d, const ConfigFiles *files, Rules **ret, char ***ret_errors) {
    _cleanup_(rules_freep) Rules *rules = NULL;
    int r = config_parse(files, d->host.name, &rules, ret_errors);
    if (r != CONFIG_OK) return r;
    /* No tick comes meanwhile, and the watchdog is not told that all is well: what the plugins may take together is far
     * below WatchdogSec=. */
    const ChannelOptions options = daemon_channel_options(d);
    r = notifiers_check(&options, rules, ret_errors);
    if (r < 0) return r;
    if (*ret_errors) return CONFIG_ERRORS;
    *ret = TAKE_PTR(rules);
    return CONFIG_OK;
}

static int state_path(const Daemon *d, const char *name, char **ret) {
    return asprintf(ret, "%s/%s", d->options.state_dir, name) < 0 ? -ENOMEM : 0;
}

static int write_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno != EINTR) return -errno;
        if (n > 0) bytes += n, length -= (size_t)n;
    }
    return fsync(fd) < 0 ? -errno : 0;
}

/* Replaced as a whole, so that there is always a good one. */
static int save_last_good(Daemon *d) {
    _cleanup_free_ char *path = NULL, *temporary = NULL, *bytes = NULL;
    size_t length;
    int r = config_pack(&d->files, &bytes, &length);
    if (r == 0) r = state_path(d, LAST_GOOD, &path);
    if (r == 0) r = state_path(d, LAST_GOOD ".new", &temporary);
    if (r < 0) return r;
    _cleanup_close_ int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return -errno;
    r = write_all(fd, bytes, length);
    if (r == 0 && rename(temporary, path) < 0) r = -errno;
    if (r < 0) unlink(temporary);
    return r;
}

/* 0, -ENOENT where there is none, or another negative errno. */
static int read_last_good(Daemon *d, ConfigFiles *ret) {
    _cleanup_free_ char *path = NULL, *bytes = NULL;
    int r = state_path(d, LAST_GOOD, &path);
    if (r < 0) return r;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) return -errno;
    if (st.st_size < 0 || (size_t)st.st_size > LAST_GOOD_MAX) return -EFBIG;
    bytes = malloc((size_t)st.st_size + 1);
    if (!bytes) return -ENOMEM;
    size_t length = 0;
    for (ssize_t n; length < (size_t)st.st_size; length += (size_t)n) {
        n = read(fd, bytes + length, (size_t)st.st_size - length);
        if (n < 0) return -errno;
        if (n == 0) break;
    }
    return config_unpack(bytes, length, ret);
}

static void take_rules(Daemon *d, Rules *rules, ConfigFiles *files) {
    d->rules = rules;
    config_files_done(&d->files);
    d->files = *files;
    *files = (ConfigFiles){0};
}

static int set_trouble(Daemon *d, const char *what, char *const *errors) {
    free(d->configuration_trouble);
    d->configuration_trouble = NULL;
    size_t n = strv_length(errors);
    if (n == 0) return 0;
    char more[48] = "";
    if (n > 1) snprintf(more, sizeof more, " (and %zu more)", n - 1);
    return asprintf(&d->configuration_trouble, "%s: %s%s", what, errors[0], more) < 0 ? -ENOMEM : 0;
}

/* The plugins are not asked: they took it once, and one that fails now, for want of a secret's file or of the plugin,
 * fails its notifier and not the watch. 0, or EXIT_CONFIG with *ret_trouble saying why there is none. */
static int load_last_good(Daemon *d, char *const *errors, char **ret_trouble) {
    ConfigFiles files = {0};
    Rules *rules = NULL;
    char **old_errors = NULL;
    int r = read_last_good(d, &files);
    if (r == 0) r = config_parse(&files, d->host.name, &rules, &old_errors);
    if (r == 0) {
        log_write(JOURNAL_LAST_GOOD, &(LogFields){.lines = errors},
            "the configuration is not valid: running the last good one instead");
        take_rules(d, rules, &files);
        r = set_trouble(d, "running the last good configuration, since the present one is not valid", errors);
    } else if (r == CONFIG_ERRORS)
        *ret_trouble = text_printf("the last good one does not work any more either: %s", old_errors[0]);
    else if (r != -ENOENT)
        *ret_trouble = text_printf("the last good one cannot be read: %s", strerror(-r));
    strv_free(old_errors);
    config_files_done(&files);
    return r == 0 ? 0 : EXIT_CONFIG;
}

static int load_bad(Daemon *d, char *const *errors, bool must_be_there) {
    _cleanup_free_ char *trouble = NULL;
    if (load_last_good(d, errors, &trouble) == 0) return 0;
    if (must_be_there || trouble) {
        log_write(JOURNAL_CONFIG_UNUSABLE, &(LogFields){.lines = errors}, "the configuration cannot be used, and %s",
            trouble ? trouble : "there is no last good one");
        return EXIT_CONFIG;
    }
    /* A first run without a configuration watches everything and tells the log. */
    log_write(JOURNAL_NO_NOTIFIER, NULL, "no %s: every port is watched with the defaults, and alerts are only logged",
        d->options.config);
    d->rules = rules_new();
    return d->rules ? 0 : EXIT_FAILURE;
}

int daemon_load(Daemon *d) {
    ConfigFiles files = {0};
    Rules *rules = NULL;
    char **errors = NULL;
    bool absent = access(d->options.config, F_OK) < 0 && errno == ENOENT;
    int r = config_read(d->options.config, &files, &errors);
    if (r == 0) r = understand(d, &files, &rules, &errors);
    if (r == 0) {
        log_warnings(rules);
        take_rules(d, rules, &files);
        log_not_kept(save_last_good(d));
    } else if (r < 0) {
        log_write(JOURNAL_START_FAILED, NULL, "cannot read the configuration: %s", strerror(-r));
        r = EXIT_FAILURE;
    } else
        r = load_bad(d, errors, !absent || d->options.config_given);
    config_files_done(&files);
    strv_free(errors);
    return r;
}

static void reload_failed(Daemon *d, char *const *errors) {
    log_write(JOURNAL_RELOAD_REFUSED, &(LogFields){.lines = errors},
        "the configuration is not valid: the old one stays in force");
    if (set_trouble(d, "the configuration was not taken at the last reload, the one before is in force", errors) < 0)
        log_no_memory();
    if (d->configuration_trouble &&
        daemon_notice(d, SEVERITY_WARNING, "configuration", d->configuration_trouble, NULL) < 0)
        log_no_memory();
}

static void reload_taken(Daemon *d, Rules *rules, ConfigFiles *files) {
    Rules *old = d->rules;
    log_warnings(rules);
    take_rules(d, rules, files);
    int r = daemon_sync_notifiers(d);
    if (r < 0) log_write(JOURNAL_TROUBLE, NULL, "cannot set up the notifiers: %s", strerror(-r));
    sockets_set_udp_settle(d->sockets, d->rules->settle);
    if (sockets_set_all_namespaces(d->sockets, d->rules->namespaces == SCOPE_ALL) < 0) log_no_memory();
    rules_free(old);
    log_not_kept(save_last_good(d));
    set_trouble(d, "", NULL);
    log_write(JOURNAL_RELOADED, NULL, "configuration reloaded: %zu port section%s, %zu notifier%s", d->rules->n_ports,
        d->rules->n_ports == 1 ? "" : "s", d->rules->n_notifiers, d->rules->n_notifiers == 1 ? "" : "s");
}

int daemon_reload(Daemon *d) {
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64 "\nSTATUS=Reading the configuration", monotonic());
    ConfigFiles files = {0};
    Rules *rules = NULL;
    char **errors = NULL;
    int r = config_read(d->options.config, &files, &errors);
    if (r == 0) r = understand(d, &files, &rules, &errors);
    if (r == 0)
        reload_taken(d, rules, &files);
    else if (r > 0)
        reload_failed(d, errors);
    else
        log_write(
            JOURNAL_RELOAD_REFUSED, NULL, "cannot reload, the old configuration stays in force: %s", strerror(-r));
    config_files_done(&files);
    strv_free(errors);
    /* What is ignored or not counts in the coverage, so it is told anew. */
    json_decref(d->coverage);
    d->coverage = NULL;
    /* Failed or not: what is in force now is said once it has been looked by it, so that `status` says the same. */
    d->ready_due = true;
    d->last_look = 0; /* a shorter interval now does not make looks missed that were never due */
    return daemon_look(d);
}
