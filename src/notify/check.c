#include "notify/check.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "notify/settings.h"

typedef struct Check {
    sd_event *event;
    char **errors;
    int result;
} Check;

static void on_checked(Channel *channel, char *const *errors, void *userdata) {
    (void)channel;
    Check *check = userdata;
    for (; check->result == 0 && errors && *errors; errors++) check->result = strv_append(&check->errors, *errors);
    sd_event_exit(check->event, 0);
}

int notifier_check(const ChannelOptions *options, const NotifierRule *rule, char ***ret_errors) {
    static const ChannelCallbacks callbacks = {.checked = on_checked};
    ChannelOptions own = *options;
    if (own.deadline <= 0) own.deadline = CHECK_DEADLINE;
    Check check = {0};
    Channel *channel = NULL;
    /* a loop of its own: the caller's has other work that must not run in here */
    int r = sd_event_new(&check.event);
    if (r >= 0) r = channel_new(check.event, &own, rule, &callbacks, &check, &channel);
    if (r >= 0) r = channel_check(channel);
    if (r >= 0) r = sd_event_loop(check.event);
    if (r >= 0) r = check.result;
    channel_free(channel);
    sd_event_unref(check.event);
    if (r < 0) {
        strv_free(check.errors);
        return r;
    }
    *ret_errors = check.errors;
    return 0;
}

static int64_t now_boottime(void) {
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (int64_t)ts.tv_sec * USEC_PER_SEC + ts.tv_nsec / 1000;
}

static int check_within(const ChannelOptions *options, const NotifierRule *rule, int64_t left, char ***errors) {
    if (left <= USEC_PER_SEC) /* one that works needs a fiftieth of that */
        return settings_trouble(rule, "could not be asked: those before it took all the time", errors);
    ChannelOptions own = *options;
    own.deadline = left;
    char **found = NULL;
    int r = notifier_check(&own, rule, &found);
    if (r < 0 && r != -ENOMEM) {
        _cleanup_free_ char *reason = text_printf("could not be asked: %s", strerror(-r));
        return reason ? settings_trouble(rule, reason, errors) : -ENOMEM;
    }
    for (char **e = found; r >= 0 && e && *e; e++) r = strv_append(errors, *e);
    strv_free(found);
    return r;
}

int notifiers_check(const ChannelOptions *options, const Rules *rules, char ***errors) {
    int64_t end = now_boottime() + CHECK_DEADLINE;
    int r = 0;
    for (size_t i = 0; r >= 0 && i < rules->n_notifiers; i++)
        r = check_within(options, &rules->notifiers[i], end - now_boottime(), errors);
    return r < 0 ? r : 0;
}
