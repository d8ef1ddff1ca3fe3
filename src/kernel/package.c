#include "kernel/package.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define CACHED_MAX 1024u
#define WANTED_MAX 256u
#define LIST_MAX_BYTES (32u << 20)
#define LISTS_MAX 65536u

typedef struct Program {
    char *path;
    char *package; /* NULL: none */
} Program;

struct Packages {
    const char *files;
    struct stat status; /* of dpkg's, when the programs were looked up */
    Program *items;
    size_t n;
};

/* A path as dpkg may have it, and what it is of. */
typedef struct Spelling {
    const char *path;
    size_t length;
    Program *of;
} Spelling;

typedef struct Search {
    Spelling spellings[2 * WANTED_MAX]; /* sorted */
    size_t n;
    bool lengths[PATH_MAX]; /* of spellings: nearly every line is told apart by it alone */
    char *buffer;
    size_t size;
} Search;

int packages_new(const char *files, Packages **ret) {
    Packages *p = calloc(1, sizeof(*p));
    if (!p) return -ENOMEM;
    p->files = files;
    *ret = p;
    return 0;
}

static void forget(Packages *p) {
    for (size_t i = 0; i < p->n; i++) {
        free(p->items[i].path);
        free(p->items[i].package);
    }
    p->n = 0;
}

Packages *packages_free(Packages *packages) {
    if (!packages) return NULL;
    forget(packages);
    free(packages->items);
    free(packages);
    return NULL;
}

static bool path_of(const Packages *p, const char *name, char path[static PATH_MAX]) {
    int n = snprintf(path, PATH_MAX, "%s%s", p->files, name);
    return n > 0 && n < PATH_MAX;
}

static Program *find(const Packages *p, const char *path) {
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->items[i].path, path) == 0) return &p->items[i];
    return NULL;
}

static int compare(const char *a, size_t n, const char *b, size_t m) {
    int r = memcmp(a, b, n < m ? n : m);
    return r != 0 ? r : (n > m) - (n < m);
}

static int compare_spellings(const void *pa, const void *pb) {
    const Spelling *a = pa, *b = pb;
    return compare(a->path, a->length, b->path, b->length);
}

/* /usr/bin/x is still /bin/x to packages made before /bin became a link to it. */
static const char *older_spelling(const Packages *p, const char *path) {
    static const char usr[] = "/usr";
    char top[PATH_MAX], name[64];
    struct stat st;
    if (strncmp(path, "/usr/", 5) != 0) return NULL;
    const char *rest = path + sizeof(usr) - 1, *slash = strchr(rest + 1, '/');
    size_t n = slash ? (size_t)(slash - rest) : 0;
    if (n == 0 || n >= sizeof(name)) return NULL;
    memcpy(name, rest, n);
    name[n] = '\0';
    return path_of(p, name, top) && lstat(top, &st) == 0 && S_ISLNK(st.st_mode) ? rest : NULL;
}

static void add_spelling(Search *s, const char *path, Program *of) {
    size_t length = strlen(path);
    if (length >= PATH_MAX) return;
    s->spellings[s->n++] = (Spelling){path, length, of};
    s->lengths[length] = true;
}

static Program *search_for(const Search *s, const char *path, size_t length) {
    if (length >= PATH_MAX || !s->lengths[length]) return NULL;
    Spelling key = {path, length, NULL};
    const Spelling *found = bsearch(&key, s->spellings, s->n, sizeof(*s->spellings), compare_spellings);
    return found ? found->of : NULL;
}

/* Reads a whole file into the buffer. Its length, 0 where it cannot be read. */
static size_t load(Search *s, int directory, const char *name) {
    _cleanup_close_ int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > LIST_MAX_BYTES) return 0;
    if ((size_t)st.st_size > s->size) {
        char *buffer = realloc(s->buffer, (size_t)st.st_size);
        if (!buffer) return 0;
        s->buffer = buffer;
        s->size = (size_t)st.st_size;
    }
    size_t n = 0;
    while (n < (size_t)st.st_size) {
        ssize_t r = read(fd, s->buffer + n, (size_t)st.st_size - n);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) break;
        n += (size_t)r;
    }
    return n;
}

typedef int (*OnProgram)(Program *program, const char *package);

static int each_line(const Search *s, size_t length, const char *package, OnProgram on_program) {
    for (size_t at = 0; at < length;) {
        const char *line = s->buffer + at, *end = memchr(line, '\n', length - at);
        size_t n = end ? (size_t)(end - line) : length - at;
        Program *found = search_for(s, line, n);
        int r = found ? on_program(found, package) : 0;
        if (r < 0) return r;
        at += n + 1;
    }
    return 0;
}

/* Two packages claim it, or a diversion has moved it: better nothing than the wrong one. An empty name says so. */
static int claim(Program *program, const char *package) {
    if (program->package && strcmp(program->package, package) == 0) return 0;
    char *name = strdup(program->package ? "" : package);
    if (!name) return -ENOMEM;
    free(program->package);
    program->package = name;
    return 0;
}

/* NAME.list or NAME:ARCHITECTURE.list, as a package may be called; false: no list. */
static bool package_of_list(const char *file, char name[static NAME_MAX + 1]) {
    size_t n = strlen(file);
    if (n <= 5 || n > NAME_MAX || strcmp(file + n - 5, ".list") != 0) return false;
    memcpy(name, file, n - 5);
    name[n - 5] = '\0';
    name[strcspn(name, ":")] = '\0';
    return name[0] && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789+.-")] == '\0';
}

static void close_directory(DIR **d) {
    if (*d) closedir(*d);
}

static int search_lists(const Packages *p, Search *s) {
    char path[PATH_MAX], name[NAME_MAX + 1];
    if (!path_of(p, "/var/lib/dpkg/info", path)) return 0;
    _cleanup_(close_directory) DIR *directory = opendir(path);
    if (!directory) return 0;
    const struct dirent *entry;
    for (unsigned i = 0; i < LISTS_MAX && (entry = readdir(directory)); i++) {
        if (!package_of_list(entry->d_name, name)) continue;
        int r = each_line(s, load(s, dirfd(directory), entry->d_name), name, claim);
        if (r < 0) return r;
    }
    if (!path_of(p, "/var/lib/dpkg/diversions", path)) return 0;
    int r = each_line(s, load(s, AT_FDCWD, path), "", claim);
    return r;
}

static const char *shown_exe(const Owner *owner) {
    return owner->exe_shown ? owner->exe_shown : owner->exe;
}

static bool wants(const Owner *owner) {
    const char *exe = shown_exe(owner);
    return owner->exe_host && !owner->package && exe && *exe == '/' && strlen(exe) < PATH_MAX;
}

static int add_wanted(Packages *p, const Endpoints *endpoints, size_t *ret_new) {
    size_t known = p->n;
    for (size_t i = 0; i < endpoints->n; i++)
        for (size_t o = 0; o < endpoints->items[i].n_owners; o++) {
            const Owner *owner = endpoints->items[i].owners[o];
            if (!wants(owner) || find(p, shown_exe(owner)) || p->n - known == WANTED_MAX) continue;
            Program *items = reallocarray(p->items, p->n + 1, sizeof(*items));
            if (!items) return -ENOMEM;
            p->items = items;
            char *path = strdup(shown_exe(owner));
            if (!path) return -ENOMEM;
            items[p->n++] = (Program){.path = path};
        }
    *ret_new = p->n - known;
    return 0;
}

static int look_up(Packages *p, size_t n_new) {
    if (n_new == 0) return 0;
    _cleanup_free_ Search *s = calloc(1, sizeof(*s));
    if (!s) return -ENOMEM;
    for (size_t i = p->n - n_new; i < p->n; i++) {
        const char *older = older_spelling(p, p->items[i].path);
        add_spelling(s, p->items[i].path, &p->items[i]);
        if (older) add_spelling(s, older, &p->items[i]);
    }
    qsort(s->spellings, s->n, sizeof(*s->spellings), compare_spellings);
    int r = search_lists(p, s);
    free(s->buffer);
    return r;
}

int packages_fill(Packages *packages, const Endpoints *endpoints) {
    Packages *p = packages;
    char path[PATH_MAX];
    struct stat now = {0};
    if (!p->files || !path_of(p, "/var/lib/dpkg/status", path) || stat(path, &now) < 0) return 0;
    bool same = now.st_ino == p->status.st_ino && now.st_mtim.tv_sec == p->status.st_mtim.tv_sec &&
                now.st_mtim.tv_nsec == p->status.st_mtim.tv_nsec && now.st_size == p->status.st_size;
    if (!same || p->n > CACHED_MAX) forget(p);
    p->status = now;
    size_t n_new = 0;
    int r = add_wanted(p, endpoints, &n_new);
    if (r >= 0) r = look_up(p, n_new);
    if (r < 0) {
        forget(p); /* half looked up is not looked up */
        return r;
    }
    for (size_t i = 0; i < endpoints->n; i++)
        for (size_t o = 0; o < endpoints->items[i].n_owners; o++) {
            Owner *owner = endpoints->items[i].owners[o];
            const Program *known = wants(owner) ? find(p, shown_exe(owner)) : NULL;
            if (known && known->package && *known->package && !(owner->package = strdup(known->package)))
                return -ENOMEM;
        }
    return 0;
}
