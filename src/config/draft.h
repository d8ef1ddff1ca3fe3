/* The files as sections of keys and values, drop-ins merged in, before anybody asks what they mean. */
#pragma once

#include "config/complaint.h"

#define SECTIONS_MAX 4096
#define ENTRIES_MAX 1024 /* of one section */

typedef enum SectionKind {
    SECTION_PORTWATCH,
    SECTION_PORT,
    SECTION_IGNORE,
    SECTION_NOTIFIER,
    SECTION_KIND_MAX,
} SectionKind;

typedef struct Entry {
    char *key;
    char *value; /* never empty */
    Spot spot;
} Entry;

typedef struct Section {
    SectionKind kind;
    char *header;         /* "port:443/tcp" */
    const char *argument; /* what follows the colon; "" for [portwatch] */
    Spot spot;            /* of the first header */
    Spot latest;          /* of the last header that continued it */
    Entry *entries;       /* in the order written */
    size_t n_entries;
    bool damaged; /* a line of it was refused */
} Section;

typedef struct Draft {
    Section *sections; /* in the order of their first headers */
    size_t n_sections;
} Draft;

const char *draft_kind_name(SectionKind kind); /* "portwatch", "port", ... */

/* Begins the section of a header or continues it, which only another file may do. Returns its index, or -1 after a
 * complaint. */
ssize_t draft_begin(Draft *draft, Complaints *complaints, Spot spot, const char *header);
/* Adds a key; complains where it was given before and may not be repeated. */
void draft_add(Draft *draft, Complaints *complaints, size_t section, Spot spot, const char *key, const char *value);
/* The first entry of a key, or NULL. */
const Entry *draft_entry(const Section *section, const char *key);
void draft_done(Draft *draft);
