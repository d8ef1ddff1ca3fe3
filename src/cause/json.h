/* jansson's values as owned things. */
#pragma once

#include <jansson.h>

#include "core/cleanup.h"

#define _cleanup_json_ _cleanup_(json_cleanup)

static inline void json_cleanup(json_t **json) {
    json_decref(*json);
}
