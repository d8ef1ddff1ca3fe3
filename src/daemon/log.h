/* The daemon's log: the journal where stderr is connected to it, else stderr. One line a message; everything that came
 * from outside is escaped here. */
#pragma once

#include <syslog.h>

/* Looks where stderr leads. Call once at start. */
void log_open(void);
/* `level` as in syslog(3). printf-like; control characters that arguments bring along are escaped. */
void log_line(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_no_memory() log_error("out of memory")
