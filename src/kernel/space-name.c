#include "kernel/space-name.h"

#include <errno.h>
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

bool space_name_of(const Owner *owner, const char *file, char ret[static NAMESPACE_MAX]) {
    const char *kind = "program", *name = owner ? owner->exe : NULL;
    if (file && !is_made_up(file)) {
        kind = "netns";
        name = file;
    } else if (owner && owner->unit && is_service(owner->unit)) {
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
