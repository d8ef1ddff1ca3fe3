/* The configuration: at start, at reload, and the last good one. */
#include <errno.h>
#include <fcntl.h>
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

static void log_lines(int level, char *const *lines) {
    for (; lines && *lines; lines++) log_line(level, "%s", *lines);
}

/* Files -> rules, plugins asked too. 0, CONFIG_ERRORS with *ret_errors, -ENOMEM. */
static int understand(Daemon *d, const ConfigFiles *files, Rules **ret, char ***ret_errors) {
    _cleanup_(rules_freep) Rules *rules = NULL;
    int r = config_parse(files, d->host.name, &rules, ret_errors);
    if (r != CONFIG_OK) return r;
    const ChannelOptions options = daemon_channel_options(d);
    for (size_t i = 0; i < rules->n_notifiers; i++) {
        char **errors = NULL;
        /* Each may take its time, and no tick comes meanwhile. */
        sd_notify(0, "WATCHDOG=1");
        r = notifier_check(&options, &rules->notifiers[i], &errors);
        for (char **e = errors; e && *e && r >= 0; e++) r = strv_append(ret_errors, *e);
        strv_free(errors);
        if (r < 0) return r;
    }
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

static int load_last_good(Daemon *d, char *const *errors) {
    ConfigFiles files = {0};
    Rules *rules = NULL;
    char **old_errors = NULL;
    int r = read_last_good(d, &files);
    if (r == 0) r = understand(d, &files, &rules, &old_errors);
    if (r == 0) {
        log_warning("running the last good configuration instead");
        take_rules(d, rules, &files);
        r = set_trouble(d, "running the last good configuration, since the present one is not valid", errors);
    } else if (r == CONFIG_ERRORS) {
        log_error("the last good configuration does not work any more either:");
        log_lines(LOG_ERR, old_errors);
    } else if (r != -ENOENT)
        log_error("cannot read the last good configuration: %s", strerror(-r));
    strv_free(old_errors);
    config_files_done(&files);
    return r == 0 ? 0 : EXIT_CONFIG;
}

/* A first run without a configuration watches everything and tells the log. */
static int load_nothing(Daemon *d) {
    log_notice("no %s: every port is watched with the defaults, and alerts are only logged", d->options.config);
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
        log_lines(LOG_WARNING, rules->warnings);
        take_rules(d, rules, &files);
        int saved = save_last_good(d);
        if (saved < 0) log_warning("cannot keep the configuration as the last good one: %s", strerror(-saved));
    } else if (r < 0) {
        log_error("cannot read the configuration: %s", strerror(-r));
        r = EXIT_FAILURE;
    } else {
        if (!absent || d->options.config_given) log_lines(LOG_ERR, errors);
        r = load_last_good(d, errors);
        if (r == EXIT_CONFIG && absent && !d->options.config_given) r = load_nothing(d);
    }
    config_files_done(&files);
    strv_free(errors);
    return r;
}

static void reload_failed(Daemon *d, char *const *errors) {
    log_lines(LOG_ERR, errors);
    log_error("the configuration is not valid: the old one stays in force");
    if (set_trouble(d, "the configuration was not taken at the last reload, the one before is in force", errors) < 0)
        log_no_memory();
    if (d->configuration_trouble &&
        daemon_notice(d, SEVERITY_WARNING, "configuration", d->configuration_trouble, NULL) < 0)
        log_no_memory();
}

static void reload_taken(Daemon *d, Rules *rules, ConfigFiles *files) {
    Rules *old = d->rules;
    log_lines(LOG_WARNING, rules->warnings);
    take_rules(d, rules, files);
    int r = daemon_sync_notifiers(d);
    if (r < 0) log_error("cannot set up the notifiers: %s", strerror(-r));
    sockets_set_udp_settle(d->sockets, d->rules->settle);
    rules_free(old);
    r = save_last_good(d);
    if (r < 0) log_warning("cannot keep the configuration as the last good one: %s", strerror(-r));
    set_trouble(d, "", NULL);
    log_notice("configuration reloaded: %zu port sections, %zu notifiers", d->rules->n_ports, d->rules->n_notifiers);
}

int daemon_reload(Daemon *d) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
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
        log_error("cannot reload: %s", strerror(-r));
    config_files_done(&files);
    strv_free(errors);
    /* What is ignored or not counts in the coverage, so it is told anew. */
    json_decref(d->coverage);
    d->coverage = NULL;
    sd_notify(0, "READY=1");
    daemon_status(d);
    return sd_event_source_set_time(d->tick, 1);
}
