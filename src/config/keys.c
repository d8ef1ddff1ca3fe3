#include "config/keys.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "config/portname.h"

typedef struct Key {
    const char *name;
    bool (*take)(const Context *context, const struct Key *key, void *base);
    size_t offset;            /* of what it sets, in the rule of its section */
    const char *min, *max;    /* take_duration */
    const char *const *words; /* take_word, in the order of the enum */
    bool (*text)(const Context *context, const char *text, char **ret); /* take_text */
    bool shared;                                                        /* the plugin has it as well, and declares it */
} Key;

static const char *const expects[] = {"baseline", "open", "closed", NULL};
static const char *const severities[] = {"info", "warning", "critical", NULL};
static const char *const modes[] = {"pinned", "rolling", NULL};
static const char *const upgrades[] = {"log", "alert", NULL};
static const char *const scopes[] = {"host", "all", NULL};
static const char *const watches[] = {"alert", "log", "ignore", NULL};
static const char *const events[] = {"opened", "changed", "resolved", "reminder", "notice", NULL};
static const char *const passes[] = {"send", "wait", NULL};
static const char *const details[] = {"minimal", "full", NULL};

static bool take_duration(const Context *context, const Key *key, void *base) {
    return value_duration(context, context->entry->value, key->min, key->max, (int64_t *)((char *)base + key->offset));
}

static bool take_remind(const Context *context, const Key *key, void *base) {
    if (strcmp(context->entry->value, "off") == 0) {
        *(int64_t *)((char *)base + key->offset) = 0;
        return true;
    }
    int64_t usec;
    if (duration_parse(context->entry->value, &usec) && usec == 0) {
        context_error(context, "write 'off' for no reminders");
        return false;
    }
    return take_duration(context, key, base);
}

/* "6 in 1h" */
static bool take_flapping(const Context *context, const Key *key, void *base) {
    Flapping flapping = {0}, *to = (Flapping *)((char *)base + key->offset);
    const char *value = context->entry->value, *in = strstr(value, " in ");
    if (strcmp(value, "off") == 0) {
        *to = flapping;
        return true;
    }
    char number[16];
    if (!in || in - value >= (ptrdiff_t)sizeof number) {
        context_error(context, "'%s' is neither 'off' nor a number and a time, as in '6 in 1h'", value);
        return false;
    }
    snprintf(number, sizeof number, "%.*s", (int)(in - value), value);
    if (!value_number(context, number, FLAPPING_RETURNS_MIN, FLAPPING_RETURNS_MAX, &flapping.returns) ||
        !value_duration(context, in + strlen(" in "), key->min, key->max, &flapping.within))
        return false;
    *to = flapping;
    return true;
}

/* The enums start at 0 and follow the order of their words. */
static bool take_word(const Context *context, const Key *key, void *base) {
    int word;
    if (!value_word(context, context->entry->value, key->words, &word)) return false;
    memcpy((char *)base + key->offset, &word, sizeof(word));
    return true;
}

static bool take_text(const Context *context, const Key *key, void *base) {
    return key->text(context, context->entry->value, (char **)((char *)base + key->offset));
}

static bool take_words(const Context *context, const Key *key, void *base) {
    return value_words(context, context->entry->value, (char ***)((char *)base + key->offset));
}

static bool take_severity(const Context *context, const Key *key, void *base) {
    PortRule *rule = base;
    rule->has_severity = take_word(context, key, base);
    return rule->has_severity;
}

static bool take_addresses(const Context *context, const Key *key, void *base) {
    PortRule *rule = base;
    const char *p = context->entry->value;

    for (;;) {
        char text[CONFIG_LINE_MAX + 1];
        size_t length = strcspn(p, ",");
        Address address;

        const char *start = p + strspn(p, " \t");
        size_t n = start < p + length ? (size_t)(p + length - start) : 0;
        while (n > 0 && (start[n - 1] == ' ' || start[n - 1] == '\t')) n--;
        snprintf(text, sizeof(text), "%.*s", (int)n, start);
        if (n == 0) {
            context_error(context, "an empty place in the list of addresses");
            return false;
        }
        if (!value_address(context, text, &address)) return false;
        for (size_t i = 0; i < rule->n_addresses; i++)
            if (address_compare(&rule->addresses[i], &address) == 0) {
                context_error(context, "'%s' is given twice", text);
                return false;
            }
        Address *addresses = reallocarray(rule->addresses, rule->n_addresses + 1, sizeof(*addresses));
        if (!addresses) {
            context->complaints->no_memory = true;
            return false;
        }
        rule->addresses = addresses;
        addresses[rule->n_addresses++] = address;
        if (p[length] == '\0') return true;
        p += length + 1;
    }
}

static bool take_ignored_port(const Context *context, const Key *key, void *base) {
    IgnoreRule *rule = base;
    PortSpan span;
    char reason[512];

    if (!port_span_parse(context->entry->value, &span, reason, sizeof(reason))) {
        context_error(context, "%s", reason);
        return false;
    }
    rule->has_port = true;
    rule->first = span.first;
    rule->last = span.last;
    rule->any_protocol = span.any_protocol;
    rule->protocol = span.protocol;
    return true;
}

static bool take_ignored_address(const Context *context, const Key *key, void *base) {
    IgnoreRule *rule = base;

    if (rule->has_address || strchr(context->entry->value, ',')) {
        context_error(context, "one address only: all keys of a section must match, write one section for each");
        return false;
    }
    rule->has_address = value_address(context, context->entry->value, &rule->address);
    return rule->has_address;
}

static bool take_number(const Context *context, const Key *key, void *base) {
    return value_number(context, context->entry->value, 1, 3600, (unsigned *)((char *)base + key->offset));
}

static bool take_plugin(const Context *context, const Key *key, void *base) {
    if (!name_is_valid(context->entry->value)) {
        context_error(context, "'%s' is no name of a plugin: a letter a-z, then a-z, 0-9 and '-', 32 at most",
            context->entry->value);
        return false;
    }
    return value_copy(context, context->entry->value, (char **)((char *)base + key->offset));
}

static bool take_events(const Context *context, const Key *key, void *base) {
    _cleanup_(list_free) char **list = NULL;
    unsigned mask = 0;

    if (!value_words(context, context->entry->value, &list)) return false;
    bool none = strcmp(list[0], "none") == 0 && !list[1];
    for (char **word = list; *word && !none; word++) {
        int bit;
        if (!value_word(context, *word, events, &bit)) return false;
        mask |= 1U << bit;
    }
    ((NotifierRule *)base)->events = mask;
    return true;
}

static bool take_quiet(const Context *context, const Key *key, void *base) {
    switch (quiet_parse(context->entry->value, &((NotifierRule *)base)->quiet)) {
    case QUIET_GOOD:
        return true;
    case QUIET_BAD_FORM:
        context_error(context, "'%s' is no time of the day: write 22:00-07:00, several with commas between",
            context->entry->value);
        return false;
    case QUIET_EMPTY:
        context_error(context, "'%s' begins when it ends", context->entry->value);
        return false;
    case QUIET_TOO_MANY:
        context_error(context, "more than %d times of the day", QUIET_SPANS_MAX);
        return false;
    case QUIET_FULL:
        context_error(
            context, "'%s' leaves no time of the day: nothing would ever be delivered", context->entry->value);
        return false;
    }
    return false;
}

static bool take_quiet_critical(const Context *context, const Key *key, void *base) {
    int waits;
    if (!value_word(context, context->entry->value, passes, &waits)) return false;
    ((NotifierRule *)base)->quiet_critical_waits = waits == 1;
    return true;
}

static bool take_detail(const Context *context, const Key *key, void *base) {
    int full;
    if (!value_word(context, context->entry->value, details, &full)) return false;
    ((NotifierRule *)base)->detail_full = full == 1;
    return true;
}

#define GLOBAL(member) offsetof(Rules, member)
#define PORT(member) offsetof(PortRule, member)
#define IGNORE(member) offsetof(IgnoreRule, member)
#define NOTIFIER(member) offsetof(NotifierRule, member)

static const Key portwatch_keys[] = {
    {"interval", take_duration, GLOBAL(interval), .min = "100ms", .max = "1h"},
    {"settle", take_duration, GLOBAL(settle), .min = "0s", .max = "1h"},
    {"settle_closed", take_duration, GLOBAL(settle_closed), .min = "0s", .max = "1d"},
    {"boot_grace", take_duration, GLOBAL(boot_grace), .min = "0s", .max = "1h"},
    {"baseline", take_word, GLOBAL(mode), .words = modes},
    {"unlisted", take_word, GLOBAL(unlisted), .words = watches},
    {"unlisted_local", take_word, GLOBAL(unlisted_local), .words = watches},
    {"upgrades", take_word, GLOBAL(upgrades), .words = upgrades},
    {"flapping", take_flapping, GLOBAL(flapping), .min = "1m", .max = "1d"},
    {"namespaces", take_word, GLOBAL(namespaces), .words = scopes},
    {"remind", take_remind, GLOBAL(remind), .min = "1m", .max = "7d"},
    {"retain", take_duration, GLOBAL(retain), .min = "1d", .max = "3650d"},
    {"notify", take_words, GLOBAL(notify)},
    {NULL},
};

static const Key port_keys[] = {
    {"name", take_text, PORT(name), .text = value_copy},
    {"expect", take_word, PORT(expect), .words = expects},
    {"address", take_addresses, 0},
    {"unit", take_text, PORT(unit), .text = value_unit},
    {"exe", take_text, PORT(exe), .text = value_exe},
    {"user", take_text, PORT(user), .text = value_user},
    {"severity", take_severity, PORT(severity), .words = severities},
    {"baseline", take_word, PORT(mode), .words = modes},
    {"upgrades", take_word, PORT(upgrades), .words = upgrades},
    {"flapping", take_flapping, PORT(flapping), .min = "1m", .max = "1d"},
    {"settle", take_duration, PORT(settle), .min = "0s", .max = "1h"},
    {"settle_closed", take_duration, PORT(settle_closed), .min = "0s", .max = "1d"},
    {"remind", take_remind, PORT(remind), .min = "1m", .max = "7d"},
    {"notify", take_words, PORT(notify)},
    {NULL},
};

static const Key ignore_keys[] = {
    {"port", take_ignored_port, 0},
    {"address", take_ignored_address, 0},
    {"unit", take_text, IGNORE(unit), .text = value_unit},
    {"exe", take_text, IGNORE(exe), .text = value_exe},
    {"user", take_text, IGNORE(user), .text = value_user},
    {"namespace", take_text, IGNORE(namespace), .text = value_namespace},
    {NULL},
};

static const Key notifier_keys[] = {
    {"plugin", take_plugin, NOTIFIER(plugin)},
    {"group_wait", take_duration, NOTIFIER(group_wait), .min = "0s", .max = "1h"},
    {"max_per_hour", take_number, NOTIFIER(max_per_hour)},
    {"events", take_events, 0},
    {"severity", take_word, NOTIFIER(severity), .words = severities},
    {"quiet", take_quiet, 0},
    {"quiet_critical", take_quiet_critical, 0},
    {"detail", take_detail, 0},
    {"heartbeat", take_duration, NOTIFIER(heartbeat), .min = "1m", .max = "1d", .shared = true},
    {NULL},
};

static const Key *const tables[SECTION_KIND_MAX] = {
    [SECTION_PORTWATCH] = portwatch_keys,
    [SECTION_PORT] = port_keys,
    [SECTION_IGNORE] = ignore_keys,
    [SECTION_NOTIFIER] = notifier_keys,
};

#define KEYS_MAX 16
_Static_assert(ELEMENTSOF(port_keys) <= KEYS_MAX && ELEMENTSOF(portwatch_keys) <= KEYS_MAX, "names do not fit");

static void keys_names(SectionKind kind, const char *names[static KEYS_MAX]) {
    size_t n = 0;
    for (const Key *key = tables[kind]; key->name; key++) names[n++] = key->name;
    names[n] = NULL;
}

const char *const *config_keys(const char *kind) {
    static const char *names[SECTION_KIND_MAX][KEYS_MAX];

    for (SectionKind i = 0; i < SECTION_KIND_MAX; i++)
        if (strcmp(draft_kind_name(i), kind) == 0) {
            keys_names(i, names[i]);
            return names[i];
        }
    return NULL;
}

static const Key *key_find(SectionKind kind, const char *name) {
    for (const Key *key = tables[kind]; key->name; key++)
        if (strcmp(key->name, name) == 0) return key;
    return NULL;
}

static void complain_unknown_key(const Context *context) {
    const char *names[KEYS_MAX];
    const char *name = context->entry->key;

    keys_names(context->section->kind, names);
    const char *near = value_near(name, names);
    if (near) {
        context_error(context, "no such key here; did you mean %s?", near);
        return;
    }
    for (SectionKind kind = 0; kind < SECTION_KIND_MAX; kind++)
        if (key_find(kind, name)) {
            context_error(context, "no such key here; it belongs in [%s%s]", draft_kind_name(kind),
                kind == SECTION_PORTWATCH ? "" : ":...");
            return;
        }
    context_error(context, "no such key here");
}

static bool host_is_allowed(const Section *section, const Entry *entry) {
    return section->kind == SECTION_NOTIFIER && (strcmp(entry->key, "from") == 0 || strcmp(entry->key, "to") == 0);
}

void keys_apply(Complaints *complaints, const Section *section, Target *target) {
    void *const bases[SECTION_KIND_MAX] = {target->rules, target->port, target->ignore, target->notifier};

    for (size_t i = 0; i < section->n_entries; i++) {
        const Context context = {complaints, section, &section->entries[i]};
        const Key *key = key_find(section->kind, context.entry->key);
        if (!key && section->kind != SECTION_NOTIFIER)
            complain_unknown_key(&context);
        else if (strstr(context.entry->value, "%H") && !host_is_allowed(section, context.entry))
            context_error(&context, "%%H is taken only in from and to of a notifier");
        else {
            if (key) key->take(&context, key, bases[section->kind]);
            if (!key || key->shared) setting_take(&context, target);
        }
    }
}
