#include "kernel/place.h"

#include <errno.h>
#include <string.h>

#define ID_MAX 64u /* of Docker, Podman, containerd, CRI-O: a SHA-256 in hex */
#define ID_MIN 12u
#define NAME_MAX_BYTES 255u

/* A component of a path, or a piece of one. */
typedef struct Part {
    const char *at;
    size_t n;
} Part;

/* What a component says of a container. */
typedef struct Match {
    ContainerKind kind;
    Part id, name;
    bool keeps_unit; /* the service it was found in is what manages it, and stays the unit */
} Match;

const char *container_kind(ContainerKind kind) {
    static const char *const kinds[CONTAINER_MAX] = {
        [CONTAINER_DOCKER] = "docker container",
        [CONTAINER_PODMAN] = "podman container",
        [CONTAINER_KUBERNETES] = "kubernetes container",
        [CONTAINER_CONTAINERD] = "containerd container",
        [CONTAINER_LXC] = "lxc container",
        [CONTAINER_NSPAWN] = "nspawn container",
        [CONTAINER_MACHINE] = "systemd machine",
        [CONTAINER_VIRTUAL] = "virtual machine",
    };
    return kinds[kind];
}

static bool is_safe(Part name) {
    if (name.n == 0 || name.n > NAME_MAX_BYTES) return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || !strchr("._:@/+-", c))) return false;
    }
    return true;
}

bool container_name_is_safe(const char *name) {
    return is_safe((Part){name, strlen(name)});
}

void place_done(Place *place) {
    free(place->unit);
    free(place->slice);
    free(place->id);
    free(place->name);
    *place = (Place){0};
}

static bool is(Part part, const char *text) {
    return part.n == strlen(text) && memcmp(part.at, text, part.n) == 0;
}

static bool begins(Part part, const char *text) {
    size_t n = strlen(text);
    return part.n > n && memcmp(part.at, text, n) == 0;
}

static bool ends(Part part, const char *text) {
    size_t n = strlen(text);
    return part.n > n && memcmp(part.at + part.n - n, text, n) == 0;
}

static Part after(Part part, const char *prefix) {
    size_t n = strlen(prefix);
    return (Part){part.at + n, part.n - n};
}

static Part before(Part part, const char *suffix) {
    return (Part){part.at, part.n - strlen(suffix)};
}

static bool is_unit(Part part) {
    return ends(part, ".service") || ends(part, ".socket") || ends(part, ".scope");
}

static bool is_id(Part part, size_t least) {
    if (part.n < least || part.n > ID_MAX) return false;
    for (size_t i = 0; i < part.n; i++)
        if (!(part.at[i] >= '0' && part.at[i] <= '9') && !(part.at[i] >= 'a' && part.at[i] <= 'f')) return false;
    return true;
}

/* PREFIX, perhaps "conmon-" or "payload-", ID, perhaps ".scope": what container engines call their cgroups. */
static bool match_engine(Part part, Match *ret) {
    static const struct {
        const char *prefix;
        ContainerKind kind;
    } engines[] = {
        {"docker-", CONTAINER_DOCKER},
        {"libpod-", CONTAINER_PODMAN},
        {"cri-containerd-", CONTAINER_KUBERNETES},
        {"crio-", CONTAINER_KUBERNETES},
        {"nerdctl-", CONTAINER_CONTAINERD},
    };
    for (size_t i = 0; i < ELEMENTSOF(engines); i++) {
        if (!begins(part, engines[i].prefix)) continue;
        Part id = after(part, engines[i].prefix);
        bool payload = begins(id, "payload-");
        if (payload) id = after(id, "payload-");
        if (begins(id, "conmon-")) id = after(id, "conmon-"); /* its monitor holds the published ports */
        if (ends(id, ".scope")) id = before(id, ".scope");
        if (!is_id(id, ID_MIN)) return false;
        *ret = (Match){.kind = engines[i].kind, .id = id, .keeps_unit = payload};
        return true;
    }
    /* The systemd driver's form, where the engine does not use systemd: SLICE:cri-containerd:ID. */
    const char *mark = memmem(part.at, part.n, ":cri-containerd:", strlen(":cri-containerd:"));
    if (!mark) return false;
    size_t skip = (size_t)(mark - part.at) + strlen(":cri-containerd:");
    Part id = {part.at + skip, part.n - skip};
    if (!is_id(id, ID_MIN)) return false;
    *ret = (Match){.kind = CONTAINER_KUBERNETES, .id = id};
    return true;
}

/* libvirt numbers its machines anew at each start: qemu-3-NAME. */
static Part without_number(Part name, const char *driver) {
    Part rest = after(name, driver);
    size_t i = 0;
    while (i < rest.n && rest.at[i] >= '0' && rest.at[i] <= '9') i++;
    static const char dash[] = "\\x2d";
    if (i == 0 || rest.n - i <= strlen(dash) || memcmp(rest.at + i, dash, strlen(dash)) != 0) return (Part){0};
    return (Part){rest.at + i + strlen(dash), rest.n - i - strlen(dash)};
}

static bool match_machine(Part part, Part parent, Match *ret) {
    if (begins(part, "systemd-nspawn@") && ends(part, ".service")) {
        Part name = after(before(part, ".service"), "systemd-nspawn@");
        *ret = (Match){.kind = CONTAINER_NSPAWN, .id = name, .name = name, .keeps_unit = true};
        return true;
    }
    if (!is(parent, "machine.slice") || !begins(part, "machine-") || !ends(part, ".scope")) return false;
    Part name = after(before(part, ".scope"), "machine-");
    Match match = {.kind = CONTAINER_MACHINE, .id = name, .name = name};
    if (begins(name, "qemu\\x2d")) match = (Match){CONTAINER_VIRTUAL, name, without_number(name, "qemu\\x2d"), false};
    if (begins(name, "lxc\\x2d")) match = (Match){CONTAINER_LXC, name, without_number(name, "lxc\\x2d"), false};
    *ret = match;
    return true;
}

static bool match_container(Part part, Part parent, bool kubernetes, Match *ret) {
    Match match;
    if (match_engine(part, &match)) {
        if (kubernetes) match.kind = CONTAINER_KUBERNETES;
    } else if (is_id(part, ID_MAX) && (kubernetes || is(parent, "docker") || is(parent, "default"))) {
        match = (Match){.kind = is(parent, "docker") ? CONTAINER_DOCKER : CONTAINER_CONTAINERD, .id = part};
        if (kubernetes) match.kind = CONTAINER_KUBERNETES;
    } else if (begins(part, "lxc.payload."))
        match = (Match){.kind = CONTAINER_LXC, .id = after(part, "lxc.payload."), .name = after(part, "lxc.payload.")};
    else if (is(parent, "lxc.payload") || is(parent, "lxc"))
        match = (Match){.kind = CONTAINER_LXC, .id = part, .name = part};
    else if (!match_machine(part, parent, &match))
        return false;
    *ret = match;
    return true;
}

static int take(Part part, char **ret) {
    char *text = strndup(part.at, part.n);
    if (!text) return -ENOMEM;
    free(*ret);
    *ret = text;
    return 0;
}

/* With systemd's \xNN undone. A name of other characters than usual is taken for none. */
static int take_name(Part part, char **ret) {
    char name[NAME_MAX_BYTES + 1];
    size_t n = 0;
    for (size_t i = 0; i < part.n && n < NAME_MAX_BYTES; i++) {
        bool dash = part.n - i >= 4 && memcmp(part.at + i, "\\x2d", 4) == 0;
        name[n++] = dash ? '-' : part.at[i];
        if (dash) i += 3;
    }
    if (n == NAME_MAX_BYTES || !is_safe((Part){name, n})) return 0;
    return take((Part){name, n}, ret);
}

static int take_container(Place *place, const Match *match) {
    place->container = match->kind;
    int r = take_name(match->id, &place->id);
    if (r >= 0) r = take_name(match->name, &place->name);
    return r;
}

static bool is_user_manager(Part part) {
    return begins(part, "user@") && ends(part, ".service");
}

static int read_path(Part path, Place *place) {
    Part parent = {0};
    bool kubernetes = false, in_unit = false, in_user = false;
    const char *end = path.at + path.n;
    for (const char *at = path.at; at < end;) {
        const char *slash = memchr(at, '/', (size_t)(end - at));
        Part part = {at, (size_t)((slash ? slash : end) - at)};
        at = slash ? slash + 1 : end;
        if (part.n == 0) continue;
        if (part.at[0] == '_') part = after(part, "_"); /* systemd puts it before names that would clash */
        if (memchr(part.at, '\0', part.n)) break;       /* no name of the kernel's */
        Match match;
        if (match_container(part, parent, kubernetes, &match)) {
            int r = 0;
            if (match.keeps_unit && !in_unit && is_unit(part)) r = take(part, &place->unit);
            if (!match.keeps_unit) {
                free(place->unit);
                place->unit = NULL;
            }
            if (!in_unit || !match.keeps_unit) place->user_unit = in_user;
            return r < 0 ? r : take_container(place, &match);
        }
        int r = 0;
        if (!in_unit && is_unit(part)) {
            r = take(part, &place->unit);
            place->user_unit = in_user;
            /* Below it the user's own manager has its units. */
            in_unit = in_user || !is_user_manager(part);
            in_user = in_user || is_user_manager(part);
        } else if (!in_unit && !in_user && ends(part, ".slice"))
            r = take(part, &place->slice);
        if (r < 0) return r;
        kubernetes = kubernetes || is(part, "kubepods") || begins(part, "kubepods");
        parent = part;
    }
    return 0;
}

int place_of_path(const char *path, size_t length, Place *ret) {
    static const char gone[] = " (deleted)"; /* the cgroup was removed, its process lives on */
    Part part = {path, length};
    if (ends(part, gone)) part = before(part, gone);
    _cleanup_(place_done) Place place = {0};
    int r = read_path(part, &place);
    if (r < 0) return r;
    *ret = place;
    place = (Place){0};
    return 0;
}

/* A line of /proc/PID/cgroup: ID:CONTROLLERS:PATH. */
typedef struct Line {
    Part hierarchy; /* "0:" or "1:name=systemd" */
    Part path;
} Line;

static bool next_line(Part *rest, Line *ret) {
    while (rest->n > 0) {
        const char *newline = memchr(rest->at, '\n', rest->n);
        Part line = {rest->at, newline ? (size_t)(newline - rest->at) : rest->n};
        size_t used = line.n + (newline ? 1 : 0);
        *rest = (Part){rest->at + used, rest->n - used};
        const char *first = memchr(line.at, ':', line.n);
        size_t left = first ? line.n - (size_t)(first + 1 - line.at) : 0;
        const char *second = first ? memchr(first + 1, ':', left) : NULL;
        /* name=SOMETHING may hold a colon only where somebody mounted it so */
        if (!second) continue;
        size_t skip = (size_t)(second - line.at) + 1;
        if (skip == line.n || line.at[skip] != '/') continue;
        *ret = (Line){{line.at, skip - 1}, {line.at + skip, line.n - skip}};
        return true;
    }
    return false;
}

/* Leaves out what PID 1's own path has in common: the place of the container that all this runs in. */
static Part relative(const Line *line, Part init) {
    Line other;
    while (next_line(&init, &other)) {
        if (other.hierarchy.n != line->hierarchy.n ||
            memcmp(other.hierarchy.at, line->hierarchy.at, line->hierarchy.n) != 0)
            continue;
        Part root = other.path;
        if (ends(root, "/init.scope")) root = before(root, "/init.scope");
        if (root.n <= 1 || line->path.n < root.n || memcmp(line->path.at, root.at, root.n) != 0) break;
        if (line->path.n > root.n && line->path.at[root.n] != '/') break;
        return (Part){line->path.at + root.n, line->path.n - root.n};
    }
    return line->path;
}

/* The higher, the more is to be believed. */
static unsigned rank(const Line *line, const Place *place) {
    if (is(line->hierarchy, "0:")) return place->unit || place->container ? 3 : 0;
    if (ends(line->hierarchy, ":name=systemd")) return place->unit || place->container ? 2 : 0;
    return place->container ? 1 : 0;
}

int place_parse(const char *bytes, size_t length, const char *init, size_t init_length, Place *ret) {
    Part rest = {bytes, length};
    Line line;
    unsigned best = 0;
    _cleanup_(place_done) Place place = {0};
    while (next_line(&rest, &line)) {
        _cleanup_(place_done) Place here = {0};
        Part path = relative(&line, (Part){init, init_length});
        int r = place_of_path(path.at, path.n, &here);
        if (r < 0) return r;
        unsigned found = rank(&line, &here);
        bool slice = best == 0 && found == 0 && !place.slice && here.slice;
        if (found <= best && !slice) continue;
        place_done(&place);
        place = here;
        here = (Place){0};
        best = found;
    }
    *ret = place;
    place = (Place){0};
    return 0;
}
