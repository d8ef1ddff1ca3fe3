#include "notify/worker.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>

#include "notify/frame.h"
#include "notify/loader.h"
#include "notify/utf8.h"
#include "notify/wire.h"

typedef struct Worker {
    int socket;
    WireBuffer in;
    const pw_plugin *plugin;
    void *instance; /* NULL until configured */
} Worker;

static int frame_send(int fd, const Frame *frame) {
    _cleanup_free_ char *bytes = NULL;
    size_t length = 0;
    int r = frame_print(frame, WIRE_FROM_CHILD_MAX, &bytes, &length);
    for (size_t sent = 0; r == 0 && sent < length;) {
        ssize_t n = send(fd, bytes + sent, length - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        sent += (size_t)n;
    }
    return r;
}

/* 1: a frame, 0: EOF */
static int frame_receive(Worker *worker, Frame *ret) {
    for (;;) {
        const char *payload = NULL;
        size_t length = 0;
        int r = wire_peek(&worker->in, &payload, &length);
        if (r < 0) return r;
        if (r > 0) {
            r = frame_parse(payload, length, ret);
            wire_drop(&worker->in);
            return r < 0 ? r : 1;
        }
        char chunk[16384];
        ssize_t n = recv(worker->socket, chunk, sizeof(chunk), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) return 0;
        r = wire_feed(&worker->in, chunk, (size_t)n);
        explicit_bzero(chunk, (size_t)n);
        if (r < 0) return r;
    }
}

/* What the plugin says about its configuration: text of unknown origin, so copied valid and short. */
typedef struct Faults {
    FrameFault *list;
    size_t n;
    const pw_setting *settings;
    size_t n_settings;
} Faults;

static void fault_add(void *context, const char *key, const pw_setting *setting, const char *reason) {
    Faults *faults = context;
    if (faults->n >= FRAME_LIST_MAX / 4) return;
    FrameFault *grown = reallocarray(faults->list, faults->n + 1, sizeof(FrameFault));
    if (!grown) return;
    faults->list = grown;
    bool ours = setting && setting >= faults->settings && setting < faults->settings + faults->n_settings;
    FrameFault fault = {
        .key = key ? utf8_clean(key, strnlen(key, 64)) : strdup(""),
        .setting = ours ? (int)(setting - faults->settings) : -1,
        .reason = reason ? utf8_clean(reason, strnlen(reason, PW_REASON_MAX)) : strdup("is not accepted"),
    };
    if (fault.key && fault.reason) {
        grown[faults->n++] = fault;
        return;
    }
    free(fault.key);
    free(fault.reason);
}

static int configure(Worker *worker, const Frame *frame) {
    const pw_plugin *plugin = worker->plugin;
    _cleanup_free_ pw_setting *settings = calloc(frame->n_settings + 1, sizeof(pw_setting));
    if (!settings) return -ENOMEM;
    for (size_t i = 0; i < frame->n_settings; i++)
        settings[i] = (pw_setting){.key = frame->settings[i].key, .value = frame->settings[i].value};
    if (worker->instance) plugin->release(TAKE_PTR(worker->instance));
    Faults found = {.settings = settings, .n_settings = frame->n_settings};
    pw_faults faults = {.size = sizeof(faults), .context = &found, .report = fault_add};
    void *instance = NULL;
    bool good = plugin->configure(settings, frame->n_settings, &faults, &instance) == 0 && found.n == 0;
    if (!good && found.n == 0) fault_add(&found, "", NULL, "the plugin does not accept this configuration");
    Frame answer = {.type = FRAME_CONFIGURED, .faults = found.list, .n_faults = found.n};
    int r = 0;
    if (good) {
        worker->instance = instance;
        const char *const *recipients = plugin->recipients ? plugin->recipients(instance) : NULL;
        for (size_t i = 0; r == 0 && recipients && recipients[i]; i++)
            r = i < FRAME_LIST_MAX ? strv_append(&answer.recipients, recipients[i]) : -E2BIG;
    }
    if (r == 0) r = frame_send(worker->socket, &answer);
    frame_done(&answer);
    return r;
}

static int result_send(Worker *worker, const char id[static UUID_TEXT_MAX], const char *recipient, pw_result *result) {
    bool delivered = result->outcome == PW_DELIVERED;
    Frame answer = {
        .type = FRAME_RESULT,
        .recipient = strdup(recipient),
        .outcome = delivered                       ? OUTCOME_DELIVERED
                   : result->outcome == PW_REFUSED ? OUTCOME_REFUSED
                                                   : OUTCOME_RETRY,
        .code = result->code > 0 ? result->code : 0,
        .retry_after = result->retry_after_usec > 0 ? result->retry_after_usec : 0,
        .reason = delivered ? NULL : utf8_clean(result->reason, strnlen(result->reason, PW_REASON_MAX)),
    };
    memcpy(answer.id, id, sizeof(answer.id));
    int r = answer.recipient ? frame_send(worker->socket, &answer) : -ENOMEM;
    frame_done(&answer);
    malloc_trim(0); /* we may sit idle for a minute now */
    return r;
}

static int deliver(Worker *worker, const Frame *frame) {
    static const char *const nothing[] = {NULL};
    const Message *m = &frame->message;
    if (!worker->instance) return -EPROTO;
    pw_message message = {
        .size = sizeof(message),
        .id = m->id,
        .notifier = m->notifier,
        .host = m->host,
        .formed_usec = m->formed,
        .subject = m->subject,
        .text = m->text,
        .document = m->document,
        .references = m->references ? (const char *const *)m->references : nothing,
        .timeout_usec = frame->timeout,
    };
    pw_result result = {.size = sizeof(result), .outcome = PW_RETRY};
    worker->plugin->deliver(worker->instance, &message, frame->recipient, &result);
    return result_send(worker, m->id, frame->recipient, &result);
}

static int heartbeat(Worker *worker, const Frame *frame) {
    PluginHeartbeat beat = plugin_heartbeat(worker->plugin);
    if (!worker->instance || !beat) return -EPROTO;
    const pw_heartbeat sign = {.size = sizeof(sign), .timeout_usec = frame->timeout};
    pw_result result = {.size = sizeof(result), .outcome = PW_RETRY};
    beat(worker->instance, &sign, &result);
    return result_send(worker, frame->message.id, "", &result);
}

static int hello(int socket, const pw_plugin *plugin, char *const *missing) {
    _cleanup_free_ FrameKey *keys = calloc(plugin->n_keys + 1, sizeof(FrameKey));
    if (!keys) return -ENOMEM;
    for (size_t i = 0; i < plugin->n_keys; i++)
        keys[i] = (FrameKey){.name = (char *)plugin->keys[i].name, .flags = plugin->keys[i].flags & INT32_MAX};
    Frame frame = {.type = FRAME_HELLO, .keys = keys, .n_keys = plugin->n_keys, .missing = (char **)missing};
    return frame_send(socket, &frame);
}

int worker_serve(int socket, const pw_plugin *plugin, char *const *missing) {
    Worker worker = {.socket = socket, .in = {.max = WIRE_TO_CHILD_MAX}, .plugin = plugin};
    int r = hello(socket, plugin, missing);
    while (r == 0) {
        _cleanup_(frame_done) Frame frame = {0};
        r = frame_receive(&worker, &frame);
        if (r <= 0) break;
        r = frame.type == FRAME_CONFIGURE   ? configure(&worker, &frame)
            : frame.type == FRAME_DELIVER   ? deliver(&worker, &frame)
            : frame.type == FRAME_HEARTBEAT ? heartbeat(&worker, &frame)
                                            : -EPROTO;
    }
    if (worker.instance) plugin->release(worker.instance);
    wire_done(&worker.in);
    return r;
}

int worker_broken(int socket, const char *reason) {
    Frame frame = {.type = FRAME_BROKEN};
    frame.reason = utf8_clean(reason, strnlen(reason, 1024));
    int r = frame.reason ? frame_send(socket, &frame) : -ENOMEM;
    frame_done(&frame);
    return r;
}
