#include "notify/extent.h"

#include <errno.h>
#include <string.h>

#include "core/cleanup.h"

/* Two looks at thousands of ports mostly agree row by row; where somebody made them not to, patience ends here. */
#define COMPARISONS_MAX 20000000
#define FAILED_MAX 16

static bool same_owners(const Endpoint *before, const Endpoint *after) {
    for (size_t i = 0; i < after->n_owners; i++) {
        bool found = before->n_owners == 0;
        for (size_t k = 0; !found && k < before->n_owners; k++) found = owner_same(before->owners[k], after->owners[i]);
        if (!found) return false;
    }
    return true;
}

static bool same_row(const Endpoint *before, const Endpoint *after, bool any_port) {
    return before->protocol == after->protocol && (any_port || before->port == after->port) &&
           address_compare(&before->address, &after->address) == 0 && strcmp(before->device, after->device) == 0 &&
           same_owners(before, after);
}

/* Sets to NULL what both sides have. */
static void cancel(const Endpoint **before, size_t n, const Endpoint **after, size_t m, bool any_port) {
    /* Rows that found no match: what is like them need not look. */
    const Endpoint *failed[FAILED_MAX];
    size_t first = 0, n_failed = 0, patience = COMPARISONS_MAX;
    for (size_t i = 0; i < m; i++) {
        bool hopeless = false;
        for (size_t f = 0; any_port && !hopeless && f < n_failed; f++) hopeless = same_row(failed[f], after[i], true);
        if (hopeless) continue;
        while (first < n && !before[first]) first++;
        size_t k = first;
        for (; k < n && patience > 0; k++, patience--)
            if (before[k] && same_row(before[k], after[i], any_port)) break;
        if (k < n && patience > 0)
            before[k] = after[i] = NULL;
        else if (n_failed < FAILED_MAX)
            failed[n_failed++] = after[i];
    }
}

static size_t squeeze(const Endpoint **rows, size_t n, size_t max, size_t *ret_omitted) {
    size_t kept = 0, omitted = 0;
    for (size_t i = 0; i < n; i++) {
        if (!rows[i]) continue;
        if (kept < max)
            rows[kept++] = rows[i];
        else
            omitted++;
    }
    *ret_omitted = omitted;
    return kept;
}

int extent_init(const Endpoints *before, const Endpoints *after, bool any_port, Extent *ret) {
    _cleanup_free_ const Endpoint **old = calloc(before->n + 1, sizeof *old);
    _cleanup_free_ const Endpoint **new = calloc(after->n + 1, sizeof *new);
    if (!old || !new) return -ENOMEM;
    for (size_t i = 0; i < before->n; i++) old[i] = &before->items[i];
    for (size_t i = 0; i < after->n; i++) new[i] = &after->items[i];
    size_t max = before->n > 0 ? EXTENT_ROWS_MAX : EXTENT_LIST_MAX;
    if (before->n > max || after->n > max) cancel(old, before->n, new, after->n, any_port);
    Extent extent = {.n_before = 0};
    extent.n_before = squeeze(old, before->n, max, &extent.omitted_before);
    extent.n_after = squeeze(new, after->n, max, &extent.omitted_after);
    extent.before = TAKE_PTR(old);
    extent.after = TAKE_PTR(new);
    *ret = extent;
    return 0;
}

void extent_done(Extent *extent) {
    free(extent->before);
    free(extent->after);
    *extent = (Extent){.n_before = 0};
}
