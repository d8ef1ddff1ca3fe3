/* A third party's plugin: built against the installed header alone, with keys of every kind; echoes what it is given to
 * a TCP server. Also compiled as C++ in the tests. */
#include <portwatch/plugin.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct Third {
    int port;
    char *token;
    const char *names[8];
    size_t n;
} Third;

static const pw_key keys[] = {
    {"port", PW_KEY_REQUIRED, "port on 127.0.0.1"},
    {"token", PW_KEY_SECRET | PW_KEY_CREDENTIAL, "sent with each message"},
    {"name", PW_KEY_REPEAT | PW_KEY_FILE, "a recipient"},
    {"extra", PW_KEY_FILE_ONLY, "a file"},
};

static void release(void *instance) {
    Third *third = (Third *)instance;
    for (size_t i = 0; i < third->n; i++) free((void *)third->names[i]);
    free(third->token);
    free(third);
}

static int configure(const pw_setting *settings, size_t n, const pw_faults *faults, void **instance) {
    Third *third = (Third *)calloc(1, sizeof(Third));
    int bad = 0;
    if (!third) return -1;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(settings[i].key, "port") == 0) third->port = atoi(settings[i].value);
        if (strcmp(settings[i].key, "token") == 0) third->token = strdup(settings[i].value);
        if (strcmp(settings[i].key, "name") == 0) {
            if (third->n == 7 || strcmp(settings[i].value, "bad") == 0) {
                faults->report(faults->context, "name", &settings[i], "is not a good\x1b[2J name");
                bad = 1;
            } else
                third->names[third->n++] = strdup(settings[i].value);
        }
    }
    if (third->port <= 0) {
        faults->report(faults->context, "port", NULL, "is not a port");
        bad = 1;
    }
    if (bad) {
        release(third);
        return -1;
    }
    *instance = third;
    return 0;
}

static const char *const *recipients(void *instance) {
    Third *third = (Third *)instance;
    return third->n ? third->names : NULL;
}

static void deliver(void *instance, const pw_message *message, const char *recipient, pw_result *result) {
    Third *third = (Third *)instance;
    struct sockaddr_in address;
    char line[512];
    memset(&address, 0, sizeof(address));
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)third->port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        snprintf(result->reason, sizeof(result->reason), "cannot connect\r\n\x1b[2J\\ \xff");
        result->retry_after_usec = 7000000;
        if (fd >= 0) close(fd);
        return;
    }
    int length = snprintf(line, sizeof(line), "%s|%s|%s|%s|%s\n", message->id, recipient,
        third->token ? third->token : "", message->subject, message->document);
    if (length > 0 && write(fd, line, (size_t)length) == (ssize_t)length) result->outcome = PW_DELIVERED;
    close(fd);
}

static const pw_plugin plugin = {PW_ABI, sizeof(pw_plugin), "third", "1.0", keys, sizeof(keys) / sizeof(keys[0]),
    configure, recipients, deliver, release, NULL};

const pw_plugin *pw_plugin_v1(void) {
    return &plugin;
}
