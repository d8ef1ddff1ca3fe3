/* Heartbeats: a service elsewhere hears from each notifier that has one while portwatch truly watches, and raises the
 * alarm when it hears no more. They come from the loop that looks, so that a daemon that hangs sends none. */
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "notify/retry.h"
#include "store/notifiers.h"

/* In step with the last one, before a restart too: who is restarted again and again must not look alive for that.
 * False: the store fails. */
static bool find_next(Notifier *n, const Now *now) {
    int64_t interval = n->rule->heartbeat, tried = 0;
    int r = store_heartbeat_tried(n->daemon->store, n->rule->name, &tried);
    if (r != 0) {
        daemon_store_failed(n->daemon, r);
        return false;
    }
    int64_t due = store_clamp_wait(tried + interval, now->realtime, interval);
    n->next_beat = now->boottime + (due > now->realtime ? due - now->realtime : 0);
    return true;
}

static void beat(Notifier *n, const Now *now) {
    Daemon *d = n->daemon;
    if (n->next_beat == 0 && !find_next(n, now)) return;
    if (now->boottime < n->next_beat || n->busy || n->result_pending) return;
    /* What cannot be written now could not be told either: a sign of life would lie. */
    int r = store_heartbeat_try(d->store, n->rule->name, now->realtime);
    if (r != 0) {
        daemon_store_failed(d, r);
        return;
    }
    daemon_store_worked(d);
    n->next_beat = heartbeat_next(n->next_beat, n->rule->heartbeat, now->boottime);
    r = channel_heartbeat(n->channel);
    n->busy = n->beating = r == 0;
    if (r < 0)
        log_write(JOURNAL_TROUBLE, &(LogFields){.notifier = n->rule->name}, "notifier %s: cannot send a heartbeat: %s",
            n->rule->name, strerror(-r));
}

void daemon_heartbeats(Daemon *d, const Now *now) {
    if (d->stopping || d->reopen) return;
    for (size_t i = 0; i < d->n_notifiers; i++)
        if (d->notifiers[i]->rule->heartbeat > 0) beat(d->notifiers[i], now);
}

void heartbeat_done(Notifier *n, const char *reason) {
    Daemon *d = n->daemon;
    const LogFields fields = {.notifier = n->rule->name};
    n->beating = false;
    int r = store_heartbeat_result(d->store, n->rule->name, reason, daemon_now().realtime);
    if (r != 0)
        daemon_store_failed(d, r);
    else
        daemon_store_worked(d);
    if (n->beats_fail == (reason != NULL)) return;
    n->beats_fail = reason != NULL;
    if (reason)
        log_write(JOURNAL_NOTIFIER_FAILING, &fields,
            "notifier %s: the heartbeat was not taken, the next one follows: %s", n->rule->name, reason);
    else
        log_write(JOURNAL_NOTIFIER_WORKS, &fields, "notifier %s: heartbeats are taken again", n->rule->name);
    daemon_status(d);
}
