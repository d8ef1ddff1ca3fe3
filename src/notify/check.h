/* Asks the notifiers' plugins whether they accept their configuration. */
#pragma once

#include "notify/channel.h"

#define CHECK_DEADLINE (10 * USEC_PER_SEC)

/* Starts a child, which loads the plugin and configures it, and ends it. Blocks: some 20 ms, at most the deadline of
 * the options (0: CHECK_DEADLINE). Secret files are read. On success *ret_errors is NULL (all is well) or a list of
 * "file:line: [notifier:x] key: reason" (strv_free). Negative errno: could not be asked at all. */
int notifier_check(const ChannelOptions *options, const NotifierRule *rule, char ***ret_errors);

/* Asks for each notifier, and adds to *errors what is wrong, also that one could not be asked. Blocks: one after the
 * other they share CHECK_DEADLINE, whatever their number. 0 or -ENOMEM. */
int notifiers_check(const ChannelOptions *options, const Rules *rules, char ***errors);
