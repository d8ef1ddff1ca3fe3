#include "cause/judge.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "core/cleanup.h"
#include "core/text.h"

static bool is(const char *word, const char *other) {
    return strcmp(word, other) == 0;
}

/* ---- judgement ---- */

/* A stop under way, or done, that is the first half of a restart. */
static bool will_start(const UnitFacts *unit) {
    return is(unit->job, "start") || is(unit->job, "restart") || is(unit->job, "try-restart");
}

static bool is_returning(const UnitFacts *unit) {
    return is(unit->active, "activating") || is(unit->active, "reloading") ||
           ((is(unit->active, "inactive") || is(unit->active, "deactivating")) && will_start(unit));
}

static bool is_down(const UnitFacts *unit) {
    return is(unit->active, "failed") || is(unit->active, "inactive") || is(unit->active, "deactivating") ||
           is(unit->sub, "auto-restart");
}

/* A unit that was read from disk only because we asked for it has no past. */
static bool has_past(const UnitFacts *unit) {
    return unit->since > 0;
}

/* What systemd keeps of the main process is about this result, and not left over from an earlier start. */
static bool code_fits(const char *result, int code, int status) {
    if (is(result, "exit-code")) return code == CLD_EXITED && status != 0;
    if (is(result, "signal")) return code == CLD_KILLED;
    if (is(result, "core-dump")) return code == CLD_DUMPED;
    return code != 0;
}

/* Restart= is for an end like this one: systemd.service(5), the table there. */
static bool restarts_itself(const UnitFacts *unit) {
    const char *when = unit->restart, *result = unit->result;
    bool abort = is(result, "signal") || is(result, "core-dump"), watchdog = is(result, "watchdog");
    if (is(when, "always")) return true;
    if (is(when, "on-success")) return is(result, "success");
    if (is(when, "on-failure")) return !is(result, "success");
    if (is(when, "on-abnormal")) return abort || watchdog || is(result, "timeout") || is(result, "oom-kill");
    return (is(when, "on-abort") && abort) || (is(when, "on-watchdog") && watchdog);
}

static Fate fate_of(const Facts *facts, const Judgement *j) {
    const UnitFacts *unit = &facts->unit;
    if (!unit->known) return FATE_UNKNOWN;
    if (is(unit->active, "failed")) return FATE_FAILED;
    if (is_returning(unit)) return FATE_RETURNING;
    if (is(unit->active, "deactivating"))
        return (j->asked && facts->journal.end.restart && !j->later) || (!unit->job[0] && restarts_itself(unit))
                   ? FATE_RETURNING
                   : FATE_STOPPED;
    if (!is(unit->active, "inactive")) return FATE_UNKNOWN;
    if (has_past(unit)) return FATE_STOPPED;
    /* unloaded, as a transient unit is when it has ended: the journal may remember */
    if (!j->ended) return is(unit->load, "not-found") ? FATE_UNKNOWN : FATE_STOPPED;
    return is(j->result, "success") ? FATE_STOPPED : FATE_FAILED;
}

/* The journal's end is that of the invocation that systemd knows. */
static bool same_invocation(const UnitFacts *unit, const EndFacts *end) {
    return unit->invocation[0] && is(unit->invocation, end->invocation);
}

/* A failed unit is put back to "inactive" by `systemctl reset-failed`, or by a stop before its restart. By then systemd
 * has another result or another time. */
static bool was_put_back(const UnitFacts *unit, const EndFacts *end) {
    return is(unit->active, "inactive") && same_invocation(unit, end) && end->result[0] && !is(end->result, "success");
}

void cause_judge(const Facts *facts, Judgement *ret) {
    static const EndFacts none;
    const UnitFacts *unit = &facts->unit;
    const EndFacts *end = &facts->journal.end;
    Judgement j = {.since = unit->since};
    bool later = facts_later(facts);
    if (unit->known && is_down(unit) && has_past(unit) && !was_put_back(unit, end) && !(later && end->result[0])) {
        if (unit->invocation[0] && end->invocation[0] && !same_invocation(unit, end)) end = &none;
        j.ended = true;
        j.result = unit->result[0] ? unit->result : NULL;
        if (code_fits(unit->result, unit->code, unit->status)) {
            j.code = unit->code;
            j.status = unit->status;
        } else if (is(unit->result, end->result) && code_fits(end->result, end->code, end->status)) {
            j.code = end->code;
            j.status = end->status;
        }
        j.asked = end->asked;
        j.by_itself = end->result[0] && !end->asked;
    } else if (end->result[0]) {
        /* It was started again, or systemd is not asked or has forgotten it: only the journal knows that end. */
        j = (Judgement){.ended = true, .result = end->result, .asked = end->asked, .since = end->at};
        j.by_itself = !end->asked;
        if (code_fits(end->result, end->code, end->status)) {
            j.code = end->code;
            j.status = end->status;
        }
    }
    /* The number is one of weeks, it may be: with the journal at hand only what that says counts. */
    bool gave_up = facts->journal.limit || is(unit->result, "start-limit-hit") ||
                   (!end->result[0] && restarts_itself(unit) && unit->burst > 0 && unit->restarts >= unit->burst);
    j.limit = gave_up && (unit->known ? is(unit->active, "failed") : j.ended);
    j.oom = j.ended && (facts->journal.oom || (j.result && is(j.result, "oom-kill")));
    j.later = later;
    j.fate = fate_of(facts, &j);
    *ret = j;
}

/* ---- the sentence ---- */

static void clock_format(int64_t usec, int64_t now, char *buffer, size_t size) {
    time_t t = (time_t)(usec / USEC_PER_SEC), n = (time_t)(now / USEC_PER_SEC);
    struct tm then, today;
    buffer[0] = '\0';
    if (usec <= 0 || !localtime_r(&t, &then) || !localtime_r(&n, &today)) return;
    bool same = then.tm_year == today.tm_year && then.tm_yday == today.tm_yday;
    if (strftime(buffer, size, same ? "%H:%M:%S %Z" : "%F %H:%M:%S %Z", &then) == 0) buffer[0] = '\0';
}

/* systemd.exec(5), "Process exit codes": what failed before the program ran. */
static const char *exit_status_meaning(int status) {
    static const struct {
        int status;
        const char *meaning;
    } meanings[] = {
        {200, "its working directory cannot be entered"},
        {203, "its program cannot be executed"},
        {209, "its standard output cannot be set up"},
        {216, "its group does not exist"},
        {217, "its user does not exist"},
        {218, "its capabilities cannot be set"},
        {226, "its mount namespace cannot be set up"},
        {238, "its state directory cannot be made"},
        {243, "its credentials cannot be set up"},
    };
    for (size_t i = 0; i < ELEMENTSOF(meanings); i++)
        if (meanings[i].status == status) return meanings[i].meaning;
    return NULL;
}

static char *signal_text(const Judgement *j) {
    const char *abbreviation = sigabbrev_np(j->status);
    /* another process of the unit may be what memory was taken from, and this one died of something else */
    bool starved = j->oom && j->status == SIGKILL;
    const char *dumped = j->code == CLD_DUMPED ? ", core dumped" : starved ? " for want of memory" : "";
    return abbreviation ? text_printf("killed by SIG%s%s", abbreviation, dumped)
                        : text_printf("killed by signal %d%s", j->status, dumped);
}

/* What went wrong, in a few words. */
static char *failure_text(const UnitFacts *unit, const Judgement *j) {
    static const struct {
        const char *result, *text;
    } texts[] = {
        {"timeout", "it did not start or stop in time"},
        {"watchdog", "it did not answer systemd's watchdog"},
        {"protocol", "it did not start as its Type= says"},
        {"resources", "systemd could not set it up"},
        {"start-limit-hit", "it was started too often"},
        {"trigger-limit-hit", "it was triggered too often"},
        {"service-start-limit-hit", "its service was started too often"},
        {"exec-condition", "a condition to start it was not met"},
    };
    if (is(j->result, "oom-kill")) return strdup("killed for want of memory");
    if (is(j->result, "timeout") && unit->runtime_max > 0)
        return strdup("it did not start or stop in time, or ran longer than RuntimeMaxSec=");
    for (size_t i = 0; i < ELEMENTSOF(texts); i++)
        if (is(j->result, texts[i].result)) return strdup(texts[i].text);
    if (j->code == CLD_KILLED || j->code == CLD_DUMPED) return signal_text(j);
    if (j->code == CLD_EXITED) {
        const char *meaning = exit_status_meaning(j->status);
        return meaning ? text_printf("exit status %d, %s", j->status, meaning)
                       : text_printf("exit status %d", j->status);
    }
    return text_printf("result %s", j->result);
}

/* Of the invocation that was asked about nothing is known any more but that there was a later one. */
static bool is_lost(const Facts *facts, const Judgement *j) {
    return j->later && !facts->journal.end.result[0];
}

/* How the end is told: "failed at 14:02:03 CET: exit status 1". */
static char *end_text(const Facts *facts, const Judgement *j) {
    char clock[64];
    clock_format(j->since, facts->now, clock, sizeof(clock));
    const char *at = clock[0] ? " at " : "";
    if (j->result && !is(j->result, "success")) {
        _cleanup_free_ char *why = failure_text(&facts->unit, j);
        if (!why) return NULL;
        return text_printf("failed%s%s%s: %s", j->asked ? " while it was being stopped" : "", at, clock, why);
    }
    if (facts->unit.known && is(facts->unit.active, "deactivating") && !j->later)
        return text_printf("is %s since %s", will_start(&facts->unit) ? "restarting" : "stopping", clock);
    if (j->asked)
        return text_printf("was %s%s%s on request",
            facts->journal.end.restart || (will_start(&facts->unit) && !j->later) ? "restarted" : "stopped", at, clock);
    /* without the journal nobody knows whether it was asked to */
    if (!j->by_itself) return text_printf("stopped%s%s", at, clock);
    if (j->code == CLD_EXITED) return text_printf("ended by itself%s%s with exit status %d", at, clock, j->status);
    return text_printf("ended by itself%s%s", at, clock);
}

/* How a later start failed; "" where there is nothing new in it. */
static char *again_text(const Facts *facts, const Judgement *j) {
    const UnitFacts *unit = &facts->unit;
    Judgement last = {.result = unit->result};
    if (!j->later || is_lost(facts, j) || !is(unit->active, "failed") || !unit->result[0]) return strdup("");
    if (code_fits(unit->result, unit->code, unit->status)) {
        last.code = unit->code;
        last.status = unit->status;
    }
    bool same = is(j->result, last.result) && j->code == last.code && j->status == last.status;
    if (j->limit && (same || is(last.result, "start-limit-hit"))) return strdup("");
    char clock[64];
    clock_format(unit->since, facts->now, clock, sizeof(clock));
    _cleanup_free_ char *why = failure_text(unit, &last);
    return why ? text_printf("; started again, it failed%s%s: %s", clock[0] ? " at " : "", clock, why) : NULL;
}

/* What comes after an end; "" for nothing to say. */
static char *outlook_text(const Facts *facts, const Judgement *j) {
    const UnitFacts *unit = &facts->unit;
    if (j->limit && unit->restarts > 0)
        return text_printf("; restart limit reached after %lld restarts", (long long)unit->restarts);
    if (j->limit) return strdup("; restart limit reached");
    if (!unit->known) return strdup(facts->journal.end.again ? "; it was started again" : "");
    if (is(unit->sub, "auto-restart")) return strdup("; systemd is about to start it again");
    if (is_returning(unit) && !is(unit->active, "deactivating")) return strdup("; it is being started again");
    if (j->later && is(unit->active, "deactivating")) return strdup("; it was started again and is stopping");
    if (j->later && is(unit->active, "inactive")) return strdup("; it was started again and is not running any more");
    if (is(unit->active, "active")) return strdup("; it is running again");
    if (is(unit->load, "masked")) return strdup("; it is masked");
    if (facts->process == PROCESS_ALIVE) return text_printf("; its process %d lives on", (int)facts->question.pid);
    return strdup("");
}

/* What is known of the process where the unit has not ended; "" for nothing. */
static char *process_text(const Facts *facts) {
    int pid = (int)facts->question.pid;
    if (facts->process == PROCESS_GONE) return text_printf("; its process %d has ended", pid);
    if (facts->process == PROCESS_ALIVE)
        return text_printf(
            facts->question.open ? "; its process %d is alive" : "; its process %d is alive and has closed the socket",
            pid);
    return strdup("");
}

/* A unit that has not ended, as far as is known. */
static char *state_text(const Facts *facts) {
    const UnitFacts *unit = &facts->unit;
    char clock[64];
    clock_format(unit->since, facts->now, clock, sizeof(clock));
    const char *since = clock[0] ? " since " : "";
    if (!unit->known) return strdup("is in a state that is not known");
    if (is(unit->active, "inactive") && is(unit->load, "not-found")) return strdup("is not known to systemd any more");
    if (is(unit->active, "inactive"))
        return strdup(is(unit->load, "masked") ? "is masked and not running" : "is not running");
    if (is(unit->active, "active") && is(unit->sub, "exited"))
        return text_printf("has run to its end%s%s", since, clock);
    if (is(unit->active, "active") && is(unit->sub, "running")) return text_printf("is running%s%s", since, clock);
    if (is(unit->active, "activating")) return text_printf("is starting%s%s", since, clock);
    return text_printf("is %s (%s)%s%s", unit->active, unit->sub, since, clock);
}

static char *unit_text(const CauseQuestion *question) {
    _cleanup_free_ char *name = text_escape(question->unit, strlen(question->unit));
    if (!name || question->user == USER_NONE) return TAKE_PTR(name);
    return text_printf("%s (of user %u's own systemd)", name, (unsigned)question->user);
}

static char *summary_without_unit(const Facts *facts) {
    int pid = (int)facts->question.pid;
    if (facts->process == PROCESS_GONE) return text_printf("Process %d has ended", pid);
    if (facts->process == PROCESS_ALIVE)
        return text_printf("Process %d is alive%s", pid, facts->question.open ? "" : " and has closed the socket");
    return pid > 0 ? text_printf("What became of process %d is not known", pid)
                   : strdup("Who held the port is not known");
}

char *cause_summary(const Facts *facts, const Judgement *j) {
    if (!facts->question.unit[0]) return summary_without_unit(facts);
    _cleanup_free_ char *unit = unit_text(&facts->question);
    _cleanup_free_ char *what = j->ended ? end_text(facts, j) : state_text(facts);
    _cleanup_free_ char *again = j->ended ? again_text(facts, j) : strdup("");
    _cleanup_free_ char *more = j->ended ? outlook_text(facts, j) : process_text(facts);
    if (!unit || !what || !again || !more) return NULL;
    return text_printf(
        "%s %s%s%s%s", unit, is_lost(facts, j) ? "was started again since, and " : "", what, again, more);
}
