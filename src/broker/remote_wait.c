// SPDX-License-Identifier: Apache-2.0
// Connections that wait: a PUB could bring an answer before the interest in it is known everywhere, and a PONG promises that all
// before it is done. Few wait at any time, and briefly; so what it takes is not in struct connection.
#include "broker/connection.h"
#include "broker/remote_internal.h"
#include "wire/writer.h"

struct remote_wait {
    struct list link; // list link: remotes.waiting
    struct connection *connection;
    uint64_t round; // of interest
    bool owes_ok;   // for the subscription it waits for
};

static struct remote_wait *wait_of(const struct connection *connection);

void remote_wait_begin(struct connection *connection, uint64_t round)
{
    struct remotes *remotes = connection->broker->remotes;
    if (round == 0)
        return;
    if (connection->is_waiting) {
        struct remote_wait *wait = wait_of(connection);
        wait->round = round > wait->round ? round : wait->round;
        return;
    }
    struct remote_wait *wait = mem_alloc(sizeof(*wait));
    *wait = (struct remote_wait){.connection = connection, .round = round};
    list_push_back(&remotes->waiting, &wait->link);
    int error = map_u64_add(&remotes->waits, connection->id, wait);
    must(error == 0);
    connection->is_waiting = true;
}

void remote_wait_for_ok(struct connection *connection)
{
    wait_of(connection)->owes_ok = true;
}

bool remote_wait_holds(const struct connection *connection, enum wire_kind kind)
{
    return kind == WIRE_PUB || kind == WIRE_PING || wait_of(connection)->owes_ok;
}

void remote_wait_end(struct connection *connection)
{
    struct remote_wait *wait = map_u64_remove(&connection->broker->remotes->waits, connection->id);
    list_remove(&wait->link);
    mem_free(wait);
    connection->is_waiting = false;
}

void remote_wait_acked(struct remotes *remotes, uint64_t round)
{
    list_foreach(link, &remotes->waiting)
    {
        struct remote_wait *wait = container_of(link, struct remote_wait, link);
        struct connection *connection = wait->connection;
        if (wait->round > round)
            continue;
        if (wait->owes_ok && connection->state == CONNECTION_OPEN)
            connection_send(connection, BYTES(WRITER_OK));
        if (connection->paused_for & CONNECTION_PAUSE_INTEREST)
            remotes->broker->resume |= CONNECTION_PAUSE_INTEREST;
        remote_wait_end(connection);
    }
}

void remote_wait_check(const struct remotes *remotes)
{
    size_t count = 0;
    list_foreach(link, &remotes->waiting)
    {
        const struct remote_wait *wait = container_of(link, struct remote_wait, link);
        must(wait->connection->is_waiting && wait_of(wait->connection) == wait && wait->round > remotes->acked_round);
        count++;
    }
    must(count == map_u64_count(&remotes->waits));
}

static struct remote_wait *wait_of(const struct connection *connection)
{
    struct remote_wait *wait = map_u64_find(&connection->broker->remotes->waits, connection->id);
    must(wait && wait->connection == connection);
    return wait;
}
