/* portwatch-notify: one notifier's child. Started by the daemon with a socket as descriptor 3. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "core/cleanup.h"
#include "notify/child.h"
#include "notify/loader.h"
#include "notify/sandbox.h"
#include "notify/worker.h"
#include "portwatch-build.h"

/* _exit: what a plugin left for exit() is not run. */
static _Noreturn void leave(int status) {
    _exit(status);
}

static _Noreturn void leave_broken(const char *reason) {
    worker_broken(CHILD_SOCKET, reason);
    leave(1);
}

int main(int argc, char **argv) {
    struct stat st;
    const char *directory = PORTWATCH_PLUGIN_DIR, *why = NULL;
    bool trusted_only = true;
    if (argc == 4 && strcmp(argv[1], "--plugin-dir") == 0) {
        directory = argv[2];
        trusted_only = false;
    } else if (argc != 2) {
        fprintf(stderr, "portwatch-notify is started by portwatchd\n");
        return 64;
    }
    const char *name = argv[argc - 1];
    if (fstat(CHILD_SOCKET, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        fprintf(stderr, "portwatch-notify is started by portwatchd\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    umask(0777);
    if (!plugin_name_valid(name)) leave_broken("a plugin's name is [a-z][a-z0-9-]{0,31}");
    int fd = loader_directory(directory, trusted_only, &why);
    if (fd < 0) leave_broken(why);
    /* by its descriptor: the folders above may be closed to the user we become */
    if (fchdir(fd) < 0) leave_broken("the plugin directory cannot be entered");
    char **missing = NULL;
    int r = sandbox_enter(fd, CHILD_SOCKET, getppid(), &missing);
    if (r < 0) {
        char reason[128];
        snprintf(reason, sizeof(reason), "the sandbox cannot be raised: %s", strerror(-r));
        leave_broken(reason);
    }
    close(fd);
    _cleanup_free_ char *reason = NULL;
    const pw_plugin *plugin = loader_open(name, trusted_only, &reason);
    if (!plugin) leave_broken(reason ? reason : "out of memory");
    if (chdir("/") < 0) leave_broken("cannot leave the plugin directory");
    leave(worker_serve(CHILD_SOCKET, plugin, missing) < 0 ? 1 : 0);
}
