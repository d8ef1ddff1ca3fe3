/* Versions out of the database. */
#include <errno.h>
#include <string.h>

#include "store/encode.h"
#include "store/names.h"
#include "store/state.h"
#include "store/version.h"

static void version_done(Version *version) {
    for (size_t i = 0; i < version->n_changes; i++) {
        endpoints_done(&version->changes[i].before);
        endpoints_done(&version->changes[i].after);
    }
    free(version->changes);
    free(version->who);
    free(version->why);
}

void versions_free(Version *versions, size_t n) {
    for (size_t i = 0; versions && i < n; i++) version_done(&versions[i]);
    free(versions);
}

static int unreadable(Store *store, int64_t number) {
    return db_fail(
        store, STORE_CORRUPT, "%s: version %lld of the baseline cannot be read.", store->path, (long long)number);
}

static int read_change(Store *store, sqlite3_stmt *statement, int64_t number, VersionChange *ret) {
    if (!names_surface(statement, 0, 3, &ret->surface)) return unreadable(store, number);
    const char *before = db_text(statement, 4), *after = db_text(statement, 5);
    int r = endpoints_decode(before, (size_t)sqlite3_column_bytes(statement, 4), &ret->before);
    if (r == 0) r = endpoints_decode(after, (size_t)sqlite3_column_bytes(statement, 5), &ret->after);
    return r == -EBADMSG ? unreadable(store, number) : r;
}

static bool kind_parse(const char *name, VersionKind *ret) {
    for (int kind = 0; kind < VERSION_MAX; kind++)
        if (strcmp(version_kind_name((VersionKind)kind), name) == 0) {
            *ret = (VersionKind)kind;
            return true;
        }
    return false;
}

#define PASSES                                                                                                         \
    "(?1 < 0 OR c.port = ?1 OR (c.port = 0 AND (instr(c.before, ' ' || ?1 || ' ') OR"                                  \
    " instr(c.after, ' ' || ?1 || ' ')))) AND (?2 IS NULL OR c.protocol = ?2)"

static int read_changes(Store *store, const VersionFilter *filter, Version *version) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT protocol, port, local, namespace, before, after FROM version_change c WHERE " PASSES
        " AND c.version = ?3 ORDER BY namespace, protocol, port, local",
        "dti", filter->has_port ? (int)filter->port : -1, filter->has_protocol ? protocol_name(filter->protocol) : NULL,
        version->number);
    while (r == 0 && (r = db_step(store, statement, &row)) == 0 && row) {
        VersionChange *longer = reallocarray(version->changes, version->n_changes + 1, sizeof *longer);
        if (!longer) return -ENOMEM;
        version->changes = longer;
        longer[version->n_changes] = (VersionChange){0};
        r = read_change(store, statement, version->number, &longer[version->n_changes++]);
    }
    return r;
}

static int read_version(Store *store, sqlite3_stmt *statement, Version *version) {
    version->number = sqlite3_column_int64(statement, 0);
    version->time = sqlite3_column_int64(statement, 1);
    version->last = sqlite3_column_int64(statement, 2);
    version->times = (unsigned)sqlite3_column_int64(statement, 6);
    if (!kind_parse(db_text(statement, 3), &version->kind)) return unreadable(store, version->number);
    int r = db_string(statement, 4, &version->who);
    return r == 0 ? db_string(statement, 5, &version->why) : r;
}

int version_query(Store *store, const VersionFilter *filter, Version **ret, size_t *ret_n) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    size_t limit = filter->limit < VERSION_LIMIT ? filter->limit : VERSION_LIMIT, n = 0;
    Version *versions = calloc(limit + 1, sizeof *versions);
    if (!versions) return -ENOMEM;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT id, time, last, kind, who, why, times FROM version WHERE id > ?3 AND EXISTS"
        " (SELECT 1 FROM version_change c WHERE c.version = version.id AND " PASSES ") ORDER BY id LIMIT ?4",
        "dtii", filter->has_port ? (int)filter->port : -1,
        filter->has_protocol ? protocol_name(filter->protocol) : NULL, filter->after, (int64_t)limit);
    while (r == 0 && n < limit && (r = db_step(store, statement, &row)) == 0 && row)
        r = read_version(store, statement, &versions[n++]);
    for (size_t i = 0; r == 0 && i < n; i++) r = read_changes(store, filter, &versions[i]);
    if (r != 0) {
        versions_free(versions, n);
        return r;
    }
    *ret = versions;
    *ret_n = n;
    return 0;
}

/* What a row was before a version touched it. */
typedef struct Touched {
    int64_t version;
    bool there;
    Endpoint row; /* only its key where it was not there */
} Touched;

typedef struct Undoing {
    Touched *items;
    size_t n, allocated;
} Undoing;

static void undoing_done(Undoing *undoing) {
    for (size_t i = 0; i < undoing->n; i++) endpoint_done(&undoing->items[i].row);
    free(undoing->items);
}

/* By key, and of one key the first version to touch it before the others. */
static int compare_touched(const void *a, const void *b) {
    const Touched *x = a, *y = b;
    int r = endpoint_compare(&x->row, &y->row);
    if (r == 0) r = (x->version > y->version) - (x->version < y->version);
    return r ? r : (int)y->there - (int)x->there;
}

static int compare_touched_keys(const void *a, const void *b) {
    return endpoint_compare(&((const Touched *)a)->row, &((const Touched *)b)->row);
}

static int touch(Undoing *undoing, int64_t version, Endpoints *rows, bool there) {
    for (size_t i = 0; i < rows->n; i++) {
        if (undoing->n == undoing->allocated) {
            size_t more = undoing->allocated ? undoing->allocated * 2 : 64;
            Touched *longer = reallocarray(undoing->items, more, sizeof *longer);
            if (!longer) return -ENOMEM;
            undoing->items = longer;
            undoing->allocated = more;
        }
        undoing->items[undoing->n++] = (Touched){version, there, rows->items[i]};
        rows->items[i] = (Endpoint){0};
    }
    return 0;
}

static int read_since(Store *store, int64_t number, Undoing *undoing) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT protocol, port, local, namespace, before, after, version FROM version_change WHERE version > ?", "i",
        number);
    while (r == 0 && (r = db_step(store, statement, &row)) == 0 && row) {
        VersionChange change = {0};
        int64_t version = sqlite3_column_int64(statement, 6);
        r = read_change(store, statement, version, &change);
        if (r == 0) r = touch(undoing, version, &change.before, true);
        if (r == 0) r = touch(undoing, version, &change.after, false);
        endpoints_done(&change.before);
        endpoints_done(&change.after);
    }
    if (undoing->n > 1) qsort(undoing->items, undoing->n, sizeof *undoing->items, compare_touched);
    return r;
}

/* What no version touched since stays; of the rest the first one to touch it says what was there. */
static int undo(const Undoing *undoing, const Endpoints *now, Endpoints *ret) {
    int r = 0;
    for (size_t i = 0; i < now->n && r == 0; i++) {
        const Touched key = {.row = now->items[i]};
        if (!undoing->n || !bsearch(&key, undoing->items, undoing->n, sizeof key, compare_touched_keys))
            r = endpoints_add(ret, &now->items[i]);
    }
    for (size_t i = 0; i < undoing->n && r == 0; i++) {
        const Touched *touched = &undoing->items[i];
        bool first = i == 0 || compare_touched_keys(touched - 1, touched) != 0;
        if (first && touched->there) r = endpoints_add(ret, &touched->row);
    }
    return r == 0 ? endpoints_sort(ret) : r;
}

int version_baseline(
    Store *store, int64_t number, VersionFound *ret_found, int64_t *ret_oldest, int64_t *ret_newest, Endpoints *ret) {
    _cleanup_(db_unsnapshotp) Store *open = NULL;
    _cleanup_(state_done) State state = {0};
    int64_t oldest = 0, newest = 0;
    int r = db_snapshot(store, &open);
    if (r == 0)
        r = db_integer(
            store, 0, &oldest, "SELECT CAST(value AS INTEGER) FROM meta WHERE key = 'versions_forgotten'", "");
    if (r == 0) r = db_integer(store, 0, &newest, "SELECT max(id) FROM version", "");
    if (r != 0) return r;
    *ret_oldest = oldest;
    *ret_newest = newest;
    *ret_found = number > newest || number < 0 ? VERSION_UNKNOWN : number < oldest ? VERSION_FORGOTTEN : VERSION_FOUND;
    if (*ret_found != VERSION_FOUND) return 0;
    _cleanup_(undoing_done) Undoing undoing = {0};
    _cleanup_(endpoints_done) Endpoints rows = {0};
    r = store_load_state(store, &state);
    if (r == 0) r = read_since(store, number, &undoing);
    if (r == 0) r = undo(&undoing, &state.baseline, &rows);
    if (r != 0) return r;
    *ret = rows;
    rows = (Endpoints){0};
    return 0;
}
