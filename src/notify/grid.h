/* A grid: rows of cells printed in columns as wide as their content. No I/O but grid_print's stream. Memory that runs
 * short is remembered and reported once, by grid_print. */
#pragma once

#include <stdio.h>

#include "core/cleanup.h"

typedef struct Grid Grid;

/* NULL: no memory. */
Grid *grid_new(size_t n_columns);
void grid_free(Grid *grid);
DEFINE_CLEANUP(Grid *, grid_free);

/* Adds the next cell, row by row; `text` is one line of UTF-8 and is copied, NULL is an empty cell. */
void grid_cell(Grid *grid, const char *text);
void grid_cellf(Grid *grid, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Takes the text (allocated, NULL: memory was short) and frees it. */
void grid_take(Grid *grid, char *text);
/* An escape sequence for the latest cell, and one to end it (both static strings); they take no width. */
void grid_paint(Grid *grid, const char *begin, const char *end);
/* The same for whole rows, from row number `first` to the latest. */
void grid_paint_rows(Grid *grid, size_t first, const char *begin, const char *end);
/* Empty cells up to the end of the row. */
void grid_end(Grid *grid);
size_t grid_rows(const Grid *grid);
/* Prints all rows, each after `indent`, columns two spaces apart, no trailing spaces. Cells of over 80 columns
 * overflow alone, they do not widen their column. 0 or -ENOMEM. */
int grid_print(const Grid *grid, FILE *out, const char *indent);

/* Columns a line of UTF-8 takes: code points, as the text holds no wide or combining ones that matter here. */
size_t grid_width(const char *text);
