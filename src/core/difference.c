#include "core/difference.h"

#include <errno.h>
#include <string.h>

#include "core/exposure.h"
#include "core/merge.h"

static void put_port(const Surface *surface, char *buffer, size_t size) {
    const char *protocol = protocol_name(surface->protocol);
    if (surface->port == 0)
        snprintf(buffer, size, "%s/ephemeral%s", protocol, surface->local ? "-local" : "");
    else
        snprintf(buffer, size, "%u/%s", surface->port, protocol);
}

/* Escaped without allocating: a name that is not plain has its bytes written as \xNN. */
static void escape_name(const char *name, char *buffer, size_t size) {
    size_t n = 0;
    for (const char *p = name; *p && n + 5 < size; p++) {
        if (*p > ' ' && *p < 0x7f && *p != '\\')
            buffer[n++] = *p;
        else
            n += (size_t)snprintf(buffer + n, size - n, "\\x%02x", (unsigned char)*p);
    }
    buffer[n] = '\0';
}

const char *namespace_words(const char *namespace, const char **ret_name) {
    static const struct {
        const char *kind, *words;
    } kinds[] = {{"netns:", "namespace"}, {"unit:", "namespace of"}, {"program:", "namespace of"}};
    const char *colon = strchr(namespace, ':');
    *ret_name = colon ? colon + 1 : namespace;
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        if (strncmp(namespace, kinds[i].kind, strlen(kinds[i].kind)) == 0) return kinds[i].words;
    return "container";
}

char *namespace_format(const char *namespace, char buffer[static SURFACE_TEXT_MAX]) {
    const char *name, *words = namespace_words(namespace, &name);
    size_t n = (size_t)snprintf(buffer, SURFACE_TEXT_MAX, "%s ", words);
    escape_name(name, buffer + n, SURFACE_TEXT_MAX - n);
    return buffer;
}

char *surface_format(const Surface *surface, char buffer[static SURFACE_TEXT_MAX]) {
    char port[32], where[SURFACE_TEXT_MAX];
    put_port(surface, port, sizeof port);
    if (surface->whole) return namespace_format(surface->namespace, buffer);
    if (surface->namespace[0])
        snprintf(buffer, SURFACE_TEXT_MAX, "%s in %.*s", port, (int)(SURFACE_TEXT_MAX - sizeof port - 4),
            namespace_format(surface->namespace, where));
    else
        strcpy(buffer, port);
    return buffer;
}

char *surface_subject(const Surface *surface, char buffer[static SURFACE_TEXT_MAX]) {
    char port[32], where[SURFACE_TEXT_MAX - sizeof port - 1] = "";
    put_port(surface, port, sizeof port);
    if (surface->port) snprintf(port, sizeof port, "%s/%u", protocol_name(surface->protocol), surface->port);
    escape_name(surface->namespace, where, sizeof where);
    if (surface->whole)
        strcpy(buffer, where);
    else
        snprintf(buffer, SURFACE_TEXT_MAX, "%s%s%s", where, *where ? "/" : "", port);
    return buffer;
}

int surface_compare(const Surface *a, const Surface *b) {
    int in = strcmp(a->namespace, b->namespace);
    if (in) return in;
    if (a->protocol != b->protocol) return a->protocol < b->protocol ? -1 : 1;
    if (a->port != b->port) return a->port < b->port ? -1 : 1;
    if (a->local != b->local) return (int)a->local - (int)b->local;
    return (int)a->whole - (int)b->whole;
}

static const char *const change_names[CHANGE_MAX] = {
    [CHANGE_NONE] = "none",
    [CHANGE_CLOSED] = "closed",
    [CHANGE_OPENED] = "opened",
    [CHANGE_ADDRESS] = "address",
    [CHANGE_OWNER] = "owner",
    [CHANGE_PROGRAM] = "program",
    [CHANGE_FLAPPING] = "flapping",
    [CHANGE_BLIND] = "blind",
};

const char *change_name(Change change) {
    return change_names[change];
}

bool change_parse(const char *text, Change *ret) {
    for (Change c = 0; c < CHANGE_MAX; c++)
        if (strcmp(text, change_names[c]) == 0) {
            *ret = c;
            return true;
        }
    return false;
}

Severity difference_severity(Change change, Reach reach) {
    if (change == CHANGE_BLIND || reach == REACH_WIDENED) return SEVERITY_CRITICAL;
    if (change == CHANGE_PROGRAM || (change == CHANGE_ADDRESS && reach == REACH_SAME)) return SEVERITY_INFO;
    return SEVERITY_WARNING;
}

bool rows_local(const Rows *rows) {
    for (size_t i = 0; i < rows->n; i++)
        if (!exposure_is_local(rows->items[i])) return false;
    return true;
}

static int answers_stated(const PortRule *rule, Answers *ret) {
    Answer *items = malloc(rule->n_addresses * sizeof *items);
    if (!items) return -ENOMEM;
    for (size_t i = 0; i < rule->n_addresses; i++) items[i] = (Answer){rule->addresses[i], "", NULL};
    *ret = (Answers){items, rule->n_addresses};
    return 0;
}

static int compare_items(const void *a, const void *b) {
    return answer_compare(a, b);
}

static Exposure exposure_of_answers(const Answers *answers) {
    ExposureSum sum = {0};
    for (size_t i = 0; i < answers->n; i++) exposure_add(&sum, &answers->items[i].address, answers->items[i].device);
    return exposure_total(&sum);
}

static void verdict(
    const PortRule *rule, const Answers *expected, const Answers *seen, const MergeTally *tally, Difference *ret) {
    if (expected->n == 0 && seen->n == 0) return;
    /* What is link-local joins and goes without a word, so nothing else counts as having been there before. */
    bool before = rule ? expected->n > 0 : !answers_link_local(expected);
    bool after = rule ? seen->n > 0 : !answers_link_local(seen);
    if (!before || seen->n == 0) {
        if (before || after)
            ret->change = before ? CHANGE_CLOSED : CHANGE_OPENED;
        else
            ret->quiet = tally->quiet_added + tally->quiet_removed + tally->better > 0;
        return;
    }
    if (tally->added + tally->removed > 0)
        ret->change = CHANGE_ADDRESS;
    else if (tally->owner > 0)
        ret->change = CHANGE_OWNER;
    else if (tally->program > 0)
        ret->change = CHANGE_PROGRAM;
    else {
        ret->upgraded = tally->upgraded > 0;
        ret->quiet = tally->quiet_added + tally->quiet_removed + tally->better > 0;
    }
    if (ret->change != CHANGE_ADDRESS) return;
    Exposure was = exposure_of_answers(expected), is = exposure_of_answers(seen);
    if (is > was)
        ret->reach = REACH_WIDENED;
    else if (is < was || tally->added + tally->quiet_added == 0)
        ret->reach = REACH_NARROWED;
}

/* Ephemeral ports together: one of several programs came or went. */
static int judge_pool(const Surface *surface, const Rows *baseline, const Rows *seen, Difference *ret) {
    if (surface->protocol != PROTOCOL_TCP) {
        if (pool_has_news(baseline, seen)) ret->change = CHANGE_OPENED;
        return 0;
    }
    _cleanup_(answers_done) Answers expected = {0}, there = {0};
    PoolTally tally = {0};
    int r = answers_make(baseline, &expected);
    if (r >= 0) r = answers_make(seen, &there);
    if (r >= 0) r = pool_match(&expected, &there, &tally);
    if (r < 0) return r;
    if (tally.added + tally.removed > 0)
        ret->change = tally.removed == 0 ? CHANGE_OPENED : tally.added == 0 ? CHANGE_CLOSED : CHANGE_OWNER;
    else
        ret->quiet = tally.quiet > 0;
    return 0;
}

/* `open` without addresses: whatever address is there is fine, the stated owner is not. */
static void judge_open(const PortRule *rule, const Rows *seen, Difference *ret) {
    if (seen->n == 0) ret->change = CHANGE_CLOSED;
    for (size_t i = 0; i < seen->n; i++)
        if (!merge_owners_expected(rule, &(Rows){0}, NULL, seen->items[i])) ret->change = CHANGE_OWNER;
}

int difference_make(
    const Surface *surface, const PortRule *rule, const Rows *baseline, const Rows *seen, Difference *ret) {
    *ret = (Difference){0};
    if (surface->whole) {
        if ((baseline->n > 0) != (seen->n > 0)) ret->change = seen->n > 0 ? CHANGE_OPENED : CHANGE_CLOSED;
        return 0;
    }
    if (rule && rule->expect == EXPECT_CLOSED) {
        if (seen->n > 0) ret->change = CHANGE_OPENED;
        return 0;
    }
    if (rule && rule->expect == EXPECT_OPEN && rule->n_addresses == 0) {
        judge_open(rule, seen, ret);
        return 0;
    }
    if (surface->port == 0) return judge_pool(surface, baseline, seen, ret);
    _cleanup_(answers_done) Answers expected = {0}, there = {0};
    int r = rule_states_addresses(rule) ? answers_stated(rule, &expected) : answers_make(baseline, &expected);
    if (r >= 0) r = answers_make(seen, &there);
    if (r < 0) return r;
    MergeTally tally = {0};
    if (expected.n > 1) qsort(expected.items, expected.n, sizeof *expected.items, compare_items);
    if (there.n > 1) qsort(there.items, there.n, sizeof *there.items, compare_items);
    merge_answers(rule, baseline, &expected, &there, &tally);
    verdict(rule, &expected, &there, &tally, ret);
    return 0;
}

static int add_stated(const Surface *surface, const PortRule *rule, const Rows *baseline, Endpoints *list) {
    for (size_t i = 0; i < rule->n_addresses; i++) {
        Endpoint e = {.protocol = surface->protocol,
            .port = surface->port,
            .address = rule->addresses[i],
            .v6only = true,
            .count = 1};
        for (size_t b = 0; b < baseline->n; b++)
            for (size_t o = 0; o < baseline->items[b]->n_owners; o++)
                if (endpoint_add_owner(&e, baseline->items[b]->owners[o]) < 0) {
                    endpoint_done(&e);
                    return -ENOMEM;
                }
        if (endpoints_take(list, &e) < 0) {
            endpoint_done(&e);
            return -ENOMEM;
        }
    }
    return 0;
}

int difference_expected(const Surface *surface, const PortRule *rule, const Rows *baseline, Endpoints *ret) {
    Endpoints list = {0};
    int r = 0;
    if (rule_states_addresses(rule))
        r = add_stated(surface, rule, baseline, &list);
    else if (!rule || rule->expect != EXPECT_CLOSED)
        for (size_t i = 0; i < baseline->n && r >= 0; i++) r = endpoints_add(&list, baseline->items[i]);
    if (r < 0) {
        endpoints_done(&list);
        return r;
    }
    *ret = list;
    return 0;
}
