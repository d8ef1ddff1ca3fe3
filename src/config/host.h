/* Host: who this machine is: the name that %H stands for, and what tells one machine and one boot from another. */
#pragma once

#include "core/message.h"

typedef struct Host {
    char name[256];              /* full name where the host name or /etc/hosts has it, else the short one */
    char machine_id[64];         /* of /etc/machine-id, "" where there is none */
    char boot_id[UUID_TEXT_MAX]; /* "" where it cannot be read */
} Host;

/* Reads it all; never fails: what is not known is "" (the name "localhost"). Does not ask the network. */
void host_read(Host *ret);
/* Text in the hosts(5) form: the full name of `name` if a line has it. False: none. For tests too. */
bool host_full_name(const char *hosts, const char *name, char *ret, size_t size);
