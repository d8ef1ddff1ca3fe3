/* The form of a pack: a first line, then for each file "NAME-LENGTH BYTES-LENGTH\n", name, bytes, "\n". Lengths come
 * first, so names and bytes may be anything. */
#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "core/cleanup.h"

static const char magic[] = "portwatch configuration 1\n";
#define MAGIC_LENGTH (sizeof(magic) - 1)

#define LENGTHS_MAX 48 /* two numbers */

int config_pack(const ConfigFiles *files, char **ret, size_t *ret_length) {
    size_t size = MAGIC_LENGTH;
    for (size_t i = 0; i < files->n; i++)
        size += LENGTHS_MAX + strlen(files->items[i].name) + files->items[i].length + 1;

    char *bytes = malloc(size), *to = bytes;
    if (!bytes) return -ENOMEM;
    to = mempcpy(to, magic, MAGIC_LENGTH);
    for (size_t i = 0; i < files->n; i++) {
        const ConfigFile *file = &files->items[i];
        to += snprintf(to, LENGTHS_MAX, "%zu %zu\n", strlen(file->name), file->length);
        to = stpcpy(to, file->name);
        if (file->length > 0) to = mempcpy(to, file->bytes, file->length);
        *to++ = '\n';
    }
    *ret = bytes;
    *ret_length = (size_t)(to - bytes);
    return 0;
}

typedef struct Cursor {
    const char *bytes;
    size_t left;
} Cursor;

static bool cursor_number(Cursor *cursor, char end, size_t max, size_t *ret) {
    size_t number = 0, digits = 0;

    while (cursor->left > 0 && *cursor->bytes >= '0' && *cursor->bytes <= '9') {
        number = number * 10 + (size_t)(*cursor->bytes - '0');
        if (number > max || ++digits > 9 || (digits > 1 && number < 10)) return false;
        cursor->bytes++;
        cursor->left--;
    }
    if (digits == 0 || cursor->left == 0 || *cursor->bytes != end) return false;
    cursor->bytes++;
    cursor->left--;
    *ret = number;
    return true;
}

static int cursor_file(Cursor *cursor, ConfigFiles *files) {
    size_t name, length;

    if (files->n >= CONFIG_FILES_MAX) return -EBADMSG;
    if (!cursor_number(cursor, ' ', 65536, &name) || !cursor_number(cursor, '\n', CONFIG_BYTES_MAX, &length))
        return -EBADMSG;
    if (cursor->left < name + length + 1 || memchr(cursor->bytes, '\0', name) || cursor->bytes[name + length] != '\n')
        return -EBADMSG;

    ConfigFile *items = reallocarray(files->items, files->n + 1, sizeof(*items));
    if (!items) return -ENOMEM;
    files->items = items;
    ConfigFile file = {.name = strndup(cursor->bytes, name), .bytes = malloc(length + 1), .length = length};
    if (!file.name || !file.bytes) {
        free(file.name);
        free(file.bytes);
        return -ENOMEM;
    }
    memcpy(file.bytes, cursor->bytes + name, length);
    items[files->n++] = file;
    cursor->bytes += name + length + 1;
    cursor->left -= name + length + 1;
    return 0;
}

int config_unpack(const char *bytes, size_t length, ConfigFiles *ret) {
    _cleanup_(config_files_done) ConfigFiles files = {0};

    if (length < MAGIC_LENGTH || memcmp(bytes, magic, MAGIC_LENGTH) != 0) return -EBADMSG;
    Cursor cursor = {bytes + MAGIC_LENGTH, length - MAGIC_LENGTH};
    while (cursor.left > 0) {
        int r = cursor_file(&cursor, &files);
        if (r < 0) return r;
    }
    if (files.n == 0) return -EBADMSG;
    *ret = files;
    files = (ConfigFiles){0};
    return 0;
}
