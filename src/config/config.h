/* The configuration: files in INI form -> rules, or every mistake in them with file and line.
 *
 * FILE is read first, then FILE.d/NAME.conf in byte order of the names (hidden files and other endings are not read).
 * The format is that of portwatch.conf(5). inih splits the lines; what Debian's inih 55 would cut, join or drop without
 * a word is refused before it gets there (see reader.h).
 *
 * Messages are single lines "FILE:LINE: [SECTION] KEY: REASON", in the order of files and lines, safe for a terminal
 * (text_escape); values of a plugin's keys are never quoted in them: they may be secrets.
 *
 * Everything here may block on the file system and, for names in [port:NAME/...], on getservbyname_r(3). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/rules.h"

/* Positive results of the functions below. */
typedef enum ConfigResult {
    CONFIG_OK = 0,
    CONFIG_ERRORS = 1, /* the files are at fault: *ret_errors says how */
} ConfigResult;

#define CONFIG_BYTES_MAX ((size_t)1 << 20) /* of one file */
#define CONFIG_FILES_MAX 257               /* FILE and its drop-ins */
#define CONFIG_LINE_MAX 197                /* bytes of a line without its end; comments may be longer */

/* One file as it was read. */
typedef struct ConfigFile {
    char *name;  /* the path, as messages show it */
    char *bytes; /* not terminated, any bytes */
    size_t length;
    bool exposed; /* everybody on the host can read it */
} ConfigFile;

typedef struct ConfigFiles {
    ConfigFile *items; /* the main file first; it is the one Rules.file names */
    size_t n;
} ConfigFiles;

void config_files_done(ConfigFiles *files);

/* Reads FILE and its drop-ins into memory. 0; CONFIG_ERRORS (missing, not readable, no regular file, too large);
 * -ENOMEM. /dev/null counts as an empty file. */
int config_read(const char *file, ConfigFiles *ret, char ***ret_errors);

/* Bytes -> rules. `host` is this host's name for %H; NULL or a name that is none (RFC 1123, at most 253 bytes) is an
 * error only where %H is used. 0: *ret is the caller's, its warnings filled. CONFIG_ERRORS: *ret_errors is a list of at
 * least one message, the caller frees it with strv_free. -ENOMEM. */
int config_parse(const ConfigFiles *files, const char *host, Rules **ret, char ***ret_errors);

/* Both in one. */
int config_load(const char *file, const char *host, Rules **ret, char ***ret_errors);

/* One block of bytes that holds the files with their names and back: the daemon keeps the last good configuration so.
 * pack: 0 or -ENOMEM, the caller frees *ret. unpack: 0, -EBADMSG for bytes that pack did not write, -ENOMEM. Unpacked
 * files are not `exposed`. */
int config_pack(const ConfigFiles *files, char **ret, size_t *ret_length);
int config_unpack(const char *bytes, size_t length, ConfigFiles *ret);

/* True if both hold the same names and bytes. */
bool config_files_equal(const ConfigFiles *a, const ConfigFiles *b);

/* The keys of a kind of section ("portwatch", "port", "ignore", "notifier"), NULL-terminated; NULL: no such kind.
 * Of a notifier only those that are not its plugin's. Static storage. */
const char *const *config_keys(const char *kind);
