#include "kernel/identity.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "kernel/cgroup.h"
#include "kernel/procfs.h"

#define USERS_MAX 1024u
#define READ_ATTEMPTS 3u
#define PASSWD_BUFFER_MAX (1u << 20)

struct User {
    uid_t uid;
    char *name;
};

void users_done(Users *cache) {
    for (size_t i = 0; i < cache->n; i++) free(cache->items[i].name);
    free(cache->items);
    *cache = (Users){0};
}

const char *users_name(Users *cache, uid_t uid) {
    for (size_t i = 0; i < cache->n; i++)
        if (cache->items[i].uid == uid) return cache->items[i].name;
    char number[16];
    snprintf(number, sizeof(number), "%u", (unsigned)uid);
    _cleanup_free_ char *name = NULL;
    _cleanup_free_ char *buffer = NULL;
    for (size_t size = 1024; size <= PASSWD_BUFFER_MAX; size *= 4) {
        struct passwd entry, *found = NULL;
        char *more = realloc(buffer, size);
        if (!more) return NULL;
        buffer = more;
        int r = getpwuid_r(uid, &entry, buffer, size, &found);
        if (r == ERANGE) continue;
        if (r == 0 && found && found->pw_name && *found->pw_name) name = strdup(found->pw_name);
        break;
    }
    if (!name) name = strdup(number);
    if (!name) return NULL;
    if (cache->n == USERS_MAX) { /* user namespaces make many uids: start over */
        for (size_t i = 0; i < cache->n; i++) free(cache->items[i].name);
        cache->n = 0;
    }
    struct User *items = realloc(cache->items, (cache->n + 1) * sizeof(*items));
    if (!items) return NULL;
    cache->items = items;
    items[cache->n] = (struct User){.uid = uid, .name = TAKE_PTR(name)};
    return items[cache->n++].name;
}

/* Cuts " (deleted)" where the kernel put it, which is not where a file is really called so. */
static void strip_deleted(int process, char *exe, bool *ret_deleted) {
    static const char mark[] = " (deleted)";
    size_t n = strlen(exe), m = sizeof(mark) - 1;
    *ret_deleted = false;
    if (n <= m || strcmp(exe + n - m, mark) != 0) return;
    struct stat running, named;
    char path[PATH_MAX + 32];
    if (fstatat(process, "exe", &running, 0) == 0 && running.st_nlink > 0) {
        snprintf(path, sizeof(path), "root%s", exe);
        if (fstatat(process, path, &named, 0) == 0 && named.st_dev == running.st_dev && named.st_ino == running.st_ino)
            return;
    }
    exe[n - m] = '\0';
    *ret_deleted = true;
}

static int read_unit(int process, Owner *owner) {
    char buffer[PATH_MAX + 4096];
    size_t length;
    int r = procfs_read(process, "cgroup", buffer, sizeof(buffer), &length);
    if (r < 0) return r == -ESRCH ? r : 0; /* unit unknown */
    _cleanup_free_ char *unit = NULL;
    r = cgroup_parse(buffer, length, &unit);
    if (r < 0 || !unit) return r;
    owner->unit = owner_unit_kind(unit);
    if (!owner->unit) return -ENOMEM;
    if (strcmp(owner->unit, unit) != 0) owner->unit_shown = TAKE_PTR(unit);
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

/* Everything about a process through its directory. -EAGAIN: it executed another program meanwhile. */
static int read_once(Users *users, int process, Holder *into) {
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
    r = read_unit(process, owner);
    if (r < 0) return r;
    r = procfs_read_cmdline(process, &owner->cmdline);
    if (r == -ESRCH || r == -ENOMEM) return r;
    if (link) {
        owner->exe = strdup(link);
        if (!owner->exe) return -ENOMEM;
        strip_deleted(process, owner->exe, &owner->exe_deleted);
    }
    if (owner->uid != UID_UNKNOWN) {
        const char *user = users_name(users, owner->uid);
        owner->user = user ? strdup(user) : NULL;
        if (!owner->user) return -ENOMEM;
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
    owner->started = procfs_ticks_to_realtime(stat.started);

    into->started = stat.started;
    into->directory_uid = directory.st_uid;
    into->init = into->pid == 1 &&
                 (strcmp(stat.comm, "systemd") == 0 || (owner->exe && strcmp(basename(owner->exe), "systemd") == 0));
    free(into->exe_link);
    into->exe_link = TAKE_PTR(link);
    owner_unref(into->owner);
    into->owner = TAKE_PTR(owner);
    return 0;
}

int identity_read(Users *users, int process, Holder *into) {
    int r = -EAGAIN;
    for (unsigned i = 0; r == -EAGAIN && i < READ_ATTEMPTS; i++) r = read_once(users, process, into);
    return r;
}

int identity_changed(const Holder *holder, int process, const struct stat *directory, bool thorough, bool *ret) {
    _cleanup_free_ char *link = NULL;
    int r = read_exe(process, &link);
    if (r < 0) return r;
    bool changed = directory->st_uid != holder->directory_uid || !same_text(link, holder->exe_link);
    if (!changed && thorough) {
        _cleanup_(owner_unrefp) Owner *now = owner_new();
        if (!now) return -ENOMEM;
        r = read_unit(process, now);
        if (r < 0) return r;
        changed = !same_text(now->unit, holder->owner->unit) || !same_text(now->unit_shown, holder->owner->unit_shown);
    }
    *ret = changed;
    return 0;
}
