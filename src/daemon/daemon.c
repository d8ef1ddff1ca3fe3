#include "daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "daemon/log.h"
#include "kernel/procfs.h"
#include "store/ballast.h"
#include "store/lock.h"

#define STOP_WAIT (5 * USEC_PER_SEC) /* for a delivery under way */

static const KernelRoots roots = KERNEL_ROOTS_DEFAULT;

static int64_t clock_usec(clockid_t clock) {
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

Now daemon_now(void) {
    static int64_t booted = -1; /* when PID 1 started; it does not change while we live */
    Now now = {.boottime = clock_usec(CLOCK_BOOTTIME), .realtime = clock_usec(CLOCK_REALTIME)};
    int64_t age;
    /* Without /proc/1 the kernel's own age will do. */
    if (booted < 0) booted = procfs_boot_age(&roots, &age) < 0 ? 0 : now.boottime - age;
    now.boot_age = now.boottime - booted;
    return now;
}

void daemon_random(void *buffer, size_t size) {
    for (size_t at = 0; at < size;) {
        ssize_t n = getrandom((char *)buffer + at, size - at, 0);
        if (n > 0) at += (size_t)n;
    }
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
    return daemon_reload(userdata);
}

static int on_stop_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
    Daemon *d = userdata;
    return sd_event_exit(d->event, 0);
}

/* A message that is just being taken by a server is waited for, so that it does not come twice. */
static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
    Daemon *d = userdata;
    bool busy = daemon_busy(d);
    sd_notifyf(0, "STOPPING=1\nSTATUS=%s", busy ? "Stopping: a message is just being delivered" : "Stopping");
    if (!d->stopping) log_write(JOURNAL_STOPPING, NULL, "stopping; what waits to be sent is sent after the next start");
    if (d->stopping || !busy) return sd_event_exit(d->event, 0);
    d->stopping = true;
    return sd_event_add_time_relative(d->event, NULL, CLOCK_BOOTTIME, STOP_WAIT, 0, on_stop_deadline, d);
}

/* A corrupt database is only known as such by opening it anew. */
static int on_post(sd_event_source *source, void *userdata) {
    Daemon *d = userdata;
    if (!d->reopen) return 0;
    d->reopen = false;
    daemon_stop_requests(d);
    daemon_free_notifiers(d);
    store_close(d->store);
    d->store = NULL;
    state_done(&d->state);
    int r = daemon_open_store(d);
    if (r == 0) r = daemon_sync_notifiers(d);
    if (r == 0) r = daemon_start_requests(d);
    if (r == 0) daemon_tell_opening(d);
    return r == 0 ? 0 : sd_event_exit(d->event, r > 0 ? r : EXIT_FAILURE);
}

static int start_events(Daemon *d) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0) return -errno;
    signal(SIGPIPE, SIG_IGN);
    int r = sd_event_default(&d->event);
    if (r >= 0) r = sd_event_add_signal(d->event, NULL, SIGHUP, on_hangup, d);
    if (r >= 0) r = sd_event_add_signal(d->event, NULL, SIGTERM, on_terminate, d);
    if (r >= 0) r = sd_event_add_signal(d->event, NULL, SIGINT, on_terminate, d);
    if (r >= 0) r = sd_event_add_post(d->event, NULL, on_post, d);
    if (r >= 0) r = sd_event_set_watchdog(d->event, true);
    return r < 0 ? r : 0;
}

/* 0, or a positive exit code; says why. */
static int take_state_dir(Daemon *d) {
    int r = state_directory_make(d->options.state_dir);
    if (r < 0) {
        log_write(JOURNAL_DATABASE_UNUSABLE, NULL, "cannot make the state directory %s: %s", d->options.state_dir,
            strerror(-r));
        return EXIT_FAILURE;
    }
    r = state_lock(d->options.state_dir, &d->lock);
    if (r == 0) return 0;
    if (r > 0)
        log_write(JOURNAL_START_FAILED, NULL, "another portwatchd is running with %s", d->options.state_dir);
    else
        log_write(JOURNAL_DATABASE_UNUSABLE, NULL, "cannot lock %s: %s", d->options.state_dir, strerror(-r));
    return EXIT_FAILURE;
}

static int start_sockets(Daemon *d) {
    const SocketsOptions options = {
        .udp_settle = d->rules->settle, .all_namespaces = d->rules->namespaces == SCOPE_ALL};
    int r = sockets_new(&roots, &options, &d->sockets);
    if (r >= 0) r = packages_new(roots.files, &d->packages);
    if (r < 0) log_write(JOURNAL_START_FAILED, NULL, "cannot read the kernel's socket tables: %s", strerror(-r));
    return r;
}

void daemon_tell_opening(Daemon *d) {
    if (!d->opening_reason) return;
    if (daemon_notice(d, d->opening_severity, "database", d->opening_reason, NULL) != 0) return;
    free(d->opening_reason);
    d->opening_reason = NULL;
}

/* 0, or an exit code. What failed has been said. */
static int start(Daemon *d) {
    int r = take_state_dir(d);
    if (r != 0) return r;
    r = start_events(d);
    if (r < 0) {
        log_write(JOURNAL_START_FAILED, NULL, "cannot make an event loop: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    r = daemon_load(d);
    if (r != 0) return r;
    r = daemon_open_store(d);
    if (r != 0) return r;
    r = ballast_keep(d->options.state_dir);
    daemon_log_ballast(d, r);
    r = daemon_sync_notifiers(d);
    if (r == 0) r = start_sockets(d);
    if (r == 0) r = daemon_start_requests(d);
    if (r == 0) r = daemon_start_causes(d);
    if (r == 0) r = daemon_start_ticks(d);
    if (r < 0) log_write(JOURNAL_START_FAILED, NULL, "cannot start: %s", strerror(-r));
    if (r != 0) return EXIT_FAILURE;
    daemon_tell_opening(d);
    if (d->configuration_trouble) daemon_notice(d, SEVERITY_WARNING, "configuration", d->configuration_trouble, NULL);
    daemon_wake_all(d);
    log_write(JOURNAL_STARTED, NULL, "watching every port: %zu section%s of their own, %zu notifier%s, state in %s",
        d->rules->n_ports, d->rules->n_ports == 1 ? "" : "s", d->rules->n_notifiers,
        d->rules->n_notifiers == 1 ? "" : "s", d->options.state_dir);
    if (!rules_tell(d->rules) && d->files.n > 0)
        log_write(JOURNAL_NO_NOTIFIER, NULL, "no notifier is configured: alerts are only logged here");
    return 0;
}

static void finish(Daemon *d) {
    daemon_stop_requests(d);
    daemon_free_notifiers(d);
    daemon_stop_causes(d);
    sd_event_source_disable_unref(d->tick);
    sockets_free(d->sockets);
    packages_free(d->packages);
    snapshot_done(&d->snapshot);
    snapshot_done(&d->previous);
    state_done(&d->state);
    store_close(d->store);
    rules_free(d->rules);
    config_files_done(&d->files);
    strv_free(d->not_seen);
    strv_free(d->unlearned);
    free(d->configuration_trouble);
    free(d->opening_reason);
    free(d->coverage_stored);
    json_decref(d->coverage);
    sd_event_unref(d->event);
    if (d->lock >= 0) close(d->lock);
}

int daemon_run(const Options *options) {
    Daemon d = {.options = *options, .lock = -1};
    host_read(&d.host);
    int r = start(&d);
    if (r == 0) {
        d.ready_due = true; /* after the first look: `status` answers what is true from then on */
        r = sd_event_loop(d.event);
        if (r < 0) {
            log_write(JOURNAL_TROUBLE, NULL, "the event loop failed: %s", strerror(-r));
            r = EXIT_FAILURE;
        }
    }
    finish(&d);
    return r;
}
