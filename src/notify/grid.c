#include "notify/grid.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "core/text.h"

#define GAP 2
#define COLUMN_MAX 80

typedef struct Cell {
    char *text; /* NULL: empty */
    const char *begin, *end;
} Cell;

struct Grid {
    size_t n_columns;
    Cell *cells;
    size_t n, allocated;
    bool failed;
};

Grid *grid_new(size_t n_columns) {
    Grid *grid = calloc(1, sizeof *grid);
    if (grid) grid->n_columns = n_columns ? n_columns : 1;
    return grid;
}

void grid_free(Grid *grid) {
    if (!grid) return;
    for (size_t i = 0; i < grid->n; i++) free(grid->cells[i].text);
    free(grid->cells);
    free(grid);
}

/* The next cell, empty. NULL: no memory, which is remembered. */
static Cell *grid_next(Grid *grid) {
    if (grid->n == grid->allocated) {
        size_t allocated = grid->allocated ? grid->allocated * 2 : 64;
        Cell *cells = reallocarray(grid->cells, allocated, sizeof *cells);
        if (!cells) {
            grid->failed = true;
            return NULL;
        }
        grid->cells = cells;
        grid->allocated = allocated;
    }
    Cell *cell = &grid->cells[grid->n++];
    *cell = (Cell){.text = NULL};
    return cell;
}

void grid_take(Grid *grid, char *text) {
    Cell *cell = grid_next(grid);
    if (!text) grid->failed = true;
    if (cell)
        cell->text = text;
    else
        free(text);
}

void grid_cell(Grid *grid, const char *text) {
    if (!text || !*text)
        grid_next(grid);
    else
        grid_take(grid, strdup(text));
}

void grid_cellf(Grid *grid, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    grid_take(grid, text_vprintf(format, arguments));
    va_end(arguments);
}

void grid_paint(Grid *grid, const char *begin, const char *end) {
    if (grid->n == 0) return;
    grid->cells[grid->n - 1].begin = begin;
    grid->cells[grid->n - 1].end = end;
}

void grid_paint_rows(Grid *grid, size_t first, const char *begin, const char *end) {
    for (size_t i = first * grid->n_columns; i < grid->n; i++) {
        if (!grid->cells[i].text) continue;
        grid->cells[i].begin = begin;
        grid->cells[i].end = end;
    }
}

void grid_end(Grid *grid) {
    while (!grid->failed && grid->n % grid->n_columns != 0) grid_next(grid);
}

size_t grid_rows(const Grid *grid) {
    return (grid->n + grid->n_columns - 1) / grid->n_columns;
}

size_t grid_width(const char *text) {
    size_t width = 0;
    for (; text && *text; text++)
        if (((unsigned char)*text & 0xC0) != 0x80) width++;
    return width;
}

int grid_print(const Grid *grid, FILE *out, const char *indent) {
    if (grid->failed) return -ENOMEM;
    _cleanup_free_ size_t *widths = calloc(grid->n_columns, sizeof *widths);
    if (!widths) return -ENOMEM;
    for (size_t i = 0; i < grid->n; i++) {
        size_t width = grid_width(grid->cells[i].text);
        size_t *column = &widths[i % grid->n_columns];
        if (width > *column && width <= COLUMN_MAX) *column = width;
    }
    for (size_t row = 0; row < grid_rows(grid); row++) {
        const Cell *cells = grid->cells + row * grid->n_columns;
        size_t last = row + 1 == grid_rows(grid) ? grid->n - row * grid->n_columns : grid->n_columns;
        while (last > 0 && !cells[last - 1].text) last--;
        if (last > 0) fputs(indent, out);
        for (size_t column = 0; column < last; column++) {
            const Cell *cell = &cells[column];
            if (cell->text)
                fprintf(out, "%s%s%s", cell->begin ? cell->begin : "", cell->text, cell->end ? cell->end : "");
            if (column + 1 == last) break;
            size_t width = grid_width(cell->text);
            size_t pad = (widths[column] > width ? widths[column] - width : 0) + GAP;
            /* A column that is empty in every row takes no room at all. */
            if (widths[column] > 0 || width > 0) fprintf(out, "%*s", (int)pad, "");
        }
        fputc('\n', out);
    }
    return 0;
}
