#include "notify/check.h"

#include <errno.h>

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
