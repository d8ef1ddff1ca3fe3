#include <errno.h>

#include "store/db.h"
#include "store/names.h"
#include "store/notifiers.h"
#include "store/outbox.h"

/* The row of a message in flight, and its notifier. */
static int message_find(Store *store, const char *id, int64_t *ret_seq, char **ret_notifier) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    bool row = false;
    int r =
        db_query(store, &statement, "SELECT seq, notifier FROM message WHERE id = ? AND state = 'waiting'", "t", id);
    if (r == 0) r = db_step(store, statement, &row);
    if (r != 0) return r;
    if (!row) return db_fail(store, STORE_GONE, "%s: message %s is not in flight.", store->path, id);
    *ret_seq = sqlite3_column_int64(statement, 0);
    return db_string(statement, 1, ret_notifier);
}

static int recipient_add(Store *store, int64_t message, const char *address) {
    return db_run(store,
        "INSERT OR IGNORE INTO recipient (message, address, position, state) VALUES (?1, ?2,"
        " (SELECT count(*) FROM recipient WHERE message = ?1), 'waiting')",
        "it", message, address);
}

static int recipient_count(Store *store, int64_t message, const char *state, int64_t *ret) {
    return db_integer(
        store, 0, ret, "SELECT count(*) FROM recipient WHERE message = ? AND state = ?", "it", message, state);
}

int outbox_set_recipients(Store *store, const char *message, char *const *recipients) {
    _cleanup_free_ char *notifier = NULL;
    _cleanup_transaction_ Store *open = NULL;
    int64_t seq = 0, known = 0;
    int r = db_begin(store, &open);
    if (r == 0) r = message_find(store, message, &seq, &notifier);
    if (r == 0) r = db_integer(store, 0, &known, "SELECT count(*) FROM recipient WHERE message = ?", "i", seq);
    for (size_t i = 0; r == 0 && known == 0 && recipients[i]; i++) r = recipient_add(store, seq, recipients[i]);
    return r == 0 ? db_commit(&open) : r;
}

/* What one recipient answered. */
static int result_one(Store *store, int64_t seq, const Delivery *delivery, int64_t now) {
    int64_t known = 0;
    const char *recipient = delivery->recipient ? delivery->recipient : "";
    const char *state = delivery->outcome == OUTCOME_DELIVERED ? "delivered"
                        : delivery->outcome == OUTCOME_REFUSED ? "refused"
                                                               : "waiting";
    int r = db_integer(store, 0, &known, "SELECT count(*) FROM recipient WHERE message = ?", "i", seq);
    if (r != 0) return r;
    /* Before the recipients are known, "" that is to be tried again says nothing of any of them. */
    if (known == 0 && !recipient[0] && delivery->outcome == OUTCOME_RETRY) return 0;
    if (recipient[0] || known == 0) r = recipient_add(store, seq, recipient);
    if (r != 0) return r;
    return db_run(store,
        "UPDATE recipient SET state = ?1, code = ?2, reason = ?3, time = ?4 WHERE message = ?5 AND state = 'waiting'"
        " AND (?6 = '' OR address = ?6)",
        "tdtiit", state, delivery->code, delivery->reason, now, seq, recipient);
}

static int notifier_note(
    Store *store, const char *notifier, bool delivered, bool failing, const char *reason, int64_t now) {
    /* A refusal is an answer: the notifier works, even if nobody took the message. */
    return db_run(store,
        "UPDATE notifier SET last_success = CASE WHEN ?2 THEN ?5 ELSE last_success END,"
        " failing_since = CASE WHEN NOT ?3 THEN 0 WHEN failing_since = 0 THEN ?5 ELSE failing_since END,"
        " last_error = CASE WHEN ?4 IS NULL THEN last_error ELSE ?4 END,"
        " last_error_time = CASE WHEN ?4 IS NULL THEN last_error_time ELSE ?5 END WHERE name = ?1",
        "tddti", notifier, (int)delivered, (int)failing, reason, now);
}

int store_notifier_result(Store *store, const char *notifier, const char *reason, int64_t now) {
    return notifier_note(store, notifier, !reason, reason != NULL, reason, now);
}

/* A failed message keeps the words of the refusal, whichever attempt they came with. */
static int message_end(Store *store, int64_t seq, bool failed, int64_t now) {
    return db_run(store,
        "UPDATE message SET state = ?1, untold = ?4, attempts = attempts + 1, next_try = 0, ended = ?2, last_error ="
        " (SELECT CASE address WHEN '' THEN '' ELSE address || ': ' END || coalesce(reason, 'refused') FROM recipient"
        " WHERE message = ?3 AND state = 'refused' ORDER BY position LIMIT 1) WHERE seq = ?3",
        "tiid", failed ? "failed" : "sent", now, seq, (int)failed);
}

int outbox_result(Store *store, const char *message, const Delivery *deliveries, size_t n, const char *reason,
    int64_t next_try, int64_t now, MessageState *ret) {
    _cleanup_free_ char *notifier = NULL;
    _cleanup_transaction_ Store *open = NULL;
    int64_t seq = 0, waiting = 0, delivered = 0, refused = 0;
    bool took = false, retry = n == 0;
    int r = db_begin(store, &open);
    if (r == 0) r = message_find(store, message, &seq, &notifier);
    for (size_t i = 0; r == 0 && i < n; i++) {
        took |= deliveries[i].outcome == OUTCOME_DELIVERED;
        retry |= deliveries[i].outcome == OUTCOME_RETRY;
        if (deliveries[i].outcome != OUTCOME_DELIVERED && deliveries[i].reason) reason = deliveries[i].reason;
        r = result_one(store, seq, &deliveries[i], now);
    }
    if (r == 0) r = recipient_count(store, seq, "waiting", &waiting);
    if (r == 0) r = recipient_count(store, seq, "delivered", &delivered);
    if (r == 0) r = recipient_count(store, seq, "refused", &refused);
    if (r == 0) r = notifier_note(store, notifier, took, retry, reason, now);
    if (r != 0) return r;

    MessageState state = MESSAGE_WAITING;
    if (waiting > 0 || delivered + refused == 0)
        r = db_run(store,
            "UPDATE message SET attempts = attempts + 1, next_try = ?, wait = ?, last_error = ?"
            " WHERE seq = ?",
            "iiti", next_try, next_try > now ? next_try - now : 0, reason, seq);
    else {
        state = refused > 0 ? MESSAGE_FAILED : MESSAGE_SENT;
        r = message_end(store, seq, refused > 0, now);
    }
    if (r == 0) r = db_commit(&open);
    if (r == 0) *ret = state;
    return r;
}

int outbox_wake(Store *store, const char *notifier) {
    return db_run(store,
        "UPDATE message SET attempts = 0, next_try = 0 WHERE notifier = ? AND state = 'waiting' AND (attempts OR "
        "next_try)",
        "t", notifier);
}

void failed_message_done(FailedMessage *message) {
    free(message->notifier);
    free(message->subject);
    free(message->reason);
    *message = (FailedMessage){0};
}

void failed_messages_free(FailedMessage *messages, size_t n) {
    for (size_t i = 0; messages && i < n; i++) failed_message_done(&messages[i]);
    free(messages);
}

int outbox_untold(Store *store, const char *notifier, FailedMessage *ret) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    FailedMessage message = {0};
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT id, subject, last_error FROM message WHERE notifier = ? AND untold = 1 ORDER BY seq LIMIT 1", "t",
        notifier);
    if (r == 0) r = db_step(store, statement, &row);
    if (r == 0 && row) {
        db_copy(statement, 0, message.id, sizeof(message.id));
        r = db_string(statement, 1, &message.subject);
        if (r == 0) r = db_string(statement, 2, &message.reason);
    }
    if (r == 0)
        *ret = message;
    else
        failed_message_done(&message);
    return r;
}

int outbox_failed(Store *store, size_t max, FailedMessage **ret, size_t *ret_n) {
    _cleanup_statement_ sqlite3_stmt *statement = NULL;
    FailedMessage *messages = NULL;
    size_t n = 0;
    bool row = false;
    int r = db_query(store, &statement,
        "SELECT id, notifier, subject, last_error, formed, ended FROM message WHERE state = 'failed'"
        " ORDER BY ended DESC LIMIT ?",
        "i", (int64_t)max);
    while (r == 0 && (r = db_step(store, statement, &row)) == 0 && row) {
        FailedMessage *more = reallocarray(messages, n + 1, sizeof(FailedMessage));
        if (!more) {
            r = -ENOMEM;
            break;
        }
        messages = more;
        FailedMessage *message = &messages[n++];
        *message =
            (FailedMessage){.formed = sqlite3_column_int64(statement, 4), .failed = sqlite3_column_int64(statement, 5)};
        db_copy(statement, 0, message->id, sizeof(message->id));
        r = db_string(statement, 1, &message->notifier);
        if (r == 0) r = db_string(statement, 2, &message->subject);
        if (r == 0) r = db_string(statement, 3, &message->reason);
    }
    if (r != 0) {
        failed_messages_free(messages, n);
        return r;
    }
    *ret = messages;
    *ret_n = n;
    return 0;
}
