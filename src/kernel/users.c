#include "kernel/users.h"

#include <errno.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "core/text.h"

#define USERS_MAX 1024u
#define BUFFER_MAX (1u << 20)
#define STALE (600 * USEC_PER_SEC)
#define STACK_SIZE (256u << 10) /* NSS modules are no small things */

typedef struct User {
    uid_t uid;
    char *name;
    int64_t asked; /* when NSS was, 0: in the file */
} User;

/* One question to NSS. Freed by the thread if it was given up, else by the asker. */
typedef struct Question {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    bool done, given_up;
    uid_t uid;
    char *name; /* NULL: nobody knows */
} Question;

struct Users {
    const char *passwd;
    struct stat seen; /* the file the names are of */
    int64_t patience;
    User *items;
    size_t n;
    Question *question;
    bool slow; /* it did not answer in time: nobody waits for it any more */
};

static int64_t monotonic(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

static void question_free(Question *q) {
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->answered);
    free(q->name);
    free(q);
}

int users_new(const char *passwd, int64_t patience, Users **ret) {
    Users *u = calloc(1, sizeof(*u));
    if (!u) return -ENOMEM;
    u->passwd = passwd;
    u->patience = patience;
    *ret = u;
    return 0;
}

static void forget(Users *u) {
    for (size_t i = 0; i < u->n; i++) free(u->items[i].name);
    u->n = 0;
}

Users *users_free(Users *users) {
    if (!users) return NULL;
    Question *q = users->question;
    if (q) {
        pthread_mutex_lock(&q->lock);
        bool done = q->done;
        q->given_up = true;
        pthread_mutex_unlock(&q->lock);
        if (done) question_free(q);
    }
    forget(users);
    free(users->items);
    free(users);
    return NULL;
}

static char *ask_nss(uid_t uid) {
    _cleanup_free_ char *buffer = NULL;
    for (size_t size = 1024; size <= BUFFER_MAX; size *= 4) {
        struct passwd entry, *found = NULL;
        char *more = realloc(buffer, size);
        if (!more) return NULL;
        buffer = more;
        int r = getpwuid_r(uid, &entry, buffer, size, &found);
        if (r == ERANGE) continue;
        return r == 0 && found && found->pw_name && *found->pw_name ? strdup(found->pw_name) : NULL;
    }
    return NULL;
}

static void *run(void *argument) {
    Question *q = argument;
    char *name = ask_nss(q->uid);
    pthread_mutex_lock(&q->lock);
    q->name = name;
    q->done = true;
    bool given_up = q->given_up;
    pthread_cond_signal(&q->answered);
    pthread_mutex_unlock(&q->lock);
    if (given_up) question_free(q);
    return NULL;
}

static int start_thread(Question *q) {
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, old;
    int r = pthread_attr_init(&attributes);
    if (r != 0) return -r;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    /* Signals are for those who wait for them. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = pthread_create(&thread, &attributes, run, q);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attributes);
    return -r;
}

static int ask(Users *u, uid_t uid) {
    Question *q = calloc(1, sizeof(*q));
    if (!q) return -ENOMEM;
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->answered, &clock);
    pthread_condattr_destroy(&clock);
    q->uid = uid;
    if (start_thread(q) < 0) {
        question_free(q);
        return 0; /* no thread to be had: asked again next time */
    }
    u->question = q;
    return 0;
}

static User *find(Users *u, uid_t uid) {
    for (size_t i = 0; i < u->n; i++)
        if (u->items[i].uid == uid) return &u->items[i];
    return NULL;
}

/* Takes `name`; NULL: the number. */
static int keep(Users *u, uid_t uid, char *name, int64_t asked) {
    char number[16];
    snprintf(number, sizeof(number), "%u", (unsigned)uid);
    if (!name) name = strdup(number);
    if (!name) return -ENOMEM;
    User *known = find(u, uid);
    if (!known && u->n == USERS_MAX) forget(u); /* user namespaces make many uids: start over */
    if (!known) {
        User *items = realloc(u->items, (u->n + 1) * sizeof(*items));
        if (!items) {
            free(name);
            return -ENOMEM;
        }
        u->items = items;
        known = &items[u->n++];
        *known = (User){.uid = uid};
    }
    free(known->name);
    known->name = name;
    known->asked = asked;
    return 0;
}

/* Takes the answer, if it is there, waiting for it for at most `patience`. */
static int collect(Users *u, int64_t patience) {
    Question *q = u->question;
    if (!q) return 0;
    int64_t until = monotonic() + patience;
    struct timespec at = {.tv_sec = until / USEC_PER_SEC, .tv_nsec = until % USEC_PER_SEC * 1000};
    pthread_mutex_lock(&q->lock);
    if (patience > 0)
        while (!q->done && pthread_cond_timedwait(&q->answered, &q->lock, &at) != ETIMEDOUT) {
        }
    bool done = q->done;
    pthread_mutex_unlock(&q->lock);
    u->slow = !done;
    if (!done) return 0;
    u->question = NULL;
    int r = keep(u, q->uid, TAKE_PTR(q->name), monotonic());
    question_free(q);
    return r;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* By the file alone. 0 also where it does not have the user. */
static int look_in_file(Users *u, uid_t uid) {
    _cleanup_fclose_ FILE *file = u->passwd ? fopen(u->passwd, "re") : NULL;
    struct passwd entry, *found;
    char buffer[4096];
    if (!file) return 0;
    for (;;) {
        int r = fgetpwent_r(file, &entry, buffer, sizeof(buffer), &found);
        if (r != 0) return 0; /* the end, or a line too long: NSS will know */
        if (entry.pw_uid != uid || !*entry.pw_name) continue;
        char *name = strdup(entry.pw_name);
        return name ? keep(u, uid, name, 0) : -ENOMEM;
    }
}

int users_name(Users *users, uid_t uid, const char **ret) {
    struct stat now = {0};
    if (users->passwd && stat(users->passwd, &now) == 0 && !same_file(&now, &users->seen)) {
        forget(users);
        users->seen = now;
    }
    int r = collect(users, 0);
    if (r >= 0 && !find(users, uid)) r = look_in_file(users, uid);
    if (r < 0) return r;
    const User *known = find(users, uid);
    bool stale = known && known->asked > 0 && monotonic() - known->asked > STALE;
    if ((!known || stale) && !users->question) {
        r = ask(users, uid);
        /* An old name is good until there is a new one. */
        if (r >= 0 && !known) r = collect(users, users->slow ? 0 : users->patience);
        if (r < 0) return r;
        known = find(users, uid);
    }
    *ret = known ? known->name : NULL;
    return 0;
}
