#include "config/reader.h"

#include <errno.h>
#include <ini.h>
#include <string.h>

#define BLANKS " \t\v\f\r"
#define SECTION_NONE (-1)   /* no header yet */
#define SECTION_BROKEN (-2) /* its header was refused: its keys are looked at, and dropped */

typedef struct Reader {
    const ConfigFile *file;
    Draft *draft;
    Complaints *complaints;
    size_t position;
    unsigned line;
    ssize_t section;
    char text[CONFIG_LINE_MAX + 1]; /* the present line */
    char *key, *value;              /* into text: what inih should report; NULL: nothing */
} Reader;

static Spot reader_spot(const Reader *reader) {
    return (Spot){.file = reader->file, .line = reader->line};
}

static const char *reader_section(const Reader *reader) {
    return reader->section >= 0 ? reader->draft->sections[reader->section].header : NULL;
}

/* Marks the section as well: what else seems missing in it may be on the refused line. */
#define reader_error(reader, key, ...)                                                                                 \
    do {                                                                                                               \
        if ((reader)->section >= 0) (reader)->draft->sections[(reader)->section].damaged = true;                       \
        complaint_error((reader)->complaints, reader_spot(reader), reader_section(reader), key, __VA_ARGS__);          \
    } while (0)

static char *trim(char *text) {
    text += strspn(text, BLANKS);
    size_t length = strlen(text);
    while (length > 0 && strchr(BLANKS, text[length - 1])) text[--length] = '\0';
    return text;
}

/* True if nothing in it has to be escaped for people but backslashes. */
static bool is_clean(Reader *reader, const char *text) {
    size_t expected = strlen(text);
    _cleanup_free_ char *escaped = text_escape(text, expected);
    if (!escaped) {
        reader->complaints->no_memory = true;
        return false;
    }
    for (const char *p = text; *p; p++) expected += *p == '\\';
    return strlen(escaped) == expected;
}

static bool has_inline_comment(const char *text) {
    for (const char *p = text; *p; p++)
        if (*p == ';' && p > text && strchr(BLANKS, p[-1])) return true;
    return false;
}

/* A key that may be shown: what is none may be a piece of a secret. */
static bool key_is_plain(const char *key) {
    size_t length = strlen(key);
    return length > 0 && length <= 32 && strspn(key, "abcdefghijklmnopqrstuvwxyz_") == length;
}

/* The key of a line that is refused as a whole, NULL if it seems to have none. */
static const char *line_key(const char *line, size_t length, char buffer[static KEY_NAME_MAX + 1]) {
    const char *equals = memchr(line, '=', length);
    size_t n = equals ? (size_t)(equals - line) : 0;
    if (n > KEY_NAME_MAX) return NULL;
    memcpy(buffer, line, n);
    buffer[n] = '\0';
    buffer = trim(buffer);
    return key_is_plain(buffer) ? buffer : NULL;
}

static bool check_header(Reader *reader) {
    char *name = reader->text + 1;
    char *end = strchr(name, ']');

    reader->section = SECTION_BROKEN;
    if (!end) {
        reader_error(reader, NULL, "a section header needs a closing ']'");
        return false;
    }
    const char *tail = trim(end + 1);
    *end = '\0';
    if (!is_clean(reader, name))
        reader_error(reader, NULL, "control characters or invalid UTF-8 in a section header");
    else if (*tail)
        reader_error(reader, NULL, "something follows the section header [%s]%s", name,
            *tail == ';' || *tail == '#' ? "; comments need a line of their own" : "");
    else if (strlen(name) > SECTION_NAME_MAX)
        reader_error(
            reader, NULL, "a section name of %zu bytes is too long, at most %d", strlen(name), SECTION_NAME_MAX);
    else if (*name == '\0')
        reader_error(reader, NULL, "a section header without a name");
    else if (strpbrk(name, BLANKS ";#["))
        reader_error(reader, NULL, "the section name '%s' holds a space, '[', ';' or '#'", name);
    else {
        ssize_t section = draft_begin(reader->draft, reader->complaints, reader_spot(reader), name);
        if (section >= 0) {
            reader->section = section;
            *end = ']';
            return true;
        }
    }
    return false;
}

static bool check_key(Reader *reader) {
    char *equals = strchr(reader->text, '=');
    const char *colon = strchr(reader->text, ':');

    /* The line itself is not shown: it may be the torn half of a secret. */
    if (!equals) {
        reader_error(reader, NULL,
            colon ? "keys are written 'key = value', not 'key: value'"
                  : "neither a [section], nor 'key = value', nor a comment");
        return false;
    }
    if (colon && colon < equals) {
        reader_error(reader, NULL, "a ':' stands before the '='; keys are written 'key = value'");
        return false;
    }
    bool comment = has_inline_comment(reader->text);
    *equals = '\0';
    char *key = trim(reader->text), *value = trim(equals + 1);
    if (*key == '\0') {
        reader_error(reader, NULL, "a '=' without a key before it");
        return false;
    }
    if (comment) {
        reader_error(reader, key_is_plain(key) ? key : NULL,
            "a ' ;' in the line; there are no inline comments: put the comment on a line of its own, or a value that "
            "needs it into a file (password_file, ...)");
        return false;
    }
    if (strlen(key) > KEY_NAME_MAX) {
        reader_error(reader, NULL, "a key of %zu bytes is too long, at most %d", strlen(key), KEY_NAME_MAX);
        return false;
    }
    if (key[strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] != '\0') {
        reader_error(reader, NULL, "a key has letters, digits, '_' and '-' only");
        return false;
    }
    if (!is_clean(reader, value)) {
        reader_error(reader, key, "control characters or invalid UTF-8 in the value");
        return false;
    }
    if (*value == '\0') {
        reader_error(reader, key, "no value; leave the line out for the default");
        return false;
    }
    if (reader->section == SECTION_NONE) {
        reader_error(reader, key, "stands before the first [section]; did you mean to begin with [portwatch]?");
        return false;
    }
    if (reader->section == SECTION_BROKEN) return false;
    reader->key = key;
    reader->value = value;
    return true;
}

/* Looks at a line of `length` bytes that is no comment; true if it is in reader->text and fit for inih. */
static bool check_line(Reader *reader, const char *line, size_t length) {
    bool header = line[0] == '[';
    char key[KEY_NAME_MAX + 1];

    if (strchr(BLANKS, line[0])) {
        reader_error(reader, line_key(line, length, key),
            "the line begins with a space; keys and sections begin at the start of the line");
        return false;
    }
    if (length > CONFIG_LINE_MAX) {
        reader_error(reader, header ? NULL : line_key(line, length, key),
            "a line of %zu bytes is too long, at most %d; long values go into a file (header_file, url_file, "
            "password_file) or into several lines (to, address)",
            length, CONFIG_LINE_MAX);
        if (header) reader->section = SECTION_BROKEN;
        return false;
    }
    memcpy(reader->text, line, length);
    reader->text[length] = '\0';
    return header ? check_header(reader) : check_key(reader);
}

/* The ini_reader of inih: one line a call, NULL at the end. Lines that inih is not to see become empty ones. */
static char *reader_next(char *buffer, int size, void *stream) {
    Reader *reader = stream;
    const ConfigFile *file = reader->file;

    if (reader->key) {
        reader_error(reader, reader->key, "the INI library passed over this line");
        reader->key = reader->value = NULL;
    }
    if (reader->position >= file->length || reader->complaints->no_memory) return NULL;

    const char *line = file->bytes + reader->position;
    const char *newline = memchr(line, '\n', file->length - reader->position);
    size_t length = newline ? (size_t)(newline - line) : file->length - reader->position;
    reader->position += length + (newline != NULL);
    reader->line++;

    if (reader->line == 1 && length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3;
        length -= 3;
    }
    if (memchr(line, '\0', length)) {
        /* A binary or UTF-16 file: one message, not one a line. */
        reader_error(reader, NULL, "a NUL byte: not a text file in UTF-8, the rest is not read");
        return NULL;
    }
    if (length > 0 && line[length - 1] == '\r') length--;

    size_t blank = 0;
    while (blank < length && strchr(BLANKS, line[blank])) blank++;
    bool comment = blank == length || line[blank] == ';' || line[blank] == '#';
    bool pass = !comment && check_line(reader, line, length);
    if (pass && (size_t)size < length + 3) {
        reader_error(reader, NULL, "a line of %zu bytes is too long for this build of the INI library", length);
        reader->key = reader->value = NULL;
        pass = false;
    }
    snprintf(buffer, (size_t)size, "%.*s\n", pass ? (int)length : 0, line);
    return buffer;
}

static int reader_take(void *user, const char *section, const char *key, const char *value) {
    Reader *reader = user;

    if (!reader->key || reader->section < 0 || !key || !value || strcmp(section, reader_section(reader)) != 0 ||
        strcmp(key, reader->key) != 0 || strcmp(value, reader->value) != 0)
        reader_error(reader, reader->key, "the INI library reads this line differently; write it more plainly");
    else
        draft_add(reader->draft, reader->complaints, (size_t)reader->section, reader_spot(reader), key, value);
    reader->key = reader->value = NULL;
    return 1;
}

int reader_read(const ConfigFile *file, Draft *draft, Complaints *complaints) {
    Reader reader = {.file = file, .draft = draft, .complaints = complaints, .section = SECTION_NONE};
    size_t errors = complaints->n_errors;

    /* inih numbers lines as the reader does: it got one for each. */
    int r = ini_parse_stream(reader_next, &reader, reader_take, &reader);
    if (complaints->no_memory || r == -2) return -ENOMEM;
    if (r != 0 && complaints->n_errors == errors)
        complaint_error(
            complaints, (Spot){.file = file, .line = r > 0 ? (unsigned)r : 0}, NULL, NULL, "not understood");
    return 0;
}
