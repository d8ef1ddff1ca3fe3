#include "store/encode.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define CMDLINE_SHORT 256

static void value_write(FILE *f, const char *key, const char *value, size_t longest) {
    if (!value) return;
    fprintf(f, " %s=", key);
    for (size_t i = 0; i < longest && value[i]; i++) {
        unsigned char c = (unsigned char)value[i];
        if (c <= ' ' || c == '%' || c >= 0x7f)
            fprintf(f, "%%%02X", c);
        else
            fputc(c, f);
    }
}

static void owner_write(FILE *f, const Owner *owner, Detail detail) {
    fputs("owner", f);
    value_write(f, "unit", owner->unit, SIZE_MAX);
    value_write(f, "exe", owner->exe, SIZE_MAX);
    if (owner->uid != UID_UNKNOWN) fprintf(f, " uid=%lld", (long long)owner->uid);
    if (detail != DETAIL_COMPARED) {
        value_write(f, "user", owner->user, SIZE_MAX);
        value_write(f, "unit_shown", owner->unit_shown, SIZE_MAX);
        value_write(f, "exe_shown", owner->exe_shown, SIZE_MAX);
        value_write(f, "slice", owner->slice, SIZE_MAX);
        value_write(f, "container", owner->container, SIZE_MAX);
        value_write(f, "container_id", owner->container_id, SIZE_MAX);
        value_write(f, "package", owner->package, SIZE_MAX);
        if (owner->user_unit) fputs(" user_unit=1", f);
        if (owner->exe_deleted) fputs(" exe_deleted=1", f);
        if (owner->exe_replaced) fputs(" exe_replaced=1", f);
        if (owner->exe_inode)
            fprintf(f, " exe_inode=%" PRIu64 " exe_changed=%" PRId64, owner->exe_inode, owner->exe_changed);
        if (owner->exe_host) fputs(" exe_host=1", f);
        if (owner->pid) fprintf(f, " pid=%lld", (long long)owner->pid);
        value_write(f, "comm", owner->comm, SIZE_MAX);
        value_write(f, "cmdline", owner->cmdline, detail == DETAIL_SHORT ? CMDLINE_SHORT : SIZE_MAX);
        if (owner->started) fprintf(f, " started=%lld", (long long)owner->started);
    }
    fputc('\n', f);
}

static void endpoint_write(FILE *f, const Endpoint *endpoint, Detail detail) {
    char address[INET6_ADDRSTRLEN];
    fprintf(
        f, "%s %u %s", protocol_name(endpoint->protocol), endpoint->port, address_format(&endpoint->address, address));
    if (endpoint->device[0]) value_write(f, "device", endpoint->device, sizeof(endpoint->device));
    if (endpoint->namespace[0]) value_write(f, "namespace", endpoint->namespace, sizeof(endpoint->namespace));
    if (endpoint->v6only) fputs(" v6only=1", f);
    if (detail != DETAIL_COMPARED) {
        fprintf(f, " count=%u", endpoint->count);
        if (endpoint->since) fprintf(f, " since=%lld", (long long)endpoint->since);
    }
    fputc('\n', f);
    for (size_t i = 0; i < endpoint->n_owners; i++) owner_write(f, endpoint->owners[i], detail);
}

char *owners_encode(Owner *const *owners, size_t n, Detail detail) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    for (size_t i = 0; i < n; i++) owner_write(f, owners[i], detail);
    bool failed = ferror(f);
    if (fclose(f) == 0 && !failed) return text;
    free(text);
    return NULL;
}

char *endpoints_encode(const Endpoints *endpoints, Detail detail) {
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    for (size_t i = 0; i < endpoints->n; i++) endpoint_write(f, &endpoints->items[i], detail);
    bool failed = ferror(f);
    if (fclose(f) == 0 && !failed) return text;
    free(text);
    return NULL;
}

/* A piece of the text being read. */
typedef struct Piece {
    const char *start;
    size_t length;
} Piece;

/* Cuts off what lies before the next `separator`. False at the end. */
static bool piece_next(Piece *rest, char separator, Piece *ret) {
    if (rest->length == 0) return false;
    const char *end = memchr(rest->start, separator, rest->length);
    *ret = (Piece){rest->start, end ? (size_t)(end - rest->start) : rest->length};
    size_t used = ret->length + (end ? 1 : 0);
    rest->start += used;
    rest->length -= used;
    return true;
}

static bool piece_is(Piece piece, const char *text) {
    return piece.length == strlen(text) && memcmp(piece.start, text, piece.length) == 0;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static int value_text(Piece piece, char **ret) {
    _cleanup_free_ char *text = malloc(piece.length + 1);
    if (!text) return -ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < piece.length; i++) {
        char c = piece.start[i];
        if (c == '%') {
            if (i + 2 >= piece.length) return -EBADMSG;
            int high = hex_digit(piece.start[i + 1]), low = hex_digit(piece.start[i + 2]);
            if (high < 0 || low < 0 || (high == 0 && low == 0)) return -EBADMSG;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == 0)
            return -EBADMSG;
        text[n++] = c;
    }
    text[n] = 0;
    free(*ret);
    *ret = TAKE_PTR(text);
    return 0;
}

static int value_number(Piece piece, int64_t highest, int64_t *ret) {
    int64_t n = 0;
    if (piece.length == 0) return -EBADMSG;
    for (size_t i = 0; i < piece.length; i++) {
        int digit = piece.start[i] - '0';
        if (digit < 0 || digit > 9 || n > (highest - digit) / 10) return -EBADMSG;
        n = n * 10 + digit;
    }
    *ret = n;
    return 0;
}

static int owner_field(Owner *owner, Piece key, Piece value) {
    const struct {
        const char *key;
        char **text;
    } texts[] = {
        {"unit", &owner->unit},
        {"exe", &owner->exe},
        {"user", &owner->user},
        {"unit_shown", &owner->unit_shown},
        {"slice", &owner->slice},
        {"container", &owner->container},
        {"container_id", &owner->container_id},
        {"package", &owner->package},
        {"exe_shown", &owner->exe_shown},
        {"comm", &owner->comm},
        {"cmdline", &owner->cmdline},
    };
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {
        {"user_unit", &owner->user_unit},
        {"exe_deleted", &owner->exe_deleted},
        {"exe_replaced", &owner->exe_replaced},
        {"exe_host", &owner->exe_host},
    };
    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        if (piece_is(key, texts[i].key)) return value_text(value, texts[i].text);
    for (size_t i = 0; i < ELEMENTSOF(flags); i++)
        if (piece_is(key, flags[i].key)) {
            *flags[i].flag = piece_is(value, "1");
            return 0;
        }
    int64_t n = 0;
    int r = 0;
    if (piece_is(key, "exe_inode")) {
        r = value_number(value, INT64_MAX, &n);
        if (r == 0) owner->exe_inode = (uint64_t)n;
    } else if (piece_is(key, "exe_changed"))
        r = value_number(value, INT64_MAX, &owner->exe_changed);
    else if (piece_is(key, "started"))
        r = value_number(value, INT64_MAX, &owner->started);
    else if (piece_is(key, "uid")) {
        r = value_number(value, UINT32_MAX - 1, &n);
        if (r == 0) owner->uid = (uid_t)n;
    } else if (piece_is(key, "pid")) {
        r = value_number(value, INT32_MAX, &n);
        if (r == 0) owner->pid = (pid_t)n;
    }
    return r;
}

static int owner_read(Piece fields, Endpoint *endpoint) {
    _cleanup_(owner_unrefp) Owner *owner = owner_new();
    if (!owner) return -ENOMEM;
    Piece value, key;
    while (piece_next(&fields, ' ', &value)) {
        if (!memchr(value.start, '=', value.length) || !piece_next(&value, '=', &key)) return -EBADMSG;
        int r = owner_field(owner, key, value);
        if (r < 0) return r;
    }
    return endpoint_add_owner(endpoint, owner);
}

int owners_decode(const char *text, size_t length, Endpoint *endpoint) {
    Piece rest = {text, length}, line, word;
    while (piece_next(&rest, '\n', &line)) {
        if (!piece_next(&line, ' ', &word) || !piece_is(word, "owner")) return -EBADMSG;
        int r = owner_read(line, endpoint);
        if (r < 0) return r;
    }
    return 0;
}

static int endpoint_field(Endpoint *endpoint, Piece key, Piece value) {
    _cleanup_free_ char *text = NULL;
    int64_t n = 0;
    int r = 0;
    if (piece_is(key, "device")) {
        r = value_text(value, &text);
        if (r == 0) snprintf(endpoint->device, sizeof(endpoint->device), "%s", text);
    } else if (piece_is(key, "namespace")) {
        r = value_text(value, &text);
        if (r == 0) snprintf(endpoint->namespace, sizeof(endpoint->namespace), "%s", text);
    } else if (piece_is(key, "v6only"))
        endpoint->v6only = piece_is(value, "1");
    else if (piece_is(key, "since"))
        r = value_number(value, INT64_MAX, &endpoint->since);
    else if (piece_is(key, "count")) {
        r = value_number(value, UINT32_MAX, &n);
        if (r == 0) endpoint->count = (unsigned)n;
    }
    return r;
}

/* `word` is the line's first word, the protocol. */
static int endpoint_read(Piece word, Piece fields, Endpoint *endpoint) {
    _cleanup_free_ char *protocol = NULL, *address = NULL;
    Piece port, at, value, key;
    int64_t n = 0;
    if (!piece_next(&fields, ' ', &port) || !piece_next(&fields, ' ', &at)) return -EBADMSG;
    int r = value_text(word, &protocol);
    if (r == 0) r = value_text(at, &address);
    if (r == 0) r = value_number(port, UINT16_MAX, &n);
    if (r < 0) return r;
    if (!protocol_parse(protocol, &endpoint->protocol) || !address_parse(address, &endpoint->address)) return -EBADMSG;
    endpoint->port = (uint16_t)n;
    while (piece_next(&fields, ' ', &value)) {
        if (!memchr(value.start, '=', value.length) || !piece_next(&value, '=', &key)) return -EBADMSG;
        r = endpoint_field(endpoint, key, value);
        if (r < 0) return r;
    }
    return 0;
}

int endpoints_decode(const char *text, size_t length, Endpoints *ret) {
    _cleanup_(endpoints_done) Endpoints list = {0};
    Piece rest = {text, length}, line, word;
    while (piece_next(&rest, '\n', &line)) {
        if (!piece_next(&line, ' ', &word)) return -EBADMSG;
        if (piece_is(word, "owner")) {
            if (list.n == 0) return -EBADMSG;
            int r = owner_read(line, &list.items[list.n - 1]);
            if (r < 0) return r;
            continue;
        }
        _cleanup_(endpoint_done) Endpoint endpoint = {0};
        int r = endpoint_read(word, line, &endpoint);
        if (r == 0) r = endpoints_take(&list, &endpoint);
        if (r < 0) return r;
    }
    *ret = list;
    list = (Endpoints){0};
    return 0;
}
