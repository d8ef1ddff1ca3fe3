/* From facts to findings: what hinders, what is not known, what is worth knowing. */
#include <errno.h>
#include <string.h>

#include "cli/explain-words.h"
#include "notify/moment.h"
#include "notify/phrase.h"

static int judge_firewall(const Firewall *firewall, Case *c) {
    int r = 0;
    size_t rules = 0, policies = 0;
    for (size_t i = 0; i < c->quotes.n; i++) *(c->quotes.items[i].policy ? &policies : &rules) += 1;
    rules += c->quotes.more;
    if (rules > 0)
        r = finding_add(c, "firewall", WEIGHT_NOTE,
            text_printf("%zu firewall rule%s it; whether packets pass is not judged here", rules,
                rules == 1 ? " names" : "s name"),
            NULL);
    else if (policies > 0)
        r = finding_add(c, "firewall", WEIGHT_NOTE,
            strdup("the firewall drops what no rule accepts, and no rule names this port"),
            strdup("sudo nft list ruleset"));
    if (r >= 0 && c->quotes.opaque > 0)
        r = finding_add(c, "firewall-opaque", WEIGHT_NOTE,
            text_printf(
                "%zu rule%s of iptables cannot be read by nft", c->quotes.opaque, c->quotes.opaque == 1 ? "" : "s"),
            strdup("sudo iptables-save"));
    if (r >= 0 && firewall->legacy)
        r = finding_add(c, "firewall-legacy", WEIGHT_NOTE,
            strdup("there are tables of the older iptables too, which are not read here"),
            strdup("sudo iptables-legacy-save"));
    return r;
}

/* Where that is still all there is to say, it is not said twice. */
static bool is_told_still(const Case *c, const json_t *told) {
    const char *since = phrase_string(told, "since");
    return strcmp(phrase_string(told, "summary"), phrase_string(c->cause, "summary")) == 0 ||
           (*since && strcmp(since, phrase_string(c->cause, "since")) == 0 &&
               strcmp(phrase_string(told, "result"), phrase_string(c->cause, "result")) == 0);
}

static int judge_told(const Explanation *e, Case *c) {
    const json_t *told = json_object_get(c->told, "cause");
    const char *summary = phrase_string(told, "summary");
    char clock[MOMENT_TEXT_MAX];
    if (!*summary || is_told_still(c, told)) return 0;
    const char *change = strcmp(phrase_string(c->told, "change"), "closed") == 0 ? "closed" : "changed hands";
    return finding_add(c, "told", WEIGHT_NOTE,
        text_printf(
            "when it %s, at %s: %s", change, moment_clock(phrase_time(c->told, "seen"), e->now, clock), summary),
        NULL);
}

static int judge_ephemeral(const Explanation *e, Case *c) {
    if (!c->ephemeral) return 0;
    const Snapshot *snapshot = &e->look.snapshot;
    return finding_add(c, "ephemeral", WEIGHT_NOTE,
        text_printf("%u lies in the ephemeral range (%u-%u), from which outgoing connections take theirs", c->port,
            snapshot->ephemeral_first, snapshot->ephemeral_last),
        NULL);
}

/* The heaviest first; of equal ones the first found. */
static void sort_findings(Case *c) {
    for (size_t i = 1; i < c->n_findings; i++)
        for (size_t k = i; k > 0 && c->findings[k].weight > c->findings[k - 1].weight; k--) {
            Finding swap = c->findings[k];
            c->findings[k] = c->findings[k - 1];
            c->findings[k - 1] = swap;
        }
}

static int judge_case(const Explanation *e, Case *c) {
    int r = judge_told(e, c);
    if (r >= 0) r = c->n_rows > 0 ? explain_judge_bound(e, c) : explain_judge_closed(e, c);
    if (r >= 0) r = judge_ephemeral(e, c);
    if (r >= 0) r = judge_firewall(&e->firewall, c);
    if (r < 0) return r;
    sort_findings(c);
    Finding *first = c->findings;
    if (first->weight == WEIGHT_WELL && !first->next && c->n_rows > 0) {
        first->next = next_from_elsewhere(e, c);
        return first->next ? 0 : -ENOMEM;
    }
    return 0;
}

static const char *next_of(const Case *c) {
    for (size_t i = 0; i < c->n_findings; i++)
        if (c->findings[i].next) return c->findings[i].next;
    return NULL;
}

int explain_judge(Explanation *e) {
    static const int codes[] = {
        [WEIGHT_NOTE] = EXIT_WELL,
        [WEIGHT_WELL] = EXIT_WELL,
        [WEIGHT_UNKNOWN] = EXIT_UNKNOWN,
        [WEIGHT_FAULT] = EXIT_DIFFERS,
    };
    const Case *worst = &e->cases[0]; /* there is one at least */
    for (size_t i = 0; i < e->n_cases; i++) {
        Case *c = &e->cases[i];
        int r = judge_case(e, c);
        if (r < 0) return r;
        if (c->weight > worst->weight) worst = c;
    }
    e->exit_code = codes[worst->weight];
    e->next = next_of(worst);
    return 0;
}
