/* Building a Decision; private to core. Every function returns 0 or -ENOMEM and leaves the decision valid. */
#pragma once

#include "core/engine.h"
#include "core/view.h"

int decision_add_event(Decision *decision, Event *event);        /* takes the event's contents */
int decision_add_update(Decision *decision, Incident *incident); /* takes the incident's contents */
int decision_add_settling(Decision *decision, const Settling *settling);
/* `before` and `after` may be NULL; `text` may be NULL. Beyond ENGINE_TRANSITIONS_MAX lines of observation are counted
 * in one line. */
int decision_add_transition(Decision *decision, TransitionKind kind, const Now *now, const Surface *surface,
    Change change, const Rows *before, const Rows *after, const char *token, const char *text);
/* The view's baseline becomes what is seen; what was there keeps its date. `join`: owners and rows that the baseline
 * knows better are kept (nothing was told). */
int decision_move_baseline(Decision *decision, const View *view, const Now *now, bool join);
/* The view's baseline grows by what is seen; first learning. */
int decision_learn(Decision *decision, const View *view, const Now *now);
int decision_copy_pauses(Decision *decision, const State *state);
/* Says of the last change of the baseline why it was made and by whom; both may be NULL. */
int decision_sign(Decision *decision, VersionKind kind, const char *by, const char *why);
/* The surface's rows become these (sorted, copied); one without a date takes that of its row before, else now. */
int decision_set_baseline(
    Decision *decision, const Surface *surface, const Rows *before, const Rows *after, const Now *now);
/* Makes the decision's own list of loans, once. */
int decision_copy_loans(Decision *decision, const State *state);
/* Takes the loan in the place of the surface's, which goes; NULL: it only goes. */
int decision_put_loan(Decision *decision, const State *state, const Surface *surface, Loan *loan);

/* The endpoint's owners become those of `from`. */
int endpoint_share_owners(Endpoint *endpoint, const Endpoint *from);
int rows_copy(const Rows *rows, Endpoints *ret);
/* Rows that borrow from a list; the caller frees items. */
int rows_borrow(const Endpoints *list, Rows *ret);
