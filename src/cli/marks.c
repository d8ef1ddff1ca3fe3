#include "cli/marks.h"

#include <string.h>

static bool owners_expected(const Endpoint *known, const Endpoint *seen) {
    for (size_t i = 0; known->n_owners > 0 && i < seen->n_owners; i++) {
        bool found = false;
        for (size_t k = 0; !found && k < known->n_owners; k++) found = owner_same(known->owners[k], seen->owners[i]);
        if (!found) return false;
    }
    return true;
}

/* Of the ephemeral ports together the number does not count. */
static bool pool_has(const Endpoints *expected, const Endpoint *row) {
    for (size_t i = 0; i < expected->n; i++) {
        const Endpoint *known = &expected->items[i];
        if (address_compare(&known->address, &row->address) == 0 && strcmp(known->device, row->device) == 0 &&
            known->n_owners > 0 && owners_expected(known, row))
            return true;
    }
    return false;
}

static bool owner_stated(const PortRule *rule) {
    return rule && (rule->unit || rule->exe || rule->user);
}

static const char *mark_word(const Look *look, const View *view, const Endpoint *row, const Endpoints *expected) {
    if (view->ignore || view->watch == WATCH_IGNORE) return "ignored";
    if (look->state_reason) return NULL;
    if (!view->decided) return "unknown";
    Change change = view->difference.change;
    if (change == CHANGE_NONE) return "match";
    if (view->surface.port == 0) return pool_has(expected, row) ? "match" : "new";
    if (change == CHANGE_OPENED) return "new";
    if (change == CHANGE_OWNER && owner_stated(view->rule)) return "owner";
    const Endpoint *known = endpoints_find(expected, row);
    if (known) return owners_expected(known, row) ? "match" : "owner";
    return change == CHANGE_ADDRESS ? "address" : "owner";
}

int marks_make(const Look *look, Mark *marks) {
    for (size_t i = 0; i < look->views.n; i++) {
        const View *view = &look->views.items[i];
        if (view->surface.whole) continue; /* its rows are in views of their own */
        Endpoints expected = {0};
        int r = difference_expected(&view->surface, view->rule, &view->baseline, &expected);
        if (r >= 0) r = endpoints_sort(&expected);
        for (size_t k = 0; r >= 0 && k < view->seen.n; k++) {
            const Endpoint *row = view->seen.items[k];
            marks[row - look->snapshot.endpoints.items] = (Mark){view, mark_word(look, view, row, &expected)};
        }
        endpoints_done(&expected);
        if (r < 0) return r;
    }
    return 0;
}
