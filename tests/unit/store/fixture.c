#include "fixture.h"

#include <dirent.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>

static const StoreIdentity identity = {.machine_id = MACHINE, .boot_id = BOOT, .now = NOW};

int fixture_setup_empty(void **state) {
    Fixture *f = calloc(1, sizeof(Fixture));
    assert_non_null(f);
    const char *base = getenv("TMPDIR");
    snprintf(f->dir, sizeof(f->dir), "%s/portwatch-store-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(chmod(f->dir, 0750), 0);
    *state = f;
    return 0;
}

int fixture_setup(void **state) {
    fixture_setup_empty(state);
    Fixture *f = *state;
    f->store = fixture_open(f, STORE_DAEMON, STORE_FRESH, NULL);
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    return remove(path);
}

int fixture_teardown(void **state) {
    Fixture *f = *state;
    fixture_close(f);
    (void)nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

Store *fixture_open_at(
    const char *dir, StoreMode mode, const StoreIdentity *who, StoreOpening expected, const char *reason_has) {
    Store *store = NULL;
    StoreOpening what = STORE_OPENED;
    _cleanup_free_ char *reason = NULL;
    assert_int_equal(store_open(dir, mode, who ? who : &identity, &store, &what, &reason), 0);
    if (what != expected) print_error("%s\n", reason ? reason : "(no reason)");
    assert_int_equal(what, expected);
    if (reason_has) {
        assert_non_null(reason);
        if (!strstr(reason, reason_has)) print_error("%s\n", reason);
        assert_non_null(strstr(reason, reason_has));
        assert_non_null(strstr(reason, dir));
    } else
        assert_null(reason);
    if (expected <= STORE_SET_ASIDE_FOREIGN)
        assert_non_null(store);
    else
        assert_null(store);
    return store;
}

Store *fixture_open(Fixture *f, StoreMode mode, StoreOpening expected, const char *reason_has) {
    return fixture_open_at(f->dir, mode, NULL, expected, reason_has);
}

void fixture_close(Fixture *f) {
    store_close(TAKE_PTR(f->store));
}

void fixture_reopen(Fixture *f) {
    fixture_close(f);
    f->store = fixture_open(f, STORE_DAEMON, STORE_OPENED, NULL);
}

const char *fixture_path(const Fixture *f, const char *name) {
    static char buffers[4][256];
    static unsigned turn;
    char *buffer = buffers[turn++ % 4];
    snprintf(buffer, sizeof(buffers[0]), "%s/%s", f->dir, name);
    return buffer;
}

unsigned fixture_count(const Fixture *f, const char *prefix) {
    unsigned n = 0;
    DIR *dir = opendir(f->dir);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0) n++;
    closedir(dir);
    return n;
}

int64_t fixture_query(Store *store, const char *sql) {
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

void fixture_exec(Store *store, const char *sql) {
    int code = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    if (code != SQLITE_OK) print_error("%s\n", sqlite3_errmsg(store->db));
    assert_int_equal(code, SQLITE_OK);
}

Endpoint fixture_endpoint(Protocol protocol, uint16_t port, const char *address, const char *exe) {
    Endpoint endpoint = {.protocol = protocol, .port = port, .count = 1};
    assert_true(address_parse(address, &endpoint.address));
    if (exe) {
        _cleanup_(owner_unrefp) Owner *owner = owner_new();
        assert_non_null(owner);
        owner->exe = strdup(exe);
        owner->uid = 33;
        owner->user = strdup("www-data");
        owner->pid = 812;
        owner->comm = strdup("ng inx\n\x1b[2J\xff%");
        owner->cmdline = strdup("nginx: master process");
        assert_int_equal(endpoint_add_owner(&endpoint, owner), 0);
    }
    return endpoint;
}

const char *fixture_uuid(char kind, unsigned serial, char buffer[static UUID_TEXT_MAX]) {
    snprintf(buffer, UUID_TEXT_MAX, "%02x000000-0000-4000-8000-%012x", (unsigned char)kind, serial);
    return buffer;
}

static void told_endpoints(Endpoints *list, uint16_t port) {
    _cleanup_(endpoint_done) Endpoint endpoint = fixture_endpoint(PROTOCOL_TCP, port, "0.0.0.0", "/usr/sbin/nginx");
    assert_int_equal(endpoints_take(list, &endpoint), 0);
}

void told_init(Told *told, unsigned serial, EventType type, uint16_t port, char *const *notifiers) {
    *told = (Told){0};
    Event *event = calloc(1, sizeof(Event));
    Transition *transition = calloc(1, sizeof(Transition));
    assert_non_null(event);
    assert_non_null(transition);
    Surface surface = {.protocol = PROTOCOL_TCP, .port = port};
    fixture_uuid('e', serial * 2 + (type == EVENT_RESOLVED), event->id);
    event->type = type;
    event->time = NOW + serial;
    event->has_incident = true;
    event->change = CHANGE_OPENED;
    event->surface = surface;
    Incident *incident = &event->incident;
    fixture_uuid('i', serial, incident->id);
    snprintf(incident->token, sizeof(incident->token), "%04X", serial % 0x10000);
    incident->surface = surface;
    incident->state = type == EVENT_RESOLVED ? INCIDENT_RESOLVED : INCIDENT_OPEN;
    incident->change = CHANGE_OPENED;
    incident->severity = SEVERITY_WARNING;
    incident->opened = NOW;
    incident->last_event = event->time;
    incident->next_reminder = NOW + DAYS;
    incident->remind_step = 2 * DAYS;
    fixture_uuid('e', serial * 2, incident->opening_event);
    told_endpoints(&incident->told, port);
    told_endpoints(&event->after, port);
    *transition = (Transition){.kind = type == EVENT_RESOLVED ? TRANSITION_RESOLVED : TRANSITION_OPENED,
        .time = event->time,
        .has_surface = true,
        .surface = surface,
        .change = CHANGE_OPENED};
    told_endpoints(&transition->after, port);
    told->decision = (Decision){.events = event, .n_events = 1, .transitions = transition, .n_transitions = 1};
    snprintf(told->text, sizeof(told->text), "{\"port\":%u,\"serial\":%u}", port, serial);
    told->document = (EventDocument){.event_id = event->id, .document = told->text, .notifiers = notifiers};
}

void told_done(Told *told) {
    decision_done(&told->decision);
}

Commit told_commit(const Told *told) {
    return (Commit){.decision = &told->decision,
        .documents = &told->document,
        .n_documents = 1,
        .now = told->decision.events[0].time};
}

void fixture_tell(Store *store, unsigned serial, uint16_t port, char *const *notifiers) {
    _cleanup_(told_done) Told told;
    told_init(&told, serial, EVENT_OPENED, port, notifiers);
    Commit commit = told_commit(&told);
    int r = store_commit(store, &commit);
    if (r != 0) print_error("%s\n", store_reason(store));
    assert_int_equal(r, 0);
}

void fixture_form(Store *store, const char *notifier, unsigned serial) {
    OutboxRow *rows = NULL;
    size_t n = 0;
    assert_int_equal(outbox_waiting(store, notifier, false, OUTBOX_ROWS_MAX, &rows, &n), 0);
    assert_true(n > 0);
    int64_t ids[OUTBOX_ROWS_MAX];
    for (size_t i = 0; i < n; i++) ids[i] = rows[i].id;
    outbox_rows_free(rows, n);
    Message message = {.notifier = (char *)notifier,
        .host = (char *)"db1",
        .formed = NOW + serial,
        .subject = (char *)"[db1] WARNING 443/tcp",
        .text = (char *)"line\n",
        .document = (char *)"{}"};
    fixture_uuid('m', serial, message.id);
    int r = outbox_form(store, &message, ids, n);
    if (r != 0) print_error("%s\n", store_reason(store));
    assert_int_equal(r, 0);
}
