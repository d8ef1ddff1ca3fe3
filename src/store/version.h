/* The versions of the baseline: every change of it, with who made it and why. Numbers ascend and are never used again;
 * 0 is what was before the first. */
#pragma once

#include "core/engine.h"
#include "store/store.h"

/* What a version did to one surface. Rows as they were written down: command lines are cut. */
typedef struct VersionChange {
    Surface surface;
    Endpoints before, after;
} VersionChange;

typedef struct Version {
    int64_t number;
    int64_t time;
    int64_t last;   /* joins of one surface within a day, and what is learned at first, are one version: the last one */
    unsigned times; /* how many they are */
    VersionKind kind;
    char *who, *why; /* raw; NULL: nobody, nothing said */
    VersionChange *changes;
    size_t n_changes;
} Version;

typedef struct VersionFilter {
    bool has_port;
    uint16_t port; /* also finds it among the ephemeral ones */
    bool has_protocol;
    Protocol protocol;
    int64_t after; /* versions with a higher number: to go on */
    size_t limit;  /* at most this many, at most VERSION_LIMIT */
} VersionFilter;

#define VERSION_LIMIT 200

/* The first `limit` versions that pass, ascending, each with those of its changes that pass. *ret and its rows are the
 * caller's (versions_free). */
int version_query(Store *store, const VersionFilter *filter, Version **ret, size_t *ret_n);
void versions_free(Version *versions, size_t n);

typedef enum VersionFound {
    VERSION_FOUND,
    VERSION_UNKNOWN,   /* there is none of this number yet */
    VERSION_FORGOTTEN, /* what changed since then is no longer kept completely */
} VersionFound;

/* The baseline as it was with this version (sorted); *ret_oldest is the oldest one that can still be known, *ret_newest
 * the newest there is. *ret is only filled where *ret_found is VERSION_FOUND. */
int version_baseline(
    Store *store, int64_t number, VersionFound *ret_found, int64_t *ret_oldest, int64_t *ret_newest, Endpoints *ret);

/* Changes that are kept beside the latest of each surface. */
#define VERSION_CHANGES_MAX 20000
