/* What is wrong (errors) or doubtful (warnings) in the files, gathered while reading and sorted at the end. */
#pragma once

#include "config/config.h"

/* A place while the files are in memory. */
typedef struct Spot {
    const ConfigFile *file;
    unsigned line; /* 0: the file as a whole */
} Spot;

typedef struct Complaint {
    Spot spot;
    bool warning;
    char *text;
} Complaint;

#define COMPLAINTS_MAX 200

typedef struct Complaints {
    Complaint *items;
    size_t n;
    size_t n_errors; /* all of them, those past COMPLAINTS_MAX too */
    size_t n_warnings;
    bool no_memory; /* sticky: some complaint could not be kept */
} Complaints;

/* Adds one: "FILE:LINE: [section] key: reason", made harmless as a whole. `section` and `key` may be NULL. */
void complaint_error(Complaints *complaints, Spot spot, const char *section, const char *key, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
void complaint_warning(Complaints *complaints, Spot spot, const char *section, const char *key, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* The errors (or warnings) as a list sorted by place, NULL for none. 0 or -ENOMEM. */
int complaints_list(Complaints *complaints, bool warnings, char ***ret);
/* For _cleanup_ on a list of strings. */
static inline void list_free(char ***list) {
    strv_free(*list);
}

void complaints_done(Complaints *complaints);
