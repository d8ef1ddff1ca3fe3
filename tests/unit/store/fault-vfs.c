#include "fault-vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"

#define SECTOR 512

typedef struct File {
    sqlite3_file base;
    sqlite3_file *real;
    const char
        *path; /* SQLite keeps it until the file is closed; NULL: a temporary file, which no power loss concerns */
} File;

/* A write or truncation that no sync has confirmed. */
typedef struct Pending {
    char *path;
    int64_t offset; /* of a truncation: the new size */
    char *bytes;    /* NULL: a truncation */
    size_t n;
    int64_t old_size;
    char *old; /* what stood at the offset, as far as there was anything */
    size_t n_old;
} Pending;

static sqlite3_vfs *usual;
static Fault armed;
static bool active, fired;
static long counts[FAULT_KINDS];
static char bad_path[256]; /* where the Nth read failed */
static int64_t bad_offset;
static int bad_again; /* so often it fails there once more */
static unsigned open_files;
static Pending *pending;
static size_t n_pending;

static void pending_forget(const char *path) {
    size_t kept = 0;
    for (size_t i = 0; i < n_pending; i++) {
        if (path && strcmp(pending[i].path, path) != 0) {
            pending[kept++] = pending[i];
            continue;
        }
        free(pending[i].path);
        free(pending[i].bytes);
        free(pending[i].old);
    }
    n_pending = kept;
    if (kept > 0) return;
    free(pending);
    pending = NULL;
}

void fault_arm(const Fault *fault) {
    pending_forget(NULL);
    memset(counts, 0, sizeof(counts));
    armed = *fault;
    fired = false;
    active = true;
}

void fault_disarm(void) {
    armed.at = 0;
    active = false;
}

void fault_pause(void) {
    active = false;
}

void fault_resume(void) {
    active = true;
}

bool fault_fired(void) {
    return fired;
}

long fault_count(FaultKind kind) {
    return counts[kind];
}

unsigned fault_open_files(void) {
    return open_files;
}

static int strike(FaultKind kind) {
    if (!active) return SQLITE_OK;
    long n = ++counts[kind];
    bool ever = armed.ever || kind == FAULT_POWER;
    if (kind != armed.kind || armed.at == 0 || n < armed.at || (n > armed.at && !ever)) return SQLITE_OK;
    fired = true;
    errno = armed.system;
    return armed.code;
}

static int strike_disk(FaultKind kind) {
    int code = strike(kind);
    return code == SQLITE_OK ? strike(FAULT_POWER) : code;
}

static int strike_place(const char *path, int64_t offset, size_t n) {
    bool there = strcmp(path, bad_path) == 0 && bad_offset >= offset && bad_offset < offset + (int64_t)n;
    if (!active || armed.at == 0 || !there || (!armed.ever && bad_again-- <= 0)) return SQLITE_OK;
    errno = armed.system;
    return armed.code;
}

static int strike_read(const File *file, int64_t offset, size_t n) {
    const char *path = file->path ? file->path : "";
    if (armed.place && fired) return strike_place(path, offset, n);
    int code = strike(FAULT_READ);
    if (code == SQLITE_OK) return code;
    snprintf(bad_path, sizeof(bad_path), "%s", path);
    bad_offset = offset;
    bad_again = 1;
    return code;
}

/* Where the disk cannot be read, nobody can. */
ssize_t __real_read(int fd, void *buffer, size_t n);
ssize_t __wrap_read(int fd, void *buffer, size_t n);
ssize_t __wrap_read(int fd, void *buffer, size_t n) {
    char link[32], path[256];
    if (armed.place && fired) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof(path) - 1);
        path[length > 0 ? length : 0] = 0;
        if (strike_place(path, lseek(fd, 0, SEEK_CUR), n) != SQLITE_OK) return -1;
    }
    return __real_read(fd, buffer, n);
}

static sqlite3_file *real_file(sqlite3_file *file) {
    return ((File *)file)->real;
}

/* Notes what a write (bytes) or truncation (NULL) is about to change. */
static int pending_add(File *file, const void *bytes, size_t n, int64_t offset) {
    if (armed.kind != FAULT_POWER || armed.at == 0 || !file->path) return SQLITE_OK;
    Pending *list = reallocarray(pending, n_pending + 1, sizeof(Pending));
    if (!list) return SQLITE_NOMEM;
    pending = list;
    sqlite3_int64 size = 0;
    int code = file->real->pMethods->xFileSize(file->real, &size);
    if (code != SQLITE_OK) return code;
    Pending change = {.offset = offset, .n = n, .old_size = size};
    if (size > offset) change.n_old = bytes && size - offset > (int64_t)n ? n : (size_t)(size - offset);
    change.path = strdup(file->path);
    change.old = malloc(change.n_old + 1);
    change.bytes = bytes ? malloc(n) : NULL;
    if (change.path && change.old && (change.bytes || !bytes)) {
        if (bytes) memcpy(change.bytes, bytes, n);
        if (change.n_old > 0) code = file->real->pMethods->xRead(file->real, change.old, (int)change.n_old, offset);
    } else
        code = SQLITE_NOMEM;
    if (code == SQLITE_OK) {
        pending[n_pending++] = change;
        return SQLITE_OK;
    }
    free(change.path);
    free(change.old);
    free(change.bytes);
    return code;
}

static int file_close(sqlite3_file *file) {
    open_files--;
    return real_file(file)->pMethods->xClose(real_file(file));
}

static int file_read(sqlite3_file *file, void *buffer, int n, sqlite3_int64 offset) {
    int code = strike_read((File *)file, offset, (size_t)n);
    return code != SQLITE_OK ? code : real_file(file)->pMethods->xRead(real_file(file), buffer, n, offset);
}

static int file_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 offset) {
    int code = strike_disk(FAULT_WRITE);
    if (code != SQLITE_OK) {
        if (armed.half) (void)real_file(file)->pMethods->xWrite(real_file(file), bytes, n / 2, offset);
        return code;
    }
    code = pending_add((File *)file, bytes, (size_t)n, offset);
    return code != SQLITE_OK ? code : real_file(file)->pMethods->xWrite(real_file(file), bytes, n, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
    int code = strike_disk(FAULT_TRUNCATE);
    if (code == SQLITE_OK) code = pending_add((File *)file, NULL, 0, size);
    return code != SQLITE_OK ? code : real_file(file)->pMethods->xTruncate(real_file(file), size);
}

/* The machine this runs on keeps its power: what is written needs no sync to be read again. */
static int file_sync(sqlite3_file *file, int flags) {
    const char *path = ((File *)file)->path;
    int code = strike_disk(FAULT_SYNC);
    if (code == SQLITE_OK && path) pending_forget(path);
    return code;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret) {
    int code = strike(FAULT_SIZE);
    return code != SQLITE_OK ? code : real_file(file)->pMethods->xFileSize(real_file(file), ret);
}

static int file_lock(sqlite3_file *file, int level) {
    int code = strike(FAULT_LOCK);
    return code != SQLITE_OK ? code : real_file(file)->pMethods->xLock(real_file(file), level);
}

static int file_unlock(sqlite3_file *file, int level) {
    return real_file(file)->pMethods->xUnlock(real_file(file), level);
}

static int file_check_lock(sqlite3_file *file, int *ret) {
    return real_file(file)->pMethods->xCheckReservedLock(real_file(file), ret);
}

static int file_control(sqlite3_file *file, int operation, void *argument) {
    return real_file(file)->pMethods->xFileControl(real_file(file), operation, argument);
}

static int file_sector(sqlite3_file *file) {
    return real_file(file)->pMethods->xSectorSize(real_file(file));
}

static int file_characteristics(sqlite3_file *file) {
    return real_file(file)->pMethods->xDeviceCharacteristics(real_file(file));
}

static int file_shared_map(sqlite3_file *file, int page, int size, int extend, void volatile **ret) {
    int code = strike(FAULT_SHARED_MAP);
    if (code == SQLITE_OK) return real_file(file)->pMethods->xShmMap(real_file(file), page, size, extend, ret);
    *ret = NULL;
    return code;
}

static int file_shared_lock(sqlite3_file *file, int offset, int n, int flags) {
    int code = flags & SQLITE_SHM_LOCK ? strike(FAULT_SHARED_LOCK) : SQLITE_OK;
    return code != SQLITE_OK ? code : real_file(file)->pMethods->xShmLock(real_file(file), offset, n, flags);
}

static void file_shared_barrier(sqlite3_file *file) {
    real_file(file)->pMethods->xShmBarrier(real_file(file));
}

static int file_shared_unmap(sqlite3_file *file, int remove) {
    return real_file(file)->pMethods->xShmUnmap(real_file(file), remove);
}

/* Version 2: no mapped pages, so that every page is read and written through here. */
static const sqlite3_io_methods methods = {2, file_close, file_read, file_write, file_truncate, file_sync, file_size,
    file_lock, file_unlock, file_check_lock, file_control, file_sector, file_characteristics, file_shared_map,
    file_shared_lock, file_shared_barrier, file_shared_unmap, NULL, NULL};

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *ret_flags) {
    File *ours = (File *)file;
    *ours = (File){.real = (sqlite3_file *)(ours + 1), .path = path};
    int code = strike(FAULT_OPEN);
    if (code == SQLITE_OK) code = usual->xOpen(usual, path, ours->real, flags, ret_flags);
    if (code != SQLITE_OK) return code;
    ours->base.pMethods = &methods;
    open_files++;
    return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync) {
    int code = strike_disk(FAULT_DELETE);
    if (code != SQLITE_OK) return code;
    pending_forget(path);
    return usual->xDelete(usual, path, 0);
}

static int vfs_sleep(sqlite3_vfs *vfs, int microseconds) {
    return microseconds;
}

int fault_vfs_register(void) {
    static sqlite3_vfs ours;
    usual = sqlite3_vfs_find(NULL);
    if (!usual) return SQLITE_ERROR;
    /* What is not overridden takes the VFS for its name or its data only, which are the usual one's. */
    ours = *usual;
    ours.zName = "fault";
    ours.szOsFile = (int)sizeof(File) + usual->szOsFile;
    ours.xOpen = vfs_open;
    ours.xDelete = vfs_delete;
    ours.xSleep = vfs_sleep;
    return sqlite3_vfs_register(&ours, 1);
}

static void must(bool done, const char *path) {
    if (done) return;
    perror(path);
    abort();
}

static void pending_undo(const Pending *change) {
    _cleanup_close_ int fd = open(change->path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return;
    must(fd >= 0 && pwrite(fd, change->old, change->n_old, change->offset) == (ssize_t)change->n_old &&
             ftruncate(fd, change->old_size) == 0,
        change->path);
}

static void pending_redo(const Pending *change, size_t n) {
    _cleanup_close_ int fd = open(change->path, O_RDWR | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return;
    must(fd >= 0, change->path);
    must(
        change->bytes ? pwrite(fd, change->bytes, n, change->offset) == (ssize_t)n : ftruncate(fd, change->offset) == 0,
        change->path);
}

void fault_power_return(unsigned seed) {
    for (size_t i = n_pending; i-- > 0;) pending_undo(&pending[i]);
    /* A third of the seeds loses all of it, a third loses none, and a third some. */
    unsigned fate = seed % 3;
    for (size_t i = 0; i < n_pending && fate != 0; i++) {
        unsigned chance = (unsigned)rand_r(&seed);
        size_t n = pending[i].n;
        if (fate == 2 && chance % 2 == 0) continue;
        if (fate == 2 && chance % 8 == 1) n = chance / 8 % (n / SECTOR + 1) * SECTOR;
        pending_redo(&pending[i], n);
    }
    pending_forget(NULL);
}
