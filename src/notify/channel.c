#include "notify/channel.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "notify/channel-private.h"

#define DEADLINE_DEFAULT (60 * USEC_PER_SEC)
#define IDLE_DEFAULT (60 * USEC_PER_SEC)
#define CRASH_WAIT_MAX (60 * USEC_PER_SEC)
#define HEARTBEAT_MAX (20 * USEC_PER_SEC) /* messages wait meanwhile */

static uint64_t now_boottime(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

int channel_set_timer(Channel *channel, uint64_t usec) {
    int r = sd_event_source_set_time(channel->timer, now_boottime() + usec);
    if (r >= 0) r = sd_event_source_set_enabled(channel->timer, SD_EVENT_ONESHOT);
    return r < 0 ? r : 0;
}

int64_t channel_deadline(const Channel *channel) {
    return channel->beating && channel->deadline > HEARTBEAT_MAX ? HEARTBEAT_MAX : channel->deadline;
}

static int message_copy(const Message *message, Message *ret) {
    Message copy = {
        .notifier = strdup(message->notifier ?: ""),
        .host = strdup(message->host ?: ""),
        .formed = message->formed,
        .subject = strdup(message->subject ?: ""),
        .text = strdup(message->text ?: ""),
        .document = strdup(message->document ?: ""),
    };
    memcpy(copy.id, message->id, sizeof(copy.id));
    int r = copy.notifier && copy.host && copy.subject && copy.text && copy.document ? 0 : -ENOMEM;
    if (r == 0 && message->references) {
        copy.references = strv_copy(message->references);
        if (!copy.references) r = -ENOMEM;
    }
    if (r < 0)
        message_done(&copy);
    else
        *ret = copy;
    return r;
}

/* ---- when it goes wrong ---- */

/* 1 s, doubling, at most a minute. */
static void crash_count(Channel *channel) {
    int64_t wait = USEC_PER_SEC;
    for (unsigned i = 0; i < channel->crashes && wait < CRASH_WAIT_MAX; i++) wait *= 2;
    channel->crashes++;
    channel->not_before = now_boottime() + (uint64_t)(wait < CRASH_WAIT_MAX ? wait : CRASH_WAIT_MAX);
}

static int start_later(Channel *channel) {
    uint64_t now = now_boottime();
    channel->state = CHANNEL_WAITING;
    return channel_set_timer(channel, channel->not_before > now ? channel->not_before - now : 0);
}

static bool recipient_is_last(const Channel *channel) {
    if (channel->beating) return true;
    for (char **r = channel->recipients; r && *r; r++)
        if (strcmp(*r, channel->recipient) != 0 && !strv_contains(channel->settled, *r)) return false;
    return true;
}

void channel_broken(Channel *channel, const char *what) {
    _cleanup_free_ char *how = NULL;
    ChannelState state = channel->state;
    /* the list dies with the child */
    bool last = state == CHANNEL_DELIVERING && recipient_is_last(channel);
    channel_io_stop(channel, &how);
    channel->state = CHANNEL_STOPPED;
    sd_event_source_set_enabled(channel->timer, SD_EVENT_OFF);
    crash_count(channel);
    const char *ended = strcmp(what, "died") == 0 && how ? how : what;
    _cleanup_free_ char *reason = text_printf("plugin %s %s", channel->rule->plugin, ended);
    if (channel->callbacks.broken) channel->callbacks.broken(channel, reason ?: what, channel->userdata);
    if (!channel->busy) return;
    if (state != CHANNEL_DELIVERING && state != CHANNEL_IDLE) {
        channel_work_fail(channel, reason, NULL);
        return;
    }
    /* The next recipient may fare better, with a child of its own. */
    int r = state == CHANNEL_DELIVERING ? channel_report(channel, NULL, reason ?: what) : 0;
    if (r == 0 && last) {
        channel_work_done(channel, NULL, NULL);
        return;
    }
    if (r == 0) r = start_later(channel);
    if (r < 0) channel_work_fail(channel, strerror(-r), NULL);
}

static void start_now(Channel *channel) {
    int r = channel_io_start(channel);
    if (r == 0) r = channel_set_timer(channel, (uint64_t)channel_deadline(channel));
    if (r == 0) {
        channel->state = CHANNEL_STARTING;
        return;
    }
    char reason[256];
    snprintf(reason, sizeof(reason), "%s: %s", channel->worker, strerror(-r));
    channel_work_fail(channel, reason, NULL);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    (void)source, (void)usec;
    Channel *channel = userdata;
    char what[96];
    if (channel->ending) {
        channel_broken(channel, "closed its connection");
        return 0;
    }
    switch (channel->state) {
    case CHANNEL_WAITING:
        start_now(channel);
        break;
    case CHANNEL_IDLE:
        if (channel->busy) {
            channel_deliver_next(channel);
            break;
        }
        channel_io_stop(channel, NULL);
        channel->state = CHANNEL_STOPPED;
        break;
    case CHANNEL_STARTING:
    case CHANNEL_CONFIGURING:
    case CHANNEL_DELIVERING:
        snprintf(what, sizeof(what), "did not answer within %" PRId64 " s and was killed",
            (channel_deadline(channel) + USEC_PER_SEC - 1) / USEC_PER_SEC);
        channel_broken(channel, what);
        break;
    case CHANNEL_STOPPED:
        break;
    }
    return 0;
}

/* ---- the outside ---- */

static int copy_optional(const char *text, char **ret) {
    if (text && !(*ret = strdup(text))) return -ENOMEM;
    return 0;
}

int channel_new(sd_event *event, const ChannelOptions *options, const NotifierRule *rule,
    const ChannelCallbacks *callbacks, void *userdata, Channel **ret) {
    _cleanup_(channel_freep) Channel *channel = calloc(1, sizeof(Channel));
    if (!channel) return -ENOMEM;
    channel->child = CHILD_NONE;
    channel->event = sd_event_ref(event);
    channel->rule = rule;
    channel->callbacks = *callbacks;
    channel->userdata = userdata;
    channel->deadline = options->deadline > 0 ? options->deadline : DEADLINE_DEFAULT;
    channel->idle = options->idle > 0 ? options->idle : IDLE_DEFAULT;
    channel->in.max = WIRE_FROM_CHILD_MAX;
    int r = copy_optional(options->worker, &channel->worker);
    if (r == 0) r = copy_optional(options->plugin_dir, &channel->plugin_dir);
    if (r == 0) r = copy_optional(options->credentials, &channel->credentials);
    if (r == 0) r = sd_event_add_time(event, &channel->timer, CLOCK_BOOTTIME, 0, 1000, on_timer, channel);
    if (r < 0) return r;
    r = sd_event_source_set_enabled(channel->timer, SD_EVENT_OFF);
    if (r < 0) return r;
    *ret = TAKE_PTR(channel);
    return 0;
}

void channel_set_rule(Channel *channel, const NotifierRule *rule) {
    resolved_move(&channel->resolved, channel->rule, rule);
    channel->rule = rule;
}

void channel_free(Channel *channel) {
    if (!channel) return;
    channel->callbacks = (ChannelCallbacks){0};
    channel_io_stop(channel, NULL);
    sd_event_source_disable_unref(channel->timer);
    sd_event_unref(channel->event);
    message_done(&channel->message);
    strv_free(channel->settled);
    free(channel->recipient);
    free(channel->worker);
    free(channel->plugin_dir);
    free(channel->credentials);
    free(channel);
}

/* True if a frame can carry it, whoever the recipient. */
static int message_fits(const Message *message) {
    _cleanup_free_ char *bytes = NULL;
    size_t length = 0;
    Frame frame = {.type = FRAME_DELIVER, .message = *message, .recipient = (char *)"", .timeout = 1};
    return frame_print(&frame, WIRE_TO_CHILD_MAX - 4096, &bytes, &length);
}

int channel_send(Channel *channel, const Message *message, char *const *skip) {
    if (channel->busy) return -EBUSY;
    _cleanup_(message_done) Message copy = {0};
    _cleanup_(strvp) char **settled = NULL;
    int r = message_copy(message, &copy);
    if (r == 0) r = message_fits(&copy);
    for (; r == 0 && skip && *skip; skip++) r = strv_append(&settled, *skip);
    if (r < 0) return r;
    /* by the timer with a ready child too: callbacks come from the loop only */
    r = channel->state == CHANNEL_IDLE ? channel_set_timer(channel, 0) : start_later(channel);
    if (r < 0) return r;
    channel->message = copy;
    channel->settled = TAKE_PTR(settled);
    channel->busy = true;
    copy = (Message){0};
    return 0;
}

int channel_heartbeat(Channel *channel) {
    const Message message = {.id = "heartbeat"};
    int r = channel_send(channel, &message, NULL);
    if (r == 0) channel->beating = true;
    return r;
}

int channel_check(Channel *channel) {
    if (channel->busy) return -EBUSY;
    channel_io_stop(channel, NULL);
    int r = start_later(channel);
    if (r < 0) return r;
    channel->busy = channel->checking = true;
    return 0;
}

bool channel_is_busy(const Channel *channel) {
    return channel->busy;
}

const char *channel_notifier(const Channel *channel) {
    return channel->rule->name;
}

pid_t channel_pid(const Channel *channel) {
    return channel->child.pid;
}
