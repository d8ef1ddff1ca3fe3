/* Ephemeral ports together. A hostile user can listen on all of them, under as many names: nothing here may be
 * quadratic in what is seen. */
#include <errno.h>

#include "core/answers.h"

/* Answers that are alike but for their port. */
typedef struct Group {
    const Answer *answer;
    size_t left; /* answers without a match */
    bool known;  /* two known groups are the same or they are not: no need to look closer */
} Group;

typedef struct Groups {
    Group *items;
    size_t n;
} Groups;

static void groups_done(Groups *groups) {
    free(groups->items);
}

static int compare_owners(const Endpoint *a, const Endpoint *b) {
    if (a->n_owners != b->n_owners) return a->n_owners < b->n_owners ? -1 : 1;
    for (size_t i = 0; i < a->n_owners; i++) {
        int r = a->owners[i] == b->owners[i] ? 0 : owner_compare(a->owners[i], b->owners[i]);
        if (r) return r;
    }
    return 0;
}

static int compare_groups(const void *a, const void *b) {
    const Answer *x = ((const Group *)a)->answer, *y = ((const Group *)b)->answer;
    int r = answer_compare(x, y);
    return r ? r : compare_owners(x->endpoint, y->endpoint);
}

/* Folds neighbours that are alike. */
static void fold(Groups *groups) {
    size_t kept = 0;
    for (size_t i = 0; i < groups->n; i++) {
        if (kept && compare_groups(&groups->items[kept - 1], &groups->items[i]) == 0)
            groups->items[kept - 1].left += groups->items[i].left;
        else
            groups->items[kept++] = groups->items[i];
    }
    groups->n = kept;
}

static int groups_make(const Answers *answers, Groups *ret) {
    Groups groups = {malloc((answers->n + 1) * sizeof *groups.items), answers->n};
    if (!groups.items) return -ENOMEM;
    for (size_t i = 0; i < answers->n; i++) groups.items[i] = (Group){&answers->items[i], 1, false};
    fold(&groups); /* mostly one program has them all: then there is little left to sort */
    if (groups.n > 1) qsort(groups.items, groups.n, sizeof *groups.items, compare_groups);
    fold(&groups);
    for (size_t i = 0; i < groups.n; i++) groups.items[i].known = owners_known(groups.items[i].answer->endpoint);
    *ret = groups;
    return 0;
}

static void take(Group *a, Group *b) {
    size_t n = a->left < b->left ? a->left : b->left;
    a->left -= n;
    b->left -= n;
}

static void match_exactly(Groups *expected, Groups *seen) {
    for (size_t e = 0, s = 0; e < expected->n && s < seen->n;) {
        int order = compare_groups(&expected->items[e], &seen->items[s]);
        if (order == 0) take(&expected->items[e], &seen->items[s]);
        e += order <= 0;
        s += order >= 0;
    }
}

/* Within one address: those of whom not everything is known, against whoever is left. */
static void match_loosely(Group *expected, size_t n_expected, Group *seen, size_t n_seen, bool known) {
    /* From the end: those of whom nothing is known sort first and take what is left over. */
    for (size_t s = n_seen; s-- > 0;) {
        if (seen[s].known != known || !seen[s].left) continue;
        for (size_t e = n_expected; e-- > 0 && seen[s].left;)
            if (expected[e].left && !(known && expected[e].known) &&
                owners_pass(expected[e].answer->endpoint, seen[s].answer->endpoint))
                take(&expected[e], &seen[s]);
    }
}

/* Drops what has its match, so that the loose match meets only what is left. */
static void drop_matched(Groups *groups) {
    size_t kept = 0;
    for (size_t i = 0; i < groups->n; i++)
        if (groups->items[i].left) groups->items[kept++] = groups->items[i];
    groups->n = kept;
}

static bool all_known(const Group *groups, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!groups[i].known) return false;
    return true;
}

static void match_by_address(Groups *expected, Groups *seen) {
    for (size_t e = 0, s = 0; e < expected->n && s < seen->n;) {
        Group *first_e = &expected->items[e], *first_s = &seen->items[s];
        int order = answer_compare(first_e->answer, first_s->answer);
        size_t n_e = 0, n_s = 0;
        while (order <= 0 && e < expected->n && answer_compare(expected->items[e].answer, first_e->answer) == 0)
            e++, n_e++;
        while (order >= 0 && s < seen->n && answer_compare(seen->items[s].answer, first_s->answer) == 0) s++, n_s++;
        if (order != 0 || (all_known(first_e, n_e) && all_known(first_s, n_s))) continue;
        match_loosely(first_e, n_e, first_s, n_s, true);
        match_loosely(first_e, n_e, first_s, n_s, false);
    }
}

static void count_left(const Groups *groups, size_t *ret, size_t *quiet) {
    *ret = 0;
    for (size_t i = 0; i < groups->n; i++)
        *(address_is_link_local(&groups->items[i].answer->address) ? quiet : ret) += groups->items[i].left;
}

int pool_match(const Answers *expected, const Answers *seen, PoolTally *ret) {
    _cleanup_(groups_done) Groups e = {0}, s = {0};
    int r = groups_make(expected, &e);
    if (r >= 0) r = groups_make(seen, &s);
    if (r < 0) return r;
    match_exactly(&e, &s);
    drop_matched(&e);
    drop_matched(&s);
    match_by_address(&e, &s);
    *ret = (PoolTally){0};
    count_left(&s, &ret->added, &ret->quiet);
    count_left(&e, &ret->removed, &ret->quiet);
    return 0;
}

bool pool_has_news(const Rows *baseline, const Rows *seen) {
    if (baseline->n >= POOL_CLIENTS_MAX) return false;
    const Endpoint *last = NULL;
    for (size_t s = 0; s < seen->n; s++) {
        const Endpoint *e = seen->items[s];
        if (e->n_owners == 0 || (last && compare_owners(last, e) == 0)) continue;
        last = e;
        bool found = false;
        for (size_t b = 0; b < baseline->n && !found; b++)
            found = baseline->items[b]->n_owners > 0 && owners_pass(baseline->items[b], e);
        if (!found) return true;
    }
    return false;
}
