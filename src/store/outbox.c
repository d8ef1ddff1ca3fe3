#include "store/outbox.h"

#include <errno.h>
#include <string.h>

#include "store/db.h"

#define HOUR (3600 * USEC_PER_SEC)

static void list_free(char ***list) {
    strv_free(*list);
}

int outbox_look(Store *store, const char *notifier, int64_t now, OutboxLook *ret) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT (SELECT count(*) FROM queue WHERE notifier = ?1 AND message IS NULL),"
        " (SELECT queued FROM queue WHERE notifier = ?1 AND message IS NULL ORDER BY id LIMIT 1),"
        " (SELECT count(*) FROM queue WHERE notifier = ?1 AND message IS NULL AND severity = 2),"
        " (SELECT queued FROM queue WHERE notifier = ?1 AND message IS NULL AND severity = 2 ORDER BY id LIMIT 1),"
        " EXISTS (SELECT 1 FROM message WHERE notifier = ?1 AND state = 'waiting'),"
        " (SELECT count(*) FROM message WHERE notifier = ?1 AND formed > ?2 AND formed <= ?3)",
        "tii", notifier, now - HOUR, now);
    if (r == 0) r = db_step(store, statement, &row);
    if (r != 0) return r;
    *ret = (OutboxLook){
        .waiting = (unsigned)sqlite3_column_int64(statement, 0),
        .oldest = sqlite3_column_int64(statement, 1),
        .critical = (unsigned)sqlite3_column_int64(statement, 2),
        .oldest_critical = sqlite3_column_int64(statement, 3),
        .in_flight = sqlite3_column_int(statement, 4) != 0,
        .formed = (unsigned)sqlite3_column_int64(statement, 5),
    };
    return 0;
}

static bool type_parse(const char *name, EventType *ret) {
    for (int type = 0; type < EVENT_TYPE_MAX; type++)
        if (strcmp(event_type_name((EventType)type), name) == 0) {
            *ret = (EventType)type;
            return true;
        }
    return false;
}

int outbox_waiting(Store *store, const char *notifier, bool critical, size_t max, OutboxRow **ret, size_t *ret_n) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    size_t limit = max < OUTBOX_ROWS_MAX ? max : OUTBOX_ROWS_MAX, n = 0;
    OutboxRow *rows = calloc(limit + 1, sizeof(OutboxRow));
    if (!rows) return -ENOMEM;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT q.id, e.id, e.incident, e.type, e.time, e.document FROM queue q JOIN event e ON e.seq = q.event"
        " WHERE q.notifier = ?1 AND q.message IS NULL AND (?2 = 0 OR q.severity = 2 OR EXISTS"
        "  (SELECT 1 FROM event f JOIN queue c ON c.event = f.seq AND c.notifier = ?1 WHERE f.incident = e.incident"
        "   AND c.message IS NULL AND c.severity = 2 AND c.id > q.id)) ORDER BY q.id LIMIT ?3",
        "tdi", notifier, (int)critical, (int64_t)limit);
    while (r == 0 && n < limit && (r = db_step(store, statement, &row)) == 0 && row) {
        OutboxRow *item = &rows[n++];
        item->id = sqlite3_column_int64(statement, 0);
        item->time = sqlite3_column_int64(statement, 4);
        db_copy(statement, 1, item->event, sizeof(item->event));
        db_copy(statement, 2, item->incident, sizeof(item->incident));
        if (!type_parse(db_text(statement, 3), &item->type))
            r = db_fail(store, STORE_CORRUPT, "%s: event %s cannot be read.", store->path, item->event);
        else
            r = db_string(statement, 5, &item->document);
    }
    if (r != 0) {
        outbox_rows_free(rows, n);
        return r;
    }
    *ret = rows;
    *ret_n = n;
    return 0;
}

void outbox_rows_free(OutboxRow *rows, size_t n) {
    for (size_t i = 0; rows && i < n; i++) free(rows[i].document);
    free(rows);
}

int outbox_threads(Store *store, const char *incident, const char *notifier, char ***ret) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    _cleanup_(list_free) char **ids = NULL;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT DISTINCT m.id FROM event e JOIN queue q ON q.event = e.seq JOIN message m ON m.seq = q.message"
        " WHERE e.incident = ? AND e.type = 'opened' AND q.notifier = ? ORDER BY m.seq",
        "tt", incident, notifier);
    while (r == 0 && (r = db_step(store, statement, &row)) == 0 && row) r = strv_append(&ids, db_text(statement, 0));
    if (r == 0) *ret = TAKE_PTR(ids);
    return r;
}

int outbox_told(Store *store, const char *incident, const char *notifier, bool *ret) {
    int64_t told = 0;
    int r =
        db_integer(store, 0, &told, "SELECT 1 FROM told WHERE incident = ? AND notifier = ?", "tt", incident, notifier);
    if (r == 0) *ret = told != 0;
    return r;
}

static char *references_join(char *const *references) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    for (size_t i = 0; references && references[i]; i++) fprintf(f, "%s%s", i ? " " : "", references[i]);
    bool failed = ferror(f);
    if (fclose(f) == 0 && !failed) return text;
    free(text);
    return NULL;
}

static int references_split(const char *text, char ***ret) {
    _cleanup_(list_free) char **list = NULL;
    while (*text) {
        size_t length = strcspn(text, " ");
        _cleanup_free_ char *id = strndup(text, length);
        int r = id ? strv_append(&list, id) : -ENOMEM;
        if (r < 0) return r;
        text += length + (text[length] == ' ');
    }
    *ret = TAKE_PTR(list);
    return 0;
}

int outbox_form(Store *store, const Message *message, const int64_t *rows, size_t n_rows) {
    _cleanup_free_ char *references = references_join(message->references);
    if (!references) return -ENOMEM;
    _cleanup_transaction_ Store *open = NULL;
    int64_t busy = 0;
    int r = db_begin(store, &open);
    if (r == 0)
        r = db_integer(
            store, 0, &busy, "SELECT 1 FROM message WHERE notifier = ? AND state = 'waiting'", "t", message->notifier);
    if (r == 0 && busy)
        return db_fail(store, STORE_GONE, "%s: a message to %s is in flight already.", store->path, message->notifier);
    if (r == 0)
        r = db_run(store,
            "INSERT INTO message (id, notifier, host, formed, boot, subject, text, document, refs, state)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'waiting')",
            "tttiitttt", message->id, message->notifier, message->host, message->formed, store->boot, message->subject,
            message->text, message->document, references);
    int64_t seq = sqlite3_last_insert_rowid(store->db);
    if (r == 0)
        r = db_run(store,
            "UPDATE notifier SET omitted = 0, omitted_from = 0, omitted_to = 0 WHERE name = ? AND omitted", "t",
            message->notifier);
    for (size_t i = 0; r == 0 && i < n_rows; i++) {
        r = db_run(store, "UPDATE queue SET message = ? WHERE id = ? AND notifier = ? AND message IS NULL", "iit", seq,
            rows[i], message->notifier);
        if (r == 0 && db_changes(store) == 0)
            return db_fail(
                store, STORE_GONE, "%s: an event of the message does not wait for %s.", store->path, message->notifier);
    }
    return r == 0 ? db_commit(&open) : r;
}

static const char *const recipient_states[] = {"waiting", "delivered", "refused"};

static int in_flight_recipients(Store *store, int64_t seq, InFlight *in_flight) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT address, state, code, reason FROM recipient WHERE message = ? ORDER BY position", "i", seq);
    while (r == 0 && (r = db_step(store, statement, &row)) == 0 && row) {
        Recipient *list = reallocarray(in_flight->recipients, in_flight->n_recipients + 1, sizeof(Recipient));
        if (!list) return -ENOMEM;
        in_flight->recipients = list;
        Recipient *recipient = &list[in_flight->n_recipients++];
        *recipient = (Recipient){.code = sqlite3_column_int(statement, 2)};
        while (recipient->state < RECIPIENT_REFUSED &&
               strcmp(recipient_states[recipient->state], db_text(statement, 1)) != 0)
            recipient->state++;
        r = db_string(statement, 0, &recipient->address);
        if (r == 0) r = db_string(statement, 3, &recipient->reason);
    }
    return r;
}

int outbox_in_flight(Store *store, const char *notifier, int64_t now, InFlight *ret) {
    _cleanup_(in_flight_done) InFlight found = {0};
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT seq, id, notifier, host, formed, subject, text, document, refs, attempts, next_try, wait FROM message"
        " WHERE notifier = ? AND state = 'waiting'",
        "t", notifier);
    if (r == 0) r = db_step(store, statement, &row);
    if (r != 0) return r;
    if (row) {
        Message *message = &found.message;
        found.found = true;
        found.attempts = (unsigned)sqlite3_column_int64(statement, 9);
        found.next_try =
            store_clamp_wait(sqlite3_column_int64(statement, 10), now, sqlite3_column_int64(statement, 11));
        db_copy(statement, 1, message->id, sizeof(message->id));
        message->formed = sqlite3_column_int64(statement, 4);
        r = db_string(statement, 2, &message->notifier);
        if (r == 0) r = db_string(statement, 3, &message->host);
        if (r == 0) r = db_string(statement, 5, &message->subject);
        if (r == 0) r = db_string(statement, 6, &message->text);
        if (r == 0) r = db_string(statement, 7, &message->document);
        if (r == 0) r = references_split(db_text(statement, 8), &message->references);
        if (r == 0) r = in_flight_recipients(store, sqlite3_column_int64(statement, 0), &found);
        if (r != 0) return r;
    }
    *ret = found;
    found = (InFlight){0};
    return 0;
}

void in_flight_done(InFlight *in_flight) {
    message_done(&in_flight->message);
    for (size_t i = 0; i < in_flight->n_recipients; i++) {
        free(in_flight->recipients[i].address);
        free(in_flight->recipients[i].reason);
    }
    free(in_flight->recipients);
    *in_flight = (InFlight){0};
}
