/* An alert about the alerting: that one notifier gets nothing through is told by the others. */
#include <errno.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/notifier.h"
#include "notify/moment.h"
#include "store/notifiers.h"

/* Longer than a server's restart and the five minutes of most greylists, and well below the hour after which `status`
 * calls it an error: a notifier that comes and goes makes at most eight messages an hour to each of the others. */
#define FAILING_AFTER (15 * 60 * USEC_PER_SEC)

static void health_free(NotifierHealth **health) {
    notifier_health_free(*health, 1);
}

/* A copy of one row, in an array of its own. */
static int health_read(Notifier *n, NotifierHealth **ret) {
    NotifierHealth *list = NULL;
    size_t n_list = 0;
    int r = store_notifiers(n->daemon->store, daemon_now().realtime, &list, &n_list);
    if (r != 0) return r;
    NotifierHealth *one = calloc(1, sizeof *one);
    for (size_t i = 0; i < n_list && one; i++)
        if (strcmp(list[i].name, n->rule->name) == 0) {
            *one = list[i];
            list[i].name = list[i].last_error = NULL;
        }
    notifier_health_free(list, n_list);
    if (!one) return -ENOMEM;
    *ret = one;
    return 0;
}

void health_failed(Notifier *n) {
    if (n->failed) return;
    _cleanup_(health_free) NotifierHealth *health = NULL;
    int r = health_read(n, &health);
    if (r != 0) {
        daemon_store_failed(n->daemon, r);
        return; /* asked again with the next failure */
    }
    /* It may have failed before a restart. From here on the clock on the wall has no say. */
    Now now = daemon_now();
    int64_t before = health->failing_since ? now.realtime - health->failing_since : 0;
    n->failing_from = now.boottime - (before > 0 ? before : 0);
    n->failed = true;
}

void health_worked(Notifier *n) {
    n->failed = false;
}

static char *failing_text(const char *name, const NotifierHealth *health, int64_t now) {
    char clock[MOMENT_TEXT_MAX];
    return text_printf("notifier %s gets nothing through since %s: %s; %u event%s wait%s for it", name,
        moment_clock(health->failing_since, now, clock), health->last_error ? health->last_error : "no reason given",
        health->waiting, health->waiting == 1 ? "" : "s", health->waiting == 1 ? "s" : "");
}

/* Told in the same transaction as it is noted. */
static int tell(Notifier *n, bool works) {
    Daemon *d = n->daemon;
    _cleanup_(health_free) NotifierHealth *health = NULL;
    int r = health_read(n, &health);
    if (r != 0) return daemon_store_failed(d, r);
    if (works && health->failing_since) return 0; /* before a restart; not tried since */
    _cleanup_free_ char *summary = works ? text_printf("notifier %s works again", n->rule->name)
                                         : failing_text(n->rule->name, health, daemon_now().realtime);
    char **others = daemon_others(d, n->rule->name);
    r = summary && others ? daemon_notice_about(d, n->rule->name, works, summary, others) : -ENOMEM;
    strv_free(others);
    if (r == 0) n->failing_told = !works;
    return r;
}

void health_tell(Notifier *n) {
    Daemon *d = n->daemon;
    if (!n->health_known) {
        NotifierHealth *health = NULL;
        int r = health_read(n, &health);
        if (r == 0) {
            n->failing_told = health->failing_told != 0;
            n->health_known = true;
        } else
            daemon_store_failed(d, r);
        health_free(&health);
    }
    if (!n->health_known) return;
    int r = 0;
    if (n->failing_told && !n->failed)
        r = tell(n, true);
    else if (n->failed && !n->failing_told && d->n_notifiers > 1 &&
             daemon_now().boottime - n->failing_from >= FAILING_AFTER)
        r = tell(n, false);
    if (r == -ENOMEM) log_no_memory();
}
