/* What is expected against what is seen, address by address and owner by owner; private to core. */
#pragma once

#include "core/answers.h"

typedef struct MergeTally {
    size_t added, removed, quiet_added, quiet_removed, owner, better, program, upgraded;
} MergeTally;

static inline bool rule_states_addresses(const PortRule *rule) {
    return rule && rule->n_addresses > 0;
}

/* Merges two lists of answers sorted by answer_compare and counts what differs. Several answers with one key (0.0.0.0
 * beside dual-stack [::]) form one group, whose owners are compared against the other side's group as a whole. `rule`
 * may be NULL. */
void merge_answers(const PortRule *rule, const Rows *baseline, Answers *expected, Answers *seen, MergeTally *tally);
/* Does every owner of `seen` pass for one of `expected`'s (NULL: of the whole baseline's), where the rule's fields
 * replace the learned ones? */
bool merge_owners_expected(const PortRule *rule, const Rows *baseline, const Endpoint *expected, const Endpoint *seen);
