/* What the tests of the configuration share. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

/* Parses one text as "t.conf"; the caller frees what it got. */
static inline int parse_text(const char *text, Rules **ret, char ***ret_errors) {
    ConfigFile file = {.name = (char *)"t.conf", .bytes = (char *)text, .length = strlen(text)};
    ConfigFiles files = {.items = &file, .n = 1};
    return config_parse(&files, "db1.example.com", ret, ret_errors);
}

/* The whole of a file, terminated; fails the test where it cannot be read. */
static inline char *read_file(const char *path) {
    FILE *stream = fopen(path, "re");
    if (!stream) fail_msg("%s cannot be read", path);
    char *text = calloc(1, 1 << 17);
    assert_non_null(text);
    size_t n = fread(text, 1, (1 << 17) - 1, stream);
    assert_true(n < (1 << 17) - 1);
    fclose(stream);
    return text;
}

static inline void print_list(char *const *list) {
    for (; list && *list; list++) print_error("  %s\n", *list);
}
