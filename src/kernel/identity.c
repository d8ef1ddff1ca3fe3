#include "kernel/identity.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "core/text.h"
#include "kernel/container.h"
#include "kernel/invocation.h"
#include "kernel/procfs.h"
#include "kernel/program.h"

#define READ_ATTEMPTS 3u

/* The bytes of its cgroup file, as a number to compare; 0: not readable. */
static uint64_t hash_of(const char *bytes, size_t length) {
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(1099511628211);
    return hash;
}

static int copy(const char *text, char **ret) {
    if (text && !(*ret = strdup(text))) return -ENOMEM;
    return 0;
}

int identity_place(const char *files, Place *place, Owner *owner) {
    if (place->container != CONTAINER_NONE) {
        const char *kind = container_kind(place->container);
        _cleanup_free_ char *name = NULL;
        int r = container_name(files, place, &name);
        if (r < 0) return r;
        owner->container = name ? text_printf("%s %s", kind, name) : strdup(kind);
        owner->container_id = TAKE_PTR(place->id);
        if (!owner->container) return -ENOMEM;
    }
    owner->slice = TAKE_PTR(place->slice);
    owner->user_unit = place->user_unit;
    if (!place->unit) return copy(owner->container, &owner->unit);
    owner->unit = owner_unit_kind(place->unit);
    if (!owner->unit) return -ENOMEM;
    if (strcmp(owner->unit, place->unit) != 0) owner->unit_shown = TAKE_PTR(place->unit);
    return 0;
}

static int read_place(const IdentitySources *sources, int process, int64_t started, Owner *owner, uint64_t *ret_hash) {
    char buffer[PATH_MAX + 4096];
    size_t length;
    _cleanup_(place_done) Place place = {0};
    *ret_hash = 0;
    int r = procfs_read(process, "cgroup", buffer, sizeof(buffer), &length);
    if (r < 0) return r == -ESRCH ? r : 0; /* unit unknown */
    *ret_hash = hash_of(buffer, length);
    r = cgroups_parse(sources->cgroups, buffer, length, &place);
    /* what a user's own manager says of its units is that user's word */
    if (r >= 0 && place.unit && !place.user_unit)
        r = invocation_of_unit(sources->files, place.unit, started, &owner->invocation);
    return r < 0 ? r : identity_place(sources->files, &place, owner);
}

static int read_program(const IdentitySources *sources, int process, const char *link, Owner *owner) {
    owner->exe = strdup(link);
    if (!owner->exe) return -ENOMEM;
    ProgramFile file = program_examine(process, owner->exe);
    owner->exe_deleted = file == PROGRAM_DELETED;
    owner->exe_replaced = file == PROGRAM_REPLACED;
    program_file(process, &owner->exe_inode, &owner->exe_changed);
    owner->exe_host = program_is_host(process, owner->exe, file, sources->files);
    return 0;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static int read_exe(int process, char **ret) {
    char *link = NULL;
    int r = procfs_read_link(process, "exe", &link);
    if (r == -ESRCH || r == -ENOMEM) return r;
    *ret = link; /* unreadable: not known */
    return 0;
}

/* Everything about a process through its directory. -EAGAIN: it executed another program meanwhile, or is about to: in
 * the middle of an execve(2) it has the new program already, but no arguments yet and its old name. */
static int read_once(const IdentitySources *sources, int process, bool last, Holder *into) {
    _cleanup_(owner_unrefp) Owner *owner = owner_new();
    _cleanup_free_ char *link = NULL, *link_after = NULL;
    ProcStat stat, stat_after;
    struct stat directory;
    if (!owner) return -ENOMEM;
    int r = procfs_read_stat(process, &stat);
    if (r >= 0) r = read_exe(process, &link);
    if (r < 0) return r;
    if (fstat(process, &directory) < 0) return -errno;
    r = procfs_read_uid(process, &owner->uid);
    if (r == -ESRCH) return r;
    if (r < 0) owner->uid = UID_UNKNOWN;
    uint64_t cgroup;
    owner->started = procfs_ticks_to_realtime(stat.started);
    r = read_place(sources, process, owner->started, owner, &cgroup);
    if (r < 0) return r;
    r = procfs_read_cmdline(process, &owner->cmdline);
    if (r == -ESRCH || r == -ENOMEM) return r;
    if (link && !owner->cmdline && !last) return -EAGAIN;
    if (link) r = read_program(sources, process, link, owner);
    if (r == -ENOMEM) return r;
    if (owner->uid != UID_UNKNOWN) {
        const char *user = NULL;
        r = users_name(sources->users, owner->uid, &user);
        if (r >= 0) r = copy(user, &owner->user);
        if (r < 0) return r;
    }
    /* What was read before an execve(2) and after it must not be mixed. */
    r = read_exe(process, &link_after);
    if (r >= 0) r = procfs_read_stat(process, &stat_after);
    if (r < 0) return r;
    if (stat_after.started != stat.started) return -ESRCH;
    if (!same_text(link, link_after) || strcmp(stat.comm, stat_after.comm) != 0) return -EAGAIN;
    owner->comm = strdup(stat.comm);
    if (!owner->comm) return -ENOMEM;
    owner->pid = into->pid;

    into->started = stat.started;
    into->directory_uid = directory.st_uid;
    into->cgroup = cgroup;
    into->init = into->pid == 1 &&
                 (strcmp(stat.comm, "systemd") == 0 || (owner->exe && strcmp(basename(owner->exe), "systemd") == 0));
    free(into->exe_link);
    into->exe_link = TAKE_PTR(link);
    owner_unref(into->owner);
    into->owner = TAKE_PTR(owner);
    return 0;
}

int identity_read(const IdentitySources *sources, int process, Holder *into) {
    int r = -EAGAIN;
    for (unsigned i = 0; r == -EAGAIN && i < READ_ATTEMPTS; i++)
        r = read_once(sources, process, i + 1 == READ_ATTEMPTS, into);
    return r;
}

/* A file that is gone may be followed by another at its path; the link says the same of both. */
static bool file_changed(const Holder *holder, int process, char *link) {
    if (!link || !holder->owner->exe_deleted) return false;
    return program_examine(process, link) != PROGRAM_DELETED;
}

/* It was taken in the middle of an execve(2) after all. */
static bool has_arguments_now(const Holder *holder, int process) {
    _cleanup_free_ char *cmdline = NULL;
    if (holder->owner->cmdline || !holder->owner->exe) return false;
    return procfs_read_cmdline(process, &cmdline) >= 0 && cmdline;
}

int identity_changed(const Holder *holder, int process, const struct stat *directory, bool thorough, bool *ret) {
    _cleanup_free_ char *link = NULL;
    int r = read_exe(process, &link);
    if (r < 0) return r;
    bool changed = directory->st_uid != holder->directory_uid || !same_text(link, holder->exe_link) ||
                   file_changed(holder, process, link) || has_arguments_now(holder, process);
    if (!changed && thorough) {
        char buffer[PATH_MAX + 4096];
        size_t length;
        r = procfs_read(process, "cgroup", buffer, sizeof(buffer), &length);
        if (r == -ESRCH || r == -ENOMEM) return r;
        changed = (r < 0 ? 0 : hash_of(buffer, length)) != holder->cgroup;
    }
    *ret = changed;
    return 0;
}
