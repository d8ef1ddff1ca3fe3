#include "cli/request.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "store/lock.h"
#include "store/request.h"

#define WHO_MAX 256

/* Who asks: behind sudo the person, not root. It is a name for people, not a proof. */
static void read_who(char buffer[static WHO_MAX]) {
    const char *sudo = getenv("SUDO_USER");
    if (sudo && *sudo && geteuid() == 0) {
        snprintf(buffer, WHO_MAX, "%s", sudo);
        return;
    }
    char login[WHO_MAX];
    if (getuid() == 0 && getlogin_r(login, sizeof login) == 0 && *login) {
        snprintf(buffer, WHO_MAX, "%s", login);
        return;
    }
    struct passwd entry, *found = NULL;
    char text[4096];
    if (getpwuid_r(getuid(), &entry, text, sizeof text, &found) == 0 && found)
        snprintf(buffer, WHO_MAX, "%s", found->pw_name);
    else
        snprintf(buffer, WHO_MAX, "uid %u", getuid());
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
