/* The kernel's socket tables through NETLINK_SOCK_DIAG (sock_diag(7), linux/inet_diag.h).
 *
 * Asked is only what can receive from strangers: TCP in LISTEN, UDP and UDPLITE in CLOSE, which means "not connected".
 * Asking for any other TCP state makes the kernel walk the hash of established connections. */
#pragma once

#include "kernel/sockrow.h"

/* What became of the bytes of one datagram. Zero-initialise; sockdiag_parse adds to it. */
typedef struct SockdiagParse {
    bool done;        /* the end of the dump was seen */
    int error;        /* negative errno the kernel gave, in NLMSG_ERROR or in the payload of NLMSG_DONE */
    bool interrupted; /* NLM_F_DUMP_INTR */
    unsigned faults;  /* messages skipped because they are not what the kernel sends */
    unsigned rows;    /* rows taken */
} SockdiagParse;

/* Takes one datagram of a dump of `table` apart: appends its rows, adds to *result. Messages of another sequence number
 * or for another port are passed over. A message that is malformed is skipped and counted in faults; nothing is read
 * beyond `length`. The one entry of production, fuzzer and corpus. 0, or -ENOMEM (also: more than SOCKROWS_MAX rows).
 */
int sockdiag_parse(const void *bytes, size_t length, uint32_t sequence, uint32_t port, Table table, SockRows *rows,
    SockdiagParse *result);

typedef struct Sockdiag Sockdiag;

/* Opens nothing yet: the socket is opened by the first dump, in the network namespace the caller is in then, and kept.
 * 0 or -ENOMEM. */
int sockdiag_new(Sockdiag **ret);
Sockdiag *sockdiag_free(Sockdiag *s); /* takes NULL, returns NULL */
DEFINE_CLEANUP(Sockdiag *, sockdiag_free);

/* Opens the socket now, in the network namespace the caller is in, which need not be the one it is in later: then a
 * dump never opens another. One that has had to be closed since is opened by the next call of this. 0 or a negative
 * errno. */
int sockdiag_open(Sockdiag *s);
bool sockdiag_is_open(const Sockdiag *s);

typedef enum DumpState {
    DUMP_COMPLETE,
    DUMP_INCOMPLETE, /* failed, interrupted, cut short, or with messages that could not be read */
    DUMP_ABSENT,     /* the kernel does not know the protocol, or its diag module is missing */
} DumpState;

typedef struct Dump {
    DumpState state;
    bool one_message; /* all rows came in at most one message: such a dump is consistent, others may miss or double rows
                       */
    int error;        /* negative errno behind INCOMPLETE or ABSENT; 0: no errno tells it */
    const char *reason; /* static, one line, for INCOMPLETE; else NULL */
} Dump;

/* Dumps one table and appends its rows (also those of an incomplete dump). `exact` restricts it, in the kernel, to the
 * sockets bound to exactly this address, port and device; its protocol must be the table's. Does not block beyond the
 * kernel's own work (and 1 s where a reply is late). An interrupted dump is tried once more. 0 with *ret filled, or a
 * negative errno that is about this process: -ENOMEM, -EMFILE, -EACCES ... from socket(2). */
int sockdiag_dump(Sockdiag *s, Table table, const SockRow *exact, SockRows *rows, Dump *ret);

/* Fills device from ifindex ("if7" where the device is gone), in the namespace of the socket. */
void sockdiag_device(Sockdiag *s, SockRow *row);
