#include "kernel/sockdiag.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* The kernel fills a reply up to the longest buffer it has seen on the socket, and never more than this. */
#define BUFFER_SIZE 32768
#define REPLY_TIMEOUT_MS 1000
#define MESSAGES_MAX 100000

struct Sockdiag {
    struct mnl_socket *socket;
    bool elsewhere; /* opened by sockdiag_open */
    uint32_t sequence;
    char *buffer; /* BUFFER_SIZE */
};

int sockdiag_new(Sockdiag **ret) {
    _cleanup_(sockdiag_freep) Sockdiag *s = calloc(1, sizeof(*s));
    if (!s) return -ENOMEM;
    s->buffer = malloc(BUFFER_SIZE);
    if (!s->buffer) return -ENOMEM;
    *ret = TAKE_PTR(s);
    return 0;
}

static void disconnect(Sockdiag *s) {
    if (s->socket) mnl_socket_close(s->socket);
    s->socket = NULL;
}

Sockdiag *sockdiag_free(Sockdiag *s) {
    if (!s) return NULL;
    disconnect(s);
    free(s->buffer);
    free(s);
    return NULL;
}

static int connect_kernel(Sockdiag *s) {
    if (s->socket) return 0;
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
    if (!socket) return errno > 0 ? -errno : -EIO;
    if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        int r = errno > 0 ? -errno : -EIO;
        mnl_socket_close(socket);
        return r;
    }
    s->socket = socket;
    return 0;
}

int sockdiag_open(Sockdiag *s) {
    s->elsewhere = true;
    return connect_kernel(s);
}

bool sockdiag_is_open(const Sockdiag *s) {
    return s->socket != NULL;
}

/* "Source is exactly this address and port, bound to this device or to none", in the filter language of inet_diag: a
 * jump to the end of the program accepts, one four bytes beyond it refuses. */
static void put_filter(struct nlmsghdr *message, const SockRow *exact) {
    struct inet_diag_bc_op source = {.code = INET_DIAG_BC_S_COND}, device = {.code = INET_DIAG_BC_DEV_COND};
    struct inet_diag_hostcond condition = {.family = exact->address.family, .port = exact->port};
    char code[sizeof(source) + sizeof(condition) + 16 + sizeof(device) + sizeof(exact->ifindex)];
    size_t length = exact->address.family == AF_INET ? 4 : 16;
    size_t first = sizeof(source) + sizeof(condition) + length;
    size_t second = sizeof(device) + sizeof(exact->ifindex);
    source.yes = (unsigned char)first;
    source.no = (unsigned short)(first + second + 4);
    device.yes = (unsigned char)second;
    device.no = (unsigned short)(second + 4);
    condition.prefix_len = (uint8_t)(length * 8);
    memcpy(code, &source, sizeof(source));
    memcpy(code + sizeof(source), &condition, sizeof(condition));
    memcpy(code + sizeof(source) + sizeof(condition), exact->address.bytes, length);
    memcpy(code + first, &device, sizeof(device));
    memcpy(code + first + sizeof(device), &exact->ifindex, sizeof(exact->ifindex));
    mnl_attr_put(message, INET_DIAG_REQ_BYTECODE, first + second, code);
}

static int send_request(Sockdiag *s, Table table, const SockRow *exact) {
    static const struct {
        uint8_t family, protocol;
    } tables[TABLE_MAX] = {
        [TABLE_TCP4] = {AF_INET, IPPROTO_TCP},
        [TABLE_TCP6] = {AF_INET6, IPPROTO_TCP},
        [TABLE_UDP4] = {AF_INET, IPPROTO_UDP},
        [TABLE_UDP6] = {AF_INET6, IPPROTO_UDP},
        [TABLE_UDPLITE4] = {AF_INET, IPPROTO_UDPLITE},
        [TABLE_UDPLITE6] = {AF_INET6, IPPROTO_UDPLITE},
    };
    char buffer[256] __attribute__((aligned(8)));
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = SOCK_DIAG_BY_FAMILY;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message->nlmsg_seq = ++s->sequence;
    struct inet_diag_req_v2 *request = mnl_nlmsg_put_extra_header(message, sizeof(*request));
    request->sdiag_family = tables[table].family;
    request->sdiag_protocol = tables[table].protocol;
    request->idiag_states = 1u << (table <= TABLE_TCP6 ? TCP_LISTEN : TCP_CLOSE);
    if (exact) put_filter(message, exact);
    if (mnl_socket_sendto(s->socket, message, message->nlmsg_len) < 0) return -errno;
    return 0;
}

/* Length of the next datagram, or a negative errno; -EMSGSIZE if it did not fit. */
static ssize_t receive(Sockdiag *s) {
    int fd = mnl_socket_get_fd(s->socket);
    for (;;) {
        struct sockaddr_nl from = {0};
        struct iovec vector = {.iov_base = s->buffer, .iov_len = BUFFER_SIZE};
        struct msghdr header = {.msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &vector, .msg_iovlen = 1};
        ssize_t n = recvmsg(fd, &header, MSG_DONTWAIT);
        if (n < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN) return -errno;
            /* A dump is answered from within the system calls, so this is the exception. */
            struct pollfd poller = {.fd = fd, .events = POLLIN};
            int r = poll(&poller, 1, REPLY_TIMEOUT_MS);
            if (r < 0 && errno != EINTR) return -errno;
            if (r == 0) return -ETIMEDOUT;
            continue;
        }
        if (header.msg_flags & MSG_TRUNC) return -EMSGSIZE;
        if (from.nl_pid != 0) continue; /* not from the kernel */
        return n;
    }
}

static void incomplete(Dump *dump, int error, const char *reason) {
    *dump = (Dump){.state = DUMP_INCOMPLETE, .error = error, .reason = reason};
}

static int dump_once(Sockdiag *s, Table table, const SockRow *exact, SockRows *rows, Dump *ret) {
    if (s->elsewhere && !s->socket) {
        incomplete(ret, 0, "its network namespace has to be entered again");
        return 0;
    }
    int r = connect_kernel(s);
    if (r < 0) return r;
    r = send_request(s, table, exact);
    if (r < 0) {
        disconnect(s);
        incomplete(ret, r, "the request could not be sent");
        return 0;
    }
    SockdiagParse parse = {0};
    unsigned messages = 0; /* that held rows */
    for (unsigned i = 0; !parse.done && parse.error == 0; i++) {
        ssize_t n = i < MESSAGES_MAX ? receive(s) : -EOVERFLOW;
        if (n < 0) {
            disconnect(s); /* the rest of this dump must not answer the next one */
            incomplete(ret, (int)n, n == -EMSGSIZE ? "a reply was cut short" : "the replies ended early");
            return 0;
        }
        unsigned before = parse.rows;
        r = sockdiag_parse(s->buffer, (size_t)n, s->sequence, mnl_socket_get_portid(s->socket), table, rows, &parse);
        if (r < 0) {
            disconnect(s);
            return r;
        }
        if (parse.rows > before) messages++;
    }
    if (parse.error == -ENOENT)
        *ret = (Dump){.state = DUMP_ABSENT, .error = parse.error};
    else if (parse.error != 0)
        incomplete(ret, parse.error, "the kernel gave up the dump");
    else if (parse.interrupted)
        incomplete(ret, -EINTR, "the dump was interrupted by changes");
    else if (parse.faults > 0)
        incomplete(ret, 0, "a reply held messages that cannot be read");
    else
        *ret = (Dump){.state = DUMP_COMPLETE, .one_message = messages <= 1};
    return 0;
}

int sockdiag_dump(Sockdiag *s, Table table, const SockRow *exact, SockRows *rows, Dump *ret) {
    Dump dump = {0};
    int r = dump_once(s, table, exact, rows, &dump);
    if (r == 0 && dump.state == DUMP_INCOMPLETE && dump.error == -EINTR) r = dump_once(s, table, exact, rows, &dump);
    if (r < 0) return r;
    *ret = dump;
    return 0;
}

void sockdiag_device(Sockdiag *s, SockRow *row) {
    if (row->ifindex == 0 || !s->socket) return;
    struct ifreq request = {.ifr_ifindex = (int)row->ifindex};
    /* Asked anew each time: a device can be renamed, and bound sockets are rare. */
    if (ioctl(mnl_socket_get_fd(s->socket), SIOCGIFNAME, &request) == 0)
        memcpy(row->device, request.ifr_name, sizeof(row->device));
    else
        snprintf(row->device, sizeof(row->device), "if%u", row->ifindex);
    row->device[sizeof(row->device) - 1] = '\0';
}
