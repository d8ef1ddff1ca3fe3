#include "kernel/census.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/procfs.h"

static int compare_pids(const void *pa, const void *pb) {
    const Counted *a = pa, *b = pb;
    return (a->pid > b->pid) - (a->pid < b->pid);
}

/* The rest is only for an order that does not depend on qsort. */
static int compare_counts(const void *pa, const void *pb) {
    const Counted *a = pa, *b = pb;
    if (a->descriptors != b->descriptors) return a->descriptors > b->descriptors ? 1 : -1;
    return -compare_pids(pa, pb);
}

static Counted *find(const Census *census, pid_t pid) {
    Counted key = {.pid = pid};
    return census->n > 0 ? bsearch(&key, census->items, census->n, sizeof(key), compare_pids) : NULL;
}

/* One that has ended is left out. 0 or -ENOMEM. */
static int count(const KernelRoots *roots, const pid_t *pids, size_t n, Census *ret) {
    Census census = {.taken = true};
    _cleanup_close_ int proc = open(roots->proc, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0 || n > CENSUS_MAX) {
        *ret = (Census){0};
        return 0;
    }
    census.items = calloc(n > 0 ? n : 1, sizeof(*census.items));
    if (!census.items) return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        char name[32];
        struct stat st;
        snprintf(name, sizeof(name), "%d/fd", (int)pids[i]);
        if (fstatat(proc, name, &st, 0) < 0) continue;
        uint32_t size = st.st_size > 0 && st.st_size <= UINT32_MAX ? (uint32_t)st.st_size : 0;
        census.items[census.n++] = (Counted){pids[i], size};
    }
    if (census.n > 1) qsort(census.items, census.n, sizeof(*census.items), compare_pids);
    *ret = census;
    return 0;
}

static void replace(Census *census, const Census *by) {
    free(census->items);
    *census = *by;
}

int census_take(Census *census, const KernelRoots *roots) {
    _cleanup_free_ pid_t *pids = NULL;
    size_t n;
    Census now = {0};
    int r = procfs_list(roots, &pids, &n);
    if (r >= 0) r = count(roots, pids, n, &now);
    if (r == -ENOMEM) return r;
    replace(census, &now);
    return 0;
}

int census_compare(
    Census *census, const KernelRoots *roots, const pid_t *pids, size_t n, Counted **ret, size_t *ret_n) {
    Census now;
    int r = count(roots, pids, n, &now);
    if (r < 0) return r;
    Counted *more = NULL;
    size_t n_more = 0;
    if (census->taken && now.n > 0) {
        more = calloc(now.n, sizeof(*more));
        if (!more) {
            census_done(&now);
            return -ENOMEM;
        }
        for (size_t i = 0; i < now.n; i++) {
            Counted *counted = &now.items[i];
            const Counted *before = find(census, counted->pid);
            if (before && counted->descriptors <= before->descriptors) continue;
            more[n_more++] = *counted;
            counted->descriptors = before ? before->descriptors : 0;
        }
        if (n_more > 1) qsort(more, n_more, sizeof(*more), compare_counts);
    }
    replace(census, &now);
    *ret = more;
    *ret_n = n_more;
    return 0;
}

void census_looked(Census *census, const Counted *counted) {
    Counted *known = find(census, counted->pid);
    if (known) known->descriptors = counted->descriptors;
}

void census_done(Census *census) {
    free(census->items);
    *census = (Census){0};
}
