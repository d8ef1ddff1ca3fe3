#include "kernel/sockrow.h"

#include <string.h>

SockRow *sockrows_push(SockRows *rows) {
    if (rows->n == rows->allocated) {
        if (rows->n >= SOCKROWS_MAX) return NULL;
        size_t allocated = rows->allocated > 0 ? rows->allocated * 2 : 64;
        SockRow *items = realloc(rows->items, allocated * sizeof(*items));
        if (!items) return NULL;
        rows->items = items;
        rows->allocated = allocated;
    }
    SockRow *row = &rows->items[rows->n++];
    *row = (SockRow){0};
    return row;
}

void sockrows_clear(SockRows *rows) {
    rows->n = 0;
}

void sockrows_done(SockRows *rows) {
    free(rows->items);
    *rows = (SockRows){0};
}

int sockrow_compare_key(const SockRow *a, const SockRow *b) {
    int pa = (int)table_protocol(a->table), pb = (int)table_protocol(b->table);
    if (pa != pb) return pa < pb ? -1 : 1;
    if (a->port != b->port) return a->port < b->port ? -1 : 1;
    int r = address_compare(&a->address, &b->address);
    if (r != 0) return r;
    return strcmp(a->device, b->device);
}

static int compare(const void *pa, const void *pb) {
    const SockRow *a = pa, *b = pb;
    int r = sockrow_compare_key(a, b);
    if (r != 0) return r;
    return (a->cookie > b->cookie) - (a->cookie < b->cookie);
}

void sockrows_sort(SockRows *rows) {
    if (rows->n < 2) return;
    qsort(rows->items, rows->n, sizeof(*rows->items), compare);
    size_t kept = 1;
    for (size_t i = 1; i < rows->n; i++)
        if (compare(&rows->items[kept - 1], &rows->items[i]) != 0) rows->items[kept++] = rows->items[i];
    rows->n = kept;
}

static int compare_key(const void *a, const void *b) {
    return sockrow_compare_key(a, b);
}

const SockRow *sockrows_find(const SockRows *rows, const SockRow *key) {
    if (rows->n == 0) return NULL;
    return bsearch(key, rows->items, rows->n, sizeof(*rows->items), compare_key);
}
