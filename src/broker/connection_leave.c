// SPDX-License-Identifier: Apache-2.0
// The subscriptions of connections that went. They get nothing any more and are no interest at once, since only an OPEN connection is
// delivered to, and they are counted no more. Out of the trie they come in slices, because there may be a million, and others wait.
// Watches and other workers hear of the end of each when it has come.
//
//   - Who has few (FEW slices at most) does not wait for who has many: these are another list, with slices of their own, and in that
//     one the turn goes round.
//   - What ends is always ahead of what is made: each new subscription ends two. So those that nobody counts and those that are
//     counted are together never more than once were counted, however fast clients come, subscribe and go.
//   - A crowd, as of a large queue group, is hidden from the trie's matches in one pass, or each slice would make a match as long
//     as what is left of it.
//
// A connection that is gone before them lives on until the last is out, since they point to it; it is in no other list then.
#include "base/memory.h"
#include "broker/connection.h"
#include "broker/subscription.h"

#define FEW        4   // slices
#define FEW_FACTOR 16  // slices a turn of those who have few
#define MANY_SHARE 256 // a turn ends this part of what there is, if that is more than a slice
#define ROUND      64  // of one connection, before it is another's turn
#define HIDE_SHARE 64  // so many entries are looked at in the time in which one ends

struct leave {
    struct list link;              // list link: broker.leaving[is_many]
    struct connection *connection; // borrowed; owned when it is_gone
};

static void end_some(struct broker *broker, bool is_many, uint64_t *left);
static uint64_t end_one(struct connection *connection);
static uint64_t hide_crowd(const struct broker *broker, const struct subscription *subscription);
static bool is_leaving(const struct trie_entry *entry);
static void finish(struct leave *leave);

void connection_leave(struct connection *connection)
{
    struct broker *broker = connection->broker;
    uint32_t count = connection->subscriptions.count;
    must(connection->state != CONNECTION_OPEN);
    if (connection->is_leaving || count == 0)
        return;
    connection->is_leaving = true;
    connection->account->subscription_count -= count;
    connection->account->leaving_count += count;
    broker->stats.subscriptions -= count;
    broker->leaving_count += count;
    struct leave *leave = mem_alloc(sizeof(*leave));
    leave->connection = connection;
    bool is_many = count > (uint64_t)FEW * broker->options.leave_turn_max;
    list_push_back(&broker->leaving[is_many], &leave->link);
    connection_leave_some(broker);
}

void connection_leave_turn(struct broker *broker)
{
    uint64_t slice = broker->options.leave_turn_max;
    uint64_t share = broker->leaving_count / MANY_SHARE;
    broker->leave_left[false] = FEW_FACTOR * slice;
    broker->leave_left[true] = share > slice ? share : slice;
}

void connection_leave_some(struct broker *broker)
{
    for (int is_many = 0; is_many < 2; is_many++)
        end_some(broker, is_many, &broker->leave_left[is_many]);
}

void connection_leave_two(struct broker *broker)
{
    for (int i = 0; i < 2 && broker->leaving_count > 0; i++) {
        uint64_t one = 1;
        end_some(broker, list_empty(&broker->leaving[false]), &one);
    }
}

void connection_leave_all(struct broker *broker)
{
    broker->leave_left[false] = broker->leave_left[true] = UINT64_MAX;
    connection_leave_some(broker);
}

static void end_some(struct broker *broker, bool is_many, uint64_t *left)
{
    struct list *link;
    while (*left > 0 && (link = list_pop_front(&broker->leaving[is_many]))) {
        struct leave *leave = container_of(link, struct leave, link);
        struct connection *connection = leave->connection;
        for (int i = 0; i<ROUND && * left> 0 && connection->subscriptions.count > 0; i++) {
            uint64_t cost = end_one(connection);
            *left -= cost < *left ? cost : *left;
        }
        if (connection->subscriptions.count == 0)
            finish(leave);
        else if (is_many)
            list_push_back(&broker->leaving[is_many], link);
        else
            list_push_front(&broker->leaving[is_many], link);
    }
}

// Returns what it cost, counted in subscriptions.
static uint64_t end_one(struct connection *connection)
{
    struct broker *broker = connection->broker;
    struct subscription *subscription = subscription_set_pop(&connection->subscriptions);
    uint64_t cost = 1 + hide_crowd(broker, subscription) / HIDE_SHARE;
    connection->account->leaving_count--;
    broker->leaving_count--;
    subscription_end(subscription);
    return cost;
}

// Returns how many it looked at.
static uint64_t hide_crowd(const struct broker *broker, const struct subscription *subscription)
{
    const struct trie_entry *entry = &subscription->target.entry;
    uint32_t crowd = trie_entry_crowd(entry);
    if (crowd <= broker->options.leave_turn_max)
        return 0;
    trie_hide(subscription->connection->account->trie, entry, is_leaving);
    return crowd;
}

static bool is_leaving(const struct trie_entry *entry)
{
    const struct target *target = container_of(entry, struct target, entry);
    return target->kind == TARGET_SUBSCRIPTION &&
           container_of(target, struct subscription, target)->connection->is_leaving;
}

static void finish(struct leave *leave)
{
    struct connection *connection = leave->connection;
    mem_free(leave);
    connection->is_leaving = false;
    if (connection->is_gone)
        mem_free(connection);
}
