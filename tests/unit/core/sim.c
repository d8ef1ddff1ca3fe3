#include "sim.h"

#define SECONDS(s) ((int64_t)((s) * (double)USEC_PER_SEC))

static uint64_t seed = 88172645463325252ULL;

uint64_t sim_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

void sim_random_bytes(void *buffer, size_t size) {
    uint8_t *bytes = buffer;
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(sim_random() >> 24);
}

static char *joined(const char *prefix, const char *name, const char *suffix) {
    char *text = NULL;
    assert_true(asprintf(&text, "%s%s%s", prefix, name, suffix) >= 0);
    return text;
}

static Owner *owner_named(const char *name) {
    Owner *owner = owner_new();
    assert_non_null(owner);
    if (strcmp(name, "kernel") == 0) {
        owner->exe = strdup(OWNER_EXE_KERNEL);
        owner->uid = 0;
        return owner;
    }
    owner->exe = joined("/usr/bin/", name, "");
    owner->unit = joined(name, "", ".service");
    owner->user = strdup(name);
    owner->uid = 1000;
    for (const char *p = name; *p; p++) owner->uid = owner->uid * 31 + (uid_t)*p;
    return owner;
}

static void add_owner(Endpoint *e, Owner *owner) {
    assert_int_equal(endpoint_add_owner(e, owner), 0);
    owner_unref(owner);
}

static void parse_where(const char *word, Endpoint *e) {
    char address[64];
    const char *colon = strrchr(word, ':');
    assert_non_null(colon);
    bool brackets = *word == '[';
    snprintf(address, sizeof address, "%.*s", (int)(colon - word) - 2 * brackets, word + brackets);
    assert_true(address_parse(address, &e->address));
    e->port = (uint16_t)atoi(colon + 1);
}

static void parse_word(const char *word, Endpoint *e, Owner **partial) {
    if (*word == '@')
        add_owner(e, owner_named(word + 1));
    else if (strcmp(word, "v6only") == 0)
        e->v6only = true;
    else if (strncmp(word, "dev=", 4) == 0)
        snprintf(e->device, sizeof e->device, "%s", word + 4);
    else if (strncmp(word, "in=", 3) == 0)
        snprintf(e->namespace, sizeof e->namespace, "%s", word + 3);
    else if (strncmp(word, "count=", 6) == 0)
        e->count = (unsigned)atoi(word + 6);
    else if (strcmp(word, "pending") == 0)
        e->owner_pending = true;
    else if (strcmp(word, "replaced") == 0 || strcmp(word, "deleted") == 0)
        for (size_t i = 0; i < e->n_owners; i++) {
            e->owners[i]->exe_replaced = *word == 'r';
            e->owners[i]->exe_deleted = *word == 'd';
        }
    else if (strncmp(word, "file=", 5) == 0)
        for (size_t i = 0; i < e->n_owners; i++) e->owners[i]->exe_inode = (uint64_t)atoi(word + 5);
    else {
        if (!*partial) *partial = owner_new();
        if (strncmp(word, "exe=", 4) == 0)
            (*partial)->exe = strdup(word + 4);
        else if (strncmp(word, "unit=", 5) == 0)
            (*partial)->unit = strdup(word + 5);
        else if (strncmp(word, "uid=", 4) == 0)
            (*partial)->uid = (uid_t)atoi(word + 4);
        else
            fail_msg("what is \"%s\"?", word);
    }
}

static int compare_namespaces(const void *a, const void *b) {
    return strcmp(((const Namespace *)a)->name, ((const Namespace *)b)->name);
}

static Namespace *add_namespace(Snapshot *snapshot, const char *name) {
    for (size_t i = 0; i < snapshot->n_namespaces; i++)
        if (strcmp(snapshot->namespaces[i].name, name) == 0) return &snapshot->namespaces[i];
    snapshot->namespaces = reallocarray(snapshot->namespaces, snapshot->n_namespaces + 1, sizeof(Namespace));
    assert_non_null(snapshot->namespaces);
    Namespace *namespace = &snapshot->namespaces[snapshot->n_namespaces++];
    *namespace = (Namespace){0};
    snprintf(namespace->name, sizeof namespace->name, "%s", name);
    return namespace;
}

/* "all": other namespaces are looked at, "in docker:web": there is such a one, "unseen docker:web": it cannot be read.
 */
static bool parse_namespace(const char *word, char **rest, Snapshot *snapshot) {
    if (strcmp(word, "all") == 0)
        snapshot->all_namespaces = snapshot->namespaces_found = true;
    else if (strcmp(word, "in") == 0)
        add_namespace(snapshot, strtok_r(NULL, " ", rest));
    else if (strcmp(word, "unseen") == 0) {
        Namespace *namespace = add_namespace(snapshot, strtok_r(NULL, " ", rest));
        for (Table t = 0; t < TABLE_MAX; t++) namespace->tables[t] = TABLE_INCOMPLETE;
        snapshot->namespaces_unseen++;
    } else
        return false;
    return true;
}

static void parse_line(char *line, Snapshot *snapshot) {
    char *rest = NULL, *word = strtok_r(line, " ", &rest);
    if (!word) return;
    if (parse_namespace(word, &rest, snapshot)) return;
    bool incomplete = strcmp(word, "incomplete") == 0;
    Endpoint e = {.count = 1};
    if (incomplete) word = strtok_r(NULL, " ", &rest);
    assert_true(protocol_parse(word, &e.protocol));
    if (incomplete) {
        for (Table t = 0; t < TABLE_MAX; t++)
            if (table_protocol(t) == e.protocol) snapshot->tables[t] = TABLE_INCOMPLETE;
        return;
    }
    parse_where(strtok_r(NULL, " ", &rest), &e);
    Owner *partial = NULL;
    while ((word = strtok_r(NULL, " ", &rest))) parse_word(word, &e, &partial);
    if (partial) add_owner(&e, partial);
    if (e.namespace[0]) add_namespace(snapshot, e.namespace);
    assert_int_equal(endpoints_take(&snapshot->endpoints, &e), 0);
}

void snapshot_parse(const char *text, Snapshot *ret) {
    *ret = (Snapshot){.ephemeral_first = EPHEMERAL_FIRST, .ephemeral_last = EPHEMERAL_LAST};
    _cleanup_free_ char *copy = strdup(text);
    char *rest = NULL;
    for (char *line = strtok_r(copy, ";", &rest); line; line = strtok_r(NULL, ";", &rest)) parse_line(line, ret);
    assert_int_equal(endpoints_sort(&ret->endpoints), 0);
    if (ret->n_namespaces > 1) qsort(ret->namespaces, ret->n_namespaces, sizeof(Namespace), compare_namespaces);
}

void sim_init_booting(Sim *sim, double age) {
    *sim = (Sim){.rules = rules_new()};
    assert_non_null(sim->rules);
    sim->now = (Now){SECONDS(5000), SECONDS(1750000000), SECONDS(age)};
    sim->told = strdup("");
    sim->history = strdup("");
}

void sim_init(Sim *sim, const char *learned) {
    sim_init_booting(sim, 5000);
    if (!learned) return;
    sim_look(sim, learned);
    assert_true(sim->state.learned);
    sim_forget_history(sim);
}

void sim_done(Sim *sim) {
    rules_free(sim->rules);
    state_done(&sim->state);
    event_done(&sim->last);
    free(sim->told);
    free(sim->history);
}

PortRule *sim_section(Sim *sim, const char *header) {
    Rules *rules = sim->rules;
    PortRule *longer = reallocarray(rules->ports, rules->n_ports + 1, sizeof *longer);
    assert_non_null(longer);
    rules->ports = longer;
    PortRule *rule = &longer[rules->n_ports++];
    *rule = (PortRule){.header = strdup(header),
        .settle = rules->settle,
        .settle_closed = rules->settle_closed,
        .remind = rules->remind,
        .mode = rules->mode};
    unsigned first, last;
    char protocol[16];
    if (sscanf(header, "%u-%u/%15s", &first, &last, protocol) != 3) {
        assert_int_equal(sscanf(header, "%u/%15s", &first, protocol), 2);
        last = first;
    }
    rule->first = (uint16_t)first;
    rule->last = (uint16_t)last;
    assert_true(protocol_parse(protocol, &rule->protocol));
    return rule;
}

IgnoreRule *sim_ignore(Sim *sim) {
    Rules *rules = sim->rules;
    IgnoreRule *longer = reallocarray(rules->ignores, rules->n_ignores + 1, sizeof *longer);
    assert_non_null(longer);
    rules->ignores = longer;
    longer[rules->n_ignores] = (IgnoreRule){.name = strdup("some")};
    return &longer[rules->n_ignores++];
}

void sim_no_sections(Sim *sim) {
    Rules *fresh = rules_new();
    assert_non_null(fresh);
    rules_free(sim->rules);
    sim->rules = fresh;
}

static void append(char **text, const char *line) {
    char *longer = joined(*text, line, "");
    free(*text);
    *text = longer;
}

static void tell(Sim *sim, const Event *e) {
    char surface[SURFACE_TEXT_MAX] = "self", line[SURFACE_TEXT_MAX + 128];
    static const char *const endings[] = {[ENDING_NONE] = "",
        [ENDING_RETURNED] = " returned",
        [ENDING_ACCEPTED] = " accepted",
        [ENDING_UNWATCHED] = " unwatched",
        [ENDING_RESTATED] = " restated"};
    static const char *const reaches[] = {"", " widened", " narrowed"};
    if (e->has_incident && e->incident.aspect == ASPECT_SURFACE) surface_format(&e->surface, surface);
    if (e->type == EVENT_SELF && e->subject) snprintf(surface, sizeof surface, "%s", e->subject);
    snprintf(line, sizeof line, "%s %s %s%s %s%s\n", event_type_name(e->type), surface, change_name(e->change),
        reaches[e->reach], severity_name(e->severity), endings[e->ending]);
    append(&sim->told, line);
    event_done(&sim->last);
    assert_int_equal(event_copy(e, &sim->last), 0);
}

static void record(Sim *sim, const Decision *d) {
    if (sim->quiet || sim->commit_fails) return;
    for (size_t i = 0; i < d->n_events; i++) tell(sim, &d->events[i]);
    for (size_t i = 0; i < d->n_transitions; i++) {
        const Transition *t = &d->transitions[i];
        char surface[SURFACE_TEXT_MAX] = "-", line[SURFACE_TEXT_MAX + 64];
        if (t->has_surface) surface_format(&t->surface, surface);
        snprintf(line, sizeof line, "%s %s %s\n", transition_name(t->kind), surface, change_name(t->change));
        append(&sim->history, line);
    }
}

/* What must hold after every decision, whatever the test is about. */
static void check_invariants(const State *state) {
    for (size_t i = 0; i < state->n_incidents; i++) {
        const Incident *a = &state->incidents[i];
        assert_true(a->id[0] && a->token[0] && a->opening_event[0]);
        assert_int_equal(a->state, INCIDENT_OPEN);
        for (size_t k = 0; k < i; k++) {
            const Incident *b = &state->incidents[k];
            assert_string_not_equal(a->token, b->token);
            assert_false(a->aspect == b->aspect && surface_compare(&a->surface, &b->surface) == 0);
        }
    }
    for (size_t i = 0; i < state->baseline.n; i++) {
        assert_true(state->baseline.items[i].since > 0);
        if (i) assert_true(endpoint_compare(&state->baseline.items[i - 1], &state->baseline.items[i]) < 0);
    }
}

static void apply(Sim *sim, Decision *d) {
    assert_int_equal(decision_identify(d, &sim->state, sim_random_bytes), 0);
    record(sim, d);
    assert_int_equal(engine_apply(&sim->state, d, !sim->commit_fails), 0);
    if (!sim->quiet) check_invariants(&sim->state);
}

void sim_step(Sim *sim, const Snapshot *snapshot) {
    Decision d;
    assert_int_equal(engine_step(sim->rules, &sim->state, snapshot, &sim->now, &d), 0);
    sim->next_look = d.next_look;
    apply(sim, &d);
}

void sim_look(Sim *sim, const char *text) {
    Snapshot snapshot;
    snapshot_parse(text, &snapshot);
    sim_step(sim, &snapshot);
    snapshot_done(&snapshot);
}

void sim_pass(Sim *sim, double seconds) {
    sim->now.boottime += SECONDS(seconds);
    sim->now.realtime += SECONDS(seconds);
    sim->now.boot_age += SECONDS(seconds);
}

void sim_set_clock(Sim *sim, int64_t seconds) {
    sim->now.realtime += seconds * USEC_PER_SEC;
}

void sim_run(Sim *sim, double seconds, const char *text) {
    Snapshot snapshot;
    snapshot_parse(text, &snapshot);
    double interval = (double)sim->rules->interval / (double)USEC_PER_SEC;
    for (double t = interval; t <= seconds + 1e-9; t += interval) {
        sim_pass(sim, interval);
        sim_step(sim, &snapshot);
    }
    snapshot_done(&snapshot);
}

void sim_restart(Sim *sim) {
    free(sim->state.settling);
    sim->state.settling = NULL;
    sim->state.n_settling = 0;
    for (size_t i = 0; i < sim->state.n_causes; i++) cause_done(&sim->state.causes[i]);
    sim->state.n_causes = 0;
    sim->state.last_step = 0;
    sim->state.incomplete_runs = 0;
    for (size_t i = 0; i < sim->state.n_pauses; i++) sim->state.pauses[i].ends = 0;
    state_start_loans(&sim->state, &sim->now);
}

void sim_cause(Sim *sim, uint16_t port, Fate fate, const char *document) {
    for (size_t i = 0; i < sim->state.n_settling; i++) {
        const Settling *s = &sim->state.settling[i];
        if (s->surface.port != port) continue;
        assert_true(s->asks);
        Cause cause = {.surface = s->surface, .start = s->start, .answered = document != NULL, .fate = fate};
        cause.document = document ? strdup(document) : NULL;
        assert_int_equal(state_set_cause(&sim->state, &cause), 0);
        return;
    }
    fail_msg("%u does not settle", port);
}

int sim_accept(Sim *sim, const char *text, const char *token, const Surface *surface) {
    return sim_accept_until(sim, text, token, surface, 0);
}

int sim_accept_until(Sim *sim, const char *text, const char *token, const Surface *surface, double seconds) {
    Snapshot snapshot;
    snapshot_parse(text, &snapshot);
    Decision d;
    Acceptance a = {.token = token, .surface = surface, .by = "ann", .reason = "planned", .ahead = seconds > 0};
    if (seconds > 0) a.until = sim->now.realtime + (int64_t)(seconds * (double)USEC_PER_SEC);
    int r = engine_accept(sim->rules, &sim->state, &snapshot, &sim->now, &a, &d, NULL);
    assert_true(r >= 0);
    apply(sim, &d);
    snapshot_done(&snapshot);
    return r;
}

static int applied(Sim *sim, int r, Decision *d) {
    assert_true(r >= 0);
    apply(sim, d);
    return r;
}

int sim_replace(Sim *sim, const char *seen, const char *baseline, VersionKind kind, const Surface *only) {
    Snapshot snapshot, rows;
    snapshot_parse(seen, &snapshot);
    snapshot_parse(baseline, &rows);
    Decision d;
    Replacement by = {
        .kind = kind, .rows = &rows.endpoints, .only = only, .n_only = only != NULL, .by = "ann", .what = "version 3"};
    int r = engine_replace_baseline(sim->rules, &sim->state, &snapshot, &sim->now, &by, &d);
    assert_true(r >= 0);
    apply(sim, &d);
    snapshot_done(&snapshot);
    snapshot_done(&rows);
    return r;
}

int sim_pause(Sim *sim, double seconds, const Surface *surface) {
    Decision d;
    return applied(sim, engine_pause(&sim->state, &sim->now, surface, SECONDS(seconds), "ann", &d), &d);
}

int sim_resume(Sim *sim, const Surface *surface) {
    Decision d;
    return applied(sim, engine_resume(&sim->state, &sim->now, surface, "ann", &d), &d);
}

int sim_ack(Sim *sim, const char *token) {
    Decision d;
    return applied(sim, engine_acknowledge(&sim->state, &sim->now, token, "ann", &d), &d);
}

const char *sim_token(Sim *sim) {
    assert_int_equal(sim->state.n_incidents, 1);
    return sim->state.incidents[0].token;
}

static void expect_and_forget(char **text, const char *expected) {
    if (strcmp(*text, expected) != 0) fail_msg("expected:\n%sgot:\n%s", expected, *text);
    (*text)[0] = '\0';
}

void sim_told(Sim *sim, const char *expected) {
    expect_and_forget(&sim->told, expected);
}

void sim_history(Sim *sim, const char *expected) {
    expect_and_forget(&sim->history, expected);
}

void sim_forget_history(Sim *sim) {
    sim->history[0] = '\0';
}

void sim_baseline(Sim *sim, const char *expected) {
    _cleanup_free_ char *text = strdup("");
    for (size_t i = 0; i < sim->state.baseline.n; i++) {
        const Endpoint *e = &sim->state.baseline.items[i];
        char address[INET6_ADDRSTRLEN], line[256];
        bool six = e->address.family == AF_INET6;
        snprintf(line, sizeof line, "%s %s%s%s:%u", protocol_name(e->protocol), six ? "[" : "",
            address_format(&e->address, address), six ? "]" : "", e->port);
        append(&text, line);
        for (size_t o = 0; o < e->n_owners; o++) {
            const char *exe = e->owners[o]->exe ? e->owners[o]->exe : "?";
            append(&text, " ");
            append(&text, strrchr(exe, '/') ? strrchr(exe, '/') + 1 : exe);
        }
        append(&text, "\n");
    }
    if (strcmp(text, expected) != 0) fail_msg("expected:\n%sgot:\n%s", expected, text);
}
