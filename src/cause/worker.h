/* portwatch-cause's conversation: questions come in, each gets its answers, in order: one without the journal, at once,
 * then the final one. Blocking. */
#pragma once

/* Answers questions on a SOCK_SEQPACKET socket until its end. Each takes 1.5 s at most, unless a disk hangs: then who
 * asked ends this process. 0 at the end, negative errno if the other side sends nonsense. */
int worker_serve(int socket);
