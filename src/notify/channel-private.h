/* The inside of a channel, shared by channel.c (when it starts, ends and breaks), channel-work.c (what happens next)
 * and channel-io.c (bytes in and out). */
#pragma once

#include "notify/channel.h"
#include "notify/child.h"
#include "notify/frame.h"
#include "notify/settings.h"
#include "notify/wire.h"

typedef enum ChannelState {
    CHANNEL_STOPPED,     /* no child, no work */
    CHANNEL_WAITING,     /* work; the timer starts the child */
    CHANNEL_STARTING,    /* waits for hello */
    CHANNEL_CONFIGURING, /* waits for configured */
    CHANNEL_IDLE,        /* a configured child without work; the timer ends it */
    CHANNEL_DELIVERING,  /* waits for a result */
} ChannelState;

struct Channel {
    sd_event *event;
    const NotifierRule *rule;
    ChannelCallbacks callbacks;
    void *userdata;
    char *worker, *plugin_dir, *credentials;
    int64_t deadline, idle;

    ChannelState state;
    Child child;
    bool ending; /* the child closed its socket; its end is awaited */
    sd_event_source *timer, *socket_source, *pid_source, *output_source;
    WireBuffer in;
    char *out; /* frame being written */
    size_t out_length, out_sent;
    Resolved resolved;
    char **recipients;   /* of the configured child; {""} where the plugin has none */
    unsigned crashes;    /* in a row */
    uint64_t not_before; /* CLOCK_BOOTTIME: back-off after crashes */

    bool busy;
    bool checking;
    bool beating; /* the message is a heartbeat */
    bool failed;  /* some recipient of this message failed */
    Message message;
    char **settled;  /* recipients that are done with */
    char *recipient; /* being delivered to */

    char line[512]; /* output of the child */
    size_t line_length;
    unsigned lines;
    size_t output_bytes;
};

/* channel-io.c */

/* Starts the child and listens to it. 0 or negative errno. */
int channel_io_start(Channel *channel);
/* Ends the child, if there is one, and forgets what was under way with it. `ret_how` as in child_end. */
void channel_io_stop(Channel *channel, char **ret_how);
/* Queues a frame and writes what can be written now. */
int channel_io_send(Channel *channel, const Frame *frame);
__attribute__((format(printf, 2, 3))) void channel_log(Channel *channel, const char *format, ...);

/* channel-work.c */

/* A frame has come. -EBADMSG: it is none that fits. The channel may be gone when it returns 1. */
int channel_frame(Channel *channel, Frame *frame);
/* Ends the work and tells the callback; `trouble`: nothing more can be tried now. The channel may be gone afterwards.
 */
void channel_work_done(Channel *channel, const char *trouble, char *const *errors);
/* The same for something that is no fault of the configuration's text, or is: `errors`. */
void channel_work_fail(Channel *channel, const char *trouble, char *const *errors);
/* Tells what became of the current recipient; without a result it is to be tried again, for `reason`. 0 or -ENOMEM. */
int channel_report(Channel *channel, const Frame *result, const char *reason);
/* Goes on with the next recipient, or ends the work. Returns 1 if the channel may be gone. */
int channel_deliver_next(Channel *channel);

/* channel.c */

/* The child is of no more use: ends it and goes on. The channel may be gone afterwards. */
void channel_broken(Channel *channel, const char *what);
/* What the work under way may take. */
int64_t channel_deadline(const Channel *channel);
/* The timer fires after this many microseconds, once. 0 or negative errno. */
int channel_set_timer(Channel *channel, uint64_t usec);

static inline void strvp(char ***list) {
    strv_free(*list);
}
