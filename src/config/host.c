#include "config/host.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"

static size_t read_file(const char *path, char *buffer, size_t size) {
    buffer[0] = '\0';
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, buffer, size - 1) : 0;
    buffer[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static void first_line(const char *path, char *ret, size_t size) {
    read_file(path, ret, size);
    ret[strcspn(ret, " \t\r\n")] = '\0';
}

/* RFC 1123: what may stand in a mail address and a Message-ID. */
static bool is_host_name(const char *name) {
    size_t n = strlen(name);
    return n > 0 && n <= 253 && name[0] != '.' && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == n;
}

bool host_full_name(const char *hosts, const char *name, char *ret, size_t size) {
    size_t length = strlen(name);
    for (const char *line = hosts; *line;) {
        size_t n = strcspn(line, "\n");
        char text[512];
        if (n < sizeof text) {
            memcpy(text, line, n);
            text[strcspn(text, "#\n") < n ? strcspn(text, "#\n") : n] = '\0';
            text[n] = '\0';
            char *state = NULL, *full = NULL;
            bool here = false;
            strtok_r(text, " \t\r", &state); /* the address */
            for (char *word; (word = strtok_r(NULL, " \t\r", &state));) {
                if (strcmp(word, name) == 0) here = true;
                if (!full && strncmp(word, name, length) == 0 && word[length] == '.') full = word;
            }
            if (here && full && is_host_name(full)) {
                snprintf(ret, size, "%s", full);
                return true;
            }
        }
        line += n;
        if (*line) line++;
    }
    return false;
}

void host_read(Host *ret) {
    memset(ret, 0, sizeof *ret);
    char name[sizeof ret->name] = "", full[sizeof ret->name];
    if (gethostname(name, sizeof name - 1) < 0 || !is_host_name(name)) strcpy(name, "localhost");
    memcpy(ret->name, name, sizeof name);
    if (!strchr(name, '.')) {
        char hosts[65536];
        read_file("/etc/hosts", hosts, sizeof hosts);
        if (host_full_name(hosts, name, full, sizeof full)) memcpy(ret->name, full, sizeof full);
    }
    first_line("/etc/machine-id", ret->machine_id, sizeof ret->machine_id);
    first_line("/proc/sys/kernel/random/boot_id", ret->boot_id, sizeof ret->boot_id);
}
