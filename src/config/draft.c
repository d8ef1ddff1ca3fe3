#include "config/draft.h"

#include <string.h>

#include "config/value.h"

static const char *const kind_names[] = {"portwatch", "port", "ignore", "notifier", NULL};

const char *draft_kind_name(SectionKind kind) {
    return kind_names[kind];
}

/* Says what is wrong with a header that names no kind of section, with the likely intention where it can be seen. */
static void complain_unknown(Complaints *complaints, Spot spot, const char *header) {
    char kind[64];
    size_t length = strcspn(header, ":");
    snprintf(kind, sizeof(kind), "%.*s", (int)length, header);
    const char *argument = header[length] == ':' ? header + length + 1 : "";

    const char *near = value_near(kind, kind_names);
    if (near && strcmp(near, "portwatch") == 0)
        complaint_error(complaints, spot, header, NULL, "no such section; did you mean [portwatch]?");
    else if (near)
        complaint_error(complaints, spot, header, NULL, "no such section; did you mean [%s:%s]?", near,
            *argument ? argument : "...");
    else if (header[0] >= '0' && header[0] <= '9')
        complaint_error(complaints, spot, header, NULL, "no such section; did you mean [port:%s]?", header);
    else
        complaint_error(complaints, spot, header, NULL,
            "no such section; there are [portwatch], [port:...], [ignore:...] and [notifier:...]");
}

static bool section_classify(Complaints *complaints, Spot spot, const char *header, SectionKind *ret) {
    size_t length = strcspn(header, ":");

    for (SectionKind kind = 0; kind < SECTION_KIND_MAX; kind++) {
        if (strlen(kind_names[kind]) != length || strncmp(header, kind_names[kind], length) != 0) continue;
        if (kind == SECTION_PORTWATCH && header[length] == ':') break;
        if (kind != SECTION_PORTWATCH && (header[length] == '\0' || header[length + 1] == '\0')) {
            complaint_error(complaints, spot, header, NULL, "needs a %s after the colon, as in [%s]",
                kind == SECTION_PORT ? "port" : "name",
                kind == SECTION_PORT     ? "port:443/tcp"
                : kind == SECTION_IGNORE ? "ignore:rpc"
                                         : "notifier:admin");
            return false;
        }
        *ret = kind;
        return true;
    }
    complain_unknown(complaints, spot, header);
    return false;
}

static ssize_t section_continue(Complaints *complaints, Section *section, size_t index, Spot spot) {
    if (section->latest.file == spot.file) {
        /* In one file it is a slip of the hand, and for [ignore:...] it would tie two unrelated conditions together. */
        complaint_error(
            complaints, spot, section->header, NULL, "this section already began at line %u", section->latest.line);
        return -1;
    }
    section->latest = spot;
    return (ssize_t)index;
}

ssize_t draft_begin(Draft *draft, Complaints *complaints, Spot spot, const char *header) {
    SectionKind kind;
    if (!section_classify(complaints, spot, header, &kind)) return -1;

    for (size_t i = 0; i < draft->n_sections; i++)
        if (strcmp(draft->sections[i].header, header) == 0)
            return section_continue(complaints, &draft->sections[i], i, spot);

    if (draft->n_sections >= SECTIONS_MAX) {
        complaint_error(complaints, spot, header, NULL, "more than %d sections", SECTIONS_MAX);
        return -1;
    }
    char *copy = strdup(header);
    Section *sections = copy ? reallocarray(draft->sections, draft->n_sections + 1, sizeof(*draft->sections)) : NULL;
    if (!sections) {
        free(copy);
        complaints->no_memory = true;
        return -1;
    }
    draft->sections = sections;
    const char *colon = strchr(copy, ':');
    sections[draft->n_sections] =
        (Section){.kind = kind, .header = copy, .argument = colon ? colon + 1 : "", .spot = spot, .latest = spot};
    return (ssize_t)draft->n_sections++;
}

const Entry *draft_entry(const Section *section, const char *key) {
    for (size_t i = 0; i < section->n_entries; i++)
        if (strcmp(section->entries[i].key, key) == 0) return &section->entries[i];
    return NULL;
}

static bool key_repeats(const char *key) {
    return strcmp(key, "header") == 0 || strcmp(key, "to") == 0 || strcmp(key, "address") == 0;
}

void draft_add(Draft *draft, Complaints *complaints, size_t index, Spot spot, const char *key, const char *value) {
    Section *section = &draft->sections[index];
    const Entry *first = key_repeats(key) ? NULL : draft_entry(section, key);
    if (first) {
        if (first->spot.file == spot.file)
            complaint_error(complaints, spot, section->header, key, "given twice, first at line %u", first->spot.line);
        else
            complaint_error(complaints, spot, section->header, key, "given twice, first at %s:%u",
                first->spot.file->name, first->spot.line);
        return;
    }
    if (section->n_entries >= ENTRIES_MAX) {
        complaint_error(complaints, spot, section->header, key, "more than %d keys in one section", ENTRIES_MAX);
        return;
    }

    Entry entry = {.key = strdup(key), .value = strdup(value), .spot = spot};
    Entry *entries = entry.key && entry.value
                         ? reallocarray(section->entries, section->n_entries + 1, sizeof(*section->entries))
                         : NULL;
    if (!entries) {
        free(entry.key);
        free(entry.value);
        complaints->no_memory = true;
        return;
    }
    section->entries = entries;
    entries[section->n_entries++] = entry;
}

void draft_done(Draft *draft) {
    for (size_t i = 0; i < draft->n_sections; i++) {
        Section *section = &draft->sections[i];
        for (size_t j = 0; j < section->n_entries; j++) {
            free(section->entries[j].key);
            free(section->entries[j].value);
        }
        free(section->entries);
        free(section->header);
    }
    free(draft->sections);
    *draft = (Draft){0};
}
