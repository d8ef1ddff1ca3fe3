/* Once a tick: snapshot, decision, commit. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "daemon/daemon.h"
#include "daemon/fault.h"
#include "daemon/log.h"
#include "store/ballast.h"
#include "store/history.h"

#define EXPIRE_EVERY (600 * USEC_PER_SEC)

#define COVERAGE_EVERY (60 * USEC_PER_SEC)
#define MISSED_FOR (3600 * USEC_PER_SEC)

/* Namespaces come and go with every container: they are written down once in a while. */
static bool namespaces_changed(const Daemon *d, const Snapshot *now) {
    return d->covered_unseen != now->namespaces_unseen || d->covered_seen != now->n_namespaces;
}

/* Looks that did not take place: the machine slept, or was too busy. The engine begins its waits anew after such a gap.
 */
static void count_missed(Daemon *d, const Now *now, Snapshot *snapshot) {
    int64_t since = d->last_look ? now->boottime - d->last_look : 0;
    if (since > 3 * d->rules->interval && since > USEC_PER_SEC) {
        d->missed += (unsigned)(since / d->rules->interval - 1);
        d->last_missed = now->boottime;
    } else if (d->missed > 0 && now->boottime - d->last_missed > MISSED_FOR)
        d->missed = 0;
    d->last_look = now->boottime;
    snapshot->looks_missed = d->missed;
}

static bool coverage_changed(const Snapshot *a, const Snapshot *b) {
    if (a->looks_missed != b->looks_missed || !a->namespaces_trouble != !b->namespaces_trouble) return true;
    if (memcmp(a->tables, b->tables, sizeof a->tables) != 0 || a->without_owner != b->without_owner) return true;
    return !a->owner_trouble != !b->owner_trouble;
}

static int list_not_seen(const Snapshot *snapshot, char ***lines) {
    int r = 0;
    for (Table t = 0; t < TABLE_MAX && r == 0; t++) {
        if (snapshot->tables[t] != TABLE_ABSENT) continue;
        _cleanup_free_ char *line =
            text_printf("%s: %s", table_name(t), snapshot->trouble[t] ? snapshot->trouble[t] : "absent");
        r = line ? strv_append(lines, line) : -ENOMEM;
    }
    if (r == 0 && snapshot->owner_trouble) {
        _cleanup_free_ char *line = text_printf("some owners: %s", snapshot->owner_trouble);
        r = line ? strv_append(lines, line) : -ENOMEM;
    }
    return r;
}

/* What this system never shows. Each line is said once, though it may come and go with the sockets that it is about; a
 * table that fails is an incident instead. */
static void log_coverage(Daemon *d) {
    char **lines = NULL;
    bool news = false;
    int r = list_not_seen(&d->snapshot, &lines);
    for (char **line = lines; r == 0 && line && *line; line++) {
        if (strv_contains(d->not_seen, *line)) continue;
        r = strv_append(&d->not_seen, *line);
        news = true;
    }
    if (news) log_write(JOURNAL_COVERAGE, &(LogFields){.lines = lines}, "a part of this system is not seen:");
    strv_free(lines);
}

/* A snapshot that could not be taken: one in which nothing can be read. 0 or -ENOMEM. */
static int blind_snapshot(const Snapshot *before, int error, Snapshot *ret) {
    Snapshot snapshot = {.ephemeral_first = before->ephemeral_first, .ephemeral_last = before->ephemeral_last};
    for (Table t = 0; t < TABLE_MAX; t++) {
        snapshot.tables[t] = TABLE_INCOMPLETE;
        snapshot.trouble[t] = strdup(strerror(-error));
        if (snapshot.trouble[t]) continue;
        snapshot_done(&snapshot);
        return -ENOMEM;
    }
    *ret = snapshot;
    return 0;
}

void daemon_log_ballast(const Daemon *d, int result) {
    if (result < 0)
        log_write(
            JOURNAL_TROUBLE, NULL, "cannot make the ballast file in %s: %s", d->options.state_dir, strerror(-result));
}

/* Old history leaves in small portions. */
static void expire(Daemon *d, const Now *now) {
    if (d->last_expire && now->boottime - d->last_expire < EXPIRE_EVERY) return;
    bool more = false;
    int r = store_expire(d->store, now->realtime, d->rules->retain, &more);
    if (r != 0)
        daemon_store_failed(d, r);
    else
        daemon_store_worked(d);
    if (r != 0 || !more) d->last_expire = now->boottime;
    r = ballast_keep(d->options.state_dir); /* it was given up where the disk was full */
    daemon_log_ballast(d, r);
}

static int next_tick(Daemon *d, const Now *now, int64_t next_look) {
    int64_t at = now->boottime + d->rules->interval;
    if (next_look < at) at = next_look > now->boottime ? next_look : now->boottime;
    int r = sd_event_source_set_time(d->tick, (uint64_t)at);
    return r < 0 ? r : sd_event_source_set_enabled(d->tick, SD_EVENT_ONESHOT);
}

int daemon_look(Daemon *d) {
    Snapshot snapshot = {0};
    int r = sockets_take(d->sockets, &snapshot);
    if (r < 0 && r != -ENOMEM) r = blind_snapshot(&d->snapshot, r, &snapshot);
    if (r < 0) {
        /* Nothing can be decided without a snapshot; the next tick may have the memory. */
        log_write(JOURNAL_TROUBLE, NULL, "cannot take a snapshot: %s", strerror(-r));
        Now now = daemon_now();
        return next_tick(d, &now, INT64_MAX);
    }
    Now now = daemon_now();
    count_missed(d, &now, &snapshot);
    bool often = now.boottime - d->last_coverage < COVERAGE_EVERY;
    if (!d->coverage || coverage_changed(&d->snapshot, &snapshot) || d->coverage_unstored ||
        (!often && namespaces_changed(d, &snapshot))) {
        d->last_coverage = now.boottime;
        d->covered_unseen = snapshot.namespaces_unseen;
        d->covered_seen = snapshot.n_namespaces;
        json_decref(d->coverage);
        d->coverage = document_coverage(&snapshot, d->rules);
        if (!d->coverage) log_no_memory();
        r = daemon_set_coverage(d);
        if (r != 0) daemon_store_failed(d, r);
    }
    if (snapshot_remember_holders(&d->snapshot, &d->previous) < 0) log_no_memory();
    snapshot_done(&d->previous);
    d->previous = d->snapshot;
    d->snapshot = snapshot;
    log_coverage(d);

    Decision decision;
    r = engine_step(d->rules, &d->state, &d->snapshot, &now, &decision);
    if (r < 0) {
        log_no_memory();
        return next_tick(d, &now, INT64_MAX);
    }
    int64_t next_look = decision.next_look;
    if (d->first_look == 0) d->first_look = now.boottime;
    r = daemon_commit(d, &decision, NULL);
    if (r == 0 && d->state.learned && d->unlearned) r = daemon_tell_learned(d);
    if (r < 0) log_write(JOURNAL_TROUBLE, NULL, "cannot decide: %s", strerror(-r));
    if (r == 0 && snapshot_complete(&d->snapshot)) daemon_heartbeats(d, &now);
    daemon_ask_causes(d, &now);
    if (d->ready_due) daemon_ready(d);
    if (d->opening_reason) daemon_tell_opening(d);
    if (d->queues_unsynced && daemon_sync_queues(d) < 0) log_no_memory();
    if (d->requests_wait) daemon_look_at_requests(d);
    expire(d, &now);
    return next_tick(d, &now, next_look);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata) {
    return daemon_look(userdata);
}

void daemon_tick_now(Daemon *d) {
    sd_event_source_set_time(d->tick, (uint64_t)daemon_now().boottime);
}

int daemon_start_ticks(Daemon *d) {
    /* At once, then each interval. The accuracy lets the kernel wake us together with others. */
    return sd_event_add_time(d->event, &d->tick, CLOCK_BOOTTIME, 1, (uint64_t)(10 * 1000), on_tick, d);
}
