/* Ownership helpers used by every layer: a variable marked _cleanup_ is released when it leaves scope,
 * and TAKE_PTR/TAKE_FD hand it over to somebody else first. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

#define TAKE_PTR(p)                                                                                                    \
    ({                                                                                                                 \
        __typeof__(p) taken_ = (p);                                                                                    \
        (p) = NULL;                                                                                                    \
        taken_;                                                                                                        \
    })
#define TAKE_FD(fd)                                                                                                    \
    ({                                                                                                                 \
        int taken_ = (fd);                                                                                             \
        (fd) = -1;                                                                                                     \
        taken_;                                                                                                        \
    })
#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))

/* void name(T *p) {...} usable with _cleanup_ on a T* variable: DEFINE_CLEANUP(Rules *, rules_free) makes rules_freep.
 */
#define DEFINE_CLEANUP(type, function)                                                                                 \
    static inline void function##p(type *p) {                                                                          \
        if (*p) function(*p);                                                                                          \
    }                                                                                                                  \
    struct function##p_semicolon_

static inline void cleanup_free(void *p) {
    free(*(void **)p);
}

static inline void cleanup_close(const int *fd) {
    if (*fd >= 0) close(*fd);
}

static inline void cleanup_fclose(FILE **f) {
    if (*f) fclose(*f);
}
