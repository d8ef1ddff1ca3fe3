/* Explain: why a port can or cannot be reached. First everything is gathered, each kind of fact by a step of its own
 * (a file each), then judged, then printed in one of two ways. Private to `portwatch explain`. */
#pragma once

#include "cli/look.h"
#include "kernel/backlog.h"
#include "kernel/roots.h"
#include "kernel/sharers.h"

typedef enum Weight {
    WEIGHT_NOTE,    /* worth knowing */
    WEIGHT_WELL,    /* as it should be */
    WEIGHT_UNKNOWN, /* something that decides could not be seen */
    WEIGHT_FAULT,
} Weight;

/* One thing found out. */
typedef struct Finding {
    const char *kind; /* one word for programs, static */
    Weight weight;
    char *text; /* a clause for people, escaped */
    char *next; /* the command that helps; NULL: none of its own */
} Finding;

/* A socket that is bound to the port. */
typedef struct BoundRow {
    const Endpoint *endpoint; /* of the look's snapshot */
    const char *word;         /* how it stands to the baseline: Mark.word */
    bool backlog_known;       /* TCP only */
    Backlog backlog;          /* the fullest of its sockets */
    char state;               /* of the process that holds it, as in /proc/PID/stat; 0: not known */
} BoundRow;

/* This host's addresses that are up, loopback apart. */
typedef struct HostAddress {
    Address address;
    char device[IFNAMSIZ];
} HostAddress;

typedef struct HostFacts {
    HostAddress *addresses;
    size_t n;
    bool unread;      /* they could not be listed */
    bool has4, has6;  /* among them, link-local ones apart */
    int name4, name6; /* the host's name stands for one of them: 1, 0, -1: not asked or not known */
} HostFacts;

/* A rule of the firewall that names the port, or the policy of a chain that drops what no rule names. */
typedef struct Quote {
    char *where; /* "inet filter input (input)", escaped */
    char *text;  /* as nft writes it, escaped */
    bool policy;
    bool forwards; /* what comes to this port is sent on to another */
} Quote;

#define QUOTES_MAX 20

typedef struct Quotes {
    Quote *items;
    size_t n;
    size_t more;   /* beyond QUOTES_MAX */
    size_t opaque; /* rules made by iptables that nft cannot write out */
} Quotes;

typedef struct Firewall {
    char *ruleset; /* as `nft -n list ruleset` prints it; NULL: not read */
    char *reason;  /* why it was not, escaped */
    bool legacy;   /* the older iptables tables are in use as well, which nobody reads here */
} Firewall;

/* The port, bound in a network namespace that is not the caller's. */
typedef struct Elsewhere {
    pid_t pid;   /* the oldest process there */
    char *comm;  /* its name, raw */
    char *netns; /* name in /run/netns, raw; NULL: none */
    Address address;
} Elsewhere;

#define ELSEWHERE_MAX 8

/* One protocol of the port. */
typedef struct Case {
    Protocol protocol;
    uint16_t port;
    Surface surface; /* the port's own, or the ephemeral ports together */
    char title[SURFACE_TEXT_MAX];
    bool decided;        /* its tables could be read */
    const char *trouble; /* why not; borrowed, may be NULL */
    bool known;          /* what is expected is known */
    bool root;           /* asked by root: nobody would see more */
    bool ephemeral;      /* within the range, and no section states it */
    const PortRule *rule;
    const IgnoreRule *ignore;
    const Incident *incident;
    Change change; /* of the port as a whole, as `diff` has it; none where nothing is compared */
    Reach reach;
    Endpoints expected;
    BoundRow *rows;
    size_t n_rows;
    /* for a port that is not bound, or is held by somebody else */
    Owner *before;         /* who held it last, NULL: not known */
    int64_t last;          /* when it was last known to; 0: not known */
    bool by_history;       /* by history, not by baseline */
    json_t *cause;         /* cause/answer.h; NULL: nobody to ask about */
    json_t *told;          /* data of the open incident's event that told a cause; NULL: none did */
    const Endpoint *moved; /* the same owner listens there, and that is new; borrowed */
    Elsewhere elsewhere[ELSEWHERE_MAX];
    size_t n_elsewhere;
    unsigned unseen; /* processes whose network namespace could not be seen */
    Sharer *sharers; /* every process that holds it, as far as they can be looked into */
    size_t n_sharers;
    bool all_sharers;
    Quotes quotes;
    /* judged */
    Finding *findings; /* the one that decides first */
    size_t n_findings;
    Weight weight; /* the heaviest */
} Case;

#define CASES_MAX PROTOCOL_MAX

typedef struct Explanation {
    uint16_t port;
    Look look;
    HostFacts host;
    Firewall firewall;
    Case cases[CASES_MAX];
    size_t n_cases;
    const char *next; /* of the heaviest finding that has one; borrowed */
    int64_t now;
    int exit_code;
} Explanation;

void explanation_done(Explanation *e);

/* The steps. Each returns 0 or a negative errno; what cannot be had is said in its facts. */
int explain_bound(Explanation *e, bool any_protocol, Protocol protocol); /* makes the cases */
int explain_host(Explanation *e);
int explain_names(HostFacts *host); /* what the host's name stands for; takes at most two seconds */
int explain_before(const Cli *cli, const Explanation *e, Case *c);
int explain_cause(const Cli *cli, Case *c);             /* takes at most some seconds */
int explain_sharers(const KernelRoots *roots, Case *c); /* looks at every descriptor there is */
/* One line for each that holds the port by itself, with those that inherited it: "pid 812 (nginx), inherited by 813
 * (nginx)". *at begins at 0. NULL: no more of them, or no memory. */
char *explain_sharers_line(const Case *c, size_t *at);
int explain_elsewhere(const KernelRoots *roots, Case *c);
int explain_firewall(Firewall *firewall); /* runs nft, for at most five seconds */
void quotes_done(Quotes *quotes);
/* Which rules of a ruleset name this port. Takes any text. Pure. */
int quotes_make(const char *ruleset, Protocol protocol, uint16_t port, Quotes *ret);

/* From facts to findings, the next command and the exit code. Pure. */
int explain_judge(Explanation *e);
int explain_judge_closed(const Explanation *e, Case *c);
int explain_judge_bound(const Explanation *e, Case *c);
/* Adds a finding; `text` and `next` are taken, a NULL text means that memory was short. */
int finding_add(Case *c, const char *kind, Weight weight, char *text, char *next);

int explain_print(const Cli *cli, const Explanation *e);
int explain_print_json(const Explanation *e);

/* Runs a program (absolute path) with nothing of ours but a plain environment, for at most `wait` microseconds, and
 * takes at most `limit` bytes of what it prints. Returns its exit status with *ret_out and *ret_error (the first line
 * on standard error, escaped), or a negative errno: -ENOENT, -ETIMEDOUT, -E2BIG. */
int program_run(char *const *arguments, int64_t wait, size_t limit, char **ret_out, char **ret_error);
