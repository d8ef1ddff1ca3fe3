/* All the notifiers: they follow the configuration, and so do their queues. */
#include <errno.h>
#include <string.h>

#include "daemon/daemon.h"
#include "portwatch-build.h"
#include "store/notifiers.h"

ChannelOptions daemon_channel_options(const Daemon *d) {
    const char *passed = getenv("CREDENTIALS_DIRECTORY");
    return (ChannelOptions){.worker = d->options.notify_program,
        .plugin_dir = d->options.plugin_dir,
        .credentials = passed ? passed : PORTWATCH_CREDENTIALS};
}

void daemon_wake_all(Daemon *d) {
    for (size_t i = 0; i < d->n_notifiers; i++) notifier_wake(d->notifiers[i]);
}

bool daemon_busy(const Daemon *d) {
    for (size_t i = 0; i < d->n_notifiers; i++)
        if (d->notifiers[i]->busy) return true;
    return false;
}

char **daemon_others(const Daemon *d, const char *except) {
    char **names = calloc(d->n_notifiers + 1, sizeof *names);
    size_t n = 0;
    for (size_t i = 0; i < d->n_notifiers && names; i++) {
        const char *name = d->notifiers[i]->rule->name;
        if (except && strcmp(name, except) == 0) continue;
        names[n] = strdup(name);
        if (!names[n++]) {
            strv_free(names);
            return NULL;
        }
    }
    return names;
}

void daemon_free_notifiers(Daemon *d) {
    /* One after the other out of the list: what ends with one, a test, looks at the others. */
    for (size_t i = 0; i < d->n_notifiers; i++) notifier_free(TAKE_PTR(d->notifiers[i]));
    free(d->notifiers);
    d->notifiers = NULL;
    d->n_notifiers = 0;
}

static bool same_settings(const NotifierRule *a, const NotifierRule *b) {
    if (strcmp(a->plugin, b->plugin) != 0 || a->n_settings != b->n_settings) return false;
    for (size_t i = 0; i < a->n_settings; i++)
        if (strcmp(a->settings[i].key, b->settings[i].key) != 0 ||
            strcmp(a->settings[i].value, b->settings[i].value) != 0)
            return false;
    return true;
}

/* The running notifier of this rule, if its plugin need not be told anything new. A delivery under way goes on. */
static Notifier *find_same(const Daemon *d, const NotifierRule *rule) {
    for (size_t i = 0; i < d->n_notifiers; i++) {
        Notifier *n = d->notifiers[i];
        if (n && strcmp(n->rule->name, rule->name) == 0 && (n->busy || n->result_pending) &&
            same_settings(n->rule, rule))
            return n;
    }
    return NULL;
}

/* Those that have never been told what is watched, and want to be. */
static int find_unlearned(Daemon *d) {
    NotifierHealth *health = NULL;
    size_t n = 0;
    int r = store_notifiers(d->store, daemon_now().realtime, &health, &n);
    strv_free(d->unlearned);
    d->unlearned = NULL;
    for (size_t i = 0; i < n && r == 0; i++) {
        const NotifierRule *rule = rules_notifier(d->rules, health[i].name);
        if (rule && !health[i].learned && (rule->events & EVENT_MASK_NOTICE))
            r = strv_append(&d->unlearned, rule->name);
    }
    notifier_health_free(health, n);
    return r;
}

int daemon_sync_queues(Daemon *d) {
    char **names = NULL;
    int r = 0;
    for (size_t i = 0; i < d->rules->n_notifiers && r == 0; i++) r = strv_append(&names, d->rules->notifiers[i].name);
    if (r == 0) r = store_notifiers_sync(d->store, names ? names : (char *[]){NULL}, daemon_now().realtime);
    /* Tried at once after a reload; at start a server's wish to be left alone still holds. */
    for (char **name = names; name && *name && r == 0 && d->tick; name++) r = outbox_wake(d->store, *name);
    strv_free(names);
    if (r == 0) r = find_unlearned(d);
    d->queues_unsynced = r != 0;
    if (r > 0) daemon_store_failed(d, r);
    if (r == 0) daemon_wake_all(d);
    return r < 0 ? r : 0;
}

int daemon_sync_notifiers(Daemon *d) {
    _cleanup_free_ Notifier **fresh = calloc(d->rules->n_notifiers + 1, sizeof *fresh);
    if (!fresh) return -ENOMEM;
    int r = 0;
    size_t n = 0;
    for (size_t i = 0; i < d->rules->n_notifiers && r == 0; i++) {
        const NotifierRule *rule = &d->rules->notifiers[i];
        Notifier *kept = find_same(d, rule);
        if (kept) {
            for (size_t k = 0; k < d->n_notifiers; k++)
                if (d->notifiers[k] == kept) d->notifiers[k] = NULL;
            kept->rule = rule;
            kept->next_beat = 0; /* it may be another interval */
            channel_set_rule(kept->channel, rule);
            fresh[n++] = kept;
        } else {
            r = notifier_new(d, rule, &fresh[n]);
            if (r == 0) n++;
        }
    }
    daemon_free_notifiers(d);
    d->notifiers = TAKE_PTR(fresh);
    d->n_notifiers = n;
    int q = daemon_sync_queues(d);
    return r < 0 ? r : q;
}
