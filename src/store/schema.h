/* Inside store/ only: the tables, and the way from an older version to this one. */
#pragma once

#include "store/db.h"

#define SCHEMA_APPLICATION 0x50776368 /* "Pwch" */
#define SCHEMA_VERSION 3

/* Takes the database from version - 1 to version. */
typedef struct Migration {
    int version;
    const char *sql; /* any number of statements */
} Migration;

/* Every step there is, from nothing, in order. */
extern const Migration schema_migrations[];
extern const size_t schema_n_migrations;

int schema_version(Store *store, int64_t *ret);
/* Runs the steps above the database's version in one transaction: all or none. Each leaves a row in `migration`. */
int schema_upgrade(Store *store, const Migration *migrations, size_t n, int64_t now);
