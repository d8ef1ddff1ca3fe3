#include "store/schema.h"

#include "portwatch-build.h"

/* Lists of endpoints and owners are text in the form of store/encode.h. Times are realtime microseconds; `boot` is the
 * boot they were taken in. An absent protocol is '' so that unique indexes see it. */
static const char schema_1[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE boot (id INTEGER PRIMARY KEY, boot_id TEXT NOT NULL UNIQUE, first INTEGER NOT NULL) STRICT;"

    "CREATE TABLE baseline ("
    "  protocol TEXT NOT NULL, port INTEGER NOT NULL, address TEXT NOT NULL, device TEXT NOT NULL,"
    "  v6only INTEGER NOT NULL, count INTEGER NOT NULL, since INTEGER NOT NULL, owners TEXT NOT NULL,"
    "  PRIMARY KEY (protocol, port, address, device)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE pause ("
    "  every INTEGER NOT NULL, protocol TEXT NOT NULL, port INTEGER NOT NULL, local INTEGER NOT NULL,"
    "  until INTEGER NOT NULL, PRIMARY KEY (every, protocol, port, local)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE incident ("
    "  id TEXT PRIMARY KEY, token TEXT NOT NULL, aspect TEXT NOT NULL,"
    "  protocol TEXT NOT NULL, port INTEGER NOT NULL, local INTEGER NOT NULL,"
    "  state TEXT NOT NULL, change TEXT NOT NULL, reach TEXT NOT NULL, severity TEXT NOT NULL,"
    "  before TEXT NOT NULL, told TEXT NOT NULL, opened INTEGER NOT NULL, last_event INTEGER NOT NULL,"
    "  next_reminder INTEGER NOT NULL, remind_step INTEGER NOT NULL, acknowledged INTEGER NOT NULL,"
    "  opening_event TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    /* No incident opens twice. */
    "CREATE UNIQUE INDEX incident_open ON incident (aspect, protocol, port, local) WHERE state = 'open';"
    "CREATE UNIQUE INDEX incident_token ON incident (token) WHERE state = 'open';"

    "CREATE TABLE event ("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, incident TEXT REFERENCES incident (id),"
    "  type TEXT NOT NULL, time INTEGER NOT NULL, boot INTEGER NOT NULL, document TEXT NOT NULL) STRICT;"
    "CREATE INDEX event_incident ON event (incident) WHERE incident IS NOT NULL;"
    "CREATE TRIGGER event_immutable BEFORE UPDATE ON event BEGIN SELECT RAISE (ABORT, 'events are immutable'); END;"

    "CREATE TABLE notifier ("
    "  name TEXT PRIMARY KEY, since INTEGER NOT NULL, left INTEGER NOT NULL DEFAULT 0,"
    "  learned INTEGER NOT NULL DEFAULT 0, last_success INTEGER NOT NULL DEFAULT 0, last_error TEXT,"
    "  last_error_time INTEGER NOT NULL DEFAULT 0, failing_since INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"

    "CREATE TABLE message ("
    "  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    "  notifier TEXT NOT NULL REFERENCES notifier (name), host TEXT NOT NULL, formed INTEGER NOT NULL,"
    "  boot INTEGER NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, document TEXT NOT NULL,"
    "  refs TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('waiting', 'sent', 'failed')),"
    "  attempts INTEGER NOT NULL DEFAULT 0, next_try INTEGER NOT NULL DEFAULT 0,"
    "  wait INTEGER NOT NULL DEFAULT 0, ended INTEGER NOT NULL DEFAULT 0, last_error TEXT) STRICT;"
    /* One message in flight a notifier. */
    "CREATE UNIQUE INDEX message_in_flight ON message (notifier) WHERE state = 'waiting';"
    "CREATE INDEX message_formed ON message (notifier, formed);"
    "CREATE INDEX message_ended ON message (ended) WHERE state != 'waiting';"
    "CREATE TRIGGER message_fixed BEFORE UPDATE OF id, notifier, host, formed, subject, text, document, refs ON message"
    "  BEGIN SELECT RAISE (ABORT, 'a formed message is fixed'); END;"

    "CREATE TABLE recipient ("
    "  message INTEGER NOT NULL REFERENCES message (seq) ON DELETE CASCADE, address TEXT NOT NULL,"
    "  position INTEGER NOT NULL, state TEXT NOT NULL CHECK (state IN ('waiting', 'delivered', 'refused')),"
    "  code INTEGER NOT NULL DEFAULT 0, reason TEXT, time INTEGER NOT NULL DEFAULT 0,"
    "  PRIMARY KEY (message, address)) STRICT, WITHOUT ROWID;"

    "CREATE TABLE queue ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, event INTEGER NOT NULL REFERENCES event (seq),"
    "  notifier TEXT NOT NULL REFERENCES notifier (name), queued INTEGER NOT NULL,"
    "  message INTEGER REFERENCES message (seq), UNIQUE (event, notifier)) STRICT;"
    "CREATE INDEX queue_waiting ON queue (notifier, id) WHERE message IS NULL;"
    "CREATE INDEX queue_message ON queue (message) WHERE message IS NOT NULL;"

    "CREATE TABLE history ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, boot INTEGER NOT NULL, kind TEXT NOT NULL,"
    "  protocol TEXT NOT NULL, port INTEGER NOT NULL, local INTEGER NOT NULL, change TEXT NOT NULL,"
    "  before TEXT NOT NULL, after TEXT NOT NULL, token TEXT NOT NULL, text TEXT,"
    "  shape INTEGER NOT NULL, count INTEGER NOT NULL DEFAULT 1, last INTEGER NOT NULL) STRICT;"
    "CREATE INDEX history_port ON history (port, id);"
    "CREATE INDEX history_time ON history (time);"
    "CREATE INDEX history_bounced ON history (shape, time) WHERE kind = 'bounced';"

    "CREATE TABLE request ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, command TEXT NOT NULL, arguments TEXT NOT NULL, who TEXT NOT NULL,"
    "  made INTEGER NOT NULL, expires INTEGER NOT NULL, boot_id TEXT NOT NULL,"
    "  state TEXT NOT NULL CHECK (state IN ('waiting', 'answered', 'expired')),"
    "  code INTEGER NOT NULL DEFAULT 0, answer TEXT, ended INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX request_waiting ON request (id) WHERE state = 'waiting';";

/* Everything says in which network namespace it is: what version 1 knew is the host's, ''. A surface without a protocol
 * is the whole of its namespace. Pauses are of the host's ports only. */
static const char schema_2[] =
    "ALTER TABLE baseline RENAME TO baseline_1;"
    "CREATE TABLE baseline ("
    "  namespace TEXT NOT NULL, protocol TEXT NOT NULL, port INTEGER NOT NULL, address TEXT NOT NULL,"
    "  device TEXT NOT NULL, v6only INTEGER NOT NULL, count INTEGER NOT NULL, since INTEGER NOT NULL,"
    "  owners TEXT NOT NULL, PRIMARY KEY (namespace, protocol, port, address, device)) STRICT, WITHOUT ROWID;"
    "INSERT INTO baseline SELECT '', protocol, port, address, device, v6only, count, since, owners FROM baseline_1;"
    "DROP TABLE baseline_1;"
    "ALTER TABLE incident ADD COLUMN namespace TEXT NOT NULL DEFAULT '';"
    "DROP INDEX incident_open;"
    "CREATE UNIQUE INDEX incident_open ON incident (aspect, namespace, protocol, port, local) WHERE state = 'open';"
    "ALTER TABLE history ADD COLUMN namespace TEXT NOT NULL DEFAULT '';";

/* How often what an incident is about has come back, where it comes and goes. What waits knows how urgent it is (0 info
 * to 2 critical) and how many bytes; that a notifier fails is told once, and so is that it refused a message
 * for good; who was told of an incident that is
 * open hears how it goes on.
 * The baseline's versions: one row a version, and one a surface that it changed. Joins and learning are counted in the
 * version that is there (`times`, up to `last`).
 * Acceptances that end (`before` is expected again then) and those given ahead. */
static const char schema_3[] =
    "ALTER TABLE incident ADD COLUMN returns INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE notifier ADD COLUMN failing_told INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE notifier ADD COLUMN omitted INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE notifier ADD COLUMN omitted_from INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE notifier ADD COLUMN omitted_to INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE message ADD COLUMN untold INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX message_untold ON message (notifier) WHERE untold = 1;"
    "ALTER TABLE queue ADD COLUMN severity INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE queue ADD COLUMN size INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE told ("
    "  incident TEXT NOT NULL REFERENCES incident (id) ON DELETE CASCADE, notifier TEXT NOT NULL,"
    "  PRIMARY KEY (incident, notifier)) STRICT, WITHOUT ROWID;"
    "INSERT INTO told SELECT DISTINCT e.incident, q.notifier FROM queue q JOIN event e ON e.seq = q.event"
    "  JOIN incident i ON i.id = e.incident WHERE i.state = 'open';"

    "CREATE TABLE version ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, last INTEGER NOT NULL, boot INTEGER NOT NULL,"
    "  kind TEXT NOT NULL, who TEXT, why TEXT, times INTEGER NOT NULL DEFAULT 1) STRICT;"
    "CREATE TABLE version_change ("
    "  namespace TEXT NOT NULL, protocol TEXT NOT NULL, port INTEGER NOT NULL, local INTEGER NOT NULL,"
    "  version INTEGER NOT NULL REFERENCES version (id), before TEXT NOT NULL, after TEXT NOT NULL,"
    "  PRIMARY KEY (namespace, protocol, port, local, version)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX version_change_version ON version_change (version);"

    "CREATE TABLE loan ("
    "  namespace TEXT NOT NULL, protocol TEXT NOT NULL, port INTEGER NOT NULL, local INTEGER NOT NULL,"
    "  ahead INTEGER NOT NULL, made INTEGER NOT NULL, until INTEGER NOT NULL, who TEXT, why TEXT,"
    "  before TEXT NOT NULL, PRIMARY KEY (namespace, protocol, port, local)) STRICT, WITHOUT ROWID;"

    /* When the last one was tried, and when one was taken. */
    "ALTER TABLE notifier ADD COLUMN heartbeat_tried INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE notifier ADD COLUMN heartbeat INTEGER NOT NULL DEFAULT 0;";

const Migration schema_migrations[] = {{1, schema_1}, {2, schema_2}, {3, schema_3}};
const size_t schema_n_migrations = ELEMENTSOF(schema_migrations);
_Static_assert(ELEMENTSOF(schema_migrations) == SCHEMA_VERSION, "a migration a version");

int schema_version(Store *store, int64_t *ret) {
    return db_integer(store, 0, ret, "PRAGMA user_version", "");
}

static int schema_step(Store *store, const Migration *migration, int64_t now) {
    int r = db_exec(store, migration->sql);
    if (r == 0)
        r = db_run(store, "INSERT INTO migration (version, applied, program) VALUES (?, ?, ?)", "dit",
            migration->version, now, PORTWATCH_VERSION);
    char sql[64];
    snprintf(sql, sizeof(sql), "PRAGMA user_version = %d", migration->version);
    return r != 0 ? r : db_exec(store, sql);
}

int schema_upgrade(Store *store, const Migration *migrations, size_t n, int64_t now) {
    int64_t version = 0;
    int r = schema_version(store, &version);
    if (r != 0 || n == 0 || version >= migrations[n - 1].version) return r;

    _cleanup_transaction_ Store *open = NULL;
    r = db_begin(store, &open);
    if (r == 0 && version == 0) {
        char sql[64];
        snprintf(sql, sizeof(sql), "PRAGMA application_id = %d", SCHEMA_APPLICATION);
        r = db_exec(store, sql);
        if (r == 0)
            r = db_exec(store,
                "CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, applied INTEGER NOT NULL,"
                " program TEXT NOT NULL) STRICT");
    }
    for (size_t i = 0; r == 0 && i < n; i++)
        if (migrations[i].version > version) r = schema_step(store, &migrations[i], now);
    return r == 0 ? db_commit(&open) : r;
}
