/* The daemon's side of one notifier: its child process, one message at a time, deadlines. Never blocks (but for
 * starting and ending the child: microseconds). Everything the child says is taken for hostile. One thread, one
 * sd-event loop. */
#pragma once

#include <systemd/sd-event.h>

#include "core/cleanup.h"
#include "core/message.h"
#include "core/rules.h"

typedef struct Channel Channel;

/* All times in microseconds, 0: the default. Strings are copied. */
typedef struct ChannelOptions {
    const char *worker; /* path of portwatch-notify */
    const char
        *plugin_dir; /* NULL: the one portwatch-notify was built for, which must be root's. Else used unchecked */
    const char *credentials; /* directory for `credential = NAME`, as settings_resolve takes it */
    int64_t deadline;        /* one delivery, or starting and configuring; then the child is killed. 60 s */
    int64_t idle;            /* the child is ended after this long without work. 60 s */
} ChannelOptions;

/* Called from the event loop only, never from inside channel_send. Only `done` and `checked` may call channel_send or
 * channel_free. Any may be NULL. */
typedef struct ChannelCallbacks {
    /* What became of the message for one recipient. `delivery` is the channel's. */
    void (*delivery)(Channel *channel, const char *message_id, const Delivery *delivery, void *userdata);
    /* The message is through: every recipient but the skipped ones had its `delivery`; or `trouble` (one line, escaped)
     * says why nothing more could be tried: the notifier's fault, so the recipients without `delivery` are to be tried
     * again. `message_id` is valid until the call returns or sends the next one. */
    void (*done)(Channel *channel, const char *message_id, const char *trouble, void *userdata);
    /* channel_check is through. errors: "file:line: [notifier:x] key: reason", NULL: none. */
    void (*checked)(Channel *channel, char *const *errors, void *userdata);
    /* The child has started; `missing`: walls that this system does not have, NULL: all stand. */
    void (*started)(Channel *channel, char *const *missing, void *userdata);
    /* The child crashed, or hung and was killed: "plugin x was killed by SIGSEGV (...)". */
    void (*broken)(Channel *channel, const char *how, void *userdata);
    /* One line the child wrote to stdout or stderr; escaped, bounded in length and number. */
    void (*log)(Channel *channel, const char *line, void *userdata);
} ChannelCallbacks;

/* Makes a channel for a notifier; starts nothing. `rule` is borrowed and must outlive the channel; the event loop is
 * referenced. 0 or negative errno. */
int channel_new(sd_event *event, const ChannelOptions *options, const NotifierRule *rule,
    const ChannelCallbacks *callbacks, void *userdata, Channel **ret);

/* The rule of a new configuration in place of the old one, its plugin and settings being the same. Borrowed as there.
 */
void channel_set_rule(Channel *channel, const NotifierRule *rule);

/* Kills and reaps the child. A message under way gets no more callbacks. */
void channel_free(Channel *channel);
DEFINE_CLEANUP(Channel *, channel_free);

/* Takes a message (copied) for all recipients but those in `skip` (NULL: none), which have had it before. A recipient
 * of whom nothing was heard because the daemon or the child died gets it again, with the same id. -EBUSY: one is under
 * way; -EMSGSIZE: larger than a frame (16 MiB), try no more; -ENOMEM; -EINVAL: not UTF-8. */
int channel_send(Channel *channel, const Message *message, char *const *skip);

/* Has the child call the plugin's heartbeat(). Reports by `delivery`, for the recipient "", and `done`, as a message
 * does whose id is "heartbeat"; ends after 20 s at the latest. The rule must have a heartbeat: then the plugin does.
 * -EBUSY as above. */
int channel_heartbeat(Channel *channel);

/* Starts a child, asks its plugin about the configuration and reports by `checked`. -EBUSY as above. */
int channel_check(Channel *channel);

bool channel_is_busy(const Channel *channel);
const char *channel_notifier(const Channel *channel);
/* The child's pid, 0 if there is none now. */
pid_t channel_pid(const Channel *channel);
