/* portwatch baseline log, diff, revert: the versions of the baseline. */
#include "store/version.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "cli/accept.h"
#include "cli/baseline.h"
#include "cli/port.h"
#include "cli/request.h"
#include "notify/document.h"
#include "notify/moment.h"
#include "notify/phrase.h"
#include "store/state.h"

/* Of what a version did to more ports only their number is said, where no port was asked for. */
#define CHANGES_SHOWN 8

static bool number_parse(const char *text, int64_t *ret) {
    int64_t number = 0;
    for (const char *p = text; *p; p++) {
        if (*p < '0' || *p > '9' || p - text > 15) return false;
        number = number * 10 + (*p - '0');
    }
    *ret = number;
    return *text != '\0';
}

static int opened(Cli *cli, Store **ret) {
    _cleanup_free_ char *reason = NULL;
    int r = cli_open_store(cli, STORE_READER, ret, &reason);
    if (r == 0) return EXIT_WELL;
    if (r < 0) return cli_failed(r);
    cli_error("%s", reason);
    return EXIT_UNKNOWN;
}

static int failed(Store *store, int r) {
    if (r < 0) return cli_failed(r);
    cli_error("%s", store_reason(store));
    return EXIT_UNKNOWN;
}

static const char *row_time(int64_t usec, char buffer[static 64]) {
    time_t seconds = (time_t)(usec / USEC_PER_SEC);
    struct tm tm = {0};
    localtime_r(&seconds, &tm);
    strftime(buffer, 64, "%Y-%m-%d %H:%M:%S %Z", &tm);
    return buffer;
}

static int print_version(const Cli *cli, const Version *v, bool whole) {
    char time[64], last[64], surface[SURFACE_TEXT_MAX];
    _cleanup_json_ json_t *who = document_string_safe(v->who), *why = document_string_safe(v->why);
    printf("%s%lld%s  %s  %s", cli->colours.bold, (long long)v->number, cli->colours.reset, row_time(v->time, time),
        version_kind_name(v->kind));
    if (v->who && who) printf(" by %s", json_string_value(who));
    if (v->why && why) printf(": %s", json_string_value(why));
    if (v->times > 1) printf(" (%u times, last %s)", v->times, row_time(v->last, last));
    putchar('\n');
    int r = 0;
    if (!whole && v->n_changes > CHANGES_SHOWN) {
        printf("   %zu ports\n", v->n_changes);
        return 0;
    }
    for (size_t i = 0; i < v->n_changes && r >= 0; i++) {
        const VersionChange *change = &v->changes[i];
        _cleanup_json_ json_t *before = document_endpoints(&change->before),
                              *after = document_endpoints(&change->after);
        printf("   %s\n", surface_format(&change->surface, surface));
        r = before && after ? accept_print_rows(cli, before, after, "     ") : -ENOMEM;
    }
    return r;
}

static json_t *changes_json(const Version *v) {
    json_t *list = json_array();
    for (size_t i = 0; list && i < v->n_changes; i++) {
        char subject[SURFACE_TEXT_MAX];
        json_t *one = json_pack("{s:s,s:o,s:o}", "subject", surface_subject(&v->changes[i].surface, subject), "before",
            document_endpoints(&v->changes[i].before), "after", document_endpoints(&v->changes[i].after));
        if (json_array_append_new(list, one) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* One object a line, as history. */
static int print_version_json(const Version *v) {
    char time[MOMENT_TEXT_MAX], last[MOMENT_TEXT_MAX];
    _cleanup_json_ json_t *object = json_pack("{s:I,s:s,s:s,s:s,s:o,s:o,s:i,s:o}", "version", (json_int_t)v->number,
        "time", moment_iso(v->time, time), "last", moment_iso(v->last, last), "kind", version_kind_name(v->kind), "by",
        document_string(v->who), "reason", document_string(v->why), "times", (int)v->times, "changes", changes_json(v));
    _cleanup_free_ char *text = object ? document_text(object) : NULL;
    if (!text) return -ENOMEM;
    puts(text);
    return 0;
}

int baseline_log(Cli *cli) {
    Port port = {0};
    if (cli->n_arguments > 2 || cli->reason) return cli_usage("usage: portwatch baseline log [PORT]");
    if (cli->n_arguments == 2 && !port_read(cli->arguments[1], &port)) return EXIT_USAGE;
    VersionFilter filter = {.limit = VERSION_LIMIT,
        .has_port = port.number != 0,
        .port = port.number,
        .has_protocol = cli->n_arguments == 2 && !port.any_protocol,
        .protocol = port.protocol};
    _cleanup_(store_closep) Store *store = NULL;
    int code = opened(cli, &store), r = 0;
    if (code != EXIT_WELL) return code;
    bool any = false;
    for (size_t n = filter.limit; r == 0 && n == filter.limit;) {
        Version *versions = NULL;
        n = 0;
        r = version_query(store, &filter, &versions, &n);
        for (size_t i = 0; i < n && r == 0; i++) {
            r = cli->json ? print_version_json(&versions[i]) : print_version(cli, &versions[i], cli->n_arguments == 2);
            filter.after = versions[i].number;
            any = true;
        }
        versions_free(versions, n);
    }
    if (r != 0) return failed(store, r);
    if (!any && !cli->json) puts(cli->n_arguments == 2 ? "No version changed this port." : "There is no version yet.");
    return EXIT_WELL;
}

/* The baseline with this version. 0, or an exit code with the reason said. */
static int read_at(Store *store, int64_t number, Endpoints *ret) {
    int64_t oldest = 0, newest = 0;
    VersionFound found = VERSION_UNKNOWN;
    int r = version_baseline(store, number, &found, &oldest, &newest, ret);
    if (r != 0) return failed(store, r);
    if (found == VERSION_FOUND) return EXIT_WELL;
    if (found == VERSION_UNKNOWN)
        cli_error("there is no version %lld: the newest is %lld", (long long)number, (long long)newest);
    else
        cli_error("what changed since version %lld is no longer kept: the oldest is %lld", (long long)number,
            (long long)oldest);
    return EXIT_UNKNOWN;
}

static int read_now(Store *store, Endpoints *ret) {
    _cleanup_(state_done) State state = {0};
    int r = store_load_state(store, &state);
    if (r != 0) return failed(store, r);
    *ret = state.baseline;
    state.baseline = (Endpoints){0};
    return EXIT_WELL;
}

static bool is_in(const Endpoint *row, const Endpoints *list) {
    const Endpoint *other = endpoints_find(list, row);
    if (!other || other->v6only != row->v6only || other->n_owners != row->n_owners) return false;
    for (size_t i = 0; i < row->n_owners; i++)
        if (owner_compare(row->owners[i], other->owners[i]) != 0) return false;
    return true;
}

static json_t *rows_missing(const Endpoints *list, const Endpoints *from) {
    json_t *rows = json_array();
    for (size_t i = 0; rows && i < list->n; i++)
        if (!is_in(&list->items[i], from) && json_array_append_new(rows, document_endpoint(&list->items[i])) < 0) {
            json_decref(rows);
            return NULL;
        }
    return rows;
}

static int print_difference(const Cli *cli, int64_t from, int64_t to, const json_t *minus, const json_t *plus) {
    bool same = json_array_size(minus) == 0 && json_array_size(plus) == 0;
    if (!cli->json) {
        printf("version %lld against ", (long long)from);
        if (to < 0)
            puts("now");
        else
            printf("version %lld\n", (long long)to);
        if (same) puts("  no difference");
        return accept_print_rows(cli, minus, plus, "  ");
    }
    _cleanup_json_ json_t *object = json_pack("{s:I,s:o,s:O,s:O}", "from", (json_int_t)from, "to",
        to < 0 ? json_null() : json_integer(to), "before", minus, "after", plus);
    _cleanup_free_ char *text = object ? document_text_pretty(object) : NULL;
    if (!text) return -ENOMEM;
    puts(text);
    return 0;
}

int baseline_diff(Cli *cli) {
    int64_t from = -1, to = -1;
    bool good = cli->n_arguments <= 3 && !cli->reason;
    if (cli->n_arguments > 1) good = good && number_parse(cli->arguments[1], &from);
    if (cli->n_arguments > 2) good = good && number_parse(cli->arguments[2], &to);
    if (!good) return cli_usage("usage: portwatch baseline diff [VERSION [VERSION]]");
    _cleanup_(store_closep) Store *store = NULL;
    int code = opened(cli, &store);
    if (code != EXIT_WELL) return code;
    _cleanup_(endpoints_done) Endpoints before = {0}, after = {0};
    VersionFound found;
    int64_t oldest = 0, newest = 0;
    int r = store_read_begin(store);
    /* Without a number: what the last version did. */
    if (r == 0 && from < 0) r = version_baseline(store, INT64_MAX, &found, &oldest, &newest, &after);
    if (r != 0) return failed(store, r);
    if (from < 0) from = newest > 0 ? newest - 1 : 0;
    code = read_at(store, from, &before);
    if (code == EXIT_WELL) code = to < 0 ? read_now(store, &after) : read_at(store, to, &after);
    store_read_end(store);
    if (code != EXIT_WELL) return code;
    _cleanup_json_ json_t *minus = rows_missing(&before, &after), *plus = rows_missing(&after, &before);
    r = minus && plus ? print_difference(cli, from, to, minus, plus) : -ENOMEM;
    if (r < 0) return cli_failed(r);
    return json_array_size(minus) + json_array_size(plus) > 0 ? EXIT_DIFFERS : EXIT_WELL;
}

int baseline_print_changed(const Cli *cli, const json_t *answer, int code) {
    const json_t *changed = json_object_get(answer, "changed");
    int r = 0;
    for (size_t i = 0; i < json_array_size(changed) && r >= 0; i++) {
        const json_t *one = json_array_get(changed, i);
        printf("%s\n", phrase_string(one, "port"));
        r = accept_print_rows(cli, json_object_get(one, "before"), json_object_get(one, "after"), "  ");
    }
    const json_t *errors = json_object_get(answer, "errors");
    for (size_t i = 0; i < json_array_size(errors); i++)
        fprintf(stderr, "%s\n", json_string_value(json_array_get(errors, i)));
    if (code == EXIT_WELL)
        puts(phrase_string(answer, "text"));
    else
        cli_error("%s", phrase_string(answer, "text"));
    return r;
}

int baseline_revert(Cli *cli) {
    int64_t version;
    Port port;
    if (cli->n_arguments < 2 || cli->n_arguments > 3 || !number_parse(cli->arguments[1], &version))
        return cli_usage("usage: portwatch baseline revert VERSION [PORT] [--reason TEXT]");
    if (cli->n_arguments == 3 && !port_read(cli->arguments[2], &port)) return EXIT_USAGE;
    json_t *arguments = json_pack("{sI}", "version", (json_int_t)version);
    if (!arguments || accept_put_reason(cli, arguments) < 0 ||
        (cli->n_arguments == 3 && json_object_set_new(arguments, "port", port_json(&port)) < 0)) {
        json_decref(arguments);
        return cli_failed(-ENOMEM);
    }
    _cleanup_json_ json_t *answer = NULL;
    int code = request_run(cli, "revert", arguments, REQUEST_WAIT, EXIT_UNKNOWN, &answer);
    if (!answer) return code;
    int r = 0;
    if (cli->json) {
        _cleanup_free_ char *text = document_text_pretty(answer);
        if (text) puts(text);
        r = text ? 0 : -ENOMEM;
    } else
        r = baseline_print_changed(cli, answer, code);
    return r < 0 ? cli_failed(r) : code;
}
