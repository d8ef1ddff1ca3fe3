#include "cli/request.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "store/lock.h"
#include "store/request.h"

#define WHO_MAX 256

static void user_name(uid_t uid, char buffer[static WHO_MAX]) {
    struct passwd entry, *found = NULL;
    char text[4096];
    if (getpwuid_r(uid, &entry, text, sizeof text, &found) == 0 && found)
        snprintf(buffer, WHO_MAX, "%s", found->pw_name);
    else
        snprintf(buffer, WHO_MAX, "uid %u", uid);
}

/* As whom this session was logged in to: the kernel's word, which sudo and su do not change. False: in none. */
static bool login_name(char buffer[static WHO_MAX]) {
    unsigned uid = UINT32_MAX;
    FILE *in = fopen("/proc/self/loginuid", "re");
    if (!in) return false;
    bool read = fscanf(in, "%u", &uid) == 1;
    fclose(in);
    if (!read || uid == UINT32_MAX) return false;
    user_name(uid, buffer);
    return true;
}

/* Who asks: behind sudo the person, not root. Only who may write the database gets to ask (root and the daemon's own
 * user), and root may claim any name: where the session's login is another than the name, both are written down. */
static void read_who(char buffer[static WHO_MAX]) {
    const char *sudo = getenv("SUDO_USER");
    char login[WHO_MAX];
    bool logged_in = login_name(login);
    if (!sudo || !*sudo || geteuid() != 0) {
        if (logged_in && getuid() == 0)
            snprintf(buffer, WHO_MAX, "%s", login);
        else
            user_name(getuid(), buffer);
    } else if (logged_in && strcmp(login, sudo) != 0)
        snprintf(buffer, WHO_MAX, "%.100s (logged in as %.100s)", sudo, login);
    else
        snprintf(buffer, WHO_MAX, "%s", sudo);
}

/* 0, or the exit code `failed` with the reason said. */
static int daemon_runs(const Cli *cli, int failed) {
    int held = state_lock_held(cli->state_dir);
    if (held > 0) return 0;
    if (held == 0)
        cli_error("portwatchd is not running (state directory %s): nothing was done", cli->state_dir);
    else
        cli_error("cannot see whether portwatchd runs: %s: %s", cli->state_dir, strerror(-held));
    return failed;
}

static int ask(Store *store, const char *verb, const char *arguments, int64_t wait, bool *ret_answered, int *ret_code,
    char **ret_text) {
    char who[WHO_MAX];
    int64_t id;
    read_who(who);
    int r = request_put(store, verb, arguments, who, wait, cli_now(), &id);
    return r == 0 ? request_wait(store, id, wait, ret_answered, ret_code, ret_text) : r;
}

int request_run(Cli *cli, const char *verb, json_t *arguments, int64_t wait, int failed, json_t **ret_answer) {
    *ret_answer = NULL;
    _cleanup_free_ char *text = arguments ? json_dumps(arguments, JSON_COMPACT) : NULL;
    json_decref(arguments);
    if (!text) {
        cli_failed(-ENOMEM);
        return failed;
    }
    if (daemon_runs(cli, failed) != 0) return failed;
    _cleanup_(store_closep) Store *store = NULL;
    _cleanup_free_ char *reason = NULL, *answer = NULL;
    int r = cli_open_store(cli, STORE_REQUESTER, &store, &reason);
    if (r != 0) {
        if (r < 0)
            cli_failed(r);
        else
            cli_error("%s", reason);
        return failed;
    }
    bool answered = false;
    int code = failed;
    r = ask(store, verb, text, wait, &answered, &code, &answer);
    if (r > 0) cli_error("%s", store_reason(store));
    if (r < 0) cli_failed(r);
    if (r != 0) return failed;
    if (!answered) {
        cli_error("portwatchd did not answer in time; the request was withdrawn");
        return failed;
    }
    json_t *object = answer ? json_loads(answer, 0, NULL) : NULL;
    if (!json_is_object(object)) {
        json_decref(object);
        cli_error("portwatchd answered what this version does not understand");
        return failed;
    }
    *ret_answer = object;
    return code;
}
