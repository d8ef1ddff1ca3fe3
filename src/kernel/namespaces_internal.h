/* Shared by namespaces.c (processes, entering) and namespaces_names.c (/run/netns); nobody else includes this. */
#pragma once

#include <time.h>

#include "kernel/namespaces.h"

#define YOUNG_MAX 64u /* processes that are looked at again: they may move soon after they were made */

typedef struct Young {
    pid_t pid;
    int64_t until;
} Young;

struct Namespaces {
    TablesShared *shared;
    NamespacesOptions options;
    int home;
    dev_t device; /* of nsfs */
    uint64_t home_inode;
    bool may_look, may_enter;
    Space **items;
    size_t n, allocated, most;
    bool too_many, denied, denied_now;
    /* processes */
    int loadavg;
    pid_t last_pid;
    Young young[YOUNG_MAX];
    size_t n_young;
    pid_t *sweep;
    size_t sweep_n, sweep_at;
    uint64_t sweeps; /* begun */
    bool swept;      /* once, to the end */
    bool hurry;      /* for this sweep */
    int64_t next;
    /* names */
    struct timespec names_changed;
    int64_t names_read, names_fresh;
};

/* The namespace with this inode, made known if it is new; NULL with 0: it is the caller's, or there are too many. 0 or
 * -ENOMEM. */
int namespaces_meet(Namespaces *n, uint64_t inode, Space **ret);
/* Reads the directory of names when it has changed, and for a while after that. 0 or -ENOMEM. */
int namespaces_look_at_names(Namespaces *n, int64_t now);
