/* One notifier's queue: events become a message after group_wait, the message is sent until it is taken. */
#include <errno.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/fault.h"
#include "daemon/log.h"
#include "notify/retry.h"
#include "store/notifiers.h"

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

static void clear_results(Notifier *n) {
    for (size_t i = 0; i < n->n_results; i++) delivery_done(&n->results[i]);
    free(n->results);
    free(n->result_reason);
    n->results = NULL;
    n->n_results = 0;
    n->result_reason = NULL;
}

static const char *first_reason(const Notifier *n) {
    for (size_t i = 0; i < n->n_results; i++)
        if (n->results[i].outcome != OUTCOME_DELIVERED && n->results[i].reason) return n->results[i].reason;
    return n->result_reason;
}

static void set_failing(Notifier *n, const char *what, const char *reason) {
    if (n->failing) return;
    n->failing = true;
    log_write(JOURNAL_NOTIFIER_FAILING, &(LogFields){.notifier = n->rule->name}, "notifier %s: %s: %s", n->rule->name,
        what, reason);
    daemon_status(n->daemon);
}

static void set_works(Notifier *n) {
    if (!n->failing) return;
    n->failing = false;
    log_write(
        JOURNAL_NOTIFIER_WORKS, &(LogFields){.notifier = n->rule->name}, "notifier %s works again", n->rule->name);
    daemon_status(n->daemon);
}

/* Who took it, who did not: said once when it begins to fail and once when it works again. */
static void log_result(Notifier *n, MessageState state) {
    const char *name = n->rule->name, *id = n->in_flight.message.id, *reason = first_reason(n);
    const LogFields fields = {.notifier = name};
    if (state == MESSAGE_SENT) {
        log_write(JOURNAL_DELIVERED, &fields, "notifier %s: message %s delivered", name, id);
        set_works(n);
    } else if (state == MESSAGE_FAILED)
        log_write(JOURNAL_MESSAGE_REFUSED, &fields, "notifier %s: message %s was refused: %s", name, id,
            reason ? reason : "no reason given");
    else
        set_failing(n, "not delivered, the message waits and is tried again", reason ? reason : "no answer");
}

/* A message that was refused for good is told through the other notifiers. */
static void tell_refused(Notifier *n, const char *reason) {
    Daemon *d = n->daemon;
    _cleanup_free_ char *summary = NULL;
    if (asprintf(&summary, "notifier %s could not deliver \"%s\": it was refused for good: %s", n->rule->name,
            n->in_flight.message.subject, reason ? reason : "no reason given") < 0) {
        summary = NULL;
        log_no_memory();
        return;
    }
    char **others = daemon_others(d, n->rule->name);
    if (!others || daemon_notice(d, SEVERITY_WARNING, "delivery", summary, others) < 0) log_no_memory();
    strv_free(others);
}

/* Stores the attempt that is over. False: it could not be stored yet. */
static bool store_result(Notifier *n) {
    Daemon *d = n->daemon;
    int64_t now = daemon_now().realtime, retry_after = 0;
    uint32_t random;
    daemon_random(&random, sizeof random);
    for (size_t i = 0; i < n->n_results; i++)
        if (n->results[i].outcome == OUTCOME_RETRY && n->results[i].retry_after > retry_after)
            retry_after = n->results[i].retry_after;
    int64_t next_try = now + retry_wait(n->in_flight.attempts + 1, retry_after, random);
    MessageState state = MESSAGE_WAITING;
    int r = outbox_result(
        d->store, n->in_flight.message.id, n->results, n->n_results, n->result_reason, next_try, now, &state);
    fault_point("after-result");
    if (r != 0 && r != STORE_GONE) {
        daemon_store_failed(d, r);
        n->result_pending = true;
        return false;
    }
    n->result_pending = false;
    if (r == 0) {
        daemon_store_worked(d);
        log_result(n, state);
        if (state == MESSAGE_FAILED) tell_refused(n, first_reason(n));
    }
    clear_results(n);
    in_flight_done(&n->in_flight);
    return true;
}

static void finish_test(Notifier *n) {
    Daemon *d = n->daemon;
    TestRun *run = TAKE_PTR(n->test);
    n->testing = false;
    bool delivered = n->n_results > 0;
    for (size_t i = 0; i < n->n_results; i++)
        if (n->results[i].outcome != OUTCOME_DELIVERED) delivered = false;
    const char *reason = delivered ? NULL : first_reason(n);
    int r = store_notifier_result(d->store, n->rule->name,
        delivered ? NULL
        : reason  ? reason
                  : "no answer",
        daemon_now().realtime);
    if (r == 0 && delivered) {
        r = outbox_wake(d->store, n->rule->name);
        set_works(n);
    }
    if (r != 0) daemon_store_failed(d, r);
    if (run) test_done(d, run, n->rule->name, n->results, n->n_results, reason ? reason : "no answer");
    clear_results(n);
}

static void on_delivery(Channel *channel, const char *message_id, const Delivery *delivery, void *userdata) {
    Notifier *n = userdata;
    Delivery copy = *delivery;
    copy.recipient = strdup(delivery->recipient ? delivery->recipient : "");
    copy.reason = delivery->reason ? strdup(delivery->reason) : NULL;
    Delivery *longer = reallocarray(n->results, n->n_results + 1, sizeof *longer);
    if (!longer || !copy.recipient) {
        log_no_memory();
        delivery_done(&copy);
        if (longer) n->results = longer;
        return; /* not stored: it is tried again */
    }
    n->results = longer;
    n->results[n->n_results++] = copy;
}

static void on_done(Channel *channel, const char *message_id, const char *trouble, void *userdata) {
    Notifier *n = userdata;
    n->busy = false;
    fault_point("after-send");
    if (trouble && !(n->result_reason = strdup(trouble))) log_no_memory();
    if (n->testing)
        finish_test(n);
    else
        store_result(n);
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
        on_delivery(n->channel, n->in_flight.message.id,
            &(Delivery){.recipient = (char *)"", .outcome = OUTCOME_REFUSED, .reason = (char *)reason}, n);
    else
        n->result_reason = strdup("portwatch-notify could not be started");
    store_result(n);
    wait_for(n, 2 * USEC_PER_SEC);
}

static void send_test(Notifier *n) {
    Message message = {0};
    int r = compose_test(n->daemon, n->rule, &message);
    n->testing = r == 0 && send_message(n, &message, NULL) == 0;
    message_done(&message);
    if (!n->testing) {
        TestRun *run = TAKE_PTR(n->test);
        test_done(n->daemon, run, n->rule->name, NULL, 0, "the test message could not be sent");
    }
}

/* Events that have waited for group_wait become the message in flight. 1 formed, 0 looks again later. */
static int form(Notifier *n, const OutboxLook *look, int64_t now) {
    Daemon *d = n->daemon;
    int64_t due = store_clamp_wait(look->oldest + n->rule->group_wait, now, n->rule->group_wait);
    if (due > now) {
        wait_for(n, due - now);
        return 0;
    }
    if (look->formed >= n->rule->max_per_hour) {
        wait_for(n, LOOK_AGAIN); /* they merge meanwhile */
        return 0;
    }
    OutboxRow *rows = NULL;
    size_t n_rows = 0;
    int r = outbox_waiting(d->store, n->rule->name, OUTBOX_ROWS_MAX, &rows, &n_rows);
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
    if (n->result_pending && !store_result(n)) {
        wait_for(n, 2 * USEC_PER_SEC);
        return;
    }
    if (n->test) {
        send_test(n);
        if (n->busy) return;
    }
    int64_t now = daemon_now().realtime;
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
            r = form(n, &look, now);
            if (r == 0) return;
            if (r < 0) set_failing(n, "cannot form a message", strerror(-r));
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
    clear_results(n);
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
