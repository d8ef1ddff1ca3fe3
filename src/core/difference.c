#include "core/difference.h"

#include <errno.h>
#include <string.h>

#include "core/answers.h"

char *surface_format(const Surface *surface, char buffer[static SURFACE_TEXT_MAX]) {
    if (surface->port == 0) return surface_subject(surface, buffer);
    snprintf(buffer, SURFACE_TEXT_MAX, "%u/%s", surface->port, protocol_name(surface->protocol));
    return buffer;
}

char *surface_subject(const Surface *surface, char buffer[static SURFACE_TEXT_MAX]) {
    const char *protocol = protocol_name(surface->protocol);
    if (surface->port == 0)
        snprintf(buffer, SURFACE_TEXT_MAX, "%s/ephemeral%s", protocol, surface->local ? "-local" : "");
    else
        snprintf(buffer, SURFACE_TEXT_MAX, "%s/%u", protocol, surface->port);
    return buffer;
}

int surface_compare(const Surface *a, const Surface *b) {
    if (a->protocol != b->protocol) return a->protocol < b->protocol ? -1 : 1;
    if (a->port != b->port) return a->port < b->port ? -1 : 1;
    return (int)a->local - (int)b->local;
}

static const char *const change_names[CHANGE_MAX] = {
    [CHANGE_NONE] = "none",
    [CHANGE_CLOSED] = "closed",
    [CHANGE_OPENED] = "opened",
    [CHANGE_ADDRESS] = "address",
    [CHANGE_OWNER] = "owner",
    [CHANGE_BLIND] = "blind",
};

const char *change_name(Change change) {
    return change_names[change];
}

bool change_parse(const char *text, Change *ret) {
    for (Change c = 0; c < CHANGE_MAX; c++)
        if (strcmp(text, change_names[c]) == 0) {
            *ret = c;
            return true;
        }
    return false;
}

Severity difference_severity(Change change, Reach reach) {
    if (change == CHANGE_BLIND || reach == REACH_WIDENED) return SEVERITY_CRITICAL;
    if (change == CHANGE_ADDRESS && reach == REACH_SAME) return SEVERITY_INFO;
    return SEVERITY_WARNING;
}

bool rows_local(const Rows *rows) {
    for (size_t i = 0; i < rows->n; i++)
        if (!address_is_loopback(&rows->items[i]->address)) return false;
    return true;
}

static int answers_stated(const PortRule *rule, Answers *ret) {
    Answer *items = malloc(rule->n_addresses * sizeof *items);
    if (!items) return -ENOMEM;
    for (size_t i = 0; i < rule->n_addresses; i++) items[i] = (Answer){rule->addresses[i], "", NULL};
    *ret = (Answers){items, rule->n_addresses};
    return 0;
}

/* Does `seen` pass for `expected` (NULL: nobody learned), where the rule's fields replace the learned ones? */
static bool owner_passes(const PortRule *rule, const Owner *expected, const Owner *seen) {
    Owner wanted = expected ? *expected : (Owner){.uid = UID_UNKNOWN};
    if (rule) {
        if (rule->unit) wanted.unit = rule->unit;
        if (rule->exe) wanted.exe = rule->exe;
        if (rule->user) {
            wanted.uid = UID_UNKNOWN;
            if (seen->uid != UID_UNKNOWN && !rules_user_is(rule->user, seen)) return false;
        }
        /* With `open` only what is stated counts. */
        if (rule->expect == EXPECT_OPEN) {
            wanted.unit = rule->unit;
            wanted.exe = rule->exe;
            wanted.uid = UID_UNKNOWN;
        }
    }
    return owner_same(&wanted, seen);
}

static bool owner_expected(const PortRule *rule, const Endpoint *const *expected, size_t n, const Owner *seen) {
    bool nobody = true;
    for (size_t i = 0; i < n; i++)
        for (size_t o = 0; o < expected[i]->n_owners; o++) {
            nobody = false;
            if (owner_passes(rule, expected[i]->owners[o], seen)) return true;
        }
    return nobody && owner_passes(rule, NULL, seen);
}

static bool owners_expected(
    const PortRule *rule, const Rows *baseline, const Endpoint *expected, const Endpoint *seen) {
    for (size_t o = 0; o < seen->n_owners; o++) {
        bool fine = expected
                        ? owner_expected(rule, &expected, 1, seen->owners[o])
                        : owner_expected(rule, (const Endpoint *const *)baseline->items, baseline->n, seen->owners[o]);
        if (!fine) return false;
    }
    return true;
}

/* Is it certain that these are the same? A unit alone, or nothing known, makes no two owners equal. */
static bool owners_certain(const Endpoint *expected, const Endpoint *seen) {
    for (size_t s = 0; s < seen->n_owners; s++) {
        bool found = false;
        for (size_t e = 0; e < expected->n_owners && !found; e++)
            found =
                expected->owners[e]->exe && seen->owners[s]->exe && owner_same(expected->owners[e], seen->owners[s]);
        if (!found) return false;
    }
    return seen->n_owners > 0;
}

static bool same_rank(const Endpoint *a, const Endpoint *b) {
    return !address_is_link_local(&a->address) && !address_is_link_local(&b->address) &&
           address_is_loopback(&a->address) == address_is_loopback(&b->address) && strcmp(a->device, b->device) == 0;
}

/* An added address that is not worth a word: link-local, or of a rank its owner already has on this port. A link-local
 * address joins without a word, so it counts for no rank. */
static bool is_quiet_addition(const Rows *baseline, const Answer *added) {
    if (address_is_link_local(&added->address)) return true;
    for (size_t i = 0; i < baseline->n; i++) {
        const Endpoint *e = baseline->items[i];
        if (same_rank(e, added->endpoint) && owners_certain(e, added->endpoint)) return true;
    }
    return false;
}

/* Did its owner have an address of this rank before this one? Then it joined without a word, and leaves so. */
static bool has_joined(const Rows *baseline, const Endpoint *e) {
    for (size_t i = 0; i < baseline->n; i++) {
        const Endpoint *first = baseline->items[i];
        if (first->since && first->since < e->since && same_rank(first, e) && owners_certain(first, e)) return true;
    }
    return false;
}

static bool find_wildcard(const Answers *answers, const Answer *below) {
    for (size_t i = 0; i < answers->n; i++) {
        const Answer *a = &answers->items[i];
        if (a->address.family == below->address.family && address_is_any(&a->address) &&
            strcmp(a->device, below->device) == 0 && owners_certain(a->endpoint, below->endpoint))
            return true;
    }
    return false;
}

/* A removed address that is not worth a word: one that came without a word, or where the same owner had and has all
 * addresses. */
static bool is_quiet_removal(
    const Rows *baseline, const Answers *expected, const Answers *seen, const Answer *removed) {
    if (address_is_link_local(&removed->address)) return true;
    if (!removed->endpoint || address_is_any(&removed->address)) return false;
    return has_joined(baseline, removed->endpoint) ||
           (find_wildcard(expected, removed) && find_wildcard(seen, removed));
}

typedef struct Tally {
    size_t added, removed, quiet_added, quiet_removed, owner, better;
    bool local_before, wide_before, wide_after;
} Tally;

static void tally_rank(const Answers *answers, bool *local, bool *wide) {
    for (size_t i = 0; i < answers->n; i++) {
        const Address *a = &answers->items[i].address;
        if (address_is_loopback(a))
            *local = true;
        else if (!address_is_link_local(a))
            *wide = true;
    }
}

static int compare_items(const void *a, const void *b) {
    return answer_compare(a, b);
}

static bool stated_addresses(const PortRule *rule) {
    return rule && rule->n_addresses > 0;
}

static bool nobody_learned(const Rows *baseline) {
    for (size_t i = 0; i < baseline->n; i++)
        if (baseline->items[i]->n_owners > 0) return false;
    return true;
}

/* Is there more to learn of the owner? */
static bool knows_better(const Rows *baseline, const Endpoint *expected, const Endpoint *seen) {
    if (!expected) return seen->n_owners > 0 && nobody_learned(baseline);
    return endpoint_compare(expected, seen) == 0 && owners_known_better(expected, seen);
}

/* Merges two sorted lists of answers. Several answers with one key (0.0.0.0 beside dual-stack [::]) form one group,
 * whose owners are compared against the other side's group as a whole. */
static void merge(const PortRule *rule, const Rows *baseline, Answers *expected, Answers *seen, Tally *tally) {
    size_t e = 0, s = 0;
    while (e < expected->n || s < seen->n) {
        int order = e == expected->n ? 1 : s == seen->n ? -1 : answer_compare(&expected->items[e], &seen->items[s]);
        if (order < 0) {
            (*(is_quiet_removal(baseline, expected, seen, &expected->items[e]) ? &tally->quiet_removed
                                                                               : &tally->removed))++;
            e++;
            continue;
        }
        if (order > 0) {
            bool quiet = address_is_link_local(&seen->items[s].address) ||
                         (!stated_addresses(rule) && is_quiet_addition(baseline, &seen->items[s]));
            (*(quiet ? &tally->quiet_added : &tally->added))++;
            s++;
            continue;
        }
        size_t e_end = e, s_end = s;
        while (e_end < expected->n && answer_compare(&expected->items[e_end], &expected->items[e]) == 0) e_end++;
        while (s_end < seen->n && answer_compare(&seen->items[s_end], &seen->items[s]) == 0) s_end++;
        for (size_t i = s; i < s_end; i++) {
            bool fine = false;
            for (size_t j = e; j < e_end && !fine; j++) {
                fine = owners_expected(rule, baseline, expected->items[j].endpoint, seen->items[i].endpoint);
                if (fine && knows_better(baseline, expected->items[j].endpoint, seen->items[i].endpoint))
                    tally->better++;
            }
            if (!fine) tally->owner++;
        }
        e = e_end;
        s = s_end;
    }
}

static void verdict(
    const PortRule *rule, const Answers *expected, const Answers *seen, const Tally *tally, Difference *ret) {
    if (expected->n == 0 && seen->n == 0) return;
    /* What is link-local joins and goes without a word, so nothing else counts as having been there before. */
    bool before = rule ? expected->n > 0 : !answers_link_local(expected);
    bool after = rule ? seen->n > 0 : !answers_link_local(seen);
    if (!before || seen->n == 0) {
        if (before || after)
            ret->change = before ? CHANGE_CLOSED : CHANGE_OPENED;
        else
            ret->quiet = tally->quiet_added + tally->quiet_removed + tally->better > 0;
        return;
    }
    if (tally->added + tally->removed > 0)
        ret->change = CHANGE_ADDRESS;
    else if (tally->owner > 0)
        ret->change = CHANGE_OWNER;
    else
        ret->quiet = tally->quiet_added + tally->quiet_removed + tally->better > 0;
    if (ret->change != CHANGE_ADDRESS) return;
    if (tally->local_before && !tally->wide_before && tally->wide_after)
        ret->reach = REACH_WIDENED;
    else if ((tally->wide_before && !tally->wide_after) || tally->added + tally->quiet_added == 0)
        ret->reach = REACH_NARROWED;
}

/* Ephemeral ports together: one of several programs came or went. */
static int judge_pool(const Surface *surface, const Rows *baseline, const Rows *seen, Difference *ret) {
    if (surface->protocol != PROTOCOL_TCP) {
        if (pool_has_news(baseline, seen)) ret->change = CHANGE_OPENED;
        return 0;
    }
    _cleanup_(answers_done) Answers expected = {0}, there = {0};
    PoolTally tally = {0};
    int r = answers_make(baseline, &expected);
    if (r >= 0) r = answers_make(seen, &there);
    if (r >= 0) r = pool_match(&expected, &there, &tally);
    if (r < 0) return r;
    if (tally.added + tally.removed > 0)
        ret->change = tally.removed == 0 ? CHANGE_OPENED : tally.added == 0 ? CHANGE_CLOSED : CHANGE_OWNER;
    else
        ret->quiet = tally.quiet > 0;
    return 0;
}

/* `open` without addresses: whatever address is there is fine, the stated owner is not. */
static void judge_open(const PortRule *rule, const Rows *seen, Difference *ret) {
    if (seen->n == 0) ret->change = CHANGE_CLOSED;
    for (size_t i = 0; i < seen->n; i++)
        if (!owners_expected(rule, &(Rows){0}, NULL, seen->items[i])) ret->change = CHANGE_OWNER;
}

int difference_make(
    const Surface *surface, const PortRule *rule, const Rows *baseline, const Rows *seen, Difference *ret) {
    *ret = (Difference){0};
    if (rule && rule->expect == EXPECT_CLOSED) {
        if (seen->n > 0) ret->change = CHANGE_OPENED;
        return 0;
    }
    if (rule && rule->expect == EXPECT_OPEN && rule->n_addresses == 0) {
        judge_open(rule, seen, ret);
        return 0;
    }
    if (surface->port == 0) return judge_pool(surface, baseline, seen, ret);
    _cleanup_(answers_done) Answers expected = {0}, there = {0};
    int r = stated_addresses(rule) ? answers_stated(rule, &expected) : answers_make(baseline, &expected);
    if (r >= 0) r = answers_make(seen, &there);
    if (r < 0) return r;
    Tally tally = {0};
    bool local_after = false;
    tally_rank(&expected, &tally.local_before, &tally.wide_before);
    tally_rank(&there, &local_after, &tally.wide_after);
    if (expected.n > 1) qsort(expected.items, expected.n, sizeof *expected.items, compare_items);
    if (there.n > 1) qsort(there.items, there.n, sizeof *there.items, compare_items);
    merge(rule, baseline, &expected, &there, &tally);
    verdict(rule, &expected, &there, &tally, ret);
    return 0;
}

static int add_stated(const Surface *surface, const PortRule *rule, const Rows *baseline, Endpoints *list) {
    for (size_t i = 0; i < rule->n_addresses; i++) {
        Endpoint e = {.protocol = surface->protocol,
            .port = surface->port,
            .address = rule->addresses[i],
            .v6only = true,
            .count = 1};
        for (size_t b = 0; b < baseline->n; b++)
            for (size_t o = 0; o < baseline->items[b]->n_owners; o++)
                if (endpoint_add_owner(&e, baseline->items[b]->owners[o]) < 0) {
                    endpoint_done(&e);
                    return -ENOMEM;
                }
        if (endpoints_take(list, &e) < 0) {
            endpoint_done(&e);
            return -ENOMEM;
        }
    }
    return 0;
}

int difference_expected(const Surface *surface, const PortRule *rule, const Rows *baseline, Endpoints *ret) {
    Endpoints list = {0};
    int r = 0;
    if (stated_addresses(rule))
        r = add_stated(surface, rule, baseline, &list);
    else if (!rule || rule->expect != EXPECT_CLOSED)
        for (size_t i = 0; i < baseline->n && r >= 0; i++) r = endpoints_add(&list, baseline->items[i]);
    if (r < 0) {
        endpoints_done(&list);
        return r;
    }
    *ret = list;
    return 0;
}
