/* The ballast: a file of 8 MiB in the state directory that is given up when the disk is full, so that what the watch
 * has to write still fits. */
#pragma once

#include <stdbool.h>

#define BALLAST_SIZE (8 * 1024 * 1024)

/* Makes the ballast unless it is there, but only where at least four times its size is free. Returns 1 if it is there
 * afterwards, 0 if space is too short for it, or -errno. May block on the disk. */
int ballast_keep(const char *dir);
/* Removes it. Returns 1 if it was there, 0 if not, or -errno. */
int ballast_release(const char *dir);
