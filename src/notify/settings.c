#include "notify/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "notify/utf8.h"

static void strvp(char ***list) {
    strv_free(*list);
}

void resolved_done(Resolved *resolved) {
    Frame frame = {.settings = resolved->settings, .n_settings = resolved->n};
    frame_done(&frame); /* wipes the values */
    free(resolved->origins);
    *resolved = (Resolved){0};
}

void resolved_move(Resolved *resolved, const NotifierRule *from, const NotifierRule *to) {
    for (size_t i = 0; i < resolved->n; i++)
        resolved->origins[i] = &to->settings[resolved->origins[i] - from->settings];
}

__attribute__((format(printf, 5, 6))) static int complain(
    char ***errors, const NotifierRule *rule, const Place *place, const char *key, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    _cleanup_free_ char *reason = text_vprintf(format, arguments);
    va_end(arguments);
    if (!reason) return -ENOMEM;
    if (!place || !place->file) place = &rule->place;
    _cleanup_free_ char *line = text_printf("%s:%u: [notifier:%s] %s%s%s", place->file ? place->file : "-", place->line,
        rule->name, key ? key : "", key ? ": " : "", reason);
    if (!line) return -ENOMEM;
    return strv_append(errors, line);
}

/* How a setting gives its key a value. */
typedef enum Form { FORM_PLAIN, FORM_FILE, FORM_CREDENTIAL } Form;

static const FrameKey *key_find(const FrameKey *keys, size_t n, const char *name, Form *ret_form) {
    size_t length = strlen(name);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(keys[i].name, name) == 0 && !(keys[i].flags & PW_KEY_FILE_ONLY)) {
            *ret_form = FORM_PLAIN;
            return &keys[i];
        }
    }
    for (size_t i = 0; i < n; i++) {
        size_t k = strlen(keys[i].name);
        if ((keys[i].flags & (PW_KEY_FILE | PW_KEY_FILE_ONLY | PW_KEY_SECRET)) && length == k + 5 &&
            strncmp(keys[i].name, name, k) == 0 && strcmp(name + k, "_file") == 0) {
            *ret_form = FORM_FILE;
            return &keys[i];
        }
        if ((keys[i].flags & PW_KEY_CREDENTIAL) && strcmp(name, "credential") == 0) {
            *ret_form = FORM_CREDENTIAL;
            return &keys[i];
        }
    }
    return NULL;
}

/* Reads a small regular file (never a FIFO or device, which could block or have no end). */
static int file_read(const char *path, char **ret) {
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0) return -errno;
    if (S_ISDIR(st.st_mode)) return -EISDIR;
    if (!S_ISREG(st.st_mode)) return -EINVAL;
    _cleanup_free_ char *data = malloc(SETTINGS_FILE_MAX + 1);
    if (!data) return -ENOMEM;
    size_t length = 0;
    for (;;) {
        ssize_t n = read(fd, data + length, SETTINGS_FILE_MAX + 1 - length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -errno;
        if (n == 0) break;
        length += (size_t)n;
        if (length > SETTINGS_FILE_MAX) return -EFBIG;
    }
    if (length > 0 && data[length - 1] == '\n') length--;
    if (length > 0 && data[length - 1] == '\r') length--;
    if (length == 0) return -ENODATA;
    if (memchr(data, '\0', length)) return -EILSEQ;
    char *text = strndup(data, length);
    explicit_bzero(data, length);
    if (!text) return -ENOMEM;
    *ret = text;
    return 0;
}

static const char *read_fault(int error) {
    switch (error) {
    case -ENODATA:
        return "is empty";
    case -EINVAL:
        return "is not a regular file";
    case -EFBIG:
        return "is larger than 1 MiB";
    case -EILSEQ:
        return "holds NUL bytes or is not UTF-8";
    default:
        return strerror(-error);
    }
}

static int setting_add(Resolved *resolved, const char *key, const char *value, const Setting *origin) {
    FrameSetting *settings = reallocarray(resolved->settings, resolved->n + 1, sizeof(FrameSetting));
    if (!settings) return -ENOMEM;
    resolved->settings = settings;
    const Setting **origins = reallocarray(resolved->origins, resolved->n + 1, sizeof(Setting *));
    if (!origins) return -ENOMEM;
    resolved->origins = origins;
    FrameSetting *s = &settings[resolved->n];
    *s = (FrameSetting){.key = strdup(key), .value = strdup(value)};
    origins[resolved->n++] = origin;
    return s->key && s->value ? 0 : -ENOMEM;
}

/* A file of a repeating key gives one value a line; empty lines and # comments are skipped. -ENODATA: no value. */
static int lines_add(Resolved *resolved, const char *key, char *text, const Setting *origin) {
    char *save = NULL;
    size_t before = resolved->n;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        size_t n = strlen(line);
        if (n > 0 && line[n - 1] == '\r') line[n - 1] = '\0';
        if (line[0] == '\0' || line[0] == '#') continue;
        int r = setting_add(resolved, key, line, origin);
        if (r < 0) return r;
    }
    return resolved->n > before ? 0 : -ENODATA;
}

/* What the unit passes of its folder is called portwatch_NAME (LoadCredential=portwatch:FOLDER); what somebody else
 * passes, and the folder itself, has the plain name. *path: the last that was tried. */
static int credential_read(const char *directory, const char *name, char **path, char **ret) {
    static const char *const prefixes[] = {"portwatch_", ""};
    int r = -ENOENT;
    for (size_t i = 0; i < ELEMENTSOF(prefixes) && r == -ENOENT; i++) {
        free(*path);
        *path = text_printf("%s/%s%s", directory, prefixes[i], name);
        r = *path ? file_read(*path, ret) : -ENOMEM;
    }
    return r;
}

static int value_take(const NotifierRule *rule, const Setting *setting, const FrameKey *key, Form form,
    const char *credentials, Resolved *resolved, char ***errors) {
    const Place *place = &setting->place;
    if (form == FORM_PLAIN) {
        if (!utf8_valid(setting->value)) return complain(errors, rule, place, setting->key, "is not UTF-8");
        return setting_add(resolved, key->name, setting->value, setting);
    }
    _cleanup_free_ char *path = NULL, *text = NULL;
    int r;
    if (form == FORM_CREDENTIAL) {
        if (strchr(setting->value, '/') || strcmp(setting->value, ".") == 0 || strcmp(setting->value, "..") == 0)
            return complain(errors, rule, place, setting->key, "is a name, not a path");
        if (!credentials) return complain(errors, rule, place, setting->key, "there are no credentials here");
        r = credential_read(credentials, setting->value, &path, &text);
    } else {
        if (setting->value[0] != '/') return complain(errors, rule, place, setting->key, "is not an absolute path");
        path = strdup(setting->value);
        r = path ? file_read(path, &text) : -ENOMEM;
    }
    if (r == -ENOMEM) return r;
    if (r == 0 && !utf8_valid(text)) r = -EILSEQ;
    const char *hint = r == -ENOENT && form == FORM_CREDENTIAL ? " (the service sees a new one after a restart)" : "";
    if (r < 0) return complain(errors, rule, place, setting->key, "%s: %s%s", path, read_fault(r), hint);
    r = key->flags & PW_KEY_REPEAT ? lines_add(resolved, key->name, text, setting)
                                   : setting_add(resolved, key->name, text, setting);
    explicit_bzero(text, strlen(text));
    return r == -ENODATA ? complain(errors, rule, place, setting->key, "%s: %s", path, read_fault(r)) : r;
}

int settings_resolve(const NotifierRule *rule, const FrameKey *keys, size_t n_keys, const char *credentials,
    Resolved *ret, char ***errors) {
    _cleanup_(resolved_done) Resolved resolved = {0};
    _cleanup_(strvp) char **found = NULL;
    _cleanup_free_ const Setting **first = calloc(n_keys ? n_keys : 1, sizeof(Setting *));
    if (!first) return -ENOMEM;
    int r = 0;
    for (size_t i = 0; r == 0 && i < rule->n_settings; i++) {
        const Setting *s = &rule->settings[i];
        Form form = FORM_PLAIN;
        const FrameKey *key = key_find(keys, n_keys, s->key, &form);
        if (!key) {
            r = complain(&found, rule, &s->place, s->key, "unknown key for plugin %s", rule->plugin);
            continue;
        }
        const Setting **before = &first[key - keys];
        if (*before && !(key->flags & PW_KEY_REPEAT)) {
            r = complain(&found, rule, &s->place, s->key, "%s is already given in line %u", (*before)->key,
                (*before)->place.line);
            continue;
        }
        if (!*before) *before = s;
        r = value_take(rule, s, key, form, credentials, &resolved, &found);
    }
    for (size_t i = 0; r == 0 && i < n_keys; i++)
        if ((keys[i].flags & PW_KEY_REQUIRED) && !first[i])
            r = complain(&found, rule, NULL, keys[i].name, "is required by plugin %s", rule->plugin);
    if (r == 0 && resolved.n > FRAME_SETTINGS_MAX) r = settings_trouble(rule, "has too many settings", &found);
    for (char **e = found; r == 0 && e && *e; e++) r = strv_append(errors, *e);
    if (r < 0) return r;
    *ret = resolved;
    resolved = (Resolved){0};
    return 0;
}

int settings_fault(const NotifierRule *rule, const Resolved *resolved, const FrameFault *fault, char ***errors) {
    const Setting *origin = NULL;
    if (fault->setting >= 0 && (size_t)fault->setting < resolved->n) origin = resolved->origins[fault->setting];
    for (size_t i = 0; !origin && i < resolved->n; i++)
        if (strcmp(resolved->settings[i].key, fault->key) == 0) origin = resolved->origins[i];
    _cleanup_free_ char *key = text_escape(fault->key, strlen(fault->key));
    _cleanup_free_ char *reason = text_escape(fault->reason, strnlen(fault->reason, PW_REASON_MAX));
    if (!key || !reason) return -ENOMEM;
    return complain(errors, rule, origin ? &origin->place : NULL, origin ? origin->key : key, "%s", reason);
}

int settings_trouble(const NotifierRule *rule, const char *reason, char ***errors) {
    return complain(errors, rule, NULL, NULL, "%s", reason);
}
