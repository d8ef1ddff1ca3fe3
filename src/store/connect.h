/* Inside store/ only: one try to connect to the database file, without setting anything aside. */
#pragma once

#include "store/db.h"

/* True for an id that tells machines apart. */
bool machine_id_valid(const char *id);

/* Connects to the file at `path` in `dir`. Until everything about it is known to fit, nothing is written. As
 * store_open, but without a handle for damaged (STORE_DAMAGED) and other machines' (STORE_SET_ASIDE_FOREIGN) databases.
 */
int store_connect(const char *dir, const char *path, StoreMode mode, const StoreIdentity *identity, Store **ret,
    StoreOpening *ret_what, char **ret_reason);
