#include "notify/rows.h"

#include <errno.h>
#include <string.h>

#include "core/text.h"

void rows_diff_done(RowsDiff *diff) {
    json_decref(diff->minus);
    json_decref(diff->plus);
    json_decref(diff->same);
    *diff = (RowsDiff){0};
}

static bool same_member(const json_t *a, const json_t *b, const char *key) {
    const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
    if (!x || !y || json_is_null(x) || json_is_null(y)) return true; /* unknown never differs */
    return json_equal(x, y);
}

static bool same_owner(const json_t *a, const json_t *b) {
    return same_member(a, b, "unit") && same_member(a, b, "exe") && same_member(a, b, "uid");
}

/* Every owner now was one before. */
static bool owners_known(const json_t *before, const json_t *after) {
    json_t *old = phrase_endpoint_owners(before), *new = phrase_endpoint_owners(after);
    bool known = true;
    for (size_t i = 0; known && json_array_size(old) > 0 && i < json_array_size(new); i++) {
        bool found = false;
        for (size_t k = 0; !found && k < json_array_size(old); k++)
            found = same_owner(json_array_get(old, k), json_array_get(new, i));
        known = found;
    }
    json_decref(old);
    json_decref(new);
    return known;
}

static bool same_row(const json_t *before, const json_t *after, bool any_port) {
    return json_equal(json_object_get(before, "protocol"), json_object_get(after, "protocol")) &&
           (any_port || json_equal(json_object_get(before, "port"), json_object_get(after, "port"))) &&
           json_equal(json_object_get(before, "address"), json_object_get(after, "address")) &&
           strcmp(phrase_string(before, "namespace"), phrase_string(after, "namespace")) == 0 &&
           strcmp(phrase_string(before, "device"), phrase_string(after, "device")) == 0 && owners_known(before, after);
}

int rows_diff(const json_t *before, const json_t *after, bool any_port, RowsDiff *ret) {
    size_t n = json_array_size(before), m = json_array_size(after);
    RowsDiff diff = {.minus = json_array(), .plus = json_array(), .same = json_array()};
    _cleanup_free_ bool *used = calloc(n + 1, sizeof *used);
    bool good = diff.minus && diff.plus && diff.same && used;
    for (size_t i = 0; good && i < m; i++) {
        json_t *row = json_array_get(after, i);
        size_t k = 0;
        while (k < n && (used[k] || !same_row(json_array_get(before, k), row, any_port))) k++;
        if (k < n) used[k] = true;
        good = json_array_append(k < n ? diff.same : diff.plus, row) == 0;
    }
    for (size_t k = 0; good && k < n; k++)
        if (!used[k]) good = json_array_append(diff.minus, json_array_get(before, k)) == 0;
    if (!good) {
        rows_diff_done(&diff);
        return -ENOMEM;
    }
    diff.detail = phrase_detail(diff.minus, diff.plus, &diff.same_owners);
    *ret = diff;
    return 0;
}

int rows_diff_data(const json_t *data, RowsDiff *ret) {
    const json_t *before = json_object_get(data, "before"), *after = json_object_get(data, "after");
    bool ephemeral = json_is_string(json_object_get(data, "protocol")) && json_is_null(json_object_get(data, "port"));
    const char *namespace = phrase_string(data, "namespace");
    bool whole = *namespace && strcmp(namespace, "host") != 0;
    if (!whole && !json_is_string(json_object_get(data, "protocol"))) before = after = NULL; /* not about a port */
    const char *ending = phrase_string(data, "ending");
    /* A resolved event's before is what was told last; what an acceptance changed is what was expected. */
    if (*ending && strcmp(ending, "returned") != 0) before = json_object_get(data, "expected");
    return rows_diff(before, after, ephemeral, ret);
}

char *rows_address(const json_t *endpoint) {
    const char *device = phrase_string(endpoint, "device");
    return text_printf("%s%s%s:%lld", phrase_string(endpoint, "address"), *device ? "%" : "", device,
        (long long)json_integer_value(json_object_get(endpoint, "port")));
}

static char *row_owner(const json_t *endpoint, PhraseDetail detail) {
    char *text = NULL;
    size_t size;
    json_t *one = json_array();
    FILE *out = one && json_array_append(one, (json_t *)endpoint) == 0 ? open_memstream(&text, &size) : NULL;
    if (out) {
        phrase_owners(out, one, detail);
        phrase_in(out, endpoint);
        if (fclose(out) != 0) {
            free(text);
            text = NULL;
        }
    }
    json_decref(one);
    return text;
}

static const char *row_family(const json_t *endpoint) {
    return strchr(phrase_string(endpoint, "address"), ':') ? "6" : "";
}

void rows_add(Grid *grid, const char *sign, const json_t *endpoints, PhraseDetail detail, size_t max, size_t omitted) {
    size_t n = json_array_size(endpoints), shown = n > max ? max : n;
    for (size_t i = 0; i < shown; i++) {
        const json_t *endpoint = json_array_get(endpoints, i);
        grid_cellf(grid, "%s%s%s%s", sign, *sign ? " " : "", phrase_string(endpoint, "protocol"), row_family(endpoint));
        grid_take(grid, rows_address(endpoint));
        grid_take(grid, row_owner(endpoint, detail));
        grid_end(grid);
    }
    n += omitted;
    if (n == shown) return;
    grid_cell(grid, sign);
    grid_cellf(grid, "and %zu more", n - shown);
    grid_end(grid);
}

static int strings_add(json_t *array, const char *sign, const json_t *endpoints, PhraseDetail detail) {
    for (size_t i = 0; i < json_array_size(endpoints); i++) {
        const json_t *endpoint = json_array_get(endpoints, i);
        _cleanup_free_ char *address = rows_address(endpoint), *owner = row_owner(endpoint, detail);
        if (!address || !owner) return -ENOMEM;
        json_t *row = json_sprintf(
            "%s %s%s %s %s", sign, phrase_string(endpoint, "protocol"), row_family(endpoint), address, owner);
        if (json_array_append_new(array, row) < 0) return -ENOMEM;
    }
    return 0;
}

json_t *rows_diff_strings(const json_t *data) {
    RowsDiff diff = {0};
    if (rows_diff_data(data, &diff) < 0) return NULL;
    json_t *array = json_array();
    if (array &&
        (strings_add(array, "-", diff.minus, diff.detail) < 0 || strings_add(array, "+", diff.plus, diff.detail) < 0)) {
        json_decref(array);
        array = NULL;
    }
    rows_diff_done(&diff);
    return array;
}
