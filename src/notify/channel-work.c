/* The work of a channel: what the child says, one recipient after the other, and the end of it. */
#include <errno.h>
#include <string.h>

#include "notify/channel-private.h"
#include "plugins/plugin.h"

/* ---- the end of a piece of work; the channel may be gone afterwards ---- */

void channel_work_done(Channel *channel, const char *trouble, char *const *errors) {
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
        channel_set_timer(channel, (uint64_t)channel->idle);
    channel->busy = channel->checking = channel->beating = channel->failed = false;
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

void channel_work_fail(Channel *channel, const char *trouble, char *const *errors) {
    _cleanup_(strvp) char **lines = NULL;
    _cleanup_free_ char *first = NULL;
    if (channel->checking && !errors) {
        settings_trouble(channel->rule, trouble, &lines);
        errors = lines;
    }
    if (!trouble && errors && errors[0]) trouble = first = strdup(errors[0]);
    channel_work_done(channel, trouble ?: "out of memory", errors);
}

/* ---- one recipient after the other ---- */

int channel_report(Channel *channel, const Frame *result, const char *reason) {
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
    int64_t deadline = channel_deadline(channel);
    Frame frame = {
        .type = channel->beating ? FRAME_HEARTBEAT : FRAME_DELIVER,
        .message = channel->message, /* borrowed */
        .recipient = channel->recipient,
        .timeout = deadline - deadline / 6,
    };
    int r = channel_io_send(channel, &frame);
    if (r < 0) return r;
    channel->state = CHANNEL_DELIVERING;
    return channel_set_timer(channel, (uint64_t)deadline);
}

int channel_deliver_next(Channel *channel) {
    static char *const nobody[] = {(char *)"", NULL};
    for (char *const *recipient = channel->beating ? nobody : channel->recipients; recipient && *recipient;
         recipient++) {
        if (strv_contains(channel->settled, *recipient)) continue;
        free(channel->recipient);
        channel->recipient = strdup(*recipient);
        int r = channel->recipient ? deliver_send(channel) : -ENOMEM;
        if (r == 0) return 0;
        channel_work_fail(channel, strerror(-r), NULL);
        return 1;
    }
    channel->state = CHANNEL_IDLE;
    channel_work_done(channel, NULL, NULL);
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
        channel_work_fail(channel, NULL, errors);
        return 1;
    }
    Frame answer = {.type = FRAME_CONFIGURE, .settings = channel->resolved.settings, .n_settings = channel->resolved.n};
    if (r == 0) r = channel_io_send(channel, &answer);
    if (r < 0) {
        channel_work_fail(channel, strerror(-r), NULL);
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
        channel_work_fail(channel, r < 0 ? strerror(-r) : NULL, errors);
        return 1;
    }
    channel->state = CHANNEL_IDLE;
    if (!channel->checking) return channel_deliver_next(channel);
    channel_work_done(channel, NULL, NULL);
    return 1;
}

static int result_take(Channel *channel, const Frame *frame) {
    if (strcmp(frame->id, channel->message.id) != 0 || strcmp(frame->recipient, channel->recipient) != 0)
        return -EBADMSG;
    channel->crashes = 0;
    channel->not_before = 0;
    int r = channel_report(channel, frame, NULL);
    if (r == 0) return channel_deliver_next(channel);
    channel_work_fail(channel, strerror(-r), NULL);
    return 1;
}

int channel_frame(Channel *channel, Frame *frame) {
    if (channel->state == CHANNEL_STARTING && frame->type == FRAME_HELLO) return hello_take(channel, frame);
    if (channel->state == CHANNEL_STARTING && frame->type == FRAME_BROKEN) {
        _cleanup_free_ char *reason = text_escape(frame->reason, strnlen(frame->reason, 1024));
        channel_work_fail(channel, reason, NULL);
        return 1;
    }
    if (channel->state == CHANNEL_CONFIGURING && frame->type == FRAME_CONFIGURED)
        return configured_take(channel, frame);
    if (channel->state == CHANNEL_DELIVERING && frame->type == FRAME_RESULT) return result_take(channel, frame);
    return -EBADMSG;
}
