// SPDX-License-Identifier: Apache-2.0
// The subscriptions of connections that went. For everybody else they end at once: only an OPEN connection is delivered to or has
// interest, and they are counted no more. Out of the trie they come in slices, because there may be a million, and others wait.
//
// A connection that is gone before them lives on until the last is out, since they point to it; it is in no other list then.
#include "base/memory.h"
#include "broker/connection.h"
#include "broker/subscription.h"

struct leave {
    struct list link;              // list link: broker.leaving
    struct connection *connection; // borrowed; owned when it is_gone
};

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
    struct leave *leave = mem_alloc(sizeof(*leave));
    leave->connection = connection;
    list_push_back(&broker->leaving, &leave->link);
    connection_leave_some(broker);
}

void connection_leave_some(struct broker *broker)
{
    while (broker->leave_budget > 0 && !list_empty(&broker->leaving)) {
        struct leave *leave = container_of(list_first(&broker->leaving), struct leave, link);
        struct connection *connection = leave->connection;
        broker->leave_budget--;
        connection->account->leaving_count--;
        subscription_end(subscription_set_pop(&connection->subscriptions));
        if (connection->subscriptions.count == 0)
            finish(leave);
    }
}

static void finish(struct leave *leave)
{
    struct connection *connection = leave->connection;
    list_remove(&leave->link);
    mem_free(leave);
    connection->is_leaving = false;
    if (connection->is_gone)
        mem_free(connection);
}
