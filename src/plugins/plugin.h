/* portwatch notifier plugins: the public interface, version 1. See portwatch-plugin(3).
 *
 * A plugin is a shared object NAME.so in portwatch's plugin directory, NAME matching [a-z][a-z0-9-]{0,31}. It exports
 * one function:
 *
 *     PW_EXPORT const pw_plugin *pw_plugin_v1(void);
 *
 * It is loaded by portwatch-notify only: one process for each configured notifier, without privileges, that may read
 * /usr, the plugin's folder, CA and resolver files, may connect to the network, and can do little else: no files
 * written, no programs run, no signals, no local sockets. It is started when there is something to deliver and ended a
 * minute later, at the deadline of a delivery, or when the daemon ends; nothing kept in memory lasts. Threads are
 * allowed; every function below is called from one thread, one at a time.
 *
 * All strings are UTF-8 and end with NUL. What the host passes belongs to the host and is valid until the call returns.
 * What the plugin returns belongs to the plugin and must stay valid until release().
 *
 * Compatibility: within version 1 structs only grow at their end and nothing changes meaning. Whoever fills a struct
 * says in `size` how much of it there is; whoever reads it does not look beyond. */
#ifndef PORTWATCH_PLUGIN_H
#define PORTWATCH_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PW_ABI 1
#define PW_REASON_MAX 512
#define PW_EXPORT __attribute__((visibility("default")))

/* What a key of the plugin's configuration section is like. */
enum {
    PW_KEY_REQUIRED = 1 << 0,   /* must be given (in any of its forms) */
    PW_KEY_REPEAT = 1 << 1,     /* may be given several times; from a file: one value a line */
    PW_KEY_SECRET = 1 << 2,     /* the value is never shown or logged; implies PW_KEY_FILE */
    PW_KEY_FILE = 1 << 3,       /* may also come as NAME_file = PATH: the value is what the file holds */
    PW_KEY_FILE_ONLY = 1 << 4,  /* comes as NAME_file = PATH only (a PEM file); implies PW_KEY_FILE */
    PW_KEY_CREDENTIAL = 1 << 5, /* may also come as credential = NAME (systemd); at most one key of a plugin */
};

/* One key. The plugin never opens the files meant here: the daemon reads them and passes what they hold, without the
 * last newline. `name` matches [a-z][a-z0-9_]{0,31}. `help` is one short line for people. */
typedef struct pw_key {
    const char *name;
    uint32_t flags;
    const char *help;
} pw_key;

/* One setting as configured: the name of a declared key, and its value: not empty, but otherwise not checked. */
typedef struct pw_setting {
    const char *key;
    const char *value;
} pw_setting;

/* Where configure() says what is wrong. Call report() for each fault: `key` is the name of a declared key, `setting`
 * the very one of those passed (NULL: the first of that key), `reason` one line without the value of a secret ("is not
 * an smtp:// URL"). */
typedef struct pw_faults {
    size_t size;
    void *context;
    void (*report)(void *context, const char *key, const pw_setting *setting, const char *reason);
} pw_faults;

/* The message to deliver. The same message is given again, with the same bytes, when it is to be tried again. */
typedef struct pw_message {
    size_t size;
    const char *id;                /* UUID: stable over retries; what a receiver recognises doubles by */
    const char *notifier;          /* name of the configured notifier */
    const char *host;              /* this host's name */
    int64_t formed_usec;           /* when the message was made, realtime microseconds */
    const char *subject;           /* one line */
    const char *text;              /* plain text, lines end with \n */
    const char *document;          /* JSON: one CloudEvents object, or an array of them (batch format) */
    const char *const *references; /* ids of earlier messages of the same thread, ends with NULL; never NULL itself */
    int64_t timeout_usec;          /* deliver() should give up after this; the host ends the process some time later */
} pw_message;

typedef enum pw_outcome {
    PW_DELIVERED = 0, /* the server took responsibility */
    PW_RETRY = 1,     /* not now, or the notifier is misconfigured: the same message comes again later, without end */
    PW_REFUSED = 2,   /* this very message was refused for good: it is never tried again here */
} pw_outcome;

/* What became of it. The host fills `size` and zeroes the rest but the outcome, which it sets to PW_RETRY. */
typedef struct pw_result {
    size_t size;
    int32_t outcome;            /* pw_outcome */
    int32_t code;               /* SMTP or HTTP status or the like; 0: none */
    int64_t retry_after_usec;   /* how long the server asks us to wait; 0: it did not */
    char reason[PW_REASON_MAX]; /* for people: why not delivered; without secrets */
} pw_result;

/* A sign of life, without a message. */
typedef struct pw_heartbeat {
    size_t size;
    int64_t timeout_usec; /* heartbeat() should give up after this; the host ends the process some time later */
} pw_heartbeat;

typedef struct pw_plugin {
    uint32_t abi;        /* PW_ABI */
    uint32_t size;       /* sizeof(pw_plugin) */
    const char *name;    /* as the file */
    const char *version; /* for people */
    const pw_key *keys;
    size_t n_keys;

    /* Takes the settings in the order written: only declared keys, the required ones present, none twice unless
     * PW_KEY_REPEAT. On success returns 0 and sets *instance. Otherwise reports at least one fault and returns -1. Must
     * not use the network: it also runs when a configuration is only checked. */
    int (*configure)(const pw_setting *settings, size_t n_settings, const pw_faults *faults, void **instance);

    /* The recipients, ends with NULL; each gets a delivery of its own, with its own result. May be NULL, or return
     * NULL, where there is nothing like a recipient: then deliver() is called once, with "". */
    const char *const *(*recipients)(void *instance);

    /* Delivers the message to one recipient and says in `result` what became of it. May block up to the timeout. */
    void (*deliver)(void *instance, const pw_message *message, const char *recipient, pw_result *result);

    /* Frees the instance. Not called where the process is ended from outside. */
    void (*release)(void *instance);

    /* Tells a service that watches whether portwatch is alive. Called as often as the key `heartbeat` says, while
     * portwatch sees and can store; a plugin that has this declares that key, whose value it is given too, and one that
     * does not may leave it NULL or end before it. Nothing is queued: one that fails is said in `result`, as for
     * deliver(), and the next is called at its time. */
    void (*heartbeat)(void *instance, const pw_heartbeat *beat, pw_result *result);
} pw_plugin;

/* What the plugin exports: a pointer to static data. */
PW_EXPORT const pw_plugin *pw_plugin_v1(void);

#ifdef __cplusplus
}
#endif

#endif
