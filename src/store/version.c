/* Versions into the database, and out of it with time. */
#include "store/version.h"

#include <errno.h>
#include <string.h>

#include "store/encode.h"
#include "store/names.h"
#include "store/record.h"

#define DAY (86400 * USEC_PER_SEC)
#define BATCH 500
#define GROUPS_MAX 16

/* One version that this decision makes. */
typedef struct Group {
    VersionKind kind;
    const char *by, *why;
    int64_t number;
} Group;

typedef struct Groups {
    Group items[GROUPS_MAX];
    size_t n;
    int64_t counted; /* the version in which joins were counted last: once a decision */
} Groups;

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static int version_new(Store *store, const BaselineChange *change, int64_t now, int64_t *ret) {
    int r = db_run(store, "INSERT INTO version (time, last, boot, kind, who, why) VALUES (?, ?, ?, ?, ?, ?)", "iiittt",
        now, now, store->boot, version_kind_name(change->kind), change->by, change->why);
    *ret = sqlite3_last_insert_rowid(store->db);
    return r;
}

/* What is learned at first is one version, in however many looks. */
static int version_learning(Store *store, int64_t *ret) {
    return db_integer(
        store, 0, ret, "SELECT id FROM version WHERE kind = 'learned' AND id = (SELECT max(id) FROM version)", "");
}

static int version_of(Store *store, Groups *groups, const BaselineChange *change, int64_t now, int64_t *ret) {
    for (size_t i = 0; i < groups->n; i++) {
        const Group *group = &groups->items[i];
        if (group->kind != change->kind || !same_text(group->by, change->by) || !same_text(group->why, change->why))
            continue;
        *ret = group->number;
        return 0;
    }
    int64_t number = 0;
    int r = change->kind == VERSION_LEARNED ? version_learning(store, &number) : 0;
    if (r == 0 && number)
        r = db_run(store, "UPDATE version SET last = max(last, ?) WHERE id = ?", "ii", now, number);
    else if (r == 0)
        r = version_new(store, change, now, &number);
    if (r != 0) return r;
    if (groups->n < GROUPS_MAX) groups->items[groups->n++] = (Group){change->kind, change->by, change->why, number};
    *ret = number;
    return 0;
}

/* What joins is counted in the join before it, if that is the last change there and not older than a day: a port that
 * comes and goes unnoticed does not fill the disk. */
static int version_count_join(
    Store *store, Groups *groups, const BaselineChange *change, const char *after, int64_t now, bool *ret_done) {
    const Surface *s = &change->surface;
    int64_t number = 0;
    int r = db_integer(store, 0, &number,
        "SELECT id FROM version WHERE id = (SELECT max(version) FROM version_change WHERE namespace = ? AND protocol ="
        " ? AND port = ? AND local = ?) AND kind = 'joined' AND time BETWEEN ? AND ?",
        "ttddii", s->namespace, names_protocol(s), (int)s->port, (int)s->local, now - DAY, now);
    if (r != 0 || !number) return r;
    r = db_run(store,
        "UPDATE version_change SET after = ? WHERE namespace = ? AND protocol = ? AND port = ? AND local = ? AND"
        " version = ?",
        "tttddi", after, s->namespace, names_protocol(s), (int)s->port, (int)s->local, number);
    if (r == 0 && groups->counted != number)
        r = db_run(store, "UPDATE version SET last = ?, times = times + 1 WHERE id = ?", "ii", now, number);
    groups->counted = number;
    *ret_done = true;
    return r;
}

static int record_change(Store *store, Groups *groups, const BaselineChange *change, int64_t now) {
    _cleanup_free_ char *before = endpoints_encode(&change->before, DETAIL_SHORT);
    _cleanup_free_ char *after = endpoints_encode(&change->after, DETAIL_SHORT);
    if (!before || !after) return -ENOMEM;
    if (strcmp(before, after) == 0) return 0;
    bool done = false;
    int64_t number = 0;
    int r = change->kind == VERSION_JOINED ? version_count_join(store, groups, change, after, now, &done) : 0;
    if (r != 0 || done) return r;
    r = version_of(store, groups, change, now, &number);
    const Surface *s = &change->surface;
    return r != 0 ? r
                  : db_run(store,
                        "INSERT INTO version_change (namespace, protocol, port, local, version, before, after)"
                        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET after = excluded.after",
                        "ttdditt", s->namespace, names_protocol(s), (int)s->port, (int)s->local, number, before, after);
}

int version_record(Store *store, const Decision *decision, int64_t now) {
    Groups groups = {0};
    int r = 0;
    for (size_t i = 0; r == 0 && i < decision->n_baseline; i++)
        r = record_change(store, &groups, &decision->baseline[i], now);
    return r;
}

int version_expire(Store *store, int64_t before, bool *more) {
    int64_t changes = 0, limit = 0;
    int r = db_integer(store, 0, &changes, "SELECT count(*) FROM version_change", "");
    /* Of too many the oldest go whatever their age: up to the version that stands so far back. */
    if (r == 0 && changes > VERSION_CHANGES_MAX)
        r = db_integer(store, 0, &limit, "SELECT version FROM version_change ORDER BY version DESC LIMIT 1 OFFSET ?",
            "i", (int64_t)VERSION_CHANGES_MAX);
    if (r == 0)
        r = db_run(store, "CREATE TEMP TABLE IF NOT EXISTS outdated (namespace, protocol, port, local, version)", "");
    if (r == 0) r = db_run(store, "DELETE FROM temp.outdated", "");
    if (r == 0)
        r = db_run(store,
            "INSERT INTO temp.outdated SELECT c.namespace, c.protocol, c.port, c.local, c.version FROM version v"
            " JOIN version_change c ON c.version = v.id WHERE (v.last < ?1 OR v.id <= ?2) AND EXISTS"
            " (SELECT 1 FROM version_change l WHERE l.namespace = c.namespace AND l.protocol = c.protocol AND"
            "  l.port = c.port AND l.local = c.local AND l.version > c.version) ORDER BY c.version LIMIT ?3",
            "iid", before, limit, BATCH);
    if (r != 0 || db_changes(store) == 0) return r;
    if (db_changes(store) >= BATCH) *more = true;
    /* A version further back can no longer be made from what is left. */
    r = db_run(store,
        "INSERT INTO meta (key, value) SELECT 'versions_forgotten', CAST(max(version) AS TEXT) FROM temp.outdated WHERE"
        " true ON CONFLICT (key) DO UPDATE SET value = CAST(max(CAST(value AS INTEGER), CAST(excluded.value AS"
        " INTEGER)) AS TEXT)",
        "");
    if (r == 0)
        r = db_run(store,
            "DELETE FROM version_change WHERE (namespace, protocol, port, local, version) IN"
            " (SELECT namespace, protocol, port, local, version FROM temp.outdated)",
            "");
    if (r == 0)
        r = db_run(store,
            "DELETE FROM version WHERE id IN (SELECT version FROM temp.outdated) AND NOT EXISTS"
            " (SELECT 1 FROM version_change c WHERE c.version = version.id)",
            "");
    return r;
}
