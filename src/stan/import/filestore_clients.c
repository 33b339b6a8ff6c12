// SPDX-License-Identifier: Apache-2.0
#include "stan/import/filestore_clients.h"

#include "base/memory.h"

static int add(struct filestore_clients *clients, const struct filestore_client *client);
static void drop(struct filestore_clients *clients, struct filestore_registered *registered);
static struct bytes keep(char **to, struct bytes text);

void filestore_clients_init(struct filestore_clients *clients, size_t max)
{
    map_init(&clients->by_id, max);
    list_init(&clients->list);
}

void filestore_clients_deinit(struct filestore_clients *clients)
{
    for (struct list *link = list_first(&clients->list); link; link = list_first(&clients->list))
        drop(clients, container_of(link, struct filestore_registered, link));
    map_deinit(&clients->by_id);
}

int filestore_clients_apply(struct filestore_clients *clients, const struct filestore_frame *frame)
{
    if (frame->type != FILESTORE_CLIENT_ADD && frame->type != FILESTORE_CLIENT_DELETE)
        return ERR_UNSUPPORTED;
    struct filestore_client client;
    int error = filestore_client_decode(frame->payload, &client);
    if (error)
        return error;
    struct filestore_registered *old = filestore_clients_find(clients, client.id);
    if (old)
        drop(clients, old);
    return frame->type == FILESTORE_CLIENT_ADD ? add(clients, &client) : 0;
}

struct filestore_registered *filestore_clients_find(const struct filestore_clients *clients, struct bytes id)
{
    return map_find(&clients->by_id, id);
}

static int add(struct filestore_clients *clients, const struct filestore_client *client)
{
    struct filestore_registered *registered = mem_alloc_zero(sizeof(*registered));
    char *to = registered->storage = mem_alloc(client->id.len + client->inbox.len + client->connection_id.len);
    registered->client = *client;
    registered->client.id = keep(&to, client->id);
    registered->client.inbox = keep(&to, client->inbox);
    registered->client.connection_id = keep(&to, client->connection_id);
    int error = map_add(&clients->by_id, registered->client.id, registered);
    if (error) {
        mem_free(registered->storage);
        mem_free(registered);
        return error;
    }
    list_push_back(&clients->list, &registered->link);
    return 0;
}

static void drop(struct filestore_clients *clients, struct filestore_registered *registered)
{
    map_remove(&clients->by_id, registered->client.id);
    list_remove(&registered->link);
    mem_free(registered->storage);
    mem_free(registered);
}

static struct bytes keep(char **to, struct bytes text)
{
    struct bytes copy = bytes_make(*to, text.len);
    if (text.len)
        memcpy(*to, text.ptr, text.len);
    *to += text.len;
    return copy;
}
