/* What became of an attempt: gathered, stored, said in the log. */
#include <errno.h>
#include <string.h>

#include "daemon/fault.h"
#include "daemon/log.h"
#include "daemon/notifier.h"
#include "notify/retry.h"
#include "store/notifiers.h"

void result_clear(Notifier *n) {
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

void notifier_fails(Notifier *n, const char *what, const char *reason) {
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
        notifier_fails(n, "not delivered, the message waits and is tried again", reason ? reason : "no answer");
}

static int tell_refused(Notifier *n, const FailedMessage *message) {
    Daemon *d = n->daemon;
    _cleanup_free_ char *summary = text_printf("notifier %s could not deliver \"%s\": it was refused for good: %s",
        n->rule->name, message->subject, message->reason ? message->reason : "no reason given");
    char **others = daemon_others(d, n->rule->name);
    int r = summary && others ? daemon_notice_refused(d, message->id, summary, others) : -ENOMEM;
    strv_free(others);
    return r;
}

bool result_tell_refused(Notifier *n) {
    while (!n->refused_known) {
        FailedMessage message = {0};
        int r = outbox_untold(n->daemon->store, n->rule->name, &message);
        if (r > 0) daemon_store_failed(n->daemon, r);
        if (r == 0 && message.id[0])
            r = tell_refused(n, &message);
        else if (r == 0)
            n->refused_known = true;
        failed_message_done(&message);
        if (r == -ENOMEM) log_no_memory();
        if (r != 0) return false;
    }
    return true;
}

bool result_store(Notifier *n) {
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
        if (state == MESSAGE_WAITING)
            health_failed(n);
        else
            health_worked(n);
        if (state == MESSAGE_FAILED) n->refused_known = false;
    }
    result_clear(n);
    in_flight_done(&n->in_flight);
    return true;
}

void result_test(Notifier *n) {
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
        health_worked(n);
    }
    if (r != 0) daemon_store_failed(d, r);
    if (run) test_done(d, run, n->rule->name, n->results, n->n_results, reason ? reason : "no answer");
    result_clear(n);
}

void result_add(Notifier *n, const Delivery *delivery) {
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

void result_heartbeat(Notifier *n) {
    bool taken = n->n_results == 1 && n->results[0].outcome == OUTCOME_DELIVERED;
    const char *reason = first_reason(n);
    heartbeat_done(n, taken ? NULL : reason ? reason : "no answer");
    result_clear(n);
}
