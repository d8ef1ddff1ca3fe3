/* The rooms of one notifier. Private to src/daemon/notifier*.c. */
#pragma once

#include "daemon/daemon.h"

/* notifier-result.c */
/* An answer of this attempt. Copied; without memory it is lost, and so tried again. */
void result_add(Notifier *n, const Delivery *delivery);
/* Stores the attempt that is over. False: it could not be stored yet. */
bool result_store(Notifier *n);
/* A message that was refused for good is told through the other notifiers, be it after a restart. False: it could not
 * be stored yet. */
bool result_tell_refused(Notifier *n);
/* Stores and answers the test that is over. */
void result_test(Notifier *n);
/* The same for the heartbeat that is over. */
void result_heartbeat(Notifier *n);
void result_clear(Notifier *n);
/* Says once in the log that nothing gets through. */
void notifier_fails(Notifier *n, const char *what, const char *reason);

/* notifier-health.c: an alert about the alerting */
void health_failed(Notifier *n); /* an attempt did */
void health_worked(Notifier *n);
/* Tells the other notifiers, once each, that this one has failed for a while, and that it works again. */
void health_tell(Notifier *n);
