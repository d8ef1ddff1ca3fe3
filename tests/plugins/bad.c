/* One source, many bad plugins: BAD is the file's name, MODE what it does. */
#include <plugin.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    CRASH,
    ABORT,
    HANG,
    HANG_CONFIGURE,
    EAT,
    EXIT,
    GARBAGE,
    HUGE_FRAME,
    CLOSE,
    CHATTY,
    WRONG_ABI,
    LIAR,
    SECOND,
    OLDER
};

static const char *names[] = {"one", "two", NULL};

static int configure(const pw_setting *settings, size_t n, const pw_faults *faults, void **instance) {
    (void)settings, (void)n, (void)faults;
    if (MODE == HANG_CONFIGURE)
        for (;;) pause();
    *instance = (void *)names;
    return 0;
}

static const char *const *recipients(void *instance) {
    (void)instance;
    return MODE == SECOND ? names : NULL;
}

static void deliver(void *instance, const pw_message *message, const char *recipient, pw_result *result) {
    (void)instance, (void)message;
    static int *volatile nowhere;
    static const char nonsense[] = "\0\0\0\6nojson";
    static const char lie[] = "{\"type\":\"result\",\"id\":\"another\",\"recipient\":\"\",\"outcome\":0,\"code\":0,"
                              "\"retry_after\":0,\"reason\":null}";
    const char length[4] = {0, 0, 0, sizeof(lie) - 1};
    switch (MODE) {
    case CRASH:
        *nowhere = 1;
        break;
    case ABORT:
        abort();
    case HANG:
        for (;;) pause();
    case EAT:
        for (size_t i = 0;; i++) {
            char *memory = malloc(1 << 20);
            if (!memory) {
                snprintf(result->reason, sizeof(result->reason), "no memory after %zu MiB", i);
                return;
            }
            memset(memory, 1, 1 << 20);
        }
    case EXIT:
        _exit(7);
    case GARBAGE:
        send(3, nonsense, sizeof(nonsense) - 1, 0);
        break;
    case HUGE_FRAME:
        send(3, "\x7f\xff\xff\xff", 4, 0);
        break;
    case LIAR:
        send(3, length, 4, 0);
        send(3, lie, sizeof(lie) - 1, 0);
        break;
    case CLOSE:
        close(3);
        for (;;) pause();
    case CHATTY:
        for (int i = 0; i < 100000; i++) printf("line %d of \x1b[2J many\n", i);
        fflush(stdout);
        break;
    case SECOND:
        if (strcmp(recipient, "one") == 0) abort();
        break;
    default:
        break;
    }
    result->outcome = PW_DELIVERED;
}

static void release(void *instance) {
    (void)instance;
}

/* Built before there was a heartbeat: what follows in memory is something else. */
static const pw_key older_keys[] = {{"heartbeat", 0, "of its own"}};

static void not_a_heartbeat(void *instance, const pw_heartbeat *beat, pw_result *result) {
    (void)instance, (void)beat, (void)result;
    abort();
}

static const pw_plugin plugin = {
    .abi = MODE == WRONG_ABI ? 99 : PW_ABI,
    .size = MODE == OLDER ? offsetof(pw_plugin, heartbeat) : sizeof(pw_plugin),
    .keys = MODE == OLDER ? older_keys : NULL,
    .n_keys = MODE == OLDER,
    .heartbeat = MODE == OLDER ? not_a_heartbeat : NULL,
    .name = BAD,
    .version = "1",
    .configure = configure,
    .recipients = recipients,
    .deliver = deliver,
    .release = release,
};

const pw_plugin *pw_plugin_v1(void) {
    return &plugin;
}
