#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <string.h>

#include "kernel/sockdiag.h"

static uint8_t table_family(Table table) {
    return table == TABLE_TCP4 || table == TABLE_UDP4 || table == TABLE_UDPLITE4 ? AF_INET : AF_INET6;
}

/* False: the attributes are not well formed. */
static bool parse_attributes(const struct nlmsghdr *message, SockRow *row) {
    const char *at = mnl_nlmsg_get_payload_offset(message, sizeof(struct inet_diag_msg));
    size_t left = mnl_nlmsg_get_payload_len(message) - sizeof(struct inet_diag_msg);
    while (left >= sizeof(struct nlattr)) {
        struct nlattr attribute;
        memcpy(&attribute, at, sizeof(attribute));
        if (attribute.nla_len < sizeof(attribute) || attribute.nla_len > left) return false;
        const char *value = at + MNL_ATTR_HDRLEN;
        size_t length = attribute.nla_len - MNL_ATTR_HDRLEN;
        switch (attribute.nla_type & NLA_TYPE_MASK) {
        case INET_DIAG_CGROUP_ID:
            if (length != sizeof(row->cgroup)) return false;
            memcpy(&row->cgroup, value, sizeof(row->cgroup));
            break;
        case INET_DIAG_SKV6ONLY:
            if (length != 1) return false;
            row->v6only = value[0] != 0;
            break;
        default:
            break;
        }
        size_t step = MNL_ALIGN(attribute.nla_len);
        if (step > left) step = left;
        at += step;
        left -= step;
    }
    return left == 0;
}

static int parse_row(const struct nlmsghdr *message, Table table, SockRows *rows, SockdiagParse *result) {
    struct inet_diag_msg diag;
    if (mnl_nlmsg_get_payload_len(message) < sizeof(diag)) {
        result->faults++;
        return 0;
    }
    memcpy(&diag, mnl_nlmsg_get_payload(message), sizeof(diag));
    if (diag.idiag_family != table_family(table)) {
        result->faults++;
        return 0;
    }
    /* The state is filtered before it is copied: a socket may connect in between. That is no fault. */
    if (diag.idiag_state != (table <= TABLE_TCP6 ? TCP_LISTEN : TCP_CLOSE)) return 0;
    uint16_t port = ntohs(diag.id.idiag_sport);
    if (port == 0) {
        result->faults++;
        return 0;
    }
    SockRow *row = sockrows_push(rows);
    if (!row) return -ENOMEM;
    row->cookie = (uint64_t)diag.id.idiag_cookie[1] << 32 | diag.id.idiag_cookie[0];
    row->inode = diag.idiag_inode;
    row->uid = diag.idiag_uid;
    row->ifindex = diag.id.idiag_if;
    row->waiting = diag.idiag_rqueue;
    row->backlog = diag.idiag_wqueue;
    row->port = port;
    row->table = (uint8_t)table;
    row->address.family = diag.idiag_family;
    memcpy(row->address.bytes, diag.id.idiag_src, diag.idiag_family == AF_INET ? 4 : 16);
    if (!parse_attributes(message, row)) {
        rows->n--;
        result->faults++;
        return 0;
    }
    result->rows++;
    return 0;
}

int sockdiag_parse(const void *bytes, size_t length, uint32_t sequence, uint32_t port, Table table, SockRows *rows,
    SockdiagParse *result) {
    const char *at = bytes;
    size_t left = length;
    while (left >= sizeof(struct nlmsghdr) && !result->done && result->error == 0) {
        /* Datagrams of the kernel are aligned; those of a corpus live in aligned buffers as well. */
        const struct nlmsghdr *message = (const void *)at;
        if (message->nlmsg_len < sizeof(*message) || message->nlmsg_len > left) {
            result->faults++;
            return 0;
        }
        if (message->nlmsg_seq == sequence && message->nlmsg_pid == port) {
            if (message->nlmsg_flags & NLM_F_DUMP_INTR) result->interrupted = true;
            int r = 0;
            int32_t error = 0;
            switch (message->nlmsg_type) {
            case NLMSG_NOOP:
                break;
            case NLMSG_ERROR:
                if (mnl_nlmsg_get_payload_len(message) < sizeof(struct nlmsgerr)) {
                    result->faults++;
                    break;
                }
                memcpy(&error, mnl_nlmsg_get_payload(message), sizeof(error));
                if (error < 0 && error > -4096)
                    result->error = error;
                else
                    result->faults++; /* an acknowledgement was not asked for */
                break;
            case NLMSG_DONE:
                /* A dump that fails on its way says so only here. */
                if (mnl_nlmsg_get_payload_len(message) >= sizeof(error))
                    memcpy(&error, mnl_nlmsg_get_payload(message), sizeof(error));
                result->done = true;
                if (error < 0) result->error = error > -4096 ? error : -EBADMSG;
                break;
            case SOCK_DIAG_BY_FAMILY:
                r = parse_row(message, table, rows, result);
                break;
            default:
                result->faults++;
                break;
            }
            if (r < 0) return r;
        }
        size_t step = MNL_ALIGN(message->nlmsg_len);
        if (step > left) step = left;
        at += step;
        left -= step;
    }
    if (left > 0 && !result->done && result->error == 0) result->faults++;
    return 0;
}
