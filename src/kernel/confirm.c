#include <errno.h>

#include "kernel/tables.h"

#define MORE_LOOKS 2u  /* after the one of the tick: a union of three */
#define SINGLY_MAX 4u  /* more missing endpoints of a protocol than that: look at its whole tables */
#define EXACT_MAX 128u /* confirmations of single endpoints after that */

static bool decides(const Tables *t, const Known *known) {
    return t->tables[known->row.table].state == DUMP_COMPLETE;
}

/* UDP sockets of clients come and go by the hundred, and nothing was told of those that did not settle. */
static bool needs_confirmation(const Tables *t, const Known *known, int64_t now) {
    const SockRow *row = &known->row;
    if (table_protocol(row->table) == PROTOCOL_TCP || row->port < t->shared->first || row->port > t->shared->last)
        return true;
    return known->since == INT64_MIN || now - known->since >= t->shared->udp_settle;
}

typedef struct Missing {
    size_t n; /* of the endpoints in Sockets.missing */
    size_t per_protocol[PROTOCOL_MAX];
} Missing;

/* What is known and lacks in rows (sorted). */
static int find_missing(Tables *t, int64_t now, Missing *ret) {
    if (t->missing_allocated < t->known.n) {
        const Known **items = reallocarray(t->missing, t->known.allocated, sizeof(*items));
        if (!items) return -ENOMEM;
        t->missing = items;
        t->missing_allocated = t->known.allocated;
    }
    Missing missing = {0};
    size_t at = 0;
    for (size_t i = 0; i < t->known.n; i++) {
        const Known *known = &t->known.items[i];
        int order = 1;
        while (at < t->rows.n && (order = sockrow_compare_key(&t->rows.items[at], &known->row)) < 0) at++;
        if (at < t->rows.n && order == 0) continue;
        if (!decides(t, known) || !needs_confirmation(t, known, now)) continue;
        t->missing[missing.n++] = known;
        missing.per_protocol[table_protocol(known->row.table)]++;
    }
    *ret = missing;
    return 0;
}

static bool is_there(const SockRows *rows, size_t from, const SockRow *key) {
    for (size_t i = from; i < rows->n; i++)
        if (sockrow_compare_key(&rows->items[i], key) == 0) return true;
    return false;
}

/* Asks for this endpoint alone. The filter runs in the kernel: an empty answer is one walk that was never resumed. */
static int confirm_singly(Tables *t, const Known *known) {
    for (unsigned i = 0; i <= MORE_LOOKS; i++) {
        size_t before = t->rows.n;
        Dump result;
        int r = tables_dump(t, known->row.table, &known->row, &result);
        if (r < 0) return r;
        if (result.state != DUMP_COMPLETE) return 0;
        if (is_there(&t->rows, before, &known->row)) {
            t->shared->statistics.confirmed_present++;
            return 0;
        }
        if (result.one_message) break;
    }
    t->shared->statistics.confirmed_gone++;
    return 0;
}

static int look_again(Tables *t, Protocol protocol) {
    for (Table table = 0; table < TABLE_MAX; table++) {
        if (table_protocol(table) != protocol) continue;
        for (unsigned i = 0; i < MORE_LOOKS && t->tables[table].state == DUMP_COMPLETE; i++) {
            t->consistent[table] = false; /* the first look of a tick is no second look */
            int r = tables_dump_table(t, table);
            if (r < 0) return r;
            if (t->consistent[table]) break;
        }
    }
    return 0;
}

int tables_confirm(Tables *t, int64_t now) {
    Missing missing;
    int r = find_missing(t, now, &missing);
    if (r < 0 || missing.n == 0) return r;
    size_t before = t->rows.n;
    bool whole[PROTOCOL_MAX] = {false};
    for (Protocol protocol = 0; r >= 0 && protocol < PROTOCOL_MAX; protocol++) {
        whole[protocol] = missing.per_protocol[protocol] > SINGLY_MAX;
        if (whole[protocol]) r = look_again(t, protocol);
    }
    if (r >= 0 && t->rows.n > before) {
        sockrows_sort(&t->rows);
        r = find_missing(t, now, &missing);
    }
    unsigned exact = 0;
    for (size_t i = 0; r >= 0 && i < missing.n; i++) {
        const Known *known = t->missing[i];
        bool was_whole = whole[table_protocol(known->row.table)];
        if (!decides(t, known)) continue;
        if (was_whole && (t->consistent[known->row.table] || exact >= EXACT_MAX)) {
            t->shared->statistics.confirmed_gone++;
            continue;
        }
        exact++;
        r = confirm_singly(t, known);
    }
    if (r >= 0) sockrows_sort(&t->rows);
    return r;
}

static int known_push(KnownList *list, const SockRow *row, int64_t since) {
    if (list->n == list->allocated) {
        size_t allocated = list->allocated > 0 ? list->allocated * 2 : 64;
        Known *items = realloc(list->items, allocated * sizeof(*items));
        if (!items) return -ENOMEM;
        list->items = items;
        list->allocated = allocated;
    }
    list->items[list->n++] = (Known){.row = *row, .since = since};
    return 0;
}

int tables_remember(Tables *t, int64_t now) {
    t->next.n = 0;
    size_t at = 0, old = 0;
    while (at < t->rows.n || old < t->known.n) {
        const SockRow *row = at < t->rows.n ? &t->rows.items[at] : NULL;
        const Known *known = old < t->known.n ? &t->known.items[old] : NULL;
        int order = row && known ? sockrow_compare_key(row, &known->row) : 0, r = 0;
        if (known && (!row || order > 0)) {
            if (!decides(t, known)) r = known_push(&t->next, &known->row, known->since);
            old++;
        } else if (row) {
            bool same = known && order == 0;
            r = known_push(&t->next, row, same ? known->since : t->started ? now : INT64_MIN);
            if (same) old++;
            do at++;
            while (at < t->rows.n && sockrow_compare_key(&t->rows.items[at], row) == 0);
        }
        if (r < 0) return r;
    }
    KnownList previous = t->known;
    t->known = t->next;
    t->next = previous;
    t->started = true;
    return 0;
}
