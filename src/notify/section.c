#include "notify/section.h"

#include <errno.h>
#include <string.h>

#include "core/text.h"
#include "notify/document.h"
#include "notify/moment.h"
#include "notify/phrase.h"
#include "notify/rows.h"
#include "notify/tell.h"

#define OWNERS_MAX 5
#define ARGUMENTS_MAX 240
/* A mail stays one that people read, and mail servers take, however large the host. */
#define ROWS_MAX 50
#define LEARNED_MAX 500

/* Whose owners are described: who stands there now, else who did. Of the ephemeral ports only what differs. */
static int concerned(const json_t *data, json_t **ret) {
    const json_t *after = json_object_get(data, "after"), *before = json_object_get(data, "before");
    RowsDiff diff = {0};
    if (!json_is_integer(json_object_get(data, "port"))) {
        int r = rows_diff_data(data, &diff);
        if (r < 0) return r;
        after = diff.plus;
        before = diff.minus;
    }
    *ret = json_incref((json_t *)(json_array_size(after) > 0 ? after : before));
    rows_diff_done(&diff);
    return 0;
}

/* `gone`: it is what the baseline knows; its process may have been another one when it went. */
static void owner_line(FILE *out, const json_t *owner, bool gone) {
    const char *unit = phrase_string(owner, "unit"), *shown = phrase_string(owner, "unit_shown");
    const char *exe = phrase_string(owner, "exe"), *exe_shown = phrase_string(owner, "exe_shown");
    const char *user = phrase_string(owner, "user"), *package = phrase_string(owner, "package");
    const json_t *uid = json_object_get(owner, "uid"), *pid = json_object_get(owner, "pid");
    if (*shown || *unit)
        phrase_name(out, *shown ? shown : unit);
    else
        fputs("no known unit", out);
    if (*exe_shown) {
        fputs(", ", out);
        phrase_name(out, exe_shown);
    }
    fputs(*exe_shown ? ", socket held by " : ", ", out);
    if (*exe)
        phrase_name(out, exe);
    else
        fputs("executable not known", out);
    if (json_is_true(json_object_get(owner, "exe_deleted"))) fputs(" (its file is gone)", out);
    if (json_is_true(json_object_get(owner, "exe_replaced"))) fputs(" (its file was replaced since)", out);
    if (*package) {
        fputs(" of package ", out);
        phrase_name(out, package);
    }
    if (*user) {
        fputs(", user ", out);
        phrase_name(out, user);
    } else if (json_is_integer(uid))
        fprintf(out, ", uid %lld", (long long)json_integer_value(uid));
    else
        fputs(", user not known", out);
    if (!gone && json_is_integer(pid)) fprintf(out, ", pid %lld", (long long)json_integer_value(pid));
    fputc('\n', out);
}

/* At most `max` columns of a text that is escaped already. */
static void clipped(FILE *out, const char *text, size_t max) {
    size_t columns = 0;
    for (const char *p = text; *p; p++) {
        if (((unsigned char)*p & 0xC0) != 0x80 && ++columns > max) {
            fputs("...", out);
            break;
        }
        fputc(*p, out);
    }
    fputc('\n', out);
}

static void arguments_line(FILE *out, const json_t *owner) {
    const char *line = phrase_string(owner, "cmdline");
    if (!*line || strcmp(line, phrase_string(owner, "exe")) == 0) return;
    fputs("Args   ", out);
    clipped(out, line, ARGUMENTS_MAX);
}

static int owners_block(FILE *out, const json_t *endpoints, bool arguments, bool gone) {
    json_t *seen = json_array();
    size_t n = 0, more = 0;
    for (size_t i = 0; seen && i < json_array_size(endpoints); i++) {
        json_t *owners = phrase_endpoint_owners(json_array_get(endpoints, i));
        for (size_t k = 0; k < json_array_size(owners); k++) {
            json_t *owner = json_array_get(owners, k);
            bool known = false;
            for (size_t m = 0; !known && m < json_array_size(seen); m++)
                known = json_equal(json_array_get(seen, m), owner);
            if (known) continue;
            if (json_array_append(seen, owner) < 0) break;
            if (n == OWNERS_MAX) {
                more++;
                continue;
            }
            fprintf(out, "%s%s  ", n == 0 ? "\n" : "", gone ? "Was  " : "Owner");
            owner_line(out, owner, gone);
            if (arguments) arguments_line(out, owner);
            n++;
        }
        json_decref(owners);
    }
    if (more) fprintf(out, "       and %zu more\n", more);
    if (n == 0 && !gone && json_array_size(endpoints) > 0) fputs("\nOwner  not known\n", out);
    bool good = seen != NULL;
    json_decref(seen);
    return good ? 0 : -ENOMEM;
}

/* Why, as far as systemd and the journal know; what a process has logged only in full detail. */
static void cause_block(FILE *out, const json_t *data, bool journal) {
    const json_t *cause = json_object_get(data, "cause");
    if (!json_is_object(cause)) return;
    const char *summary = phrase_string(cause, "summary"), *missing = phrase_string(cause, "missing");
    fputs("Cause  ", out);
    clipped(out, *summary ? summary : "not known", ARGUMENTS_MAX);
    if (*missing) {
        fputs("       not known: ", out);
        clipped(out, missing, ARGUMENTS_MAX);
    }
    const json_t *lines = json_object_get(cause, "journal");
    for (size_t i = 0; journal && i < json_array_size(lines); i++) {
        const char *line = json_string_value(json_array_get(lines, i));
        fputs("       | ", out);
        clipped(out, line ? line : "", ARGUMENTS_MAX);
    }
}

static int rows_block(FILE *out, const json_t *data) {
    RowsDiff diff = {0};
    int r = rows_diff_data(data, &diff);
    if (r < 0) return r;
    Grid *grid = grid_new(3);
    if (!grid)
        r = -ENOMEM;
    else {
        /* What stayed is shown where it says something about what did not. */
        bool context = json_is_integer(json_object_get(data, "port"));
        rows_add(grid, "-", diff.minus, diff.detail, ROWS_MAX, phrase_omitted(data, "before"));
        rows_add(grid, "+", diff.plus, diff.detail, ROWS_MAX, phrase_omitted(data, "after"));
        if (context && grid_rows(grid) > 0) rows_add(grid, " ", diff.same, diff.detail, ROWS_MAX, 0);
        if (grid_rows(grid) > 0) {
            fputc('\n', out);
            r = grid_print(grid, out, "");
        }
    }
    grid_free(grid);
    rows_diff_done(&diff);
    return r;
}

/* The events this one stands for, itself last. */
static int merged_block(FILE *out, const json_t *document, const ProseOptions *options) {
    const json_t *data = phrase_data(document), *merged = json_object_get(data, "merged");
    if (json_array_size(merged) == 0) return 0;
    Grid *grid = grid_new(3);
    if (!grid) return -ENOMEM;
    char clock[MOMENT_TEXT_MAX];
    for (size_t i = 0; i <= json_array_size(merged); i++) {
        const json_t *row = i < json_array_size(merged) ? json_array_get(merged, i) : document;
        int64_t time = phrase_time(row, "time");
        grid_cell(grid, time ? moment_clock(time, options->formed, clock) : "");
        grid_cell(grid, phrase_type(row));
        grid_cell(grid, phrase_string(row == document ? data : row, "summary"));
    }
    fputs("\nIn order:\n", out);
    int r = grid_print(grid, out, "  ");
    grid_free(grid);
    return r;
}

static void next_block(FILE *out, const json_t *data, const ProseOptions *options) {
    const json_t *next = json_object_get(data, "next");
    if (json_array_size(next) == 0) return;
    int host = (int)strcspn(options->host, ".");
    fprintf(out, "\nOn %.*s:\n", host ? host : 9, host ? options->host : "this host");
    for (size_t i = 0; i < json_array_size(next); i++) {
        const json_t *row = json_array_get(next, i);
        fprintf(out, "  %-5s  %s\n", phrase_string(row, "label"), phrase_string(row, "command"));
    }
}

/* Every endpoint of a fresh baseline, those that others can reach first. */
static int learned_block(FILE *out, const json_t *data) {
    const json_t *after = json_object_get(data, "after");
    int r = 0;
    for (int local = 0; r >= 0 && local <= 1; local++) {
        json_t *part = json_array();
        Grid *grid = grid_new(3);
        for (size_t i = 0; part && i < json_array_size(after); i++) {
            json_t *endpoint = json_array_get(after, i);
            if (phrase_is_local(endpoint) == (local == 1)) json_array_append(part, endpoint);
        }
        if (!part || !grid)
            r = -ENOMEM;
        else if (json_array_size(part) > 0) {
            fputs(local ? "\nOn this host only:\n" : "\nOn addresses that others can send to:\n", out);
            rows_add(grid, "", part, PHRASE_NAME, LEARNED_MAX, local ? 0 : phrase_omitted(data, "after"));
            r = grid_print(grid, out, "  ");
        }
        json_decref(part);
        grid_free(grid);
    }
    return r;
}

int section_write(FILE *out, const json_t *document, const ProseOptions *options) {
    const json_t *data = phrase_data(document);
    int r = tell_write(out, document, options);
    if (r >= 0 && phrase_is_port(document)) {
        _cleanup_json_ json_t *endpoints = NULL;
        r = rows_block(out, data);
        if (r >= 0) r = concerned(data, &endpoints);
        bool gone = json_array_size(json_object_get(data, "after")) == 0;
        if (r >= 0) r = owners_block(out, endpoints, options->detail_full, gone);
        if (r >= 0) cause_block(out, data, options->detail_full);
    } else if (r >= 0 && strcmp(phrase_type(document), "learned") == 0)
        r = learned_block(out, data);
    if (r >= 0) r = merged_block(out, document, options);
    if (r < 0) return r;
    next_block(out, data, options);
    return 0;
}
