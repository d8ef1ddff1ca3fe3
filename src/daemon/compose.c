/* The message of some events. */
#include <errno.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "notify/moment.h"
#include "notify/prose.h"

#define MESSAGE_BYTES_MAX                                                                                              \
    ((size_t)4 << 20) /* well below a frame, and what servers take; the rest is the next message */

static void unref_all(json_t ***documents) {
    for (json_t **d = *documents; d && *d; d++) json_decref(*d);
    free(*documents);
}

static int add_references(Daemon *d, const char *notifier, const char *incident, char ***references) {
    char **ids = NULL;
    int r = outbox_threads(d->store, incident, notifier, &ids);
    for (char **id = ids; id && *id && r == 0; id++)
        if (!strv_contains(*references, *id)) r = strv_append(references, *id);
    strv_free(ids);
    return r;
}

static int fill(Daemon *d, const NotifierRule *rule, json_t *const *documents, size_t n, Message *ret) {
    Message m = {.formed = daemon_now().realtime};
    uint8_t bytes[16];
    daemon_random(bytes, sizeof bytes);
    uuid_format(bytes, m.id);
    const ProseOptions options = {.host = d->host.name, .formed = m.formed, .detail_full = rule->detail_full};
    m.notifier = strdup(rule->name);
    m.host = strdup(d->host.name);
    m.document = document_batch(documents, n);
    int r = m.notifier && m.host && m.document ? 0 : -ENOMEM;
    if (r == 0) r = prose_message(documents, n, &options, &m.subject, &m.text);
    if (r < 0)
        message_done(&m);
    else
        *ret = m;
    return r;
}

/* An event of its own says what the queue had no room for. */
static int omitted_document(Daemon *d, const NotifierRule *rule, json_t **ret) {
    Omitted omitted;
    char from[MOMENT_TEXT_MAX], to[MOMENT_TEXT_MAX];
    int r = outbox_omitted(d->store, rule->name, &omitted);
    if (r != 0 || omitted.count == 0) return r;
    Now now = daemon_now();
    _cleanup_free_ char *summary =
        text_printf("%u more event%s between %s and %s are not told one by one, see portwatch history", omitted.count,
            omitted.count == 1 ? "" : "s", moment_clock(omitted.from, now.realtime, from),
            moment_clock(omitted.to, now.realtime, to));
    if (!summary) return -ENOMEM;
    Event event = {.type = EVENT_SELF,
        .time = now.realtime,
        .seen = now.realtime,
        .severity = SEVERITY_WARNING,
        .subject = (char *)"queue",
        .summary = summary};
    uint8_t bytes[16];
    daemon_random(bytes, sizeof bytes);
    uuid_format(bytes, event.id);
    _cleanup_free_ char *text = document_event(&event, d->host.name, d->host.machine_id, d->coverage, d->rules);
    *ret = text ? document_parse(text) : NULL;
    return *ret ? 0 : -ENOMEM;
}

static int compose_rows(Daemon *d, const NotifierRule *rule, const OutboxRow *rows, size_t n, Message *ret) {
    _cleanup_(unref_all) json_t **documents = calloc(n + 2, sizeof *documents);
    if (!documents) return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        _cleanup_json_ json_t *full = document_parse(rows[i].document);
        documents[i] = !full || rule->detail_full ? json_incref(full) : document_minimal(full);
        if (!documents[i]) return full ? -ENOMEM : -EBADMSG;
    }
    char **references = NULL;
    size_t n_documents = n;
    int r = omitted_document(d, rule, &documents[n]);
    if (documents[n]) n_documents++;
    for (size_t i = 0; i < n && r == 0; i++)
        if (*rows[i].incident && rows[i].type != EVENT_OPENED)
            r = add_references(d, rule->name, rows[i].incident, &references);
    if (r == 0) r = fill(d, rule, documents, n_documents, ret);
    if (r == 0)
        ret->references = references;
    else
        strv_free(references);
    return r;
}

int compose_message(Daemon *d, const NotifierRule *rule, const OutboxRow *rows, size_t *n, Message *ret) {
    for (;;) {
        Message message = {0};
        int r = compose_rows(d, rule, rows, *n, &message);
        if (r != 0) return r;
        if (*n == 1 || strlen(message.document) + strlen(message.text) <= MESSAGE_BYTES_MAX) {
            *ret = message;
            return 0;
        }
        message_done(&message);
        *n /= 2;
    }
}

int compose_test(Daemon *d, const NotifierRule *rule, Message *ret) {
    Now now = daemon_now();
    Event event = {.type = EVENT_TEST, .time = now.realtime, .seen = now.realtime, .severity = SEVERITY_INFO};
    uint8_t bytes[16];
    daemon_random(bytes, sizeof bytes);
    uuid_format(bytes, event.id);
    _cleanup_free_ char *text = document_event(&event, d->host.name, d->host.machine_id, d->coverage, d->rules);
    _cleanup_json_ json_t *document = text ? document_parse(text) : NULL;
    return document ? fill(d, rule, &document, 1, ret) : -ENOMEM;
}
