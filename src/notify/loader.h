/* Opens a plugin. Only portwatch-notify does this, and only behind its walls. */
#pragma once

#include "plugins/plugin.h"

typedef void (*PluginHeartbeat)(void *instance, const pw_heartbeat *beat, pw_result *result);
/* A plugin built before there was one ends before it: NULL. */
PluginHeartbeat plugin_heartbeat(const pw_plugin *plugin);

/* True for [a-z][a-z0-9-]{0,31}: a file name without surprises. */
int plugin_name_valid(const char *name);

/* Opens a plugin directory for loader_open. `trusted_only`: it must belong to root and nobody else may write there.
 * Returns a descriptor; *ret_reason (static text) says why not. */
int loader_directory(const char *path, int trusted_only, const char **ret_reason);

/* Loads NAME.so from the working directory and checks what it exports, as far as can be. The plugin stays loaded.
 * `trusted_only` as above, for the file. NULL: *ret_reason (to be freed) says why. Runs foreign code. */
const pw_plugin *loader_open(const char *name, int trusted_only, char **ret_reason);
