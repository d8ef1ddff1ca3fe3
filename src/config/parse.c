#include <errno.h>
#include <string.h>

#include "config/keys.h"
#include "config/portname.h"
#include "config/reader.h"

typedef struct Builder {
    Complaints complaints;
    Draft draft;
    Rules *rules;
    const char *host;
    const Section **ports; /* the section of each rules->ports[i] */
} Builder;

static void builder_done(Builder *builder) {
    complaints_done(&builder->complaints);
    draft_done(&builder->draft);
    rules_free(builder->rules);
    free(builder->ports);
}

#define section_error(builder, section, key, ...)                                                                      \
    complaint_error(&(builder)->complaints, (section)->spot, (section)->header, key, __VA_ARGS__)
#define entry_error(builder, section, entry, ...)                                                                      \
    complaint_error(&(builder)->complaints, (entry)->spot, (section)->header, (entry)->key, __VA_ARGS__)

static PortSpan rule_span(const PortRule *rule) {
    return (PortSpan){rule->first, rule->last, rule->any_protocol, rule->protocol};
}

/* What needs a protocol, and what contradicts itself. */
static void check_port(Builder *builder, const Section *section, PortRule *rule) {
    static const char *const stating[] = {"address", "unit", "exe", "user"};
    const Entry *expect = draft_entry(section, "expect"), *first = NULL;

    if (expect) place_set(&builder->complaints, &rule->expect_place, expect->spot);
    for (size_t i = 0; i < ELEMENTSOF(stating); i++) {
        const Entry *entry = draft_entry(section, stating[i]);
        if (!entry) continue;
        if (!first) first = entry;
        if (rule->any_protocol)
            entry_error(builder, section, entry, "needs a protocol in the header: [port:%s/tcp] or [port:%s/udp]",
                section->argument, section->argument);
        if (expect && rule->expect == EXPECT_CLOSED)
            entry_error(builder, section, entry, "contradicts expect = closed (%s:%u)", expect->spot.file->name,
                expect->spot.line);
    }
    if (first) place_set(&builder->complaints, &rule->stated_place, first->spot);
    if (expect && rule->expect == EXPECT_OPEN && rule->any_protocol)
        entry_error(builder, section, expect, "'open' needs a protocol in the header: [port:%s/tcp] or [port:%s/udp]",
            section->argument, section->argument);
}

static void build_port(Builder *builder, const Section *section) {
    Rules *rules = builder->rules;
    PortSpan span;
    char reason[512];

    if (!port_span_parse(section->argument, &span, reason, sizeof(reason))) {
        section_error(builder, section, NULL, "%s", reason);
        return;
    }
    builder->ports[rules->n_ports] = section;
    PortRule *rule = &rules->ports[rules->n_ports++];
    *rule = (PortRule){
        .header = strdup(section->header),
        .first = span.first,
        .last = span.last,
        .any_protocol = span.any_protocol,
        .protocol = span.protocol,
        .mode = rules->mode,
        .upgrades = rules->upgrades,
        .flapping = rules->flapping,
        .settle = rules->settle,
        .settle_closed = rules->settle_closed,
        .remind = rules->remind,
    };
    if (!rule->header) builder->complaints.no_memory = true;
    place_set(&builder->complaints, &rule->place, section->spot);
    keys_apply(&builder->complaints, section, &(Target){.rules = rules, .port = rule});
    check_port(builder, section, rule);
}

static void build_ignore(Builder *builder, const Section *section) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    IgnoreRule *rule = &builder->rules->ignores[builder->rules->n_ignores++];

    *rule = (IgnoreRule){.name = strdup(section->argument)};
    if (!rule->name) builder->complaints.no_memory = true;
    place_set(&builder->complaints, &rule->place, section->spot);
    if (section->argument[strspn(section->argument, letters)] != '\0')
        section_error(builder, section, NULL, "the name has letters, digits, '.', '_' and '-' only");
    if (section->n_entries == 0 && !section->damaged)
        section_error(
            builder, section, NULL, "says nothing; it needs at least one of port, address, unit, exe, user, namespace");
    keys_apply(&builder->complaints, section, &(Target){.rules = builder->rules, .ignore = rule});
    if (rule->unit && !rule->has_port && !rule->has_address && !rule->exe && !rule->user && !rule->namespace)
        complaint_warning(&builder->complaints, section->spot, section->header, NULL,
            "only 'unit': whoever gets a process into this unit is not seen; add port, exe or user");
}

static void build_notifier(Builder *builder, const Section *section) {
    NotifierRule *rule = &builder->rules->notifiers[builder->rules->n_notifiers++];
    const Entry *plugin = draft_entry(section, "plugin");

    *rule = (NotifierRule){
        .name = strdup(section->argument),
        .group_wait = 5 * USEC_PER_SEC,
        .max_per_hour = 30,
        .events = EVENT_MASK_ALL,
        .severity = SEVERITY_INFO,
        .detail_full = plugin && strcmp(plugin->value, "email") == 0,
    };
    if (!rule->name) builder->complaints.no_memory = true;
    place_set(&builder->complaints, &rule->place, section->spot);
    if (!name_is_valid(section->argument))
        section_error(builder, section, NULL, "'%s' is no name: a letter a-z, then a-z, 0-9 and '-', 32 at most",
            section->argument);
    if (!plugin && !section->damaged)
        section_error(builder, section, "plugin", "missing; email and webhook come with portwatch");
    keys_apply(
        &builder->complaints, section, &(Target){.rules = builder->rules, .notifier = rule, .host = builder->host});
}

/* Once everything is read: [portwatch] may stand behind it. */
static void check_notifier(Builder *builder, const Section *section, const NotifierRule *rule) {
    const Entry *events = draft_entry(section, "events"), *heartbeat = draft_entry(section, "heartbeat");
    if (events && rule->events == 0 && !heartbeat)
        entry_error(builder, section, events, "'none' leaves it nothing to do: it is for a notifier with a heartbeat");
    if (heartbeat && rule->heartbeat > 0 && rule->heartbeat < builder->rules->interval)
        entry_error(builder, section, heartbeat, "is shorter than the interval of [portwatch]: it beats after a look");
}

static void check_notify(Builder *builder, const Section *section, char *const *notify) {
    const Rules *rules = builder->rules;
    const Entry *entry = draft_entry(section, "notify");

    for (char *const *name = notify; entry && name && *name; name++) {
        if (rules_notifier(rules, *name)) continue;
        const char **names = calloc(rules->n_notifiers + 1, sizeof(*names));
        if (!names) {
            builder->complaints.no_memory = true;
            return;
        }
        for (size_t i = 0; i < rules->n_notifiers; i++) names[i] = rules->notifiers[i].name;
        const char *near = value_near(*name, names);
        entry_error(builder, section, entry, "there is no [notifier:%s]%s%s%s", *name, near ? "; did you mean " : "",
            near ? near : "", near ? "?" : "");
        free(names);
    }
}

static void check_overlaps(Builder *builder) {
    const Rules *rules = builder->rules;

    for (size_t i = 1; i < rules->n_ports; i++)
        for (size_t j = 0; j < i; j++) {
            PortSpan a = rule_span(&rules->ports[i]), b = rule_span(&rules->ports[j]);
            SpanRelation relation = port_span_relate(&a, &b);
            if (relation != SPAN_EQUAL && relation != SPAN_CROSSED) continue;
            const Section *later = builder->ports[i], *earlier = builder->ports[j];
            section_error(builder, later, NULL, "%s [%s] (%s:%u)%s",
                relation == SPAN_EQUAL ? "means the same ports as" : "overlaps in part with", earlier->header,
                earlier->spot.file->name, earlier->spot.line,
                relation == SPAN_EQUAL ? "; to continue a section in a drop-in, write its header the same way"
                                       : "; one must hold the other, or none of its ports");
            break;
        }
}

static void build(Builder *builder) {
    const Draft *draft = &builder->draft;
    Rules *rules = builder->rules;
    const Section *global = NULL;

    /* The defaults first: other sections inherit them, wherever [portwatch] stands. */
    for (size_t i = 0; i < draft->n_sections; i++)
        if (draft->sections[i].kind == SECTION_PORTWATCH) {
            global = &draft->sections[i];
            keys_apply(&builder->complaints, global, &(Target){.rules = rules});
        }
    for (size_t i = 0; i < draft->n_sections; i++) {
        const Section *section = &draft->sections[i];
        if (section->kind == SECTION_PORT)
            build_port(builder, section);
        else if (section->kind == SECTION_IGNORE)
            build_ignore(builder, section);
        else if (section->kind == SECTION_NOTIFIER)
            build_notifier(builder, section);
    }
    if (builder->complaints.no_memory) return;
    for (size_t i = 0, k = 0; i < draft->n_sections; i++)
        if (draft->sections[i].kind == SECTION_NOTIFIER)
            check_notifier(builder, &draft->sections[i], &rules->notifiers[k++]);
    if (global) check_notify(builder, global, rules->notify);
    for (size_t i = 0; i < rules->n_ports; i++) check_notify(builder, builder->ports[i], rules->ports[i].notify);
    check_overlaps(builder);
}

static int builder_read(Builder *builder, const ConfigFiles *files) {
    for (size_t i = 0; i < files->n; i++) {
        int r = reader_read(&files->items[i], &builder->draft, &builder->complaints);
        if (r < 0) return r;
    }

    Rules *rules = builder->rules = rules_new();
    size_t n = builder->draft.n_sections;
    if (!rules) return -ENOMEM;
    rules->file = strdup(files->n > 0 ? files->items[0].name : "");
    rules->ports = calloc(n + 1, sizeof(*rules->ports));
    rules->ignores = calloc(n + 1, sizeof(*rules->ignores));
    rules->notifiers = calloc(n + 1, sizeof(*rules->notifiers));
    builder->ports = calloc(n + 1, sizeof(*builder->ports));
    if (!rules->file || !rules->ports || !rules->ignores || !rules->notifiers || !builder->ports) return -ENOMEM;
    return 0;
}

int config_parse(const ConfigFiles *files, const char *host, Rules **ret, char ***ret_errors) {
    _cleanup_(builder_done) Builder builder = {.host = host};

    int r = builder_read(&builder, files);
    if (r < 0) return r;
    build(&builder);
    if (builder.complaints.no_memory) return -ENOMEM;
    if (builder.complaints.n_errors > 0) {
        r = complaints_list(&builder.complaints, false, ret_errors);
        return r < 0 ? r : CONFIG_ERRORS;
    }
    r = complaints_list(&builder.complaints, true, &builder.rules->warnings);
    if (r < 0) return r;
    *ret = TAKE_PTR(builder.rules);
    return CONFIG_OK;
}

int config_load(const char *file, const char *host, Rules **ret, char ***ret_errors) {
    _cleanup_(config_files_done) ConfigFiles files = {0};

    int r = config_read(file, &files, ret_errors);
    return r != CONFIG_OK ? r : config_parse(&files, host, ret, ret_errors);
}
