#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "config/complaint.h"
#include "core/cleanup.h"

void config_files_done(ConfigFiles *files) {
    for (size_t i = 0; i < files->n; i++) {
        free(files->items[i].name);
        free(files->items[i].bytes);
    }
    free(files->items);
    *files = (ConfigFiles){0};
}

/* Moves the file into the list. */
static int files_take(ConfigFiles *files, ConfigFile *file) {
    ConfigFile *items = reallocarray(files->items, files->n + 1, sizeof(*items));
    if (!items) return -ENOMEM;
    files->items = items;
    items[files->n++] = *file;
    *file = (ConfigFile){0};
    return 0;
}

static void file_done(ConfigFile *file) {
    free(file->name);
    free(file->bytes);
}

/* Reads to the end, at most one byte more than is allowed. 0 or negative errno. */
static int read_all(int fd, char **ret, size_t *ret_length) {
    size_t size = 16384, length = 0;
    _cleanup_free_ char *bytes = malloc(size);

    while (bytes) {
        if (length == size) {
            char *more = realloc(bytes, size *= 2);
            if (!more) return -ENOMEM;
            bytes = more;
        }
        ssize_t n = read(fd, bytes + length, size - length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        length += (size_t)n;
        if (n == 0 || length > CONFIG_BYTES_MAX) {
            *ret = TAKE_PTR(bytes);
            *ret_length = length;
            return 0;
        }
    }
    return -ENOMEM;
}

/* Reads one file; complains (and returns 0) where it cannot be had. */
static int file_read(Complaints *complaints, ConfigFiles *files, const char *path) {
    _cleanup_(file_done) ConfigFile file = {.name = strdup(path)};
    Spot spot = {.file = &file};
    struct stat status;

    if (!file.name) return -ENOMEM;
    /* Non-blocking: a FIFO put there must not hang a reload. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status) < 0) {
        complaint_error(complaints, spot, NULL, NULL, "cannot be read: %s", strerror(errno));
        return 0;
    }
    bool null = S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
    if (!S_ISREG(status.st_mode) && !null) {
        complaint_error(complaints, spot, NULL, NULL, "cannot be read: it is %s",
            S_ISDIR(status.st_mode) ? "a directory" : "no regular file");
        return 0;
    }
    int r = read_all(fd, &file.bytes, &file.length);
    if (r == -ENOMEM) return r;
    if (r < 0) {
        complaint_error(complaints, spot, NULL, NULL, "cannot be read: %s", strerror(-r));
        return 0;
    }
    if (file.length > CONFIG_BYTES_MAX) {
        complaint_error(complaints, spot, NULL, NULL, "larger than %zu KiB", CONFIG_BYTES_MAX / 1024);
        return 0;
    }
    file.exposed = !null && (status.st_mode & S_IROTH);
    return files_take(files, &file);
}

static int is_drop_in(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return entry->d_name[0] != '.' && length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

/* By bytes: alphasort would follow the locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int drop_ins_read(Complaints *complaints, ConfigFiles *files, const char *file) {
    struct dirent **entries = NULL;
    _cleanup_free_ char *directory = text_printf("%s.d", file);
    int r = 0;

    if (!directory) return -ENOMEM;
    int n = scandir(directory, &entries, is_drop_in, by_name);
    if (n < 0 && errno == ENOMEM) return -ENOMEM;
    if (n < 0 && errno != ENOENT) {
        ConfigFile place = {.name = directory};
        complaint_error(complaints, (Spot){.file = &place}, NULL, NULL, "cannot be read: %s", strerror(errno));
    }
    if (n >= CONFIG_FILES_MAX) {
        ConfigFile place = {.name = directory};
        complaint_error(complaints, (Spot){.file = &place}, NULL, NULL, "more than %d files", CONFIG_FILES_MAX - 1);
    }
    for (int i = 0; i < n; i++) {
        if (r == 0 && n < CONFIG_FILES_MAX) {
            _cleanup_free_ char *path = text_printf("%s/%s", directory, entries[i]->d_name);
            r = path ? file_read(complaints, files, path) : -ENOMEM;
        }
        free(entries[i]);
    }
    free(entries);
    return r;
}

int config_read(const char *file, ConfigFiles *ret, char ***ret_errors) {
    _cleanup_(config_files_done) ConfigFiles files = {0};
    _cleanup_(complaints_done) Complaints complaints = {0};

    int r = file_read(&complaints, &files, file);
    if (r == 0) r = drop_ins_read(&complaints, &files, file);
    if (r < 0) return r;
    if (complaints.no_memory) return -ENOMEM;
    if (complaints.n_errors > 0) {
        r = complaints_list(&complaints, false, ret_errors);
        return r < 0 ? r : CONFIG_ERRORS;
    }
    *ret = files;
    files = (ConfigFiles){0};
    return CONFIG_OK;
}

bool config_files_equal(const ConfigFiles *a, const ConfigFiles *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        const ConfigFile *x = &a->items[i], *y = &b->items[i];
        if (strcmp(x->name, y->name) != 0 || x->length != y->length) return false;
        if (x->length > 0 && memcmp(x->bytes, y->bytes, x->length) != 0) return false;
    }
    return true;
}
