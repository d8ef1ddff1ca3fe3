/* A simulated year of a busy, a flapping and a hostile host: what is told of it, how soon, and whether anything was
 * lost or false; beside the script that portwatch replaces. Exit status 1 if something was. */
#include <getopt.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "watch.h"

typedef struct Host {
    const char *name;
    void (*fill)(World *world);
} Host;

static const Host hosts[] = {{"busy", host_busy}, {"flapping", host_flapping}, {"hostile", host_hostile}};

typedef struct Options {
    uint64_t seed, seeds;
    int64_t days, interval; /* 0: the default */
    const char *only;
    bool every_look, loud;
} Options;

static int compare_delays(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_delays(const char *name, const Delays *delays) {
    size_t n = delays->n;
    if (n == 0) return;
    qsort(delays->items, n, sizeof *delays->items, compare_delays);
    const double second = USEC_PER_SEC;
    printf("    %-26s %7zu   median %6.1f s   99%% %8.1f s   most %8.1f s\n", name, n,
        (double)delays->items[n / 2] / second, (double)delays->items[n * 99 / 100] / second,
        (double)delays->items[n - 1] / second);
}

static size_t most(const size_t *per_day) {
    size_t n = 0;
    for (size_t i = 0; i < 400; i++)
        if (per_day[i] > n) n = per_day[i];
    return n;
}

/* The most that stands in the table at one time: what is older than `retain` is deleted. */
static size_t most_kept(const size_t *per_day, int64_t retain) {
    size_t sum = 0, best = 0, days = (size_t)(retain / DAYS(1));
    for (size_t i = 0; i < 400; i++) {
        sum += per_day[i];
        if (i >= days) sum -= per_day[i - days];
        if (sum > best) best = sum;
    }
    return best;
}

static void print(const Daemon *w, uint64_t seed, double cpu) {
    static const char *const kinds[] = {[DELAY_OPENED] = "opened",
        [DELAY_CHANGED] = "changed",
        [DELAY_CLOSED] = "closed",
        [DELAY_FAILED] = "closed, unit failed",
        [DELAY_RETURNING] = "closed, unit returning",
        [DELAY_RESOLVED] = "back as expected",
        [DELAY_STEADY] = "steady after flapping",
        [DELAY_EXCUSED] = "pause, boot, gap, blind"};
    const Reader *r = &w->reader;
    const Queue *q = &w->queue;
    printf("%s host, seed %" PRIu64 ", %d days: %zu happenings, %zu looks, %.1f s of CPU\n", w->world->name, seed,
        (int)(w->world->end / DAYS(1)), w->world->n_happenings, w->looks, cpu);
    printf("  %-28s %10s %10s\n", "", "portwatch", "script");
    printf("  %-28s %10zu %10zu\n", "messages", q->messages, w->script.mails);
    printf("  %-28s %10zu %10zu\n", "most in a day", most(q->per_day), most(w->script.per_day));
    printf("  %-28s %10zu %10zu\n", "changes that must be told", r->must, r->must);
    printf("  %-28s %10zu %10zu\n", "of them lost", r->lost, r->script_missed);
    printf("  %-28s %10zu %10s\n", "told too late", r->late, "-");
    printf("  %-28s %10zu %10s\n", "false", r->wrong, "-");
    printf("  events %zu: %zu opened, %zu changed, %zu resolved, %zu reminders; most open at one time %zu\n", q->events,
        w->event_types[EVENT_OPENED], w->event_types[EVENT_CHANGED], w->event_types[EVENT_RESOLVED],
        w->event_types[EVENT_REMINDER], w->open_most);
    printf("  history %zu rows, most in a day %zu, most kept at one time %zu (%zu bounced, %zu joined, %zu logged)\n",
        w->history, most(w->history_per_day), most_kept(w->history_per_day, w->world->rules->retain),
        w->transitions[TRANSITION_BOUNCED], w->transitions[TRANSITION_JOINED], w->transitions[TRANSITION_LOGGED]);
    printf("  delay to the first event\n");
    for (int i = 0; i < DELAY_MAX; i++) print_delays(kinds[i], &r->delays[i]);
    print_delays("script", &r->script_delays);
    printf("    from an event to its mail, at most %.1f min\n", (double)q->longest / MINUTES(1));
}

static bool run(const Host *host, uint64_t seed, const Options *options, uint64_t *ret_digest) {
    World world;
    Daemon watch;
    clock_t began = clock();
    world_init(&world, host->name, seed, DAYS(options->days));
    if (options->interval) world.rules->interval = options->interval;
    host->fill(&world);
    watch_init(&watch, &world, seed);
    watch.every_look = options->every_look;
    watch.reader.loud = options->loud;
    watch_run(&watch);
    const Reader *r = &watch.reader;
    /* What waits at the end of the year waits; all else has been sent. */
    bool queue_keeps = watch.queue.sent_events + watch.queue.in_flight + watch.queue.n_waiting == watch.queue.events;
    bool good = r->lost == 0 && r->late == 0 && r->wrong == 0 && (options->days < 50 || r->must > 0) && queue_keeps;
    if (!ret_digest) print(&watch, seed, (double)(clock() - began) / CLOCKS_PER_SEC);
    if (!good) {
        printf("FAILED: simulator --host %s --seed %" PRIu64 " --days %d\n", host->name, seed, (int)options->days);
        if (r->first[0]) printf("  first: %s\n", r->first);
    }
    if (ret_digest) *ret_digest = watch.digest;
    watch_done(&watch);
    world_done(&world);
    return good;
}

/* Looks that are left out decide nothing: some days with all of them give the same events at the same times. Rarer
 * looks, so that there are not half a million. */
static bool compare_looks(const Host *host, const Options *options) {
    Options few = {.days = 6, .interval = SECONDS(20), .every_look = true};
    uint64_t all, left_out;
    bool good = run(host, options->seed, &few, &all);
    few.every_look = false;
    good = run(host, options->seed, &few, &left_out) && good;
    if (all == left_out) return good;
    printf("FAILED: %s host, seed %" PRIu64 ": looks that were left out would have decided something\n", host->name,
        options->seed);
    return false;
}

static int usage(FILE *out) {
    fprintf(out,
        "usage: simulator [--host busy|flapping|hostile] [--seed N] [--seeds N] [--days N] [--every-look] [--loud]\n");
    return out == stdout ? 0 : 64;
}

int main(int argc, char **argv) {
    static const struct option longs[] = {{"host", required_argument, NULL, 'o'},
        {"seed", required_argument, NULL, 's'}, {"seeds", required_argument, NULL, 'n'},
        {"days", required_argument, NULL, 'd'}, {"every-look", no_argument, NULL, 'e'},
        {"loud", no_argument, NULL, 'l'}, {"help", no_argument, NULL, 'h'}, {0}};
    Options options = {.seed = 1, .seeds = 1, .days = 365};
    for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) >= 0;) switch (c) {
        case 'o':
            options.only = optarg;
            break;
        case 's':
            options.seed = strtoull(optarg, NULL, 0);
            break;
        case 'n':
            options.seeds = strtoull(optarg, NULL, 0);
            break;
        case 'd':
            options.days = atoi(optarg);
            break;
        case 'e':
            options.every_look = true;
            break;
        case 'l':
            options.loud = true;
            break;
        case 'h':
            return usage(stdout);
        default:
            return usage(stderr);
        }
    if (options.days < 1 || options.days > 400 || optind < argc) return usage(stderr);
    bool good = true;
    for (size_t i = 0; i < ELEMENTSOF(hosts); i++) {
        if (options.only && strcmp(options.only, hosts[i].name) != 0) continue;
        good = compare_looks(&hosts[i], &options) && good;
        for (uint64_t k = 0; k < options.seeds; k++) good = run(&hosts[i], options.seed + k, &options, NULL) && good;
    }
    return good ? 0 : 1;
}
