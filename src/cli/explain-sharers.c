/* Every process that holds the port, parents and children told apart. */
#include <errno.h>
#include <string.h>

#include "cli/explain.h"

#define CHILDREN_SHOWN 6

int explain_sharers(const KernelRoots *roots, Case *c) {
    /* Without them all else can still be told. */
    int r = sharers_read(roots, c->protocol, c->port, &c->sharers, &c->n_sharers, &c->all_sharers);
    return r == -ENOMEM ? r : 0;
}

static const Sharer *find(const Case *c, pid_t pid) {
    for (size_t i = 0; i < c->n_sharers; i++)
        if (c->sharers[i].pid == pid) return &c->sharers[i];
    return NULL;
}

/* The first of its line that holds the port; who was born before the numbers wrapped may have a higher one. */
static const Sharer *first_of_line(const Case *c, const Sharer *one) {
    const Sharer *parent;
    for (size_t depth = 0; depth < c->n_sharers && (parent = find(c, one->ppid)) && parent != one; depth++)
        one = parent;
    return one;
}

static void write_one(FILE *out, const Sharer *one) {
    _cleanup_free_ char *comm = text_escape(one->comm, strlen(one->comm));
    fprintf(out, "%d (%s)", (int)one->pid, comm ? comm : "");
}

char *explain_sharers_line(const Case *c, size_t *at) {
    while (*at < c->n_sharers && first_of_line(c, &c->sharers[*at]) != &c->sharers[*at]) (*at)++;
    if (*at == c->n_sharers) return NULL;
    const Sharer *first = &c->sharers[(*at)++];
    char *text = NULL;
    size_t size, n = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    fputs("pid ", out);
    write_one(out, first);
    for (size_t i = 0; i < c->n_sharers; i++) {
        const Sharer *one = &c->sharers[i];
        if (one == first || first_of_line(c, one) != first || ++n > CHILDREN_SHOWN) continue;
        fputs(n == 1 ? ", inherited by " : ", ", out);
        write_one(out, one);
    }
    if (n > CHILDREN_SHOWN) fprintf(out, " and %zu more", n - CHILDREN_SHOWN);
    if (fclose(out) == 0) return text;
    free(text);
    return NULL;
}
