#include "cause/unit.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/text.h"

uint64_t now_monotonic(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* ---- the answer: a{sv}, of which a few are wanted ---- */

typedef enum Kind { KIND_WORD, KIND_INT, KIND_PID, KIND_TIME, KIND_COUNT, KIND_ID, KIND_JOB } Kind;

/* What is read from the bus. */
typedef struct Reading {
    UnitFacts unit;
    uint32_t job; /* its number; 0: none */
} Reading;

typedef struct Wanted {
    const char *name, *type;
    Kind kind;
    size_t offset;
} Wanted;

static const Wanted wanted[] = {
    {"LoadState", "s", KIND_WORD, offsetof(Reading, unit.load)},
    {"ActiveState", "s", KIND_WORD, offsetof(Reading, unit.active)},
    {"SubState", "s", KIND_WORD, offsetof(Reading, unit.sub)},
    {"Result", "s", KIND_WORD, offsetof(Reading, unit.result)},
    {"Restart", "s", KIND_WORD, offsetof(Reading, unit.restart)},
    {"Job", "(uo)", KIND_JOB, offsetof(Reading, job)},
    {"ExecMainCode", "i", KIND_INT, offsetof(Reading, unit.code)},
    {"ExecMainStatus", "i", KIND_INT, offsetof(Reading, unit.status)},
    {"StateChangeTimestamp", "t", KIND_TIME, offsetof(Reading, unit.since)},
    {"InactiveExitTimestamp", "t", KIND_TIME, offsetof(Reading, unit.begun)},
    {"RuntimeMaxUSec", "t", KIND_TIME, offsetof(Reading, unit.runtime_max)},
    {"NRestarts", "u", KIND_COUNT, offsetof(Reading, unit.restarts)},
    {"StartLimitBurst", "u", KIND_COUNT, offsetof(Reading, unit.burst)},
    {"InvocationID", "ay", KIND_ID, offsetof(Reading, unit.invocation)},
    {"MainPID", "u", KIND_PID, offsetof(Reading, unit.main_pid)},
};

/* Reads one value into its member. 0 or negative errno. */
static int value_read(sd_bus_message *m, const Wanted *w, Reading *reading) {
    void *to = (char *)reading + w->offset;
    const char *text = NULL;
    const void *bytes = NULL;
    size_t length = 0;
    uint64_t time = 0;
    uint32_t number = 0;
    int r;
    switch (w->kind) {
    case KIND_WORD:
        r = sd_bus_message_read_basic(m, 's', &text);
        if (r >= 0) word_copy(text, strlen(text), to);
        return r;
    case KIND_INT:
        return sd_bus_message_read_basic(m, 'i', to);
    case KIND_TIME:
        r = sd_bus_message_read_basic(m, 't', &time);
        if (r >= 0 && time <= INT64_MAX) *(int64_t *)to = (int64_t)time;
        return r;
    case KIND_PID:
        r = sd_bus_message_read_basic(m, 'u', &number);
        if (r >= 0 && number <= INT32_MAX) *(pid_t *)to = (pid_t)number;
        return r;
    case KIND_COUNT:
        r = sd_bus_message_read_basic(m, 'u', &number);
        if (r >= 0) *(int64_t *)to = number;
        return r;
    case KIND_ID:
        r = sd_bus_message_read_array(m, 'y', &bytes, &length);
        for (size_t i = 0; r >= 0 && length == 16 && i < 16; i++)
            sprintf((char *)to + 2 * i, "%02x", ((const unsigned char *)bytes)[i]);
        if (strspn(to, "0") == INVOCATION_MAX - 1) *(char *)to = '\0'; /* never started */
        return r;
    case KIND_JOB:
        return sd_bus_message_read(m, "(uo)", to, NULL);
    }
    return -EINVAL;
}

static int property_read(sd_bus_message *m, Reading *reading) {
    const char *name = NULL, *type = NULL;
    int r = sd_bus_message_read_basic(m, 's', &name);
    if (r >= 0) r = sd_bus_message_peek_type(m, NULL, &type);
    if (r < 0) return r;
    for (size_t i = 0; i < ELEMENTSOF(wanted); i++) {
        if (strcmp(name, wanted[i].name) != 0 || strcmp(type, wanted[i].type) != 0) continue;
        r = sd_bus_message_enter_container(m, 'v', type);
        if (r >= 0) r = value_read(m, &wanted[i], reading);
        return r < 0 ? r : sd_bus_message_exit_container(m);
    }
    return sd_bus_message_skip(m, "v");
}

static int properties_read(sd_bus_message *m, Reading *ret) {
    Reading reading = {.unit = {.restarts = -1}};
    int r = sd_bus_message_enter_container(m, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = property_read(m, &reading);
        if (r >= 0) r = sd_bus_message_exit_container(m);
    }
    if (r >= 0) r = sd_bus_message_exit_container(m);
    if (r < 0) return r;
    if (!reading.unit.load[0] || !reading.unit.active[0] || !reading.unit.sub[0]) return -EBADMSG;
    reading.unit.known = true;
    *ret = reading;
    return 0;
}

/* ---- the question ---- */

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
    (void)error;
    *(sd_bus_message **)userdata = sd_bus_message_ref(m);
    return 0;
}

/* sd_bus_call() would wait for the bus's greeting without a limit of ours. *ret is the reply or an error's. */
static int call(sd_bus *bus, sd_bus_message *m, uint64_t deadline, sd_bus_message **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL; /* a late reply must not find the stack */
    int r = sd_bus_call_async(bus, &slot, m, on_reply, &reply, UINT64_MAX);
    while (r >= 0 && !reply) {
        r = sd_bus_process(bus, NULL);
        if (r != 0 || reply) continue;
        uint64_t now = now_monotonic();
        r = now < deadline ? sd_bus_wait(bus, deadline - now) : -ETIMEDOUT;
        if (r == -EINTR) r = 0;
    }
    if (r < 0) return r;
    *ret = TAKE_PTR(reply);
    return 0;
}

/* Calls a method of org.freedesktop.DBus.Properties. *ret is its reply; an error's is an error. */
static int properties_call(sd_bus *bus, const char *path, const char *method, const char *interface, const char *name,
    uint64_t deadline, sd_bus_message **ret) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
    int r = sd_bus_message_new_method_call(
        bus, &m, "org.freedesktop.systemd1", path, "org.freedesktop.DBus.Properties", method);
    if (r >= 0) r = sd_bus_message_append(m, "s", interface);
    if (r >= 0 && name) r = sd_bus_message_append(m, "s", name);
    if (r >= 0) r = sd_bus_message_set_auto_start(m, 0);
    if (r >= 0) r = call(bus, m, deadline, &reply);
    if (r < 0) return r;
    if (sd_bus_message_is_method_error(reply, NULL)) return -sd_bus_message_get_errno(reply);
    *ret = TAKE_PTR(reply);
    return 0;
}

/* Whether that is a stop or half of a restart. A job that has ended meanwhile is none. */
static int job_read(sd_bus *bus, uint32_t job, uint64_t deadline, char ret[static WORD_MAX]) {
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    char path[64];
    const char *type = NULL;
    snprintf(path, sizeof(path), "/org/freedesktop/systemd1/job/%u", (unsigned)job);
    int r = properties_call(bus, path, "Get", "org.freedesktop.systemd1.Job", "JobType", deadline, &reply);
    if (r == -ETIMEDOUT || r == -ENOMEM) return r;
    if (r >= 0) r = sd_bus_message_read(reply, "v", "s", &type);
    if (r >= 0) word_copy(type, strlen(type), ret);
    return 0;
}

static int unit_read(const char *name, uint64_t deadline, UnitFacts *ret, const char **ret_why) {
    _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_free_ char *path = NULL;
    Reading reading;
    *ret_why = "the system bus cannot be reached";
    int r = sd_bus_open_system(&bus);
    if (r < 0) return r;
    *ret_why = "systemd cannot be asked about the unit";
    r = sd_bus_path_encode("/org/freedesktop/systemd1/unit", name, &path);
    /* all interfaces at once, so that it is one moment's state */
    if (r >= 0) r = properties_call(bus, path, "GetAll", "", NULL, deadline, &reply);
    if (r >= 0) r = properties_read(reply, &reading);
    if (r >= 0 && reading.job) r = job_read(bus, reading.job, deadline, reading.unit.job);
    if (r < 0) return r;
    *ret = reading.unit;
    return 0;
}

int cause_unit(Facts *facts, uint64_t deadline) {
    const CauseQuestion *question = &facts->question;
    if (!question->unit[0]) return 0;
    if (question->user != USER_NONE)
        return facts_missing(facts, "units of a user's own systemd are not known to the system's: no state");
    const char *why = NULL;
    int r = unit_read(question->unit, deadline, &facts->unit, &why);
    if (r >= 0 || r == -ENOMEM) return r < 0 ? r : 0;
    _cleanup_free_ char *text = text_printf("%s: %s", why, r == -ETIMEDOUT ? "no answer in time" : strerror(-r));
    return text ? facts_missing(facts, text) : -ENOMEM;
}
