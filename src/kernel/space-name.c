#include "kernel/space-name.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Container engines give names of their own to namespaces, new ones each time: cni-UUID, netns-UUID. */
static bool is_made_up(const char *file) {
    static const char *const prefixes[] = {"cni-", "netns-"};
    for (size_t i = 0; i < ELEMENTSOF(prefixes); i++) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(file, prefixes[i], n) == 0 && strlen(file + n) >= 32 &&
            file[n + strspn(file + n, "0123456789abcdef-")] == '\0')
            return true;
    }
    return false;
}

static bool has_suffix(const char *text, const char *suffix) {
    size_t n = strlen(text), m = strlen(suffix);
    return n > m && strcmp(text + n - m, suffix) == 0;
}

/* A scope is a session, or what somebody ran by hand: its name says nothing that stays. */
static bool is_service(const char *unit) {
    return has_suffix(unit, ".service") && strcmp(unit, "run.service") != 0 && strncmp(unit, "user@", 5) != 0;
}

/* "docker container web" is docker:web; one of a user's own service manager has his number, because he chose the name:
 * podman:web@1000. */
static bool name_container(const Owner *owner, char ret[static NAMESPACE_MAX]) {
    const char *blank = owner->container ? strchr(owner->container, ' ') : NULL;
    const char *name = blank ? strchr(blank + 1, ' ') : NULL;
    if (!blank) return false;
    if (!name && !owner->container_id) return false;
    char kind[32], whole[512];
    snprintf(kind, sizeof(kind), "%.*s", (int)(blank - owner->container), owner->container);
    if (strncmp(blank, " machine", 8) == 0) strcpy(kind, "machine");
    const char *slice = owner->user_unit && owner->slice ? owner->slice : "";
    int digits = strncmp(slice, "user-", 5) == 0 ? (int)strspn(slice + 5, "0123456789") : 0;
    if (name)
        snprintf(
            whole, sizeof(whole), "%s%s%.*s", name + 1, owner->user_unit ? "@" : "", digits, slice + (digits ? 5 : 0));
    else
        snprintf(whole, sizeof(whole), "%.12s", owner->container_id);
    namespace_name(kind, whole, strlen(whole), ret);
    return true;
}

bool space_name_of(const Owner *owner, const char *file, char ret[static NAMESPACE_MAX]) {
    const char *kind = "program", *name = owner ? owner->exe : NULL;
    if (owner && name_container(owner, ret)) return true;
    if (file && !is_made_up(file)) {
        kind = "netns";
        name = file;
    } else if (owner && owner->unit && !owner->user_unit && is_service(owner->unit)) {
        kind = "unit";
        name = owner->unit;
    } else if (!name && file) {
        kind = "netns";
        name = file;
    }
    if (!name || !*name) return false;
    namespace_name(kind, name, strlen(name), ret);
    return true;
}

int space_name(Owners *owners, pid_t pid, uint64_t started, const char *file, char ret[static NAMESPACE_MAX]) {
    _cleanup_(owner_unrefp) Owner *owner = NULL;
    if (pid > 0) {
        int r = owners_process(owners, pid, started, &owner);
        if (r == -ENOMEM) return r;
    }
    (void)space_name_of(owner, file, ret);
    return 0;
}
