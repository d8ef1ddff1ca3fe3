/* The netlink parser. Input: one byte that chooses the table, then a datagram; the sequence number and port that are
 * expected are those of its first message, so that a mutation elsewhere still gets past that check. */
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "kernel/sockdiag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    size_t length = size - 1;
    void *bytes = malloc(length > 0 ? length : 1); /* exactly as long, and aligned */
    if (!bytes) abort();
    memcpy(bytes, data + 1, length);
    struct nlmsghdr first = {0};
    if (length >= sizeof(first)) memcpy(&first, bytes, sizeof(first));
    SockRows rows = {0};
    SockdiagParse result = {0};
    Table table = data[0] % TABLE_MAX;
    if (sockdiag_parse(bytes, length, first.nlmsg_seq, first.nlmsg_pid, table, &rows, &result) != 0) abort();
    if (result.rows != rows.n || result.error > 0) abort();
    for (size_t i = 0; i < rows.n; i++) {
        const SockRow *row = &rows.items[i];
        if (row->port == 0 || row->table != table || row->device[0]) abort();
        if (row->address.family != AF_INET && row->address.family != AF_INET6) abort();
    }
    sockrows_sort(&rows);
    for (size_t i = 0; i < rows.n; i++)
        if (!sockrows_find(&rows, &rows.items[i])) abort();
    sockrows_done(&rows);
    free(bytes);
    return 0;
}
