#include <string.h>

#include "kernel/procfs.h"

/* Decimal digits at *at; false if there are none or they do not fit. */
static bool take_number(const char **at, const char *end, uint64_t *ret) {
    const char *p = *at;
    uint64_t value = 0;
    if (p == end || *p < '0' || *p > '9') return false;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(value, 10u, &value)) return false;
        if (__builtin_add_overflow(value, (unsigned)(*p - '0'), &value)) return false;
    }
    *at = p;
    *ret = value;
    return true;
}

static void skip_blanks(const char **at, const char *end) {
    while (*at < end && (**at == ' ' || **at == '\t')) (*at)++;
}

/* The rest of the line that starts with `name`, or NULL. */
static const char *find_line(const char *bytes, size_t length, const char *name, const char **ret_end) {
    size_t n = strlen(name);
    const char *at = bytes, *end = bytes + length;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline ? newline : end;
        if ((size_t)(line_end - at) >= n && memcmp(at, name, n) == 0) {
            *ret_end = line_end;
            return at + n;
        }
        at = newline ? newline + 1 : end;
    }
    return NULL;
}

bool procfs_parse_stat(const char *bytes, size_t length, ProcStat *ret) {
    /* comm may hold parentheses, blanks and newlines; the last parenthesis is the kernel's. */
    const char *open = memchr(bytes, '(', length);
    const char *close = memrchr(bytes, ')', length);
    if (!open || !close || close < open) return false;
    const char *at = close + 1, *end = bytes + length;
    ProcStat stat = {0};
    size_t n = (size_t)(close - open - 1);
    if (n >= sizeof(stat.comm)) n = sizeof(stat.comm) - 1;
    memcpy(stat.comm, open + 1, n);

    skip_blanks(&at, end);
    if (at == end) return false;
    stat.state = *at++;
    for (unsigned field = 4; field <= 22; field++) {
        uint64_t value;
        skip_blanks(&at, end);
        bool negative = at < end && *at == '-';
        if (negative) at++;
        if (!take_number(&at, end, &value)) return false;
        if (field == 4) {
            if (negative || value > INT32_MAX) return false;
            stat.ppid = (pid_t)value;
        } else if (field == 20)
            stat.threads = negative || value > INT32_MAX ? 0 : (unsigned)value;
        else if (field == 22) {
            if (negative) return false;
            stat.started = value;
        }
    }
    *ret = stat;
    return true;
}

bool procfs_parse_uid(const char *bytes, size_t length, uid_t *ret_effective) {
    const char *end, *at = find_line(bytes, length, "Uid:", &end);
    if (!at) return false;
    uint64_t value;
    for (unsigned i = 0; i < 2; i++) {
        skip_blanks(&at, end);
        if (!take_number(&at, end, &value)) return false;
    }
    if (value >= UINT32_MAX) return false;
    *ret_effective = (uid_t)value;
    return true;
}

bool procfs_parse_capabilities(const char *bytes, size_t length, uint64_t *ret_effective) {
    const char *end, *at = find_line(bytes, length, "CapEff:", &end);
    if (!at) return false;
    skip_blanks(&at, end);
    uint64_t value = 0;
    unsigned digits = 0;
    for (; at < end; at++, digits++) {
        unsigned digit;
        if (*at >= '0' && *at <= '9')
            digit = (unsigned)(*at - '0');
        else if (*at >= 'a' && *at <= 'f')
            digit = (unsigned)(*at - 'a') + 10;
        else
            return false;
        if (digits == 16) return false;
        value = value << 4 | digit;
    }
    if (digits == 0) return false;
    *ret_effective = value;
    return true;
}

bool procfs_parse_port_range(const char *bytes, size_t length, uint16_t *ret_first, uint16_t *ret_last) {
    const char *at = bytes, *end = bytes + length;
    uint64_t first, last;
    skip_blanks(&at, end);
    if (!take_number(&at, end, &first)) return false;
    skip_blanks(&at, end);
    if (!take_number(&at, end, &last)) return false;
    if (first > UINT16_MAX || last > UINT16_MAX || first > last) return false;
    *ret_first = (uint16_t)first;
    *ret_last = (uint16_t)last;
    return true;
}

bool procfs_parse_last_pid(const char *bytes, size_t length, pid_t *ret) {
    while (length > 0 && bytes[length - 1] == '\n') length--;
    const char *blank = memrchr(bytes, ' ', length), *end = bytes + length;
    uint64_t value;
    if (!blank) return false;
    const char *at = blank + 1;
    if (!take_number(&at, end, &value) || at != end || value > INT32_MAX) return false;
    *ret = (pid_t)value;
    return true;
}

bool procfs_parse_sockstat(const char *bytes, size_t length, const char *name, unsigned long *ret) {
    static const char field[] = " inuse ";
    const char *end, *at = find_line(bytes, length, name, &end);
    if (!at || (size_t)(end - at) < sizeof(field) - 1 || memcmp(at, field, sizeof(field) - 1) != 0) return false;
    at += sizeof(field) - 1;
    uint64_t value;
    if (!take_number(&at, end, &value)) return false;
    *ret = value;
    return true;
}
