/* `portwatch test`: a message through each real channel. */
#include <errno.h>
#include <string.h>

#include "daemon/answer.h"

#define TEST_LIMIT (80 * USEC_PER_SEC) /* before the command line stops waiting */

static void test_free(Daemon *d, TestRun *run) {
    for (TestRun **p = &d->tests; *p; p = &(*p)->next)
        if (*p == run) {
            *p = run->next;
            break;
        }
    for (size_t i = 0; i < d->n_notifiers; i++)
        if (d->notifiers[i] && d->notifiers[i]->test == run) d->notifiers[i]->test = NULL;
    sd_event_source_disable_unref(run->deadline);
    json_decref(run->results);
    free(run);
}

static int test_answer(Daemon *d, TestRun *run) {
    size_t i, delivered = 0, n = json_array_size(run->results);
    const json_t *result;
    json_array_foreach(run->results, i, result) delivered += json_is_true(json_object_get(result, "delivered"));
    Answer answer = {.object = json_pack("{s:O}", "results", run->results)};
    int r = answer.object ? 0 : -ENOMEM;
    if (r == 0 && n == 0)
        r = answer_text(&answer, 1, "no notifier is configured: see [notifier:NAME] in portwatch.conf(5)");
    else if (r == 0)
        r = answer_text(&answer, delivered == n ? 0 : 1, "%zu of %zu delivered", delivered, n);
    const Request request = {.id = run->request};
    if (r == 0) r = answer_reply(d, &request, NULL, &answer);
    json_decref(answer.object);
    test_free(d, run);
    return r;
}

void test_done(
    Daemon *d, TestRun *run, const char *notifier, const Delivery *deliveries, size_t n, const char *reason) {
    json_t *recipients = json_array();
    bool delivered = n > 0;
    for (size_t i = 0; i < n; i++) {
        bool fine = deliveries[i].outcome == OUTCOME_DELIVERED;
        delivered = delivered && fine;
        if (!fine && !reason) reason = deliveries[i].reason;
        json_array_append_new(recipients,
            json_pack("{s:o,s:b,s:i,s:o}", "recipient", document_string(deliveries[i].recipient), "delivered", fine,
                "code", deliveries[i].code, "reason", document_string_safe(deliveries[i].reason)));
    }
    json_array_append_new(
        run->results, json_pack("{s:s,s:b,s:o,s:o}", "notifier", notifier, "delivered", delivered, "reason",
                          document_string_safe(delivered ? NULL : reason), "recipients", recipients));
    if (--run->waiting == 0) test_answer(d, run);
}

static int on_test_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
    Daemon *d = userdata;
    for (TestRun *run = d->tests, *next; run; run = next) {
        next = run->next;
        if (run->deadline != source) continue;
        run->waiting++; /* keeps the run until all who did not answer are listed */
        for (size_t i = 0; i < d->n_notifiers; i++)
            if (d->notifiers[i]->test == run) {
                d->notifiers[i]->test = NULL;
                test_done(d, run, d->notifiers[i]->rule->name, NULL, 0, "no answer yet");
            }
        run->waiting = 0;
        test_answer(d, run);
        break;
    }
    return 0;
}

static bool test_wants(const json_t *names, const char *name) {
    size_t i;
    const json_t *wanted;
    if (json_array_size(names) == 0) return true;
    json_array_foreach(
        names, i, wanted) if (json_is_string(wanted) && strcmp(json_string_value(wanted), name) == 0) return true;
    return false;
}

int test_start(Daemon *d, const Request *request, const json_t *arguments) {
    const json_t *names = json_object_get(arguments, "notifiers");
    TestRun *run = calloc(1, sizeof *run);
    if (!run) return -ENOMEM;
    run->request = request->id;
    run->results = json_array();
    run->next = d->tests;
    d->tests = run;
    d->requests_after = request->id;
    uint64_t now;
    int r = run->results ? sd_event_now(d->event, CLOCK_BOOTTIME, &now) : -ENOMEM;
    if (r >= 0)
        r = sd_event_add_time(
            d->event, &run->deadline, CLOCK_BOOTTIME, now + TEST_LIMIT, USEC_PER_SEC, on_test_deadline, d);
    if (r < 0) {
        test_free(d, run);
        return r;
    }
    size_t i;
    const json_t *wanted;
    run->waiting = 1;
    json_array_foreach(
        names, i, wanted) if (json_is_string(wanted) && !rules_notifier(d->rules, json_string_value(wanted))) {
        run->waiting++;
        test_done(d, run, json_string_value(wanted), NULL, 0, "no such notifier");
    }
    for (i = 0; i < d->n_notifiers; i++) {
        Notifier *n = d->notifiers[i];
        if (!test_wants(names, n->rule->name)) continue;
        run->waiting++;
        if (n->test || n->testing)
            test_done(d, run, n->rule->name, NULL, 0, "another test is under way");
        else
            n->test = run;
    }
    if (--run->waiting == 0) return test_answer(d, run);
    for (i = 0; i < d->n_notifiers; i++) notifier_wake(d->notifiers[i]);
    return 0;
}

void test_stop_all(Daemon *d) {
    while (d->tests) test_free(d, d->tests);
}
