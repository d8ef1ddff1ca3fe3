/* Names of users, without ever waiting for them: /etc/passwd is read here; everybody else (LDAP, systemd's dynamic
 * users) is asked for by NSS in a thread of its own, one at a time, because NSS may block for minutes. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "core/cleanup.h"

typedef struct Users Users;

/* `passwd`: the path of /etc/passwd, NULL for none; must outlive it. `patience`: microseconds that users_name may wait
 * for NSS, as long as NSS answers. 0 or -ENOMEM. */
int users_new(const char *passwd, int64_t patience, Users **ret);
/* Takes NULL, returns NULL. Does not wait for a thread that hangs. */
Users *users_free(Users *users);
DEFINE_CLEANUP(Users *, users_free);

/* The name, or the number as text where nobody knows the user; *ret is NULL while NSS has not answered: ask again. Old
 * answers of NSS are asked for anew from time to time. The text belongs to the cache until the next call. 0 or -ENOMEM.
 */
int users_name(Users *users, uid_t uid, const char **ret);
