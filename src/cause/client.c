#include "cause/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "cause/child.h"
#include "core/text.h"

#define IDLE (60 * USEC_PER_SEC)
#define CRASH_WAIT_MAX (60 * USEC_PER_SEC)

typedef struct Waiting {
    uint64_t id;
    CauseQuestion question;
    int64_t deadline; /* CLOCK_BOOTTIME */
    bool sent;
    CauseAnswer so_far; /* what is told where nothing better comes; document NULL: nothing */
} Waiting;

struct CauseClient {
    sd_event *event;
    char *program;
    int64_t deadline;
    CauseAnswered answered;
    void *userdata;
    CauseChild child;
    sd_event_source *timer, *socket;
    Waiting waiting[CAUSE_WAITING_MAX]; /* in the order they were asked */
    size_t n;
    uint64_t last_id;
    unsigned crashes;             /* in a row */
    int error;                    /* of the last start; 0: none */
    int64_t not_before, heard_at; /* CLOCK_BOOTTIME */
};

static int64_t now_boottime(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * USEC_PER_SEC + t.tv_nsec / 1000;
}

/* ---- the child ---- */

static void child_stop(CauseClient *client, char **ret_how) {
    client->socket = sd_event_source_disable_unref(client->socket);
    cause_child_end(&client->child, ret_how);
}

/* 1 s, doubling, at most a minute. */
static void crash_count(CauseClient *client) {
    int64_t wait = USEC_PER_SEC;
    for (unsigned i = 0; i < client->crashes && wait < CRASH_WAIT_MAX; i++) wait *= 2;
    client->crashes++;
    client->not_before = now_boottime() + (wait < CRASH_WAIT_MAX ? wait : CRASH_WAIT_MAX);
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *userdata);

static int child_start(CauseClient *client) {
    int r = cause_child_start(client->program, &client->child);
    client->error = r;
    if (r >= 0) r = sd_event_add_io(client->event, &client->socket, client->child.socket, EPOLLIN, on_socket, client);
    if (r >= 0) return 0;
    child_stop(client, NULL);
    crash_count(client);
    return r;
}

/* Sends what can be sent now, in order. What cannot waits for the child to answer, to end, or for its deadline. */
static void pump(CauseClient *client) {
    size_t i = 0;
    while (i < client->n && client->waiting[i].sent) i++;
    if (i == client->n) return;
    if (!client->child.pid && (now_boottime() < client->not_before || child_start(client) < 0)) return;
    for (; i < client->n; i++) {
        if (cause_child_ask(&client->child, client->waiting[i].id, &client->waiting[i].question) < 0) return;
        client->waiting[i].sent = true;
    }
}

/* Its time is over, or no child will be started before that. */
static bool is_late(const CauseClient *client, const Waiting *waiting, int64_t now) {
    return waiting->deadline <= now || (!client->child.pid && client->not_before >= waiting->deadline);
}

static void timer_arm(CauseClient *client) {
    int64_t at = client->heard_at + IDLE;
    if (client->n > 0) {
        at = client->waiting[0].deadline;
        if (!client->child.pid) at = client->not_before < at ? client->not_before : 0;
    } else if (!client->child.pid) {
        sd_event_source_set_enabled(client->timer, SD_EVENT_OFF);
        return;
    }
    sd_event_source_set_time(client->timer, (uint64_t)at);
    sd_event_source_set_enabled(client->timer, SD_EVENT_ONESHOT);
}

/* ---- answers ---- */

/* Ends the wait for one and tells: the answer; else what is known so far; else why there is nothing. */
static void settle(CauseClient *client, size_t i, const CauseAnswer *answer, const char *why) {
    uint64_t id = client->waiting[i].id;
    _cleanup_(cause_answer_done) CauseAnswer so_far = client->waiting[i].so_far;
    client->n--;
    memmove(&client->waiting[i], &client->waiting[i + 1], (client->n - i) * sizeof(client->waiting[0]));
    if (!answer && so_far.document) answer = &so_far;
    client->answered(id, answer, answer ? NULL : why, client->userdata);
}

/* The first `n`. Whoever is told may ask anew, behind them. */
static void give_up(CauseClient *client, size_t n, const char *why) {
    for (size_t i = 0; i < n; i++) settle(client, 0, NULL, why);
}

/* The child is of no more use. What it was asked is not asked again: one of them may be what it died of. */
static void broken(CauseClient *client, const char *what) {
    _cleanup_free_ char *how = NULL;
    size_t n = 0;
    child_stop(client, &how);
    crash_count(client);
    while (n < client->n && client->waiting[n].sent) n++;
    _cleanup_free_ char *why = text_printf("portwatch-cause %s", what ? what : how ? how : "ended");
    give_up(client, n, why ? why : "out of memory");
    pump(client);
    timer_arm(client);
}

static int on_socket(sd_event_source *source, int fd, uint32_t events, void *userdata) {
    (void)source, (void)fd, (void)events;
    CauseClient *client = userdata;
    _cleanup_(cause_answer_done) CauseAnswer answer = {0};
    uint64_t id = 0;
    bool final = false;
    int r = cause_child_hear(&client->child, &id, &final, &answer);
    if (r == -EAGAIN) return 0;
    size_t i = 0;
    while (r == 0 && i < client->n && !(client->waiting[i].sent && client->waiting[i].id == id)) i++;
    if (r < 0 || i == client->n) {
        broken(client, r == -EPIPE ? NULL : "sent what is not an answer");
        return 0;
    }
    if (!final) {
        cause_answer_done(&client->waiting[i].so_far);
        client->waiting[i].so_far = answer;
        answer = (CauseAnswer){0};
        return 0;
    }
    client->crashes = 0;
    client->not_before = 0;
    client->heard_at = now_boottime();
    settle(client, i, &answer, NULL);
    pump(client);
    timer_arm(client);
    return 0;
}

/* Answers of a child that is slow are not waited for: it is ended, and with it what it has still to do. */
static void child_stop_late(CauseClient *client, const Waiting *late) {
    child_stop(client, NULL);
    /* at work, though with too much of it? */
    if (client->heard_at < late->deadline - client->deadline) crash_count(client);
    for (size_t i = 0; i < client->n; i++) client->waiting[i].sent = false;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
    (void)source, (void)usec;
    CauseClient *client = userdata;
    int64_t now = now_boottime();
    const Waiting *hung = NULL;
    size_t late = 0;
    for (; late < client->n && is_late(client, &client->waiting[late], now); late++)
        if (!hung && client->waiting[late].sent) hung = &client->waiting[late];
    char why[128] = "portwatch-cause did not answer in time";
    if (hung)
        child_stop_late(client, hung);
    else if (client->n == 0)
        child_stop(client, NULL); /* idle */
    else if (client->error < 0)
        snprintf(why, sizeof(why), "portwatch-cause cannot be started: %s", strerror(-client->error));
    else
        snprintf(why, sizeof(why), "portwatch-cause keeps failing");
    give_up(client, late, why);
    pump(client);
    timer_arm(client);
    return 0;
}

/* ---- the outside ---- */

int cause_client_new(
    sd_event *event, const char *program, int64_t deadline, CauseAnswered answered, void *userdata, CauseClient **ret) {
    _cleanup_(cause_client_freep) CauseClient *client = calloc(1, sizeof(CauseClient));
    if (!client) return -ENOMEM;
    client->child = CAUSE_CHILD_NONE;
    client->event = sd_event_ref(event);
    client->program = strdup(program);
    client->deadline = deadline;
    client->answered = answered;
    client->userdata = userdata;
    if (!client->program) return -ENOMEM;
    int r = sd_event_add_time(event, &client->timer, CLOCK_BOOTTIME, 0, 1000, on_timer, client);
    if (r >= 0) r = sd_event_source_set_enabled(client->timer, SD_EVENT_OFF);
    if (r < 0) return r;
    *ret = TAKE_PTR(client);
    return 0;
}

CauseClient *cause_client_free(CauseClient *client) {
    if (!client) return NULL;
    child_stop(client, NULL);
    for (size_t i = 0; i < client->n; i++) cause_answer_done(&client->waiting[i].so_far);
    sd_event_source_disable_unref(client->timer);
    sd_event_unref(client->event);
    free(client->program);
    free(client);
    return NULL;
}

int cause_client_ask(CauseClient *client, const CauseQuestion *question, uint64_t *ret_id) {
    if (!cause_question_valid(question)) return -EINVAL;
    if (client->n == CAUSE_WAITING_MAX) return -EBUSY;
    client->waiting[client->n++] = (Waiting){
        .id = ++client->last_id,
        .question = *question,
        .deadline = now_boottime() + client->deadline,
    };
    *ret_id = client->last_id;
    pump(client);
    timer_arm(client);
    return 0;
}

pid_t cause_client_pid(const CauseClient *client) {
    return client->child.pid;
}

/* Waits for the final answer, until `end`. What has come before that is in *answer in any case. */
static int hear_final(const CauseChild *child, int64_t end, CauseAnswer *answer) {
    for (;;) {
        CauseAnswer heard = {0};
        uint64_t id = 0;
        bool final = false;
        int r = cause_child_hear(child, &id, &final, &heard);
        if (r == 0) {
            cause_answer_done(answer);
            *answer = heard;
            if (id != 1) return -EBADMSG;
            if (final) return 0;
            continue;
        }
        int64_t left = end - now_boottime();
        if (r != -EAGAIN) return r;
        if (left <= 0) return -ETIMEDOUT;
        struct pollfd p = {.fd = child->socket, .events = POLLIN};
        poll(&p, 1, (int)(left / 1000) + 1);
    }
}

int cause_ask(const char *program, const CauseQuestion *question, int64_t deadline, CauseAnswer *ret, char **ret_why) {
    CauseChild child = CAUSE_CHILD_NONE;
    _cleanup_(cause_answer_done) CauseAnswer answer = {0};
    int64_t end = now_boottime() + deadline;
    *ret_why = NULL;
    int r = cause_child_start(program, &child);
    if (r >= 0) r = cause_child_ask(&child, 1, question);
    if (r >= 0) r = hear_final(&child, end, &answer);
    bool enough = r == 0 || ((r == -ETIMEDOUT || r == -EPIPE) && answer.document);
    cause_child_end(&child, r == -EPIPE && !enough ? ret_why : NULL);
    if (!enough) return r;
    *ret = answer;
    answer = (CauseAnswer){0};
    return 0;
}
