#include "core/merge.h"

#include <string.h>

#include "core/exposure.h"

/* A name may come later than the uid it is of; until then it does not differ from one that is stated. */
static bool user_differs(const char *user, const Owner *seen) {
    bool by_name = user[strspn(user, "0123456789")] != '\0';
    if (seen->uid == UID_UNKNOWN || (by_name && !seen->user)) return false;
    return !rules_user_is(user, seen);
}

/* Does `seen` pass for `expected` (NULL: nobody learned), where the rule's fields replace the learned ones? */
static bool owner_passes(const PortRule *rule, const Owner *expected, const Owner *seen) {
    Owner wanted = expected ? *expected : (Owner){.uid = UID_UNKNOWN};
    if (rule) {
        if (rule->unit) wanted.unit = rule->unit;
        if (rule->exe) wanted.exe = rule->exe;
        if (rule->user) {
            wanted.uid = UID_UNKNOWN;
            if (user_differs(rule->user, seen)) return false;
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

bool merge_owners_expected(const PortRule *rule, const Rows *baseline, const Endpoint *expected, const Endpoint *seen) {
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

/* An added address that is not worth a word: link-local, or in a circle that its owner already has on this port. A
 * link-local address joins without a word, so it counts for nothing. */
static bool is_quiet_addition(const Rows *baseline, const Answer *added) {
    if (address_is_link_local(&added->address)) return true;
    for (size_t i = 0; i < baseline->n; i++) {
        const Endpoint *e = baseline->items[i];
        if (exposure_covers(e, &added->address, added->device) && owners_certain(e, added->endpoint)) return true;
    }
    return false;
}

/* Did its owner have as wide an address before this one? Then it joined without a word, and leaves so. */
static bool has_joined(const Rows *baseline, const Endpoint *e) {
    for (size_t i = 0; i < baseline->n; i++) {
        const Endpoint *first = baseline->items[i];
        if (first->since && first->since < e->since && exposure_covers(first, &e->address, e->device) &&
            owners_certain(first, e))
            return true;
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

/* Has a program's file gone, or been replaced, since this was learned? */
static bool is_outdated(const Endpoint *expected, const Endpoint *seen) {
    for (size_t e = 0; expected && e < expected->n_owners; e++)
        for (size_t s = 0; s < seen->n_owners; s++)
            if (owner_same(expected->owners[e], seen->owners[s]) && !owner_outdated(expected->owners[e]) &&
                owner_outdated(seen->owners[s]))
                return true;
    return false;
}

/* Does it run from another file than was learned, at the same path? */
static bool is_upgraded(const Endpoint *expected, const Endpoint *seen) {
    return expected && expected->n_owners == 1 && seen->n_owners == 1 &&
           owner_file_differs(expected->owners[0], seen->owners[0]);
}

void merge_answers(const PortRule *rule, const Rows *baseline, Answers *expected, Answers *seen, MergeTally *tally) {
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
                         (!rule_states_addresses(rule) && is_quiet_addition(baseline, &seen->items[s]));
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
                fine = merge_owners_expected(rule, baseline, expected->items[j].endpoint, seen->items[i].endpoint);
                const Endpoint *was = expected->items[j].endpoint, *is = seen->items[i].endpoint;
                if (!fine) continue;
                if (is_outdated(was, is)) tally->program++;
                if (!knows_better(baseline, was, is)) continue;
                tally->better++;
                if (is_upgraded(was, is)) tally->upgraded++;
            }
            if (!fine) tally->owner++;
        }
        e = e_end;
        s = s_end;
    }
}
