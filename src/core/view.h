/* The baseline and a snapshot laid side by side, one view a surface: what the engine, `list` and `diff` all look at. */
#pragma once

#include "core/difference.h"

/* Why a view does or does not alert. */
typedef struct View {
    Surface surface;
    const PortRule *rule;     /* NULL: unlisted */
    const IgnoreRule *ignore; /* set: these are the surface's endpoints that [ignore:] covers */
    Watch watch;              /* what is to be done about a difference */
    bool decided;             /* false: its tables are incomplete, `difference` says nothing */
    Rows baseline, seen;      /* borrowed from the arguments */
    Difference difference;
} View;

typedef struct Views {
    View *items; /* sorted by surface, ignored after watched */
    size_t n;
    void *entries_; /* storage behind the rows */
    const Endpoint **rows_;
} Views;

/* Surface that an endpoint belongs to. TCP in the ephemeral range without a section: the pool, loopback apart. UDP
 * there: the pool, unless the kernel itself holds the socket. */
Surface surface_of(const Rules *rules, const Snapshot *snapshot, const Endpoint *endpoint);

/* Views of every surface in the baseline, in the snapshot, in `more` (incidents and settling ones) and of every section
 * that states what must be there. Everything borrowed must outlive the views. 0 or -ENOMEM. */
int views_make(const Rules *rules, const Endpoints *baseline, const Snapshot *snapshot, const Surface *more,
    size_t n_more, Views *ret);
/* The watched (not ignored) view of a surface, or NULL. */
const View *views_find(const Views *views, const Surface *surface);
void views_done(Views *views);
