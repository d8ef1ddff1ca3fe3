/* The parsers of procfs and of cgroup paths. Input: one byte that chooses the parser, then the file. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "kernel/cgroup.h"
#include "kernel/procfs.h"

static void check_unit(char *unit) {
    if (!unit) return;
    if (strchr(unit, '/') || strlen(unit) < sizeof("x.scope") - 2) abort();
    free(unit);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    size_t length = size - 1;
    char *bytes = malloc(length > 0 ? length : 1);
    if (!bytes) abort();
    memcpy(bytes, data + 1, length);
    ProcStat stat;
    uid_t uid;
    uint64_t capabilities;
    uint16_t first, last;
    unsigned long used;
    char *unit = NULL;
    switch (data[0] % 7) {
    case 0:
        if (procfs_parse_stat(bytes, length, &stat) &&
            (strnlen(stat.comm, sizeof(stat.comm)) >= sizeof(stat.comm) || stat.ppid < 0))
            abort();
        break;
    case 1:
        if (procfs_parse_uid(bytes, length, &uid) && uid == (uid_t)-1) abort();
        break;
    case 2:
        (void)procfs_parse_capabilities(bytes, length, &capabilities);
        break;
    case 3:
        if (procfs_parse_port_range(bytes, length, &first, &last) && first > last) abort();
        break;
    case 4:
        (void)procfs_parse_sockstat(bytes, length, "UDPLITE:", &used);
        break;
    case 5:
        if (cgroup_parse(bytes, length, &unit) != 0) abort();
        check_unit(unit);
        break;
    default:
        if (cgroup_unit_of_path(bytes, length, &unit) != 0) abort();
        check_unit(unit);
        break;
    }
    free(bytes);
    return 0;
}
