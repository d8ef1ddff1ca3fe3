/* The words of findings. Private to `portwatch explain`; all text is escaped, allocated, NULL: no memory (commands: or
 * there is none). */
#pragma once

#include "cli/explain.h"

/* True if the configuration states who is to hold the port: that wins over what was learned. */
bool case_states_holder(const Case *c);

char *words_owner(const Owner *owner);
char *words_addresses(const Case *c); /* "all IPv4 addresses" */
char *words_holders(const Case *c);   /* "nginx (user www-data)" */
char *words_expected_addresses(const Case *c);
char *words_expected_holders(const Case *c);
char *words_place(const Place *place); /* "/etc/portwatch.conf:12" */

/* Commands hold only what we made ourselves and what was checked: never text an attacker could choose freely. */

/* "COMMAND UNIT ARGUMENTS"; NULL also where the unit's name is not known, or none that can be started. */
char *next_unit(const char *command, const Owner *owner, const char *arguments);
char *next_ss(const Case *c); /* the port by hand; by root, who sees more, where that was not asked */
char *next_from_elsewhere(const Explanation *e, const Case *c);          /* to be tried on another host */
char *next_holder(const Case *c);                                        /* who holds it, by hand */
char *next_portwatch(const char *command, const Case *c, uint16_t port); /* "COMMAND 7071" */
