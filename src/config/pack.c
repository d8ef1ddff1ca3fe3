/* The form of a pack: a first line, then for each file "NAME-LENGTH BYTES-LENGTH\n", name, bytes, "\n". Lengths come
 * first, so names and bytes may be anything. */
#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "core/cleanup.h"

static const char magic[] = "portwatch configuration 1\n";
#define MAGIC_LENGTH (sizeof(magic) - 1)

int config_pack(const ConfigFiles *files, char **ret, size_t *ret_length) {
    char *bytes = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&bytes, &length);
    if (!stream) return -ENOMEM;

    fwrite(magic, 1, MAGIC_LENGTH, stream);
    for (size_t i = 0; i < files->n; i++) {
        const ConfigFile *file = &files->items[i];
        fprintf(stream, "%zu %zu\n%s", strlen(file->name), file->length, file->name);
        if (file->length > 0) fwrite(file->bytes, 1, file->length, stream);
        fputc('\n', stream);
    }
    bool failed = ferror(stream);
    if (fclose(stream) != 0 || failed) {
        free(bytes);
        return -ENOMEM;
    }
    *ret = bytes;
    *ret_length = length;
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
        if (number > max || ++digits > 9) return false;
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
