#include "core/answers.h"

#include <errno.h>
#include <string.h>

void answers_done(Answers *answers) {
    free(answers->items);
}

int answer_compare(const Answer *a, const Answer *b) {
    int r = address_compare(&a->address, &b->address);
    return r ? r : strcmp(a->device, b->device);
}

int answers_make(const Rows *rows, Answers *ret) {
    Answer *items = malloc((rows->n * 2 + 1) * sizeof *items);
    if (!items) return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < rows->n; i++) {
        const Endpoint *e = rows->items[i];
        items[n++] = (Answer){address_plain(&e->address), e->device, e};
        if (endpoint_is_dual(e)) items[n++] = (Answer){(Address){.family = AF_INET}, e->device, e};
    }
    *ret = (Answers){items, n};
    return 0;
}

bool answers_link_local(const Answers *answers) {
    for (size_t i = 0; i < answers->n; i++)
        if (!address_is_link_local(&answers->items[i].address)) return false;
    return true;
}

bool owners_pass(const Endpoint *expected, const Endpoint *seen) {
    if (expected->n_owners == 0) return true;
    for (size_t s = 0; s < seen->n_owners; s++) {
        bool found = false;
        for (size_t e = 0; e < expected->n_owners && !found; e++)
            found = owner_same(expected->owners[e], seen->owners[s]);
        if (!found) return false;
    }
    return true;
}

bool owners_known_better(const Endpoint *expected, const Endpoint *seen) {
    if (expected->n_owners == 0) return seen->n_owners > 0;
    if (expected->n_owners != 1 || seen->n_owners != 1) return false;
    const Owner *was = expected->owners[0], *is = seen->owners[0];
    bool newer = !owner_outdated(is) &&
                 (owner_outdated(was) || owner_file_differs(was, is) || (was->exe_inode == 0 && is->exe_inode != 0));
    if (owner_same(was, is) && is->exe && newer) return !owner_knows_more(is, was);
    return owner_knows_more(was, is) && !owner_knows_more(is, was);
}

bool owners_known(const Endpoint *endpoint) {
    for (size_t i = 0; i < endpoint->n_owners; i++) {
        const Owner *owner = endpoint->owners[i];
        if (!owner->exe || !owner->unit || owner->uid == UID_UNKNOWN) return false;
    }
    return endpoint->n_owners > 0;
}
