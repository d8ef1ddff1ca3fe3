#include "kernel/backlog.h"

#include <errno.h>
#include <string.h>

#include "kernel/sockdiag.h"

static int collect(Sockdiag *diag, SockRows *rows, uint16_t port, Backlog **ret, size_t *ret_n) {
    for (Table table = TABLE_TCP4; table <= TABLE_TCP6; table++) {
        Dump dump;
        int r = sockdiag_dump(diag, table, NULL, rows, &dump);
        if (r < 0) return r;
    }
    _cleanup_free_ Backlog *list = calloc(rows->n + 1, sizeof *list);
    if (!list) return -ENOMEM;
    size_t n = 0;
    sockrows_sort(rows);
    for (size_t i = 0; i < rows->n; i++) {
        SockRow *row = &rows->items[i];
        if (row->port != port) continue;
        sockdiag_device(diag, row);
        list[n] = (Backlog){.address = row->address, .waiting = row->waiting, .limit = row->backlog};
        memcpy(list[n++].device, row->device, sizeof row->device);
    }
    *ret = TAKE_PTR(list);
    *ret_n = n;
    return 0;
}

int backlog_read(uint16_t port, Backlog **ret, size_t *ret_n) {
    _cleanup_(sockdiag_freep) Sockdiag *diag = NULL;
    SockRows rows = {0};
    int r = sockdiag_new(&diag);
    if (r >= 0) r = collect(diag, &rows, port, ret, ret_n);
    sockrows_done(&rows);
    return r;
}
