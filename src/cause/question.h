/* What is asked about a port that closed or changed hands, and its bytes between asker and portwatch-cause. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define UNIT_NAME_MAX 256 /* with its NUL, as systemd's */
#define INVOCATION_MAX 33 /* 32 hexadecimal digits and a NUL */
#define QUESTION_BYTES_MAX 2048

typedef enum CauseProcess {
    PROCESS_UNKNOWN,
    PROCESS_GONE,
    PROCESS_ALIVE, /* this very one, not another of its number */
} CauseProcess;

typedef struct CauseQuestion {
    char unit[UNIT_NAME_MAX];        /* "myapp.service", "session-3.scope"; "": not known */
    uid_t user;                      /* whose own systemd runs the unit; (uid_t)-1: the system's does */
    char invocation[INVOCATION_MAX]; /* of the unit, when it held the port: its fate is asked for; "": not known */
    pid_t pid;                       /* who held the port; 0: not known */
    int64_t started;                 /* when that process started, realtime microseconds; 0: not known */
    int64_t since; /* when the port was last seen as expected; 0: not known. What ended before is not the cause */
    bool open;     /* that process holds the port still */
    CauseProcess process; /* PROCESS_ALIVE: was alive when this was asked; a pidfd comes along */
} CauseQuestion;

#define USER_NONE ((uid_t)-1)

/* "name.suffix" as systemd takes it: no other name is ever put to it. */
bool unit_name_valid(const char *name);
/* 32 hexadecimal digits, lower case. */
bool invocation_valid(const char *text);

/* Every member is one. */
bool cause_question_valid(const CauseQuestion *question);

/* As bytes for one datagram. The caller frees. -EINVAL: a member is none; -ENOMEM. */
int cause_question_print(uint64_t id, const CauseQuestion *question, char **ret_text);
/* The reverse. -EBADMSG: no question. */
int cause_question_parse(const char *bytes, size_t length, uint64_t *ret_id, CauseQuestion *ret);
