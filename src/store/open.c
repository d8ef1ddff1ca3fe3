#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "store/aside.h"
#include "store/become.h"
#include "store/connect.h"
#include "store/lock.h"

typedef struct Opener {
    char *dir; /* real path: SQLite is told to follow no link below it */
    char *path;
    const StoreIdentity *identity;
    StoreMode mode;
    StoreOpening what;
    char *reason;
} Opener;

static void opener_done(Opener *opener) {
    free(opener->dir);
    free(opener->path);
    free(opener->reason);
}

/* Ends the opening without a handle. */
static int refuse(Opener *opener, StoreOpening what, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int refuse(Opener *opener, StoreOpening what, const char *format, ...) {
    free(opener->reason);
    va_list arguments;
    va_start(arguments, format);
    opener->reason = text_vprintf(format, arguments);
    va_end(arguments);
    if (!opener->reason) return -ENOMEM;
    opener->what = what;
    return 0;
}

static int refuse_errno(Opener *opener, int error, const char *path) {
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return refuse(opener, STORE_ABSENT, "%s is not there: has portwatchd run with this state directory?", path);
    case EACCES:
    case EPERM:
    case EROFS:
        return refuse(opener, STORE_UNWRITABLE,
            "%s: %s: check owner and mode, and whether the file system is read-only.", path, strerror(error));
    case ENOSPC:
    case EDQUOT:
        return refuse(opener, STORE_NO_SPACE, "%s: %s: free some space.", path, strerror(error));
    default:
        return refuse(opener, STORE_UNREADABLE, "%s: %s.", path, strerror(error));
    }
}

/* Makes an empty file if there is none, so that SQLite never chooses a mode. *ret_go: the file is there. */
static int opener_file(Opener *opener, bool *ret_go) {
    struct stat st;
    *ret_go = false;
    if (lstat(opener->path, &st) == 0) {
        if (!S_ISREG(st.st_mode))
            return refuse(opener, STORE_UNWRITABLE, "%s is not a regular file: move it away.", opener->path);
        *ret_go = true;
        return 0;
    }
    if (errno != ENOENT || opener->mode != STORE_DAEMON) return refuse_errno(opener, errno, opener->path);
    int r = store_set_aside_stray(opener->dir, opener->identity->now);
    if (r < 0) return refuse_errno(opener, -r, opener->dir);
    _cleanup_close_ int fd = open(opener->path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0 || fchmod(fd, 0640) < 0) return refuse_errno(opener, errno, opener->path);
    *ret_go = true;
    return 0;
}

static int opener_connect(Opener *opener, Store **ret) {
    bool go;
    int r = opener_file(opener, &go);
    if (r < 0 || !go) return r;
    _cleanup_free_ char *reason = NULL;
    r = store_connect(opener->dir, opener->path, opener->mode, opener->identity, ret, &opener->what, &reason);
    if (reason) {
        free(opener->reason);
        opener->reason = TAKE_PTR(reason);
    }
    return r;
}

/* Renames what cannot be used and starts anew. Damage is believed if it is seen again once the disk has given every
 * byte of the files: SQLite reports a page that it could not read as damage, too. */
static int opener_replace(Opener *opener, Store **ret) {
    _cleanup_free_ char *name = NULL, *why = NULL;
    int r = store_readable(opener->dir);
    if (r == 0 && opener->what == STORE_DAMAGED) {
        r = opener_connect(opener, ret);
        if (r == 0 && opener->what != STORE_DAMAGED && opener->what != STORE_SET_ASIDE_FOREIGN) return 0;
    }
    bool foreign = opener->what == STORE_SET_ASIDE_FOREIGN;
    why = TAKE_PTR(opener->reason);
    if (r == 0) r = store_set_aside(opener->dir, foreign ? "foreign" : "corrupt", opener->identity->now, &name);
    if (r == -ENOMEM) return r;
    if (r < 0) return refuse_errno(opener, -r, opener->path);
    r = opener_connect(opener, ret);
    if (r < 0 || !*ret) return r;
    return foreign
               ? refuse(opener, STORE_SET_ASIDE_FOREIGN,
                     "%s is of another machine (was this one cloned?): it is kept as %s, and learning starts anew.",
                     opener->path, name)
               : refuse(opener, STORE_SET_ASIDE_CORRUPT,
                     "%s It is kept as %s, and learning starts anew: what changed meanwhile is not told, and what was "
                     "accepted or waited to be sent is only in that file.",
                     why ? why : "The database is damaged.", name);
}

static int opener_run(Opener *opener, const char *dir, Store **ret) {
    if (opener->mode == STORE_DAEMON) {
        int r = state_directory_make(dir);
        if (r < 0) return refuse_errno(opener, -r, dir);
    }
    opener->dir = realpath(dir, NULL);
    if (!opener->dir) return errno == ENOMEM ? -ENOMEM : refuse_errno(opener, errno, dir);
    opener->path = text_printf("%s/" STORE_FILE, opener->dir);
    if (!opener->path) return -ENOMEM;

    Become self = {0};
    int r = opener->mode == STORE_DAEMON ? 0 : store_become_owner(opener->dir, &self);
    if (r < 0) return refuse_errno(opener, -r, opener->dir);
    r = opener_connect(opener, ret);
    /* The first try has given up the ballast. */
    if (r == 0 && opener->mode == STORE_DAEMON && opener->what == STORE_NO_SPACE) r = opener_connect(opener, ret);
    store_become_self(&self);
    if (r < 0) return r;

    if (opener->mode == STORE_DAEMON && (opener->what == STORE_DAMAGED || opener->what == STORE_SET_ASIDE_FOREIGN))
        return opener_replace(opener, ret);
    return 0;
}

int store_open(const char *dir, StoreMode mode, const StoreIdentity *identity, Store **ret, StoreOpening *ret_what,
    char **ret_reason) {
    _cleanup_(opener_done) Opener opener = {.mode = mode, .identity = identity, .what = STORE_OPENED};
    _cleanup_(store_closep) Store *store = NULL;
    int r = opener_run(&opener, dir, &store);
    if (r < 0) return r;
    *ret = TAKE_PTR(store);
    *ret_what = opener.what;
    *ret_reason = opener.what == STORE_OPENED || opener.what == STORE_FRESH ? NULL : TAKE_PTR(opener.reason);
    return 0;
}
