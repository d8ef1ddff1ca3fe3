/* Is the port bound in another network namespace? Told by /proc/PID/net of a process there: its tables begin with the
 * listeners, so the connections behind them need not be read. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/explain.h"
#include "kernel/procfs.h"

#define NAMESPACES_MAX 256
#define NETNS_DIRECTORY "/run/netns"

/* One row of /proc/net/tcp and the like (proc(5)): "  0: 0100007F:1B9F 00000000:0000 0A ...". */
static bool row_parse(const char *line, Address *ret, unsigned *ret_port, unsigned *ret_state) {
    char hex[33];
    Address address = {0};
    if (sscanf(line, " %*u: %32[0-9A-F]:%4x %*[0-9A-F]:%*4x %2x", hex, ret_port, ret_state) != 3) return false;
    size_t words = strlen(hex) / 8;
    if (strlen(hex) % 8 != 0 || (words != 1 && words != 4)) return false;
    for (size_t i = 0; i < words; i++) {
        uint32_t word;
        if (sscanf(hex + 8 * i, "%8x", &word) != 1) return false;
        memcpy(address.bytes + 4 * i, &word, 4); /* printed as a number of this machine's byte order */
    }
    address.family = words == 1 ? AF_INET : AF_INET6;
    *ret = address;
    return true;
}

static bool search_table(int process, const char *name, const Case *c, Address *ret) {
    int fd = openat(process, name, O_RDONLY | O_CLOEXEC);
    _cleanup_fclose_ FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    if (!file) {
        if (fd >= 0) close(fd);
        return false;
    }
    const unsigned wanted = c->protocol == PROTOCOL_TCP ? 0x0a : 0x07; /* TCP_LISTEN, TCP_CLOSE */
    char line[512];
    bool heading = true;
    while (fgets(line, sizeof line, file)) {
        unsigned port, state;
        if (heading) {
            heading = false;
            continue;
        }
        if (!row_parse(line, ret, &port, &state)) continue;
        if (c->protocol == PROTOCOL_TCP && state != wanted) return false;
        if (port == c->port && state == wanted) return true;
    }
    return false;
}

static bool search_process(int process, const Case *c, Address *ret) {
    char name[32];
    for (unsigned v6 = 0; v6 < 2; v6++) {
        snprintf(name, sizeof name, "net/%s%s", protocol_name(c->protocol), v6 ? "6" : "");
        if (search_table(process, name, c, ret)) return true;
    }
    return false;
}

/* What `ip netns` calls it. */
static char *netns_name(const struct stat *wanted) {
    DIR *directory = opendir(NETNS_DIRECTORY);
    char *name = NULL;
    for (struct dirent *entry; directory && !name && (entry = readdir(directory));) {
        struct stat st;
        if (entry->d_name[0] == '.' || fstatat(dirfd(directory), entry->d_name, &st, 0) < 0) continue;
        if (st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino) name = strdup(entry->d_name);
    }
    if (directory) closedir(directory);
    return name;
}

static void take(Case *c, int process, pid_t pid, const struct stat *where, const Address *address) {
    ProcStat stat;
    Elsewhere *found = &c->elsewhere[c->n_elsewhere];
    if (procfs_read_stat(process, &stat) < 0) return;
    *found = (Elsewhere){.pid = pid, .comm = strdup(stat.comm), .netns = netns_name(where), .address = *address};
    c->n_elsewhere += found->comm != NULL;
}

int explain_elsewhere(const KernelRoots *roots, Case *c) {
    struct stat seen[NAMESPACES_MAX];
    size_t n_seen = 1, n;
    _cleanup_free_ pid_t *pids = NULL;
    if (stat("/proc/self/ns/net", &seen[0]) < 0) return 0;
    int r = procfs_list(roots, &pids, &n);
    if (r < 0) return r == -ENOMEM ? r : 0;
    /* The oldest process of a namespace, as a rule, is what it was made for. */
    for (size_t i = n; i-- > 0 && n_seen < NAMESPACES_MAX && c->n_elsewhere < ELSEWHERE_MAX;) {
        _cleanup_close_ int process = -1;
        struct stat where;
        Address address;
        if (procfs_open_process(roots, pids[i], &process) < 0) continue;
        if (fstatat(process, "ns/net", &where, 0) < 0) {
            c->unseen += errno == EACCES || errno == EPERM;
            continue;
        }
        size_t k = 0;
        while (k < n_seen && (seen[k].st_ino != where.st_ino || seen[k].st_dev != where.st_dev)) k++;
        if (k < n_seen) continue;
        seen[n_seen++] = where;
        if (search_process(process, c, &address)) take(c, process, pids[i], &where, &address);
    }
    return 0;
}
