/* The seccomp filter of portwatch-cause. */
#pragma once

/* From here on this process starts nothing, signals and traces nobody, opens no socket but local ones and waits for no
 * connection: EPERM. 0 also where the kernel or this machine's architecture has no such filter. */
int cause_seccomp(void);
