/* One notifier's queue: events become a message after group_wait, the message is sent until it is taken. */
#include <errno.h>
#include <string.h>

#include "daemon/fault.h"
#include "daemon/log.h"
#include "daemon/notifier.h"

#define LOOK_AGAIN (30 * USEC_PER_SEC) /* waits are realtime: look at least this often, the clock may have been set */

static void look(Notifier *n);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    look(userdata);
    return 0;
}

static void wait_for(Notifier *n, int64_t usec) {
    if (usec > LOOK_AGAIN) usec = LOOK_AGAIN;
    if (usec < 1000) usec = 1000;
    int r;
    if (n->timer) {
        r = sd_event_source_set_time_relative(n->timer, (uint64_t)usec);
        if (r >= 0) r = sd_event_source_set_enabled(n->timer, SD_EVENT_ONESHOT);
    } else
        r = sd_event_add_time_relative(n->daemon->event, &n->timer, CLOCK_BOOTTIME, (uint64_t)usec, 1000, on_timer, n);
    if (r < 0) log_write(JOURNAL_TROUBLE, NULL, "notifier %s: cannot set a timer: %s", n->rule->name, strerror(-r));
}

static void on_delivery(Channel *channel, const char *message_id, const Delivery *delivery, void *userdata) {
    result_add(userdata, delivery);
}

static void on_done(Channel *channel, const char *message_id, const char *trouble, void *userdata) {
    Notifier *n = userdata;
    n->busy = false;
    fault_point("after-send");
    if (trouble && !(n->result_reason = strdup(trouble))) log_no_memory();
    if (n->beating)
        result_heartbeat(n);
    else if (n->testing)
        result_test(n);
    else
        result_store(n);
    if (daemon_set_coverage(n->daemon) < 0) log_no_memory();
    if (n->daemon->stopping && !daemon_busy(n->daemon))
        sd_event_exit(n->daemon->event, 0);
    else
        wait_for(n, n->result_pending ? 2 * USEC_PER_SEC : 0);
}

/* Said once: the walls do not come and go. */
static void on_started(Channel *channel, char *const *missing, void *userdata) {
    Notifier *n = userdata;
    if (n->walls_missing || strv_length(missing) == 0) return;
    n->walls_missing = strv_copy(missing);
    for (; *missing; missing++)
        log_write(JOURNAL_WALL_MISSING, &(LogFields){.notifier = n->rule->name}, "notifier %s runs without a wall: %s",
            n->rule->name, *missing);
}

static void on_log(Channel *channel, const char *line, void *userdata) {
    const Notifier *n = userdata;
    log_write(JOURNAL_PLUGIN_SAYS, &(LogFields){.notifier = n->rule->name}, "notifier %s: %s", n->rule->name, line);
}

static void on_broken(Channel *channel, const char *how, void *userdata) {
    const Notifier *n = userdata;
    log_write(JOURNAL_PLUGIN_CRASHED, &(LogFields){.notifier = n->rule->name}, "notifier %s: %s", n->rule->name, how);
}

/* 0: under way. */
static int send_message(Notifier *n, const Message *message, char *const *skip) {
    fault_point("before-send");
    int r = channel_send(n->channel, message, skip);
    n->busy = r >= 0;
    if (r < 0)
        log_write(JOURNAL_TROUBLE, &(LogFields){.notifier = n->rule->name},
            "notifier %s: cannot hand a message to portwatch-notify: %s", n->rule->name, strerror(-r));
    return r;
}

static void send_in_flight(Notifier *n) {
    char **skip = NULL;
    int r = 0;
    for (size_t i = 0; i < n->in_flight.n_recipients && r == 0; i++)
        if (n->in_flight.recipients[i].state != RECIPIENT_WAITING)
            r = strv_append(&skip, n->in_flight.recipients[i].address);
    if (r == 0) r = send_message(n, &n->in_flight.message, skip);
    strv_free(skip);
    if (r == 0) return;
    /* What no child can be handed will not shrink: told through the others, as any refused message. */
    static const char reason[] = "the message is too large to be sent";
    if (r == -EMSGSIZE)
        result_add(n, &(Delivery){.recipient = (char *)"", .outcome = OUTCOME_REFUSED, .reason = (char *)reason});
    else
        n->result_reason = strdup("portwatch-notify could not be started");
    result_store(n);
    wait_for(n, 2 * USEC_PER_SEC);
}

/* Who takes no events is tested by what it is for. */
static bool send_test_heartbeat(Notifier *n) {
    n->busy = channel_heartbeat(n->channel) == 0;
    return n->busy;
}

static void send_test(Notifier *n) {
    Message message = {0};
    int r = n->rule->events ? compose_test(n->daemon, n->rule, &message) : 0;
    n->testing = r == 0 && (n->rule->events ? send_message(n, &message, NULL) == 0 : send_test_heartbeat(n));
    message_done(&message);
    if (!n->testing) {
        TestRun *run = TAKE_PTR(n->test);
        test_done(n->daemon, run, n->rule->name, NULL, 0, "the test message could not be sent");
    }
}

/* When the quiet time is over, 0: it is none. None is longer than a day, whatever the clock on the wall is made to say.
 */
static int64_t quiet_end(Notifier *n, const Now *now) {
    int64_t until = quiet_until(&n->rule->quiet, now->realtime);
    if (until == 0)
        n->quiet_since = 0;
    else if (n->quiet_since == 0)
        n->quiet_since = now->boottime;
    else if (now->boottime - n->quiet_since >= QUIET_LONGEST)
        until = 0;
    return until;
}

/* What waits becomes the message in flight: all of it, or in a quiet time what may pass. */
static int form_message(Notifier *n, bool critical) {
    Daemon *d = n->daemon;
    OutboxRow *rows = NULL;
    size_t n_rows = 0;
    int r = outbox_waiting(d->store, n->rule->name, critical, OUTBOX_ROWS_MAX, &rows, &n_rows);
    Message message = {0};
    _cleanup_free_ int64_t *ids = r == 0 ? malloc((n_rows + 1) * sizeof *ids) : NULL;
    if (r == 0 && !ids) r = -ENOMEM;
    for (size_t i = 0; i < n_rows && r == 0; i++) ids[i] = rows[i].id;
    if (r == 0) r = compose_message(d, n->rule, rows, &n_rows, &message);
    fault_point("before-form");
    if (r == 0) r = outbox_form(d->store, &message, ids, n_rows);
    fault_point("after-form");
    message_done(&message);
    outbox_rows_free(rows, n_rows);
    return r;
}

/* Events that have waited for group_wait become the message in flight. 1 formed, 0 looks again later. */
static int form(Notifier *n, const OutboxLook *look, const Now *now) {
    Daemon *d = n->daemon;
    int64_t quiet = quiet_end(n, now);
    if (quiet && (look->critical == 0 || n->rule->quiet_critical_waits)) {
        wait_for(n, quiet - now->realtime);
        return 0;
    }
    int64_t oldest = quiet ? look->oldest_critical : look->oldest;
    int64_t due = store_clamp_wait(oldest + n->rule->group_wait, now->realtime, n->rule->group_wait);
    if (due > now->realtime) {
        wait_for(n, due - now->realtime);
        return 0;
    }
    if (look->formed >= n->rule->max_per_hour) {
        wait_for(n, LOOK_AGAIN); /* they merge meanwhile */
        return 0;
    }
    int r = form_message(n, quiet != 0);
    if (r == 0) daemon_store_worked(d);
    if (r > 0) {
        daemon_store_failed(d, r);
        wait_for(n, 2 * USEC_PER_SEC);
    }
    return r == 0 ? 1 : r < 0 ? r : 0;
}

static void look(Notifier *n) {
    Daemon *d = n->daemon;
    if (n->busy || d->stopping || d->reopen) return;
    if (n->result_pending && !result_store(n)) {
        wait_for(n, 2 * USEC_PER_SEC);
        return;
    }
    if (!result_tell_refused(n)) {
        wait_for(n, 2 * USEC_PER_SEC);
        return;
    }
    if (n->test) {
        send_test(n);
        if (n->busy) return;
    }
    health_tell(n);
    const Now time = daemon_now();
    int64_t now = time.realtime;
    for (;;) {
        in_flight_done(&n->in_flight);
        int r = outbox_in_flight(d->store, n->rule->name, now, &n->in_flight);
        if (r == 0 && n->in_flight.found) {
            if (n->in_flight.next_try <= now)
                send_in_flight(n);
            else {
                wait_for(n, n->in_flight.next_try - now);
                in_flight_done(&n->in_flight);
            }
            return;
        }
        OutboxLook look;
        if (r == 0) r = outbox_look(d->store, n->rule->name, now, &look);
        if (r == 0 && look.waiting == 0) return;
        if (r > 0) daemon_store_failed(d, r);
        if (r == 0) {
            r = form(n, &look, &time);
            if (r == 0) return;
            if (r < 0) notifier_fails(n, "cannot form a message", strerror(-r));
        }
        if (r != 1) {
            wait_for(n, 2 * USEC_PER_SEC);
            return;
        }
    }
}

void notifier_wake(Notifier *n) {
    if (!n->busy) wait_for(n, 0);
}

void notifier_free(Notifier *n) {
    if (!n) return;
    if (n->test) {
        TestRun *run = TAKE_PTR(n->test);
        test_done(n->daemon, run, n->rule->name, NULL, 0, "the configuration changed meanwhile");
    }
    channel_free(n->channel);
    sd_event_source_disable_unref(n->timer);
    result_clear(n);
    in_flight_done(&n->in_flight);
    strv_free(n->walls_missing);
    free(n);
}

int notifier_new(Daemon *d, const NotifierRule *rule, Notifier **ret) {
    static const ChannelCallbacks callbacks = {
        .delivery = on_delivery, .done = on_done, .started = on_started, .broken = on_broken, .log = on_log};
    Notifier *n = calloc(1, sizeof *n);
    if (!n) return -ENOMEM;
    n->daemon = d;
    n->rule = rule;
    const ChannelOptions options = daemon_channel_options(d);
    int r = channel_new(d->event, &options, rule, &callbacks, n, &n->channel);
    if (r < 0) {
        notifier_free(n);
        return r;
    }
    *ret = n;
    return 0;
}
