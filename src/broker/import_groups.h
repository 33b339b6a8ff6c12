// SPDX-License-Identifier: Apache-2.0
// Queue groups of one name on both sides of an imported stream are one group, as in nats-server: a message goes to one member, in
// whichever account it is. So workers can move to another account one by one.
//
// Only looked for when a message meets imports of streams and there can be a second group.
#pragma once

#include "broker/broker_internal.h"

struct import_groups;

// Looks into the accounts that import the message, and keeps what it finds there pinned. NULL: no group is in two accounts. Else
// import_groups_deliver() must follow, when the rest of the message is delivered.
struct import_groups *import_groups_find(struct account *account, const struct broker_message *message,
                                         const struct trie_match *match);
// Is this one of them? Then nobody else delivers to it.
bool import_groups_have(const struct import_groups *groups, struct bytes queue);
// To one member of each; returns how many got it. Frees.
size_t import_groups_deliver(struct import_groups *groups, const struct broker_message *message);
