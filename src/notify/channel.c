#include "notify/channel.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "notify/channel-private.h"
#include "notify/loader.h"

#define DEADLINE_DEFAULT (60 * USEC_PER_SEC)
#define IDLE_DEFAULT (60 * USEC_PER_SEC)
#define CRASH_WAIT_MAX (60 * USEC_PER_SEC)

static void strvp(char ***list) {
    strv_free(*list);
}

static uint64_t now_boottime(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int timer_set(Channel *channel, uint64_t usec) {
    int r = sd_event_source_set_time(channel->timer, now_boottime() + usec);
    if (r >= 0) r = sd_event_source_set_enabled(channel->timer, SD_EVENT_ONESHOT);
    return r < 0 ? r : 0;
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

/* ---- the end of a piece of work; the channel may be gone afterwards ---- */

/* `trouble`: nothing more can be tried now. */
static void work_done(Channel *channel, const char *trouble, char *const *errors) {
    char id[UUID_TEXT_MAX];
    memcpy(id, channel->message.id, sizeof(id));
    bool checking = channel->checking;
    /* After trouble the next try gets a fresh child, which reads resolver and CA files as they are then. */
    bool keep = channel->state == CHANNEL_IDLE && !trouble && !channel->failed && !checking;
    if (!keep) {
        channel_io_stop(channel, NULL);
        channel->state = CHANNEL_STOPPED;
        sd_event_source_set_enabled(channel->timer, SD_EVENT_OFF);
    } else
        timer_set(channel, (uint64_t)channel->idle);
    channel->busy = channel->checking = channel->failed = false;
    message_done(&channel->message);
    channel->message = (Message){0};
    strv_free(channel->settled);
    channel->settled = NULL;
    free(TAKE_PTR(channel->recipient));
    if (checking) {
        if (channel->callbacks.checked) channel->callbacks.checked(channel, errors, channel->userdata);
    } else if (channel->callbacks.done)
        channel->callbacks.done(channel, id, trouble, channel->userdata);
}

/* The same for something that is no fault of the configuration's text, or is: `errors`. */
static void work_fail(Channel *channel, const char *trouble, char *const *errors) {
    _cleanup_(strvp) char **lines = NULL;
    _cleanup_free_ char *first = NULL;
    if (channel->checking && !errors) {
        settings_trouble(channel->rule, trouble, &lines);
        errors = lines;
    }
    if (!trouble && errors && errors[0]) trouble = first = strdup(errors[0]);
    work_done(channel, trouble ?: "out of memory", errors);
}

/* ---- one recipient after the other ---- */

static int delivery_report(Channel *channel, const Frame *result, const char *reason) {
    _cleanup_(delivery_done) Delivery delivery = {
        .recipient = strdup(channel->recipient),
        .outcome = result ? result->outcome : OUTCOME_RETRY,
        .code = result ? result->code : 0,
        .retry_after = result ? result->retry_after : 0,
    };
    if (reason)
        delivery.reason = strndup(reason, 4 * PW_REASON_MAX);
    else if (delivery.outcome != OUTCOME_DELIVERED) {
        const char *text = result->reason && result->reason[0] ? result->reason : "no reason given";
        delivery.reason = text_escape(text, strnlen(text, PW_REASON_MAX));
    }
    int r = strv_append(&channel->settled, channel->recipient);
    if (r < 0 || !delivery.recipient || (delivery.outcome != OUTCOME_DELIVERED && !delivery.reason)) return -ENOMEM;
    if (delivery.outcome != OUTCOME_DELIVERED) channel->failed = true;
    free(TAKE_PTR(channel->recipient));
    if (channel->callbacks.delivery)
        channel->callbacks.delivery(channel, channel->message.id, &delivery, channel->userdata);
    return 0;
}

static int deliver_send(Channel *channel) {
    Frame frame = {
        .type = FRAME_DELIVER,
        .message = channel->message, /* borrowed */
        .recipient = channel->recipient,
        .timeout = channel->deadline - channel->deadline / 6,
    };
    int r = channel_io_send(channel, &frame);
    if (r < 0) return r;
    channel->state = CHANNEL_DELIVERING;
    return timer_set(channel, (uint64_t)channel->deadline);
}

/* Returns 1 if the channel may be gone. */
static int deliver_next(Channel *channel) {
    for (char **recipient = channel->recipients; recipient && *recipient; recipient++) {
        if (strv_contains(channel->settled, *recipient)) continue;
        free(channel->recipient);
        channel->recipient = strdup(*recipient);
        int r = channel->recipient ? deliver_send(channel) : -ENOMEM;
        if (r == 0) return 0;
        work_fail(channel, strerror(-r), NULL);
        return 1;
    }
    channel->state = CHANNEL_IDLE;
    work_done(channel, NULL, NULL);
    return 1;
}

/* ---- what the child says ---- */

static int hello_take(Channel *channel, const Frame *frame) {
    _cleanup_(strvp) char **errors = NULL;
    _cleanup_(strvp) char **missing = NULL;
    int r = 0;
    for (char **m = frame->missing; r == 0 && m && *m; m++) {
        _cleanup_free_ char *text = text_escape(*m, strnlen(*m, 200));
        r = text ? strv_append(&missing, text) : -ENOMEM;
    }
    if (r == 0 && channel->callbacks.started) channel->callbacks.started(channel, missing, channel->userdata);
    if (r == 0)
        r = settings_resolve(
            channel->rule, frame->keys, frame->n_keys, channel->credentials, &channel->resolved, &errors);
    if (r == 0 && errors) {
        work_fail(channel, NULL, errors);
        return 1;
    }
    Frame answer = {.type = FRAME_CONFIGURE, .settings = channel->resolved.settings, .n_settings = channel->resolved.n};
    if (r == 0) r = channel_io_send(channel, &answer);
    if (r < 0) {
        work_fail(channel, strerror(-r), NULL);
        return 1;
    }
    channel->state = CHANNEL_CONFIGURING;
    return 0;
}

static bool recipients_valid(char *const *list) {
    for (char *const *a = list; a && *a; a++) {
        for (const unsigned char *p = (const unsigned char *)*a; *p; p++)
            if (*p < 0x20 || *p == 0x7f) return false;
        if (!**a || strlen(*a) > 512 || strv_contains(a + 1, *a)) return false;
    }
    return true;
}

static int configured_take(Channel *channel, Frame *frame) {
    _cleanup_(strvp) char **errors = NULL;
    int r = 0;
    for (size_t i = 0; r == 0 && i < frame->n_faults; i++)
        r = settings_fault(channel->rule, &channel->resolved, &frame->faults[i], &errors);
    if (r == 0 && !errors && !recipients_valid(frame->recipients)) return -EBADMSG;
    if (r == 0 && !errors) {
        channel->recipients = TAKE_PTR(frame->recipients);
        if (!channel->recipients) r = strv_append(&channel->recipients, "");
    }
    resolved_done(&channel->resolved); /* secrets are not kept */
    if (r < 0 || errors) {
        work_fail(channel, r < 0 ? strerror(-r) : NULL, errors);
        return 1;
    }
    channel->state = CHANNEL_IDLE;
    if (!channel->checking) return deliver_next(channel);
    work_done(channel, NULL, NULL);
    return 1;
}

static int result_take(Channel *channel, const Frame *frame) {
    if (strcmp(frame->id, channel->message.id) != 0 || strcmp(frame->recipient, channel->recipient) != 0)
        return -EBADMSG;
    channel->crashes = 0;
    channel->not_before = 0;
    int r = delivery_report(channel, frame, NULL);
    if (r == 0) return deliver_next(channel);
    work_fail(channel, strerror(-r), NULL);
    return 1;
}

int channel_frame(Channel *channel, Frame *frame) {
    if (channel->state == CHANNEL_STARTING && frame->type == FRAME_HELLO) return hello_take(channel, frame);
    if (channel->state == CHANNEL_STARTING && frame->type == FRAME_BROKEN) {
        _cleanup_free_ char *reason = text_escape(frame->reason, strnlen(frame->reason, 1024));
        work_fail(channel, reason, NULL);
        return 1;
    }
    if (channel->state == CHANNEL_CONFIGURING && frame->type == FRAME_CONFIGURED)
        return configured_take(channel, frame);
    if (channel->state == CHANNEL_DELIVERING && frame->type == FRAME_RESULT) return result_take(channel, frame);
    return -EBADMSG;
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
    return timer_set(channel, channel->not_before > now ? channel->not_before - now : 0);
}

static bool recipient_is_last(const Channel *channel) {
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
    channel_log(channel, "%s", reason ?: what);
    if (!channel->busy) return;
    if (state != CHANNEL_DELIVERING && state != CHANNEL_IDLE) {
        work_fail(channel, reason, NULL);
        return;
    }
    /* The next recipient may fare better, with a child of its own. */
    int r = state == CHANNEL_DELIVERING ? delivery_report(channel, NULL, reason ?: what) : 0;
    if (r == 0 && last) {
        work_done(channel, NULL, NULL);
        return;
    }
    if (r == 0) r = start_later(channel);
    if (r < 0) work_fail(channel, strerror(-r), NULL);
}

static void start_now(Channel *channel) {
    int r = channel_io_start(channel);
    if (r == 0) r = timer_set(channel, (uint64_t)channel->deadline);
    if (r == 0) {
        channel->state = CHANNEL_STARTING;
        return;
    }
    char reason[256];
    snprintf(reason, sizeof(reason), "%s: %s", channel->worker, strerror(-r));
    work_fail(channel, reason, NULL);
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
            deliver_next(channel);
            break;
        }
        channel_io_stop(channel, NULL);
        channel->state = CHANNEL_STOPPED;
        break;
    case CHANNEL_STARTING:
    case CHANNEL_CONFIGURING:
    case CHANNEL_DELIVERING:
        snprintf(what, sizeof(what), "did not answer within %" PRId64 " s and was killed",
            (channel->deadline + USEC_PER_SEC - 1) / USEC_PER_SEC);
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
    r = channel->state == CHANNEL_IDLE ? timer_set(channel, 0) : start_later(channel);
    if (r < 0) return r;
    channel->message = copy;
    channel->settled = TAKE_PTR(settled);
    channel->busy = true;
    copy = (Message){0};
    return 0;
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
