#include "config/complaint.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "core/cleanup.h"

static char *complaint_format(Spot spot, const char *section, const char *key, const char *reason) {
    _cleanup_free_ char *raw = NULL;
    char line[16] = "";
    if (spot.line > 0) snprintf(line, sizeof(line), ":%u", spot.line);

    int n = asprintf(&raw, "%s%s: %s%s%s%s%s%s%s", spot.file->name, line, section ? "[" : "", section ? section : "",
        section ? "]" : "", section && key ? " " : "", key ? key : "", section || key ? ": " : "", reason);
    if (n < 0) {
        raw = NULL;
        return NULL;
    }
    return text_escape(raw, (size_t)n);
}

__attribute__((format(printf, 6, 0))) static void complaint_add(Complaints *complaints, bool warning, Spot spot,
    const char *section, const char *key, const char *format, va_list arguments) {
    size_t *counter = warning ? &complaints->n_warnings : &complaints->n_errors;
    if ((*counter)++ >= COMPLAINTS_MAX) return;

    char *reason = text_vprintf(format, arguments);
    if (!reason) {
        complaints->no_memory = true;
        return;
    }
    char *text = complaint_format(spot, section, key, reason);
    free(reason);
    Complaint *items = text ? reallocarray(complaints->items, complaints->n + 1, sizeof(*complaints->items)) : NULL;
    if (!items) {
        free(text);
        complaints->no_memory = true;
        return;
    }
    complaints->items = items;
    /* A complaint about a whole file may outlive what the caller calls a file. */
    Spot kept = {.file = spot.line > 0 ? spot.file : NULL, .line = spot.line};
    items[complaints->n++] = (Complaint){.spot = kept, .warning = warning, .text = text};
}

void complaint_error(Complaints *complaints, Spot spot, const char *section, const char *key, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complaint_add(complaints, false, spot, section, key, format, arguments);
    va_end(arguments);
}

void complaint_warning(
    Complaints *complaints, Spot spot, const char *section, const char *key, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    complaint_add(complaints, true, spot, section, key, format, arguments);
    va_end(arguments);
}

static int complaint_compare(const void *left, const void *right) {
    const Complaint *a = left, *b = right;
    if (a->spot.file != b->spot.file) return a->spot.file < b->spot.file ? -1 : 1;
    if (a->spot.line != b->spot.line) return a->spot.line < b->spot.line ? -1 : 1;
    return strcmp(a->text, b->text);
}

int complaints_list(Complaints *complaints, bool warnings, char ***ret) {
    _cleanup_(list_free) char **list = NULL;
    if (complaints->no_memory) return -ENOMEM;
    if (complaints->n > 0) qsort(complaints->items, complaints->n, sizeof(*complaints->items), complaint_compare);

    for (size_t i = 0; i < complaints->n; i++) {
        if (complaints->items[i].warning != warnings) continue;
        int r = strv_append(&list, complaints->items[i].text);
        if (r < 0) return r;
    }
    size_t all = warnings ? complaints->n_warnings : complaints->n_errors;
    if (all > COMPLAINTS_MAX) {
        char more[64];
        snprintf(more, sizeof(more), "and %zu more", all - COMPLAINTS_MAX);
        int r = strv_append(&list, more);
        if (r < 0) return r;
    }
    *ret = TAKE_PTR(list);
    return 0;
}

void complaints_done(Complaints *complaints) {
    for (size_t i = 0; i < complaints->n; i++) free(complaints->items[i].text);
    free(complaints->items);
    *complaints = (Complaints){0};
}
