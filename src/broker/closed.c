// SPDX-License-Identifier: Apache-2.0
#include "broker/closed.h"

#include "broker/inspection_describe.h"

struct closed_connection {
    struct list link; // list link: closed_connections.list
    size_t size;      // bytes of this allocation
    struct inspection_connection info;
    // its texts and subscriptions
};

struct closed_connections {
    struct list list; // struct closed_connection, the last one in front
    uint32_t count;
    uint32_t max;
    size_t size_bytes;
};

static void drop_oldest(struct closed_connections *closed);

struct closed_connections *closed_new(uint32_t max)
{
    struct closed_connections *closed = mem_alloc_zero(sizeof(*closed));
    list_init(&closed->list);
    closed->max = max;
    return closed;
}

void closed_free(struct closed_connections *closed)
{
    while (closed->count > 0)
        drop_oldest(closed);
    mem_free(closed);
}

void closed_add(struct broker *broker, const struct connection *connection)
{
    struct closed_connections *closed = broker->closed;
    if (closed->max == 0 || connection->refused)
        return;
    struct inspection_connection info;
    inspection_describe(connection, &info);
    info.stop_ns = broker->now.wall_ns;
    uint32_t listed = connection->subscriptions.count;
    listed = listed < CLOSED_SUBSCRIPTIONS_MAX ? listed : CLOSED_SUBSCRIPTIONS_MAX;
    size_t text_size = inspection_text_size(&info, connection, listed);
    size_t size = sizeof(struct closed_connection) + listed * sizeof(struct inspection_subscription) + text_size;
    struct closed_connection *entry = mem_alloc(size);
    *entry = (struct closed_connection){.size = size};
    inspection_copy(&info, connection, listed, &entry->info, entry + 1);
    list_push_front(&closed->list, &entry->link);
    closed->count++;
    closed->size_bytes += size;
    while (closed->count > closed->max || closed->size_bytes > CLOSED_SIZE_BYTES_MAX)
        drop_oldest(closed);
}

void closed_each(const struct closed_connections *closed,
                 bool (*visit)(void *context, const struct inspection_connection *connection), void *context)
{
    list_foreach(link, &closed->list)
    {
        if (!visit(context, &container_of(link, struct closed_connection, link)->info))
            return;
    }
}

static void drop_oldest(struct closed_connections *closed)
{
    struct closed_connection *oldest = container_of(list_last(&closed->list), struct closed_connection, link);
    list_remove(&oldest->link);
    closed->count--;
    closed->size_bytes -= oldest->size;
    mem_free(oldest);
}
