/* The baseline as a whole: back to an earlier version. The contract is cli/request.h. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/view.h"
#include "daemon/answer.h"
#include "store/version.h"

static int add_changed(const Decision *decision, json_t *list) {
    for (size_t i = 0; i < decision->n_baseline; i++) {
        const BaselineChange *change = &decision->baseline[i];
        char surface[SURFACE_TEXT_MAX];
        json_t *entry = json_pack("{s:s,s:o,s:o}", "port", surface_format(&change->surface, surface), "before",
            document_endpoints(&change->before), "after", document_endpoints(&change->after));
        if (!entry || json_array_append_new(list, entry) < 0) return -ENOMEM;
    }
    return 0;
}

static int reply(Daemon *d, const Request *request, int r, const Answer *answer) {
    return r < 0 ? r : answer_reply(d, request, NULL, answer);
}

int baseline_replace(Daemon *d, const Request *request, const Replacement *replacement, Answer *answer) {
    Now now = daemon_now();
    Decision decision;
    int r = engine_replace_baseline(d->rules, &d->state, &d->snapshot, &now, replacement, &decision);
    if (r < 0) return r;
    if (r == REQUEST_SAME)
        return reply(d, request, answer_text(answer, 0, "the baseline is that already; nothing changed"), answer);
    _cleanup_json_ json_t *changed = json_array();
    r = changed ? add_changed(&decision, changed) : -ENOMEM;
    if (r == 0 && json_object_set(answer->object, "changed", changed) < 0) r = -ENOMEM;
    if (r == 0) r = answer_text(answer, 0, "the baseline is that of %s", replacement->what);
    if (r < 0) {
        decision_done(&decision);
        return r;
    }
    return answer_reply(d, request, &decision, answer);
}

int baseline_revert(Daemon *d, const Request *request, const json_t *arguments, Answer *answer) {
    const json_t *number = json_object_get(arguments, "version"), *port = json_object_get(arguments, "port");
    Surface only[2];
    size_t n = port ? answer_port(port, only) : 0;
    if (!json_is_integer(number) || (port && n == 0))
        return reply(d, request, answer_text(answer, 2, "that is no version, or no port"), answer);
    int64_t version = json_integer_value(number), oldest = 0, newest = 0;
    VersionFound found = VERSION_UNKNOWN;
    _cleanup_(endpoints_done) Endpoints rows = {0};
    int r = version_baseline(d->store, version, &found, &oldest, &newest, &rows);
    if (r != 0) return r < 0 ? r : daemon_store_failed(d, r);
    if (found == VERSION_UNKNOWN)
        return reply(d, request,
            answer_text(answer, 2, "there is no version %" PRId64 ": the newest is %" PRId64, version, newest), answer);
    if (found == VERSION_FORGOTTEN)
        return reply(d, request,
            answer_text(answer, 2,
                "what changed since version %" PRId64 " is no longer kept: the oldest to go back to is %" PRId64,
                version, oldest),
            answer);
    char what[48];
    snprintf(what, sizeof what, "version %" PRId64, version);
    return baseline_replace(d, request,
        &(Replacement){.kind = VERSION_REVERTED,
            .rows = &rows,
            .only = port ? only : NULL,
            .n_only = n,
            .by = request->who,
            .reason = json_string_value(json_object_get(arguments, "reason")),
            .what = what},
        answer);
}
