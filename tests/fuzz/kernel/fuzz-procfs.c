/* The parsers of procfs, of cgroup paths and of container engines' files. Input: one byte that chooses the parser, then
 * the file. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "kernel/json.h"
#include "kernel/place.h"
#include "kernel/procfs.h"

static void check_place(Place *place) {
    const char *unit = place->unit, *slice = place->slice;
    if (unit && (strchr(unit, '/') || strlen(unit) < sizeof("x.scope") - 2)) abort();
    if (slice && (strchr(slice, '/') || strlen(slice) < sizeof("x.slice") - 2)) abort();
    if (place->id && !container_name_is_safe(place->id)) abort();
    if (place->name && !container_name_is_safe(place->name)) abort();
    if (!place->container != !container_kind(place->container)) abort();
    if (!place->container && (place->id || place->name)) abort();
    place_done(place);
}

/* Every element, and what a member of it says. */
static void check_json(Json rest) {
    Json one, value;
    char text[64];
    const char *end = rest.end;
    if (json_member(rest, "a", &value) && json_text(value, text, sizeof(text)) && strlen(text) >= sizeof(text)) abort();
    for (const char *last = rest.at; json_element(&rest, &one); last = rest.at) {
        if (rest.at <= last || one.at >= one.end || one.end > end) abort();
        if (json_member(one, "a", &value) && (value.at < one.at || value.end > one.end)) abort();
    }
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
    pid_t last_pid;
    Place place = {0};
    switch (data[0] % 10) {
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
        if (place_parse(bytes, length, "", 0, &place) != 0) abort();
        check_place(&place);
        break;
    case 6:
        if (place_of_path(bytes, length, &place) != 0) abort();
        check_place(&place);
        break;
    case 7:
        check_json((Json){bytes, bytes + length});
        break;
    case 8:
        if (procfs_parse_last_pid(bytes, length, &last_pid) && last_pid < 0) abort();
        break;
    default:
        /* half of it is PID 1's */
        if (place_parse(bytes, length / 2, bytes + length / 2, length - length / 2, &place) != 0) abort();
        check_place(&place);
        break;
    }
    free(bytes);
    return 0;
}
