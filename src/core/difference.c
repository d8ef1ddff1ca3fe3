#include "core/difference.h"

#include <errno.h>
#include <string.h>

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
    [CHANGE_NONE] = "none",       [CHANGE_CLOSED] = "closed", [CHANGE_OPENED] = "opened",
    [CHANGE_ADDRESS] = "address", [CHANGE_OWNER] = "owner",   [CHANGE_BLIND] = "blind",
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

/* One address that an endpoint answers on. */
typedef struct Answer {
    Address address;
    const char *device;
    const Endpoint *endpoint; /* NULL: stated in the configuration, owners are those of the whole baseline */
    bool matched;
} Answer;

typedef struct Answers {
    Answer *items;
    size_t n;
} Answers;

static void answers_done(Answers *answers) {
    free(answers->items);
}

static int compare_answers(const void *a, const void *b) {
    const Answer *x = a, *y = b;
    int r = address_compare(&x->address, &y->address);
    if (r == 0) r = strcmp(x->device, y->device);
    return r;
}

static bool is_dual(const Endpoint *e) {
    return e->address.family == AF_INET6 && !e->v6only && address_is_any(&e->address);
}

/* Dual-stack [::] answers for 0.0.0.0 too. Two endpoints that answer for the same address stay two answers. */
static int answers_make(const Rows *rows, Answers *ret) {
    Answer *items = malloc((rows->n * 2 + 1) * sizeof *items);
    if (!items) return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const Endpoint *e = rows->items[i];
        items[n++] = (Answer){e->address, e->device, e, false};
        if (is_dual(e)) items[n++] = (Answer){(Address){.family = AF_INET}, e->device, e, false};
    }
    *ret = (Answers){items, n};
    return 0;
}

static int answers_stated(const PortRule *rule, Answers *ret) {
    Answer *items = malloc(rule->n_addresses * sizeof *items);
    if (!items) return -ENOMEM;
    for (size_t i = 0; i < rule->n_addresses; i++) items[i] = (Answer){rule->addresses[i], "", NULL, false};
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
        bool fine = expected ? owner_expected(rule, &expected, 1, seen->owners[o])
                             : owner_expected(rule, (const Endpoint *const *)baseline->items, baseline->n, seen->owners[o]);
        if (!fine) return false;
    }
    return true;
}

/* Is more known about the owner of `seen` than was learned with `expected`? */
static bool owners_known_better(const Endpoint *expected, const Endpoint *seen) {
    if (expected->n_owners == 0) return seen->n_owners > 0;
    if (expected->n_owners != 1 || seen->n_owners != 1) return false;
    return owner_knows_more(expected->owners[0], seen->owners[0]) &&
           !owner_knows_more(seen->owners[0], expected->owners[0]);
}

/* An added address that is not worth a word: link-local, or of a rank its owner already has on this port. */
static bool is_quiet_addition(const Rows *baseline, const Answer *added) {
    if (address_is_link_local(&added->address)) return true;
    for (size_t i = 0; i < baseline->n; i++) {
        const Endpoint *e = baseline->items[i];
        if (address_is_loopback(&e->address) == address_is_loopback(&added->address) &&
            e->n_owners > 0 && added->endpoint->n_owners > 0 && strcmp(e->device, added->device) == 0 &&
            owners_expected(NULL, baseline, e, added->endpoint))
            return true;
    }
    return false;
}

typedef struct Tally {
    size_t added, removed, quiet_added, quiet_removed, owner, better;
    bool wide_before, wide_after;
} Tally;

static void tally_rank(const Answers *answers, bool *wide) {
    for (size_t i = 0; i < answers->n; i++)
        if (!address_is_loopback(&answers->items[i].address)) *wide = true;
}

static bool stated_addresses(const PortRule *rule) {
    return rule && rule->n_addresses > 0;
}

/* Merges two sorted lists of answers. Several answers with one key (0.0.0.0 beside dual-stack [::]) form one group,
 * whose owners are compared against the other side's group as a whole. */
static void merge(const PortRule *rule, const Rows *baseline, Answers *expected, Answers *seen, Tally *tally) {
    size_t e = 0, s = 0;
    while (e < expected->n || s < seen->n) {
        int order = e == expected->n ? 1 : s == seen->n ? -1 : compare_answers(&expected->items[e], &seen->items[s]);
        if (order < 0) {
            (*(address_is_link_local(&expected->items[e].address) ? &tally->quiet_removed : &tally->removed))++;
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
        while (e_end < expected->n && compare_answers(&expected->items[e_end], &expected->items[e]) == 0) e_end++;
        while (s_end < seen->n && compare_answers(&seen->items[s_end], &seen->items[s]) == 0) s_end++;
        for (size_t i = s; i < s_end; i++) {
            bool fine = false;
            for (size_t j = e; j < e_end && !fine; j++) {
                fine = owners_expected(rule, baseline, expected->items[j].endpoint, seen->items[i].endpoint);
                if (fine && expected->items[j].endpoint &&
                    owners_known_better(expected->items[j].endpoint, seen->items[i].endpoint))
                    tally->better++;
            }
            if (!fine) tally->owner++;
        }
        e = e_end;
        s = s_end;
    }
}

/* Ephemeral ports: the number does not count, each (address, owner) may be there as often as it was learned. */
static void match_pool(const Surface *surface, const Rows *baseline, Answers *expected, Answers *seen, Tally *tally) {
    bool once = surface->protocol != PROTOCOL_TCP;
    for (size_t s = 0; s < seen->n; s++) {
        Answer *a = &seen->items[s];
        for (size_t e = 0; e < expected->n && !a->matched; e++) {
            Answer *b = &expected->items[e];
            if ((b->matched && !once) || (!once && compare_answers(a, b) != 0)) continue;
            if (!owners_expected(NULL, baseline, b->endpoint, a->endpoint)) continue;
            a->matched = b->matched = true;
        }
        if (!a->matched) (*(address_is_link_local(&a->address) ? &tally->quiet_added : &tally->added))++;
    }
    for (size_t e = 0; e < expected->n && !once; e++)
        if (!expected->items[e].matched)
            (*(address_is_link_local(&expected->items[e].address) ? &tally->quiet_removed : &tally->removed))++;
}

static bool all_link_local(const Answers *answers) {
    for (size_t i = 0; i < answers->n; i++)
        if (!address_is_link_local(&answers->items[i].address)) return false;
    return true;
}

static void verdict(const Surface *surface, const PortRule *rule, const Answers *expected, const Answers *seen,
    const Tally *tally, Difference *ret) {
    if (seen->n == 0 || expected->n == 0) {
        bool open = rule && rule->expect == EXPECT_OPEN;
        if (seen->n == 0 && expected->n == 0 && !open) return;
        if (seen->n > 0 || expected->n > 0) {
            const Answers *there = seen->n ? seen : expected;
            if (all_link_local(there) && !rule) {
                ret->quiet = true;
                return;
            }
        }
        if (seen->n > 0 && surface->port == 0 && surface->protocol != PROTOCOL_TCP && tally->added == 0) return;
        if (seen->n == 0 && surface->port == 0 && surface->protocol != PROTOCOL_TCP) return;
        ret->change = seen->n == 0 ? CHANGE_CLOSED : CHANGE_OPENED;
        return;
    }
    if (tally->added + tally->removed > 0) {
        if (surface->port == 0) /* of several programs in the pool one came or went */
            ret->change = tally->removed == 0 ? CHANGE_OPENED : tally->added == 0 ? CHANGE_CLOSED : CHANGE_OWNER;
        else
            ret->change = CHANGE_ADDRESS;
    } else if (tally->owner > 0)
        ret->change = CHANGE_OWNER;
    else
        ret->quiet = tally->quiet_added + tally->quiet_removed + tally->better > 0;
    if (ret->change != CHANGE_ADDRESS) return;
    if (!tally->wide_before && tally->wide_after)
        ret->reach = REACH_WIDENED;
    else if ((tally->wide_before && !tally->wide_after) || tally->added == 0)
        ret->reach = REACH_NARROWED;
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
    _cleanup_(answers_done) Answers expected = {0}, there = {0};
    int r = stated_addresses(rule) ? answers_stated(rule, &expected) : answers_make(baseline, &expected);
    if (r >= 0) r = answers_make(seen, &there);
    if (r < 0) return r;
    Tally tally = {0};
    tally_rank(&expected, &tally.wide_before);
    tally_rank(&there, &tally.wide_after);
    if (surface->port == 0) {
        match_pool(surface, baseline, &expected, &there, &tally);
    } else {
        if (expected.n > 1) qsort(expected.items, expected.n, sizeof *expected.items, compare_answers);
        if (there.n > 1) qsort(there.items, there.n, sizeof *there.items, compare_answers);
        merge(rule, baseline, &expected, &there, &tally);
    }
    verdict(surface, rule, &expected, &there, &tally, ret);
    return 0;
}

static int add_stated(const Surface *surface, const PortRule *rule, const Rows *baseline, Endpoints *list) {
    for (size_t i = 0; i < rule->n_addresses; i++) {
        Endpoint e = {
            .protocol = surface->protocol, .port = surface->port, .address = rule->addresses[i], .v6only = true, .count = 1};
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
