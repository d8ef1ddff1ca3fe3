#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "notify/channel-private.h"

#define LINES_MAX 20
#define OUTPUT_MAX ((size_t)16 << 10)
#define ENDING_USEC 500000

void channel_log(Channel *channel, const char *format, ...) {
    if (!channel->callbacks.log) return;
    va_list arguments;
    va_start(arguments, format);
    _cleanup_free_ char *line = text_vprintf(format, arguments);
    va_end(arguments);
    if (!line) return;
    channel->callbacks.log(channel, line, channel->userdata);
}

static void line_end(Channel *channel) {
    if (channel->line_length == 0) return;
    _cleanup_free_ char *text = text_escape(channel->line, channel->line_length);
    channel->line_length = 0;
    if (text && channel->lines++ < LINES_MAX) channel_log(channel, "%s", text);
}

static void output_close(Channel *channel) {
    channel->output_source = sd_event_source_disable_unref(channel->output_source);
    if (channel->child.output >= 0) close(channel->child.output);
    channel->child.output = -1;
}

/* Reads what the child has written so far; false: there will be no more. */
static bool output_read(Channel *channel) {
    char chunk[1024];
    ssize_t n = read(channel->child.output, chunk, sizeof(chunk));
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n <= 0) return false;
    channel->output_bytes += (size_t)n;
    for (ssize_t i = 0; i < n; i++) {
        if (chunk[i] == '\n' || channel->line_length == sizeof(channel->line)) line_end(channel);
        if (chunk[i] != '\n') channel->line[channel->line_length++] = chunk[i];
    }
    if (channel->output_bytes <= OUTPUT_MAX && channel->lines <= LINES_MAX) return true;
    channel_log(channel, "the plugin writes too much, the rest is dropped");
    return false;
}

static int on_output(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    (void)source, (void)fd, (void)events;
    Channel *channel = userdata;
    if (output_read(channel)) return 0;
    line_end(channel);
    output_close(channel);
    return 0;
}

static int socket_write(Channel *channel) {
    while (channel->out) {
        ssize_t n = send(channel->child.socket, channel->out + channel->out_sent,
            channel->out_length - channel->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) break;
        /* it is dying: what it said before, and how it ended, are still to be read */
        if (n < 0) return sd_event_source_set_io_events(channel->socket_source, EPOLLIN);
        channel->out_sent += (size_t)n;
        if (channel->out_sent < channel->out_length) continue;
        explicit_bzero(channel->out, channel->out_length);
        free(channel->out);
        channel->out = NULL;
    }
    return sd_event_source_set_io_events(channel->socket_source, channel->out ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

int channel_io_send(Channel *channel, const Frame *frame) {
    if (channel->out) return -EBUSY;
    int r = frame_print(frame, WIRE_TO_CHILD_MAX, &channel->out, &channel->out_length);
    if (r < 0) return r;
    channel->out_sent = 0;
    return socket_write(channel);
}

typedef enum Heard { HEARD_NOTHING, HEARD_END, HEARD_NONSENSE, HEARD_AND_DONE } Heard;

/* Takes the frames at hand. HEARD_AND_DONE: the channel may be gone. */
static Heard frames_take(Channel *channel) {
    for (;;) {
        const char *payload = NULL;
        size_t length = 0;
        _cleanup_(frame_done) Frame frame = {0};
        int r = wire_peek(&channel->in, &payload, &length);
        if (r == 0) return HEARD_NOTHING;
        if (r > 0) {
            r = frame_parse(payload, length, &frame);
            wire_drop(&channel->in);
        }
        if (r == 0) r = channel_frame(channel, &frame);
        if (r < 0) return HEARD_NONSENSE;
        if (r > 0) return HEARD_AND_DONE;
    }
}

static Heard socket_read(Channel *channel) {
    char chunk[16384];
    ssize_t n = recv(channel->child.socket, chunk, sizeof(chunk), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return HEARD_NOTHING;
    if (n <= 0) return HEARD_END;
    if (wire_feed(&channel->in, chunk, (size_t)n) < 0) return HEARD_NONSENSE;
    return frames_take(channel);
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    (void)source, (void)fd;
    Channel *channel = userdata;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
        Heard heard = socket_read(channel);
        if (heard == HEARD_AND_DONE) return 0;
        if (heard == HEARD_NONSENSE) {
            channel_broken(channel, "sent what is not an answer");
            return 0;
        }
        if (heard == HEARD_END) {
            /* mostly it has died, and its end says more; if not, the timer kills it */
            channel->ending = true;
            channel->socket_source = sd_event_source_disable_unref(channel->socket_source);
            sd_event_source_set_time_relative(channel->timer, ENDING_USEC);
            sd_event_source_set_enabled(channel->timer, SD_EVENT_ONESHOT);
            return 0;
        }
    }
    if (channel->socket_source && (events & EPOLLOUT)) socket_write(channel);
    return 0;
}

static int on_end(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    (void)source, (void)fd, (void)events;
    Channel *channel = userdata;
    /* its last words first: a result that came through counts, whatever happened afterwards */
    while (channel->socket_source && channel->child.pid) {
        pid_t pid = channel->child.pid;
        size_t before = channel->in.length;
        Heard heard = socket_read(channel);
        if (heard == HEARD_AND_DONE) return 0; /* the event comes again if the child is still ours */
        if (heard != HEARD_NOTHING || pid != channel->child.pid || channel->in.length == before) break;
    }
    channel_broken(channel, "died");
    return 0;
}

int channel_io_start(Channel *channel) {
    int r = child_start(channel->worker, channel->plugin_dir, channel->rule->plugin, &channel->child);
    if (r < 0) return r;
    channel->lines = 0;
    channel->output_bytes = 0;
    r = sd_event_add_io(channel->event, &channel->socket_source, channel->child.socket, EPOLLIN, on_socket, channel);
    if (r >= 0)
        r = sd_event_add_io(channel->event, &channel->pid_source, channel->child.pidfd, EPOLLIN, on_end, channel);
    if (r >= 0)
        r = sd_event_add_io(
            channel->event, &channel->output_source, channel->child.output, EPOLLIN, on_output, channel);
    /* what it said before how it ended */
    if (r >= 0) r = sd_event_source_set_priority(channel->pid_source, SD_EVENT_PRIORITY_NORMAL + 1);
    if (r < 0) channel_io_stop(channel, NULL);
    return r < 0 ? r : 0;
}

void channel_io_stop(Channel *channel, char **ret_how) {
    channel->socket_source = sd_event_source_disable_unref(channel->socket_source);
    channel->pid_source = sd_event_source_disable_unref(channel->pid_source);
    if (channel->child.output >= 0) {
        for (unsigned i = 0; i < OUTPUT_MAX / 1024; i++) {
            unsigned lines = channel->lines;
            size_t bytes = channel->output_bytes;
            if (!output_read(channel) || (lines == channel->lines && bytes == channel->output_bytes)) break;
        }
        line_end(channel);
    }
    output_close(channel);
    child_end(&channel->child, ret_how);
    wire_done(&channel->in);
    if (channel->out) explicit_bzero(channel->out, channel->out_length);
    free(channel->out);
    channel->out = NULL;
    channel->ending = false;
    resolved_done(&channel->resolved);
    strv_free(channel->recipients);
    channel->recipients = NULL;
}
