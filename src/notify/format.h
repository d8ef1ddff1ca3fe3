/* printf into a new string. */
#pragma once

#include <stdarg.h>

/* The caller frees. NULL: no memory. */
__attribute__((format(printf, 1, 2))) char *format_text(const char *format, ...);
__attribute__((format(printf, 1, 0))) char *format_list(const char *format, va_list arguments);
