/* Runs one message through a real channel and prints what became of it, for the integration tests.
 *
 *   channel-driver WORKER PLUGINDIR PLUGIN [option...]
 *     --set KEY=VALUE       a setting; its place is driver.conf with lines from 2
 *     --check               only check the configuration: prints the errors, exit 2 if there are any
 *     --id, --host, --subject, --text, --document (@FILE), --formed USEC, --reference ID, --skip RECIPIENT
 *     --deadline MS, --idle MS, --times N (the same message N times), --linger MS (then print rss and exit)
 *     --credentials DIR, --beside PLUGIN (a second channel with the same message, to see that one does not stop the
 * other)
 *
 * Output, one a line: started MISSING..., delivery RECIPIENT OUTCOME CODE RETRY_AFTER REASON, done TROUBLE, log LINE,
 * rss KIB. */
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>

#include "notify/check.h"

typedef struct Driver {
    sd_event *event;
    const char *name;
    Message message;
    char **skip;
    int times;
    int *pending;
    int64_t linger;
} Driver;

static void on_started(Channel *channel, char *const *missing, void *userdata) {
    const Driver *driver = userdata;
    printf("%sstarted", driver->name);
    for (; missing && *missing; missing++) printf(" [%s]", *missing);
    printf("\n");
    (void)channel;
}

static void on_delivery(Channel *channel, const char *id, const Delivery *delivery, void *userdata) {
    static const char *const names[] = {"delivered", "retry", "refused"};
    const Driver *driver = userdata;
    (void)channel, (void)id;
    printf("%sdelivery <%s> %s %d %" PRId64 " %s\n", driver->name, delivery->recipient, names[delivery->outcome],
        delivery->code, delivery->retry_after, delivery->reason ? delivery->reason : "-");
}

static void on_log(Channel *channel, const char *line, void *userdata) {
    const Driver *driver = userdata;
    (void)channel;
    printf("%slog %s\n", driver->name, line);
}

static int on_linger(sd_event_source *source, uint64_t usec, void *userdata) {
    Channel *channel = userdata;
    (void)usec;
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/%d/status", (int)channel_pid(channel));
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, "Rss", 3) == 0 || strncmp(line, "VmRSS", 5) == 0) printf("rss %s", line);
    if (!file) printf("rss none\n");
    return sd_event_exit(sd_event_source_get_event(source), 0);
}

static void on_done(Channel *channel, const char *id, const char *trouble, void *userdata) {
    Driver *driver = userdata;
    (void)id;
    printf("%sdone %s\n", driver->name, trouble ? trouble : "-");
    if (--driver->times > 0) {
        if (channel_send(channel, &driver->message, driver->skip) < 0) printf("send failed\n");
        return;
    }
    if (--*driver->pending > 0) return;
    if (driver->linger > 0)
        sd_event_add_time_relative(
            driver->event, NULL, CLOCK_MONOTONIC, (uint64_t)driver->linger, 1000, on_linger, channel);
    else
        sd_event_exit(driver->event, 0);
}

/* A whole file: an argument can be 128 KiB at most. Lives as long as we do. */
static char *content(const char *path) {
    static char buffer[32 << 20];
    _cleanup_fclose_ FILE *file = fopen(path, "re");
    size_t n = file ? fread(buffer, 1, sizeof(buffer) - 1, file) : 0;
    buffer[n] = '\0';
    return buffer;
}

int main(int argc, char **argv) {
    if (argc < 4) return 64;
    Setting settings[64];
    int pending = 1, times = 1;
    Driver driver = {.name = "", .pending = &pending};
    const char *beside = NULL;
    bool check = false;
    ChannelOptions options = {.worker = argv[1], .plugin_dir = argv[2][0] ? argv[2] : NULL};
    NotifierRule rule = {.place = {(char *)"driver.conf", 1}, .name = (char *)"drive", .plugin = argv[3]};
    rule.settings = settings;
    Message *m = &driver.message;
    *m = (Message){.id = "0b1c8e52-6f0a-4a63-9d3c-0d1f6f0e9a11",
        .notifier = (char *)"drive",
        .host = (char *)"db1.example.com",
        .formed = INT64_C(1700000000000000),
        .subject = (char *)"a subject",
        .text = (char *)"a text\n",
        .document = (char *)"{\"specversion\":\"1.0\"}"};
    for (int i = 4; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--check") == 0) {
            check = true;
            continue;
        }
        if (i + 1 >= argc) return 64;
        char *value = argv[++i];
        if (strcmp(name, "--set") == 0) {
            char *equals = strchr(value, '=');
            if (!equals || rule.n_settings == ELEMENTSOF(settings)) return 64;
            *equals = '\0';
            size_t n = rule.n_settings++;
            settings[n] =
                (Setting){.key = value, .value = equals + 1, .place = {(char *)"driver.conf", (unsigned)n + 2}};
        } else if (strcmp(name, "--id") == 0)
            snprintf(m->id, sizeof(m->id), "%s", value);
        else if (strcmp(name, "--host") == 0)
            m->host = value;
        else if (strcmp(name, "--subject") == 0)
            m->subject = value;
        else if (strcmp(name, "--text") == 0)
            m->text = value;
        else if (strcmp(name, "--document") == 0)
            m->document = value[0] == '@' ? content(value + 1) : value;
        else if (strcmp(name, "--formed") == 0)
            m->formed = strtoll(value, NULL, 10);
        else if (strcmp(name, "--reference") == 0)
            strv_append(&m->references, value);
        else if (strcmp(name, "--skip") == 0)
            strv_append(&driver.skip, value);
        else if (strcmp(name, "--deadline") == 0)
            options.deadline = strtoll(value, NULL, 10) * 1000;
        else if (strcmp(name, "--idle") == 0)
            options.idle = strtoll(value, NULL, 10) * 1000;
        else if (strcmp(name, "--times") == 0)
            times = atoi(value);
        else if (strcmp(name, "--linger") == 0)
            driver.linger = strtoll(value, NULL, 10) * 1000;
        else if (strcmp(name, "--credentials") == 0)
            options.credentials = value;
        else if (strcmp(name, "--beside") == 0)
            beside = value;
        else
            return 64;
    }
    if (check) {
        char **errors = NULL;
        int r = notifier_check(&options, &rule, &errors);
        if (r < 0) printf("check failed: %s\n", strerror(-r));
        for (char **e = errors; e && *e; e++) printf("%s\n", *e);
        bool bad = r < 0 || errors;
        strv_free(errors);
        return bad ? 2 : 0;
    }
    static const ChannelCallbacks callbacks = {
        .delivery = on_delivery, .done = on_done, .started = on_started, .log = on_log};
    driver.times = times;
    Driver second = driver;
    NotifierRule other = rule;
    Channel *channel = NULL, *neighbour = NULL;
    if (sd_event_new(&driver.event) < 0 ||
        channel_new(driver.event, &options, &rule, &callbacks, &driver, &channel) < 0)
        return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (beside) {
        pending = 2;
        other.plugin = (char *)beside;
        other.n_settings = 0;
        second.name = "beside ";
        second.event = driver.event;
        if (channel_new(driver.event, &options, &other, &callbacks, &second, &neighbour) < 0 ||
            channel_send(neighbour, &second.message, NULL) < 0)
            return 1;
    }
    int r = channel_send(channel, m, driver.skip);
    if (r < 0)
        printf("send failed: %s\n", strerror(-r));
    else
        sd_event_loop(driver.event);
    channel_free(channel);
    channel_free(neighbour);
    sd_event_unref(driver.event);
    strv_free(m->references);
    strv_free(driver.skip);
    if (waitpid(-1, NULL, WNOHANG) != -1) printf("a child is left\n");
    return r < 0;
}
