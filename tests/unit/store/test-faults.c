/* Every call to the disk fails once: whatever the daemon is doing then, it says so, nothing is lost or half done, and
 * the next try works. PORTWATCH_FAULTS=all walks every call, not a sample of the many; a name as a failure prints it
 * ("life/write/once/37", or the beginning of one) walks that. */
#include "fault-vfs.h"
#include "life.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define SAMPLE 5 /* calls walked of each way to fail; a loss of power has three times as many */
#define STEPS_MAX 64

typedef enum Stay {
    ONCE,
    EVER,   /* until it has failed twice; then the disk works again */
    REOPEN, /* the same, and the daemon is started anew */
    MODES,
} Stay;

static const char *const mode_names[MODES] = {"once", "ever", "reopen"};
/* What a loss of power leaves of that which was not synced. */
static const char *const fate_names[MODES] = {"nothing", "all", "some"};

/* A way to fail. */
typedef struct Way {
    const char *name;
    Fault fault;
    int error;            /* what an open store may say */
    StoreOpening opening; /* and what store_open */
    bool every;           /* no sample of the short script: only a few of the calls are told from damage with effort */
} Way;

static const Way ways[] = {
    {"read", {FAULT_READ, SQLITE_IOERR_READ, EIO}, STORE_FAILED, STORE_UNREADABLE},
    {"sector", {FAULT_READ, SQLITE_IOERR_READ, EIO, .place = true}, STORE_FAILED, STORE_UNREADABLE, true},
    {"write", {FAULT_WRITE, SQLITE_IOERR_WRITE, EIO}, STORE_FAILED, STORE_UNREADABLE},
    {"write-full", {FAULT_WRITE, SQLITE_FULL, ENOSPC, .half = true}, STORE_FULL, STORE_NO_SPACE},
    {"write-quota", {FAULT_WRITE, SQLITE_IOERR_WRITE, EDQUOT, .half = true}, STORE_FULL, STORE_NO_SPACE},
    {"truncate", {FAULT_TRUNCATE, SQLITE_IOERR_TRUNCATE, EIO}, STORE_FAILED, STORE_UNREADABLE},
    {"sync", {FAULT_SYNC, SQLITE_IOERR_FSYNC, EIO}, STORE_FAILED, STORE_UNREADABLE},
    {"sync-full", {FAULT_SYNC, SQLITE_IOERR_FSYNC, ENOSPC}, STORE_FULL, STORE_NO_SPACE},
    {"size", {FAULT_SIZE, SQLITE_IOERR_FSTAT, EIO}, STORE_FAILED, STORE_UNREADABLE},
    {"open", {FAULT_OPEN, SQLITE_CANTOPEN, EMFILE}, STORE_FAILED, STORE_UNWRITABLE},
    {"delete", {FAULT_DELETE, SQLITE_IOERR_DELETE, EIO}, STORE_FAILED, STORE_UNREADABLE},
    {"lock", {FAULT_LOCK, SQLITE_BUSY, 0}, STORE_BUSY, STORE_LOCKED},
    {"lock-error", {FAULT_LOCK, SQLITE_IOERR_LOCK, EIO}, STORE_FAILED, STORE_UNREADABLE},
    {"shared-map", {FAULT_SHARED_MAP, SQLITE_IOERR_SHMMAP, EIO}, STORE_FAILED, STORE_UNREADABLE},
    {"shared-full", {FAULT_SHARED_MAP, SQLITE_IOERR_SHMSIZE, ENOSPC}, STORE_FULL, STORE_NO_SPACE},
    {"shared-lock", {FAULT_SHARED_LOCK, SQLITE_BUSY, 0}, STORE_BUSY, STORE_LOCKED},
    {"shared-lock-error", {FAULT_SHARED_LOCK, SQLITE_IOERR_SHMLOCK, EIO}, STORE_FAILED, STORE_UNREADABLE},
};
static const Fault power = {FAULT_POWER, SQLITE_IOERR_WRITE, EIO};

typedef struct Script {
    const char *name;
    const Step *steps;
    size_t n;
    void *template; /* the database it begins with; NULL: none */
    size_t n_template;
    /* how it goes without faults, after each step */
    uint64_t digests[STEPS_MAX], seen[STEPS_MAX];
    long counts[FAULT_KINDS];
} Script;

/* One walk through a script. */
typedef struct Walk {
    const Script *script;
    const Way *way; /* NULL: power */
    Stay mode;
    const char *name;
    Life life;
    size_t step;
    unsigned failures; /* of this step */
    unsigned failed;   /* of all steps */
    bool lost;         /* the power was, once */
    unsigned seed;
} Walk;

static Store *left_open;                /* by a walk that ended in a failure */
static unsigned long walked, came_true; /* came_true: a step that had failed was found done after all */

static void failed(const Walk *walk, const char *what) {
    left_open = walk->life.store;
    fail_msg("PORTWATCH_FAULTS=%s: step \"%s\": %s", walk->name, walk->script->steps[walk->step].name, what);
}

#define CHECK(walk, condition)                                                                                         \
    do {                                                                                                               \
        if (!(condition)) failed(walk, #condition);                                                                    \
    } while (0)

static void clear(Fixture *f) {
    static const char *const names[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        char name[32];
        snprintf(name, sizeof(name), STORE_FILE "%s", names[i]);
        assert_true(unlink(fixture_path(f, name)) == 0 || errno == ENOENT);
    }
}

static void begin(Fixture *f, const Script *script) {
    clear(f);
    if (!script->template) return;
    _cleanup_close_ int fd = open(fixture_path(f, STORE_FILE), O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    assert_true(fd >= 0 && write(fd, script->template, script->n_template) == (ssize_t)script->n_template);
}

static bool is_before(const Walk *walk) {
    return walk->step > 0 && life_digest(walk->life.store) == walk->script->digests[walk->step - 1];
}

static bool is_after(const Walk *walk) {
    return life_digest(walk->life.store) == walk->script->digests[walk->step];
}

static bool whole(Store *store) {
    return fixture_query(store, "SELECT integrity_check = 'ok' FROM pragma_integrity_check") == 1 &&
           fixture_query(store, "SELECT count(*) FROM pragma_foreign_key_check") == 0;
}

/* The daemon ends; the next one finds a disk that works. True: the step that failed is in the database after all. */
static bool start_anew(Walk *walk) {
    Life life = {.dir = walk->life.dir};
    store_close(TAKE_PTR(walk->life.store));
    CHECK(walk, fault_open_files() == 0);
    fault_disarm();
    if (!walk->way) fault_power_return(walk->seed);
    int r = walk->script->steps[0].run(&life, &walk->script->steps[0]);
    if (r != 0) print_error("result %d: %s\n", r, life.reason);
    CHECK(walk, r == 0);
    walk->life.store = life.store;
    CHECK(walk, whole(life.store));
    bool undone = is_before(walk);
    CHECK(walk, undone || is_after(walk));
    return !undone;
}

static bool as_promised(const Walk *walk, int r) {
    if (walk->way) return r == walk->way->error || r == LIFE_OPENING + (int)walk->way->opening;
    return r == STORE_FAILED || r == LIFE_OPENING + STORE_UNREADABLE;
}

/* A step has failed: it says why, and has left nothing. */
static void judge_failure(Walk *walk, int r) {
    Store *store = walk->life.store;
    if (!as_promised(walk, r))
        print_error("result %d: %s\n", r, r >= LIFE_OPENING ? walk->life.reason : store ? store_reason(store) : "");
    CHECK(walk, fault_fired());
    CHECK(walk, as_promised(walk, r));
    CHECK(walk, !walk->lost);
    CHECK(walk, walk->mode != ONCE || walk->failed < (walk->way && walk->way->fault.place ? 2 : 1));
    walk->failed++;
    walk->failures++;
    if (!store) return;
    fault_pause();
    CHECK(walk, sqlite3_get_autocommit(store->db));
    CHECK(walk, is_before(walk) || (walk->script->steps[walk->step].parts && is_after(walk)));
    fault_resume();
}

/* Runs one step until it is done, as the daemon tries again at its next look. */
static void walk_step(Walk *walk) {
    const Step *step = &walk->script->steps[walk->step];
    for (walk->failures = 0;;) {
        walk->life.seen = 0;
        int r = step->run(&walk->life, step);
        if (!walk->way && !walk->lost && fault_fired()) {
            walk->lost = true;
            bool done = start_anew(walk);
            CHECK(walk, done || r != 0 || is_after(walk));
            came_true += done && r != 0;
            if (done) return;
        } else if (r == 0) {
            CHECK(walk, walk->life.seen == walk->script->seen[walk->step]);
            return;
        } else {
            judge_failure(walk, r);
            if (walk->failures < 2) continue;
            if (walk->mode == EVER) fault_disarm();
            if (walk->mode == REOPEN && start_anew(walk)) {
                came_true++;
                return;
            }
        }
    }
}

static void walk_script(Fixture *f, const Script *script, const Way *way, Stay mode, long at) {
    char name[64];
    snprintf(name, sizeof(name), "%s/%s/%s/%ld", script->name, way ? way->name : "power",
        way ? mode_names[mode] : fate_names[mode], at);
    const char *only = getenv("PORTWATCH_FAULTS");
    if (only && strcmp(only, "all") != 0 && strncmp(only, name, strlen(only)) != 0) return;

    Walk walk = {.script = script, .way = way, .mode = mode, .name = name, .life.dir = f->dir};
    walk.seed = (unsigned)(at * MODES) + mode;
    Fault fault = way ? way->fault : power;
    fault.at = at;
    fault.ever = mode != ONCE;
    begin(f, script);
    fault_arm(&fault);
    for (walk.step = 0; walk.step < script->n; walk.step++) walk_step(&walk);
    walk.step--;
    walked++;
    CHECK(&walk, fault_fired());
    (void)start_anew(&walk);
    CHECK(&walk, is_after(&walk));
    CHECK(&walk, fixture_count(f, STORE_FILE ".") == 0);
    store_close(TAKE_PTR(walk.life.store));
    CHECK(&walk, fault_open_files() == 0);
}

/* Without faults. Twice: looking at what the steps have done changes what SQLite has to read for the next. */
static void rehearse(Fixture *f, Script *script) {
    assert_true(script->n <= STEPS_MAX);
    for (int look = 1; look >= 0; look--) {
        Life life = {.dir = f->dir};
        begin(f, script);
        fault_arm(&(Fault){0});
        for (size_t i = 0; i < script->n; i++) {
            life.seen = 0;
            int r = script->steps[i].run(&life, &script->steps[i]);
            if (r != 0)
                print_error(
                    "%s: %d %s\n", script->steps[i].name, r, life.store ? store_reason(life.store) : life.reason);
            assert_int_equal(r, 0);
            script->seen[i] = life.seen;
            if (look) script->digests[i] = life_digest(life.store);
        }
        for (int kind = 0; kind < FAULT_KINDS; kind++) script->counts[kind] = fault_count((FaultKind)kind);
        fault_disarm();
        assert_true(whole(life.store));
        store_close(life.store);
    }
}

/* All calls that can fail so, or a sample spread over all of them. */
static void walk_way(Fixture *f, const Script *script, const Way *way, bool all) {
    long n = script->counts[way ? way->fault.kind : FAULT_POWER], sample = way ? SAMPLE : 3 * SAMPLE;
    unsigned seed = 5;
    for (int mode = 0; mode < MODES; mode++)
        if (all || n <= sample || (way && way->every && mode == ONCE && !script->template))
            for (long at = 1; at <= n; at++) walk_script(f, script, way, (Stay)mode, at);
        else
            for (long i = 0; i < sample; i++)
                walk_script(f, script, way, (Stay)mode, 1 + (i * n + rand_r(&seed) % n) / sample);
}

static void walk_all(void **state, Script *script) {
    Fixture *f = *state;
    bool all = getenv("PORTWATCH_FAULTS") != NULL;
    walked = came_true = 0;
    rehearse(f, script);
    for (size_t i = 0; i < ELEMENTSOF(ways); i++) walk_way(f, script, &ways[i], all);
    walk_way(f, script, NULL, all);
    print_message("%s: %lu walks, of %ld reads, %ld writes, %ld syncs, %ld opened files, %ld locks, %ld shared locks;"
                  " %lu times a step that had failed was found done\n",
        script->name, walked, script->counts[FAULT_READ], script->counts[FAULT_WRITE], script->counts[FAULT_SYNC],
        script->counts[FAULT_OPEN], script->counts[FAULT_LOCK], script->counts[FAULT_SHARED_LOCK], came_true);
}

static void test_life(void **state) {
    Fixture *f = *state;
    Script script = {.name = "life", .steps = life_steps, .n = life_n_steps};
    life_begin(f);
    FILE *file = fopen(fixture_path(f, STORE_FILE), "re");
    assert_non_null(file);
    script.template = malloc(1 << 20);
    assert_non_null(script.template);
    script.n_template = fread(script.template, 1, 1 << 20, file);
    assert_true(feof(file));
    fclose(file);
    walk_all(state, &script);
    free(script.template);
}

static void test_fresh(void **state) {
    walk_all(state, &(Script){.name = "fresh", .steps = life_fresh, .n = life_n_fresh});
}

static int teardown(void **state) {
    fault_disarm();
    store_close(TAKE_PTR(left_open));
    return fixture_teardown(state);
}

int main(void) {
    /* Without its own count of memory SQLite is a quarter faster. */
    if (sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK || fault_vfs_register() != SQLITE_OK) return 1;
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_empty, teardown)
    const struct CMUnitTest tests[] = {TEST(test_life), TEST(test_fresh)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
