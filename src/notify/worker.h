/* The child's conversation: answers frames on one socket until its end. Blocking; calls into the plugin. */
#pragma once

#include "core/text.h"
#include "plugins/plugin.h"

/* Says hello for the plugin and serves. Returns 0 at EOF, negative errno if the other side sends nonsense. */
int worker_serve(int socket, const pw_plugin *plugin, char *const *missing);

/* Instead of worker_serve where there is no plugin: says why. */
int worker_broken(int socket, const char *reason);
