/* What the daemon and its notifier children tell each other, as values and as JSON.
 *
 *     child                      daemon
 *     hello (keys, walls)   -->
 *     or broken (reason)    -->                   the plugin could not be loaded
 *                           <--  configure (settings, secrets included)
 *     configured (faults or recipients)  -->
 *                           <--  deliver (message, one recipient)
 *                           <--  or heartbeat
 *     result                -->
 *
 * Both sides take the other's bytes for hostile: unknown members, wrong types, too many of anything are -EBADMSG. */
#pragma once

#include "core/cleanup.h"
#include "core/message.h"
#include "plugins/plugin.h"

#define FRAME_KEYS_MAX 64
#define FRAME_SETTINGS_MAX 512
#define FRAME_LIST_MAX 256

typedef enum FrameType {
    FRAME_HELLO,
    FRAME_BROKEN,
    FRAME_CONFIGURE,
    FRAME_CONFIGURED,
    FRAME_DELIVER,
    FRAME_HEARTBEAT,
    FRAME_RESULT,
    FRAME_TYPE_MAX,
} FrameType;

/* A key the plugin declares; flags are PW_KEY_*. */
typedef struct FrameKey {
    char *name;
    unsigned flags;
} FrameKey;

typedef struct FrameSetting {
    char *key, *value;
} FrameSetting;

typedef struct FrameFault {
    char *key;
    int setting; /* index of the setting passed, -1: the first of that key */
    char *reason;
} FrameFault;

/* Only the members named for the type are used. */
typedef struct Frame {
    FrameType type;
    FrameKey *keys; /* hello */
    size_t n_keys;
    char **missing;         /* hello: walls that could not be raised; NULL: none */
    char *reason;           /* broken; result (NULL if delivered) */
    FrameSetting *settings; /* configure */
    size_t n_settings;
    FrameFault *faults; /* configured */
    size_t n_faults;
    char **recipients;      /* configured; NULL: the plugin has none */
    Message message;        /* deliver; heartbeat: its id */
    int64_t timeout;        /* deliver, heartbeat: microseconds */
    char *recipient;        /* deliver, result */
    char id[UUID_TEXT_MAX]; /* result: the message's */
    Outcome outcome;        /* result */
    int code;
    int64_t retry_after;
} Frame;

void frame_done(Frame *frame);

/* Parses one payload. On success `ret` is filled (frame_done). -EBADMSG: not a frame. -ENOMEM. */
int frame_parse(const char *payload, size_t length, Frame *ret);

/* Writes a frame with its length in front, at most `max` bytes of payload. The caller frees. Text that is not UTF-8:
 * -EINVAL; too long: -EMSGSIZE; -ENOMEM. */
int frame_print(const Frame *frame, size_t max, char **ret_bytes, size_t *ret_length);
