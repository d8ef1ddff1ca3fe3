#include "notify/tell.h"

#include <errno.h>
#include <string.h>

#include "core/text.h"
#include "notify/moment.h"
#include "notify/phrase.h"
#include "notify/rows.h"

typedef struct Teller {
    FILE *out;
    const json_t *document, *data;
    const json_t *before, *after;
    int64_t now, seen, opened;
    PhraseDetail detail;
    bool same_owners;
    const char *does, *do_; /* listens, listen */
} Teller;

static bool is(const json_t *object, const char *key, const char *value) {
    return strcmp(phrase_string(object, key), value) == 0;
}

/* "Since 14:02:03 CET ", or "Now " where the time is not known. */
static void put_since(const Teller *t) {
    char clock[MOMENT_TEXT_MAX];
    if (t->seen)
        fprintf(t->out, "Since %s ", moment_clock(t->seen, t->now, clock));
    else
        fputs("Now ", t->out);
}

static size_t count_owners(const json_t *endpoints) {
    size_t most = 1;
    const json_t *first = NULL;
    for (size_t i = 0; i < json_array_size(endpoints); i++) {
        const json_t *endpoint = json_array_get(endpoints, i), *owner = json_object_get(endpoint, "owner");
        if (json_array_size(json_object_get(endpoint, "owners")) > 1) most = 2;
        if (first && !json_equal(json_object_get(first, "exe"), json_object_get(owner, "exe"))) most = 2;
        if (!first) first = owner;
    }
    return most;
}

/* "postgres listens on all IPv4 and IPv6 addresses". */
static void put_listens(const Teller *t, const json_t *endpoints, const char *again) {
    phrase_owners(t->out, endpoints, t->detail);
    fprintf(t->out, " %s%s on ", count_owners(endpoints) > 1 ? t->do_ : t->does, again);
    phrase_addresses(t->out, endpoints, true);
    if (!json_is_integer(json_object_get(t->data, "port")) && phrase_count_ports(endpoints) == 1)
        fprintf(t->out, ", port %lld",
            (long long)json_integer_value(json_object_get(json_array_get(endpoints, 0), "port")));
}

/* "Until then, for 41 days, ": how long what was expected had stood, as far as the baseline knows. */
static void put_until_then(const Teller *t) {
    int64_t since = 0;
    for (size_t i = 0; i < json_array_size(t->before); i++) {
        int64_t its = phrase_time(json_array_get(t->before, i), "since");
        if (its > since) since = its;
    }
    char duration[DURATION_TEXT_MAX];
    int64_t until = t->opened ? t->opened : t->seen;
    fputs("Until then, ", t->out);
    if (since > 0 && until > since) fprintf(t->out, "for %s, ", duration_format(until - since, duration));
}

/* What was expected, said as the counterpart of what changed. */
static void put_before(const Teller *t) {
    bool stated = json_array_size(t->before) == 0 && !is(t->data, "change", "opened");
    if (stated || (is(t->data, "change", "owner") && t->same_owners && json_array_size(t->after) > 0)) {
        fputs(is(t->data, "change", "closed") ? "The configuration says that it must be open.\n"
                                              : "The configuration states something else.\n",
            t->out);
        return;
    }
    if (json_array_size(t->before) == 0 && is(t->data, "expect", "closed")) {
        fprintf(t->out, "The configuration says that nothing may %s here.\n", t->do_);
        return;
    }
    if (json_array_size(t->before) == 0) {
        fputs("Until then nothing was expected on this port.\n", t->out);
        return;
    }
    if (phrase_is_stated(t->before)) {
        fputs("The configuration expects it on ", t->out);
        phrase_addresses(t->out, t->before, json_array_size(t->after) == 0);
        fputs(".\n", t->out);
        return;
    }
    put_until_then(t);
    if ((!t->same_owners || json_array_size(t->after) == 0) && phrase_has_owner(t->before)) {
        phrase_owners(t->out, t->before, t->detail);
        fputs(is(t->data, "protocol", "tcp") ? " listened " : " received ", t->out);
    }
    fputs("on ", t->out);
    phrase_addresses(t->out, t->before, json_array_size(t->after) == 0);
    fputs(".\n", t->out);
}

static void put_stood(const Teller *t, const char *what) {
    char clock[MOMENT_TEXT_MAX], duration[DURATION_TEXT_MAX];
    if (!t->opened || !t->seen || t->seen <= t->opened) return;
    fprintf(t->out, "It was %s for %s, since %s.\n", what, duration_format(t->seen - t->opened, duration),
        moment_clock(t->opened, t->now, clock));
}

/* Where the addresses themselves do not say that it is a wider circle. */
static void put_wider(const Teller *t) {
    const json_t *exposure = json_object_get(t->data, "exposure");
    if (is(t->data, "reach", "widened") && is(exposure, "after", "public") && is(exposure, "before", "private"))
        fputs("That is more exposed than before: a public address, not a private one.\n", t->out);
}

static void put_port(const Teller *t) {
    phrase_port(t->out, t->document);
}

static long long returns(const Teller *t) {
    return (long long)json_integer_value(json_object_get(t->data, "returns"));
}

static void tell_flapping(const Teller *t) {
    char clock[MOMENT_TEXT_MAX];
    put_port(t);
    fprintf(t->out, " was gone or different, and then as before again, %lld times", returns(t));
    if (t->seen) fprintf(t->out, " since %s", moment_clock(t->seen, t->now, clock));
    fputs(".\n", t->out);
    if (json_array_size(t->after) > 0) {
        fputs("Now ", t->out);
        put_listens(t, t->after, "");
        fputs(".\n", t->out);
    } else
        fprintf(t->out, "Now nobody %s there.\n", t->does);
    fputs("The next message comes when it is steady, or when something else is there than was before.\n", t->out);
}

static void tell_steady(const Teller *t) {
    char clock[MOMENT_TEXT_MAX];
    put_since(t);
    put_port(t);
    fputs(" has been as expected, and steady", t->out);
    if (json_array_size(t->after) > 0) {
        fputs(": ", t->out);
        put_listens(t, t->after, "");
        fputs(".\n", t->out);
    } else
        fprintf(t->out, ": nobody %s there.\n", t->does);
    fprintf(t->out, "It had come and gone %lld times", returns(t));
    if (t->opened) fprintf(t->out, " since %s", moment_clock(t->opened, t->now, clock));
    fputs(".\n", t->out);
}

static void tell_returned(const Teller *t) {
    if (is(t->data, "change", "flapping"))
        tell_steady(t);
    else if (is(t->data, "change", "opened")) {
        /* The owner is in the heading; the sentence must hold for the ephemeral ports together too. */
        put_since(t);
        put_port(t);
        fputs(" is closed again, as expected.\n", t->out);
        put_stood(t, "open");
    } else {
        put_since(t);
        bool closed = is(t->data, "change", "closed");
        if (json_array_size(t->after) > 0) {
            put_listens(t, t->after, closed ? " again" : "");
            fputs(closed ? ", as expected.\n" : ", as expected again.\n", t->out);
        } else {
            put_port(t);
            fputs(" is as expected again.\n", t->out);
        }
        put_stood(t, closed ? "closed" : "different");
    }
}

static void tell_ended(const Teller *t) {
    const char *by = phrase_string(t->data, "by"), *reason = phrase_string(t->data, "reason");
    if (is(t->data, "ending", "accepted")) {
        int64_t time = phrase_time(t->document, "time");
        char clock[MOMENT_TEXT_MAX];
        fprintf(t->out, "%s accepted what stands now on ", *by ? by : "Somebody");
        put_port(t);
        if (time) fprintf(t->out, ", at %s", moment_clock(time, t->now, clock));
        fputs(".\n", t->out);
        int64_t until = phrase_time(t->data, "until");
        if (until)
            fprintf(t->out, "Only until %s: then what was expected before is expected again.\n",
                moment_clock(until, t->now, clock));
        if (*reason) fprintf(t->out, "Reason: %s\n", reason);
    } else if (is(t->data, "ending", "unwatched")) {
        fputs("The configuration no longer watches ", t->out);
        put_port(t);
        fputs(".\n", t->out);
    } else if (is(t->data, "ending", "restated")) {
        fputs("The configuration now expects what stands on ", t->out);
        put_port(t);
        fputs(".\n", t->out);
    } else {
        put_port(t);
        fputs(": what stands is the new normal.\n", t->out);
    }
    if (json_array_size(t->after) == 0)
        fprintf(t->out, "Nobody %s there.\n", t->does);
    else {
        put_listens(t, t->after, "");
        fputs(".\n", t->out);
    }
}

/* An upgrade without a restart, or somebody who hides what runs. */
static void tell_program(const Teller *t) {
    put_since(t);
    phrase_owners(t->out, t->after, PHRASE_PATH);
    const char *listens = count_owners(t->after) > 1 ? t->do_ : t->does;
    if (!phrase_is_outdated(t->after)) {
        fprintf(t->out,
            " %s here with a program from another file than before, at the same path.\n"
            "It was upgraded, or somebody has exchanged it. This is told once (upgrades = alert).\n",
            listens);
        return;
    }
    fprintf(t->out,
        " %s here with a program whose file is gone or another by now.\n"
        "After an upgrade a restart brings in the new one; else somebody has removed or exchanged it.\n"
        "This is told once.\n",
        listens);
}

static void tell_stands(const Teller *t) {
    if (is(t->data, "change", "program")) {
        tell_program(t);
        return;
    }
    if (is(t->data, "change", "flapping")) {
        tell_flapping(t);
        return;
    }
    put_since(t);
    if (json_array_size(t->after) == 0) {
        fprintf(t->out, "nobody %s on ", t->does);
        put_port(t);
    } else
        put_listens(t, t->after, "");
    fputs(".\n", t->out);
    put_before(t);
    put_wider(t);
    if (returns(t) > 0)
        fprintf(t->out, "Before that it had come and gone %lld times.\n", returns(t));
    else if (strcmp(phrase_type(t->document), "changed") == 0 && t->opened && t->opened < t->seen) {
        char clock[MOMENT_TEXT_MAX];
        fprintf(t->out, "This port has differed from what was expected since %s; now it differs in another way.\n",
            moment_clock(t->opened, t->now, clock));
    }
    if (is(t->data, "status", "rolled")) fputs("By configuration this is the new normal now.\n", t->out);
}

/* All ports of a namespace together. */
static void tell_whole(const Teller *t) {
    size_t ports = phrase_count_ports(t->before) + phrase_omitted(t->data, "before");
    put_since(t);
    fputs("nothing listens in ", t->out);
    put_port(t);
    fputs(" any more.\n", t->out);
    put_until_then(t);
    fprintf(t->out, "%zu ports were open there.\n", ports);
}

static void tell_whole_over(const Teller *t) {
    if (!is(t->data, "ending", "returned")) {
        tell_ended(t);
        return;
    }
    put_since(t);
    put_port(t);
    fputs(" has open ports again. One that stays away is told by itself.\n", t->out);
    put_stood(t, "closed");
}

static void tell_portwatch(const Teller *t) {
    const char *type = phrase_type(t->document), *summary = phrase_string(t->data, "summary");
    if (strcmp(type, "learned") == 0) {
        fputs("portwatch took what it found on this host as what is expected.\n"
              "From now on it tells when a port opens, closes, or changes address or owner.\n"
              "That you read this shows that its messages arrive.\n",
            t->out);
        size_t omitted = phrase_omitted(t->data, "after");
        size_t ports = phrase_count_ports(t->after) + omitted, endpoints = json_array_size(t->after) + omitted;
        fprintf(t->out, "\n%zu port%s, %zu address%s:\n", ports, ports == 1 ? "" : "s", endpoints,
            endpoints == 1 ? "" : "es");
    } else if (strcmp(type, "test") == 0) {
        fputs("This is a test, asked for on the command line. Nothing is wrong.\n"
              "That you read this shows that portwatch's messages arrive.\n",
            t->out);
    } else if (is(t->data, "change", "blind")) {
        put_since(t);
        if (strcmp(type, "resolved") == 0) {
            fputs("portwatch sees all host sockets again.\n", t->out);
            put_stood(t, "blind");
        } else {
            fputs("portwatch cannot read all socket tables, so it tells nothing\n"
                  "about the ports in those it cannot read. What it does not see is named below.\n",
                t->out);
            if (*summary) fprintf(t->out, "%s\n", summary);
        }
    } else
        fprintf(t->out, "%s\n", summary);
}

int tell_write(FILE *out, const json_t *document, const ProseOptions *options) {
    const json_t *data = phrase_data(document);
    Teller teller = {
        .out = out,
        .document = document,
        .data = data,
        .before = json_object_get(data, "before"),
        .after = json_object_get(data, "after"),
        .now = options->formed,
        .seen = phrase_time(data, "seen"),
        .opened = phrase_time(data, "opened"),
    };
    bool tcp = is(data, "protocol", "tcp");
    teller.does = tcp ? "listens" : "receives";
    teller.do_ = tcp ? "listen" : "receive";
    if (!phrase_is_port(document)) {
        tell_portwatch(&teller);
        return 0;
    }
    /* For the ephemeral ports together only those that differ are spoken of. */
    RowsDiff diff = {0};
    int r = rows_diff_data(data, &diff);
    if (r < 0) return r;
    if (!json_is_integer(json_object_get(data, "port"))) {
        teller.before = diff.minus;
        teller.after = diff.plus;
    }
    teller.detail = phrase_detail(teller.before, teller.after, &teller.same_owners);
    bool over = strcmp(phrase_type(document), "resolved") == 0;
    if (phrase_is_whole(document))
        (over ? tell_whole_over : tell_whole)(&teller);
    else if (!over)
        tell_stands(&teller);
    else if (is(data, "ending", "returned"))
        tell_returned(&teller);
    else
        tell_ended(&teller);
    rows_diff_done(&diff);
    return 0;
}
