/* portwatch-cause: asks systemd and the journal what became of a unit. Started by portwatchd and portwatch with a
 * socket as descriptor 3. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include "cause/child.h"
#include "cause/sandbox.h"
#include "cause/worker.h"

int main(int argc, char **argv) {
    (void)argv;
    int type = 0;
    socklen_t length = sizeof(type);
    if (argc != 1 || getsockopt(CAUSE_SOCKET, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_SEQPACKET) {
        fprintf(stderr, "portwatch-cause is started by portwatchd and portwatch\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    umask(0777);
    tzset(); /* while its file can be read */
    int r = cause_sandbox(CAUSE_SOCKET);
    if (r < 0) {
        fprintf(stderr, "portwatch-cause: the sandbox cannot be raised: %s\n", strerror(-r));
        return 1;
    }
    return worker_serve(CAUSE_SOCKET) < 0 ? 1 : 0;
}
