/* The event in one line: what subjects, summaries and headings say. */
#include <string.h>

#include "core/text.h"
#include "notify/moment.h"
#include "notify/phrase.h"
#include "notify/rows.h"

int64_t phrase_time(const json_t *object, const char *key) {
    int64_t usec;
    return moment_parse(json_string_value(json_object_get(object, key)), &usec) ? usec : 0;
}

static bool is(const json_t *object, const char *key, const char *value) {
    return strcmp(phrase_string(object, key), value) == 0;
}

/* The endpoints a headline speaks of. For a single port all that was and is; for the ephemeral ports together only what
 * differs. */
typedef struct Sides {
    const json_t *before, *after; /* borrowed from data or diff */
    RowsDiff diff;
    bool ephemeral;
} Sides;

static int sides_init(const json_t *data, Sides *ret) {
    Sides sides = {.ephemeral = !json_is_integer(json_object_get(data, "port"))};
    int r = rows_diff_data(data, &sides.diff);
    if (r < 0) return r;
    sides.before = json_object_get(data, "before");
    sides.after = json_object_get(data, "after");
    if (*phrase_string(data, "ending") && !is(data, "ending", "returned"))
        sides.before = json_object_get(data, "expected");
    if (sides.ephemeral) {
        sides.before = sides.diff.minus;
        sides.after = sides.diff.plus;
    }
    *ret = sides;
    return 0;
}

static void put_port(FILE *out, const json_t *data, const Sides *sides) {
    const char *protocol = phrase_string(data, "protocol"), *name = phrase_string(data, "name");
    if (!sides->ephemeral)
        fprintf(out, "%lld/%s", (long long)json_integer_value(json_object_get(data, "port")), protocol);
    else {
        bool came = json_array_size(sides->diff.plus) > 0;
        const json_t *rows = came ? sides->diff.plus : sides->diff.minus;
        size_t ports = phrase_count_ports(rows) + phrase_omitted(data, came ? "after" : "before");
        const json_t *first = json_array_get(rows, 0);
        if (ports == 1)
            fprintf(out, "ephemeral %lld/%s", (long long)json_integer_value(json_object_get(first, "port")), protocol);
        else if (ports == 0)
            fprintf(out, "ephemeral %s ports", protocol);
        else
            fprintf(out, "%zu ephemeral %s ports", ports, protocol);
    }
    if (*name) fprintf(out, " (%s)", name);
    phrase_in(out, data);
}

void phrase_port(FILE *out, const json_t *document) {
    Sides sides;
    if (phrase_is_whole(document)) {
        phrase_namespace(out, phrase_string(phrase_data(document), "namespace"));
        return;
    }
    if (sides_init(phrase_data(document), &sides) < 0) return;
    put_port(out, phrase_data(document), &sides);
    rows_diff_done(&sides.diff);
}

static void put_where(FILE *out, const char *before, const json_t *endpoints, const char *after) {
    if (json_array_size(endpoints) == 0) return;
    fputs(before, out);
    phrase_addresses(out, endpoints, false);
    fputs(after, out);
}

static void put_owners(FILE *out, const char *before, const json_t *endpoints, PhraseDetail detail) {
    if (json_array_size(endpoints) == 0) return;
    fputs(before, out);
    phrase_owners(out, endpoints, detail);
}

/* How long the difference stood: " after 3 min". */
static void put_stood(FILE *out, const json_t *data) {
    int64_t opened = phrase_time(data, "opened"), seen = phrase_time(data, "seen");
    char duration[DURATION_TEXT_MAX];
    if (opened > 0 && seen > opened) fprintf(out, " after %s", duration_format(seen - opened, duration));
}

/* " accepted until 18:00:00 CET by ops". */
static void put_accepted(FILE *out, const json_t *data) {
    const char *by = phrase_string(data, "by");
    int64_t until = phrase_time(data, "until"), seen = phrase_time(data, "seen");
    char clock[MOMENT_TEXT_MAX];
    fputs(" accepted", out);
    if (until) fprintf(out, " until %s", moment_clock(until, seen ? seen : until, clock));
    if (*by) fprintf(out, " by %s", by);
}

static void put_ended(FILE *out, const json_t *data, const Sides *sides) {
    const char *ending = phrase_string(data, "ending");
    const json_t *now = sides->after;
    if (strcmp(ending, "returned") == 0) {
        if (is(data, "change", "opened")) {
            fputs(" closed again", out);
            put_stood(out, data);
            put_owners(out, ": ", sides->before, PHRASE_NAME);
            return;
        }
        if (is(data, "change", "flapping")) {
            fputs(" steady again", out);
            put_stood(out, data);
            if (json_array_size(now) == 0) fputs(", closed", out);
        } else if (is(data, "change", "closed")) {
            fputs(" open again", out);
            put_stood(out, data);
        } else {
            fputs(" as expected again", out);
            put_stood(out, data);
        }
        put_where(out, ", on ", now, "");
    } else {
        if (strcmp(ending, "accepted") == 0)
            put_accepted(out, data);
        else if (strcmp(ending, "unwatched") == 0)
            fputs(" no longer watched by configuration", out);
        else if (strcmp(ending, "restated") == 0)
            fputs(" now as the configuration expects", out);
        else
            fputs(" is the new normal", out);
        if (json_array_size(now) == 0) {
            fputs(", closed", out);
            now = sides->before;
        } else
            put_where(out, ", on ", now, "");
    }
    if (json_array_size(sides->after) > 0 || phrase_has_owner(now)) put_owners(out, ": ", now, PHRASE_NAME);
}

static void put_owner_change(FILE *out, bool still, const Sides *sides) {
    PhraseDetail detail = sides->diff.detail;
    if (sides->ephemeral) {
        /* One program's socket went, another's came: neither took the other's port. */
        put_where(out, still ? " still open on " : " opened on ", sides->after, "");
        put_owners(out, ": ", sides->after, detail);
        put_owners(out, "; gone: ", sides->before, detail);
        return;
    }
    if (json_array_size(sides->diff.plus) == 0) {
        put_owners(out, still ? " still held by " : " held by ", sides->after, PHRASE_NAME);
        fputs(", not by whom the configuration states", out);
        return;
    }
    put_owners(out, still ? " still held by " : " now held by ", sides->after, detail);
    if (phrase_has_owner(sides->before)) put_owners(out, ", was ", sides->before, detail);
}

/* It comes and goes: how often, and within what time. */
static void put_flapping(FILE *out, const json_t *document, bool still, const Sides *sides) {
    const json_t *data = phrase_data(document);
    int64_t since = phrase_time(data, still ? "opened" : "seen"), time = phrase_time(document, "time");
    char duration[DURATION_TEXT_MAX];
    fprintf(out, " %sflapping, back %lld times", still ? "still " : "",
        (long long)json_integer_value(json_object_get(data, "returns")));
    if (since > 0 && time > since) fprintf(out, " in %s", duration_format(time - since, duration));
    put_owners(out, ": ", json_array_size(sides->after) > 0 ? sides->after : sides->before, PHRASE_NAME);
}

static void put_change(FILE *out, const json_t *document, const Sides *sides) {
    const json_t *data = phrase_data(document);
    bool still = strcmp(phrase_type(document), "reminder") == 0;
    if (is(data, "change", "closed")) {
        if (json_array_size(sides->before) == 0 || phrase_is_stated(sides->before)) {
            /* It may never have been open. */
            fprintf(out, "%s not open, though the configuration expects it", still ? " still" : "");
            put_where(out, " on ", sides->before, "");
            return;
        }
        fputs(still ? " still closed" : " closed", out);
        put_where(out, " (was on ", sides->before, ")");
        if (phrase_has_owner(sides->before)) put_owners(out, ": ", sides->before, PHRASE_NAME);
    } else if (is(data, "change", "opened")) {
        fputs(still ? " still open" : " opened", out);
        put_where(out, " on ", sides->after, "");
        put_owners(out, ": ", sides->after, PHRASE_NAME);
    } else if (is(data, "change", "flapping")) {
        put_flapping(out, document, still, sides);
    } else if (is(data, "change", "program")) {
        fputs(still ? " still" : "", out);
        fputs(phrase_is_outdated(sides->after) ? " held by a program whose file is gone or another by now"
                                               : " held by a program from another file than before",
            out);
        put_owners(out, ": ", sides->after, PHRASE_NAME);
    } else if (is(data, "change", "owner")) {
        put_owner_change(out, still, sides);
    } else {
        put_where(out, still ? " still on " : " now on ", sides->after, "");
        put_where(out, phrase_is_stated(sides->before) ? " (expected: " : " (was ", sides->before, ")");
        bool others =
            json_array_size(sides->diff.minus) > 0 && json_array_size(sides->diff.plus) > 0 && !sides->diff.same_owners;
        PhraseDetail detail = others ? sides->diff.detail : PHRASE_NAME;
        put_owners(out, ": ", sides->after, detail);
        if (others) put_owners(out, ", was ", sides->before, detail);
    }
}

static void put_portwatch(FILE *out, const json_t *document, const json_t *data) {
    const char *type = phrase_type(document), *subject = phrase_string(document, "subject");
    if (strcmp(type, "learned") == 0) {
        size_t ports = phrase_count_ports(json_object_get(data, "after")) + phrase_omitted(data, "after");
        fprintf(out, "watching %zu port%s", ports, ports == 1 ? "" : "s");
    } else if (strcmp(type, "test") == 0)
        fputs("test message", out);
    else if (is(data, "change", "blind")) {
        if (strcmp(type, "resolved") == 0)
            fputs("portwatch sees all host sockets again", out);
        else
            fprintf(
                out, "portwatch %s see all host sockets", strcmp(type, "reminder") == 0 ? "still cannot" : "cannot");
    } else
        fprintf(out, "portwatch: %s", *subject ? subject : "notice");
}

/* All ports of a namespace together: it closed, or that is over. */
static void put_whole(FILE *out, const json_t *data, const char *type) {
    const char *ending = phrase_string(data, "ending");
    phrase_namespace(out, phrase_string(data, "namespace"));
    if (strcmp(type, "resolved") == 0) {
        if (strcmp(ending, "returned") == 0) {
            fputs(" open again", out);
            put_stood(out, data);
        } else if (strcmp(ending, "accepted") == 0) {
            put_accepted(out, data);
            fputs(", closed", out);
        } else
            fputs(strcmp(ending, "unwatched") == 0 ? " no longer watched by configuration, closed"
                                                   : " now as the configuration expects, closed",
                out);
        return;
    }
    const json_t *before = json_object_get(data, "before");
    size_t ports = phrase_count_ports(before) + phrase_omitted(data, "before");
    fprintf(out, "%s closed, all its %zu ports", strcmp(type, "reminder") == 0 ? " still" : "", ports);
    if (phrase_has_owner(before)) put_owners(out, ": ", before, PHRASE_NAME);
}

char *phrase_summary(const json_t *document) {
    const json_t *data = phrase_data(document);
    char *text = NULL;
    size_t size;
    Sides sides = {0};
    bool port = phrase_is_port(document);
    if (port && sides_init(data, &sides) < 0) return NULL;
    FILE *out = open_memstream(&text, &size);
    if (out && phrase_is_whole(document))
        put_whole(out, data, phrase_type(document));
    else if (out && port) {
        put_port(out, data, &sides);
        if (strcmp(phrase_type(document), "resolved") == 0)
            put_ended(out, data, &sides);
        else
            put_change(out, document, &sides);
    } else if (out)
        put_portwatch(out, document, data);
    rows_diff_done(&sides.diff);
    if (!out) return NULL;
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
