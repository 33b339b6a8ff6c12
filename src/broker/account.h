// SPDX-License-Identifier: Apache-2.0
// An account: a world of subjects of its own (CO-S07). Who connects belongs to one account; what is published in it reaches
// subscribers, inlets and watches of that account only, unless an import carries it over.
//
// `$G` (id 1) and `$SYS` (id 2) exist from broker_new() to broker_free(). The others come and go with the configuration:
// broker_accounts_replace(). One that went while connections, inlets or watches still belong to it is *retired*: it cannot
// be found any more, goes on working for those, and is freed at the end of the turn in which the last of them left.
//
// An account nobody uses takes under a kilobyte; its match cache begins at its first message and grows with use, and
// the cached lists of all accounts share one budget.
//
// Same thread and same rules of re-entry as broker.h, whose functions without an account mean `$G`.
#pragma once

#include "broker/broker.h"

struct account;
struct connection;

#define ACCOUNT_DEFAULT_NAME "$G"
#define ACCOUNT_SYSTEM_NAME  "$SYS"
#define ACCOUNT_DEFAULT_ID   1
#define ACCOUNT_SYSTEM_ID    2
#define ACCOUNT_NAME_LEN_MAX 256

// `$G`.
struct account *account_default(const struct broker *broker);
// The one with system events, `$SYS`.
struct account *account_system(const struct broker *broker);
// NULL: there is none of this name.
struct account *account_find(const struct broker *broker, struct bytes name);
// Borrowed from the account.
struct bytes account_name(const struct account *account);
// Never used twice by one broker.
uint32_t account_id(const struct account *account);
struct broker *account_broker(const struct account *account);

// As broker_inlet_add() and its like, in this account. Inlets and watches are removed by broker_inlet_remove() and
// broker_watch_remove(), which know where they are. With several workers only `$G` and `$SYS` may be watched, which is checked: others come and
// go by a reload at different times on each, and a worker that gets one later would not be asked again.
int account_inlet_add(struct account *account, struct inlet *inlet, struct bytes subject) MUST_USE;
size_t account_publish(struct account *account, struct bytes subject, struct bytes reply, struct bytes headers,
                       const struct bytes *parts, size_t part_count);
enum broker_interest account_interest(struct account *account, struct bytes literal_subject);
enum broker_interest account_watch_add(struct account *account, struct broker_watch *watch,
                                       struct bytes literal_subject);

struct account_stats {
    uint64_t connections;                            // now
    uint64_t subscriptions;                          // now, of connections
    uint64_t in_msgs, out_msgs, in_bytes, out_bytes; // of connections, those that went included
};

bool account_has_connections(const struct account *account);
// Costs as much as the account has connections.
void account_stats_get(const struct account *account, struct account_stats *ret_stats);
// Every account that can be found, `$G` first, then in the order of their ids; until `visit` returns false. It must neither
// replace accounts nor publish.
void account_each(const struct broker *broker, bool (*visit)(void *context, struct account *account), void *context);
// Every connection of the account, in the order in which they came into it, refused and closing ones included.
void account_each_connection(const struct account *account, bool (*visit)(void *context, struct connection *connection),
                             void *context);
