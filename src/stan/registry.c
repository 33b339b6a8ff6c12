// SPDX-License-Identifier: Apache-2.0
// tidy: prefix registry
// Who is connected: proposals, what their records change, and what a refused batch or a restart makes of them.
#include "stan/registry_internal.h"

#include "base/memory.h"
#include "base/must.h"
#include "stan/stan_internal.h"

enum { TEXT_MAX = 1024 }; // bytes

static int apply(struct shard_machine *machine, const struct record *record, uint64_t index);
static void recovered(struct shard_machine *machine, struct moment now);
static void drop_tail(struct shard_machine *machine, uint64_t last_good);
static void close_dropped(struct registry *registry, struct stan_client *client, uint64_t last_good);
static void client_hide_names(struct registry *registry, struct stan_client *client);
static void client_changed(struct registry *registry, struct stan_client *client);
static void client_removed(struct registry *registry, uint32_t number);
static struct bytes text_copy(char **to, struct bytes text);
static int append(struct registry *registry, uint16_t kind, uint32_t number, uint64_t *ret_index);

void registry_init(struct registry *registry, struct stan *stan, uint32_t max_clients)
{
    *registry = (struct registry){.stan = stan, .next_number = 1};
    registry->machine = (struct shard_machine){
        .first_kind = RECORD_CLIENT_ADD,
        .last_kind = RECORD_CLIENT_REMOVE,
        .image_kind = RECORD_IMAGE_CLIENT,
        .apply = apply,
        .restore = registry_image_restore,
        .checkpoint_begin = registry_image_begin,
        .checkpoint_next = registry_image_next,
        .recovered = recovered,
        .drop_tail = drop_tail,
    };
    // registry_add() bounds them; recovery takes what there is.
    map_init(&registry->by_id, SIZE_MAX);
    map_init(&registry->by_connection, SIZE_MAX);
    map_u64_init(&registry->by_number, SIZE_MAX);
    registry->max_clients = max_clients;
    list_init(&registry->clients);
    list_init(&registry->adding);
    list_init(&registry->unfinished);
    list_init(&registry->changed);
    list_init(&registry->imaging);
}

void registry_deinit(struct registry *registry)
{
    size_t position = 0;
    uint64_t number;
    for (;;) {
        position = 0;
        struct stan_client *client = map_u64_next(&registry->by_number, &position, &number);
        if (!client)
            break;
        registry_client_free(registry, client);
    }
    map_deinit(&registry->by_id);
    map_deinit(&registry->by_connection);
    map_u64_deinit(&registry->by_number);
    mem_free(registry->gone);
    mem_free(registry->gone_imaging);
}

struct stan_client *registry_find(const struct registry *registry, struct bytes id)
{
    return map_find(&registry->by_id, id);
}

struct stan_client *registry_find_connection(const struct registry *registry, struct bytes connection_id)
{
    return connection_id.len ? map_find(&registry->by_connection, connection_id) : NULL;
}

struct stan_client *registry_by_number(const struct registry *registry, uint32_t number)
{
    return map_u64_find(&registry->by_number, number);
}

struct stan_client *registry_after(const struct registry *registry, uint32_t number)
{
    const struct stan_client *before = registry_by_number(registry, number);
    for (struct list *link = before ? before->link.next : registry->clients.next; link != &registry->clients;
         link = link->next) {
        struct stan_client *client = container_of(link, struct stan_client, link);
        if (client->number > number && registry_find(registry, client->id) == client)
            return client;
    }
    return NULL;
}

int registry_add(struct registry *registry, const struct registry_request *request, struct stan_client **ret_client,
                 uint64_t *ret_index)
{
    struct shard *shard = registry->stan->shard;
    if (request->id.len > TEXT_MAX || request->inbox.len > TEXT_MAX || request->connection_id.len > TEXT_MAX)
        return ERR_TOO_BIG;
    // Closing ones stay until that is durable.
    if (map_count(&registry->by_id) >= registry->max_clients ||
        map_u64_count(&registry->by_number) >= 2 * (uint64_t)registry->max_clients)
        return ERR_LIMIT;
    size_t size = RECORD_HEADER_SIZE + registry_body_size(request);
    int error = shard_admit(shard, size, true);
    if (error)
        return error;
    struct stan_client *client = registry_client_new(registry, registry->next_number, request);
    error = registry_client_publish_names(registry, client);
    if (error) {
        registry_client_free(registry, client);
        return error;
    }
    client->connection = request->connection;
    client->since_ns = registry->stan->now.wall_ns;
    char *to = shard_reserve(shard, size, &client->add_index);
    list_push_back(&registry->adding, &client->adding);
    record_begin(to, (uint32_t)size, RECORD_CLIENT_ADD, 0, client->number);
    registry_body_encode(to + RECORD_HEADER_SIZE, request);
    record_seal(to);
    *ret_client = client;
    *ret_index = client->add_index;
    return 0;
}

int registry_close(struct registry *registry, struct stan_client *client, uint64_t *ret_index)
{
    struct stan *stan = registry->stan;
    uint64_t index;
    if (!client->closing) {
        int error = append(registry, RECORD_CLIENT_CLOSE, client->number, &index);
        if (error)
            return error;
    }
    client_hide_names(registry, client);
    heartbeat_stop(client);
    subscribe_forget_client(stan, client);
    subscribe_reap_orphans(stan);
    int error = append(registry, RECORD_CLIENT_REMOVE, client->number, &client->close_index);
    if (error) {
        // That it closes is recorded; the end follows when the log has room, or after the next start.
        client->close_index = shard_last_index(stan->shard);
        list_push_back(&registry->unfinished, &client->unfinished);
    }
    *ret_index = client->close_index;
    if (client->probe)
        connect_probe_succeed(client);
    return 0;
}

void registry_reap(struct registry *registry)
{
    while (!list_empty(&registry->unfinished)) {
        struct stan_client *client = container_of(list_first(&registry->unfinished), struct stan_client, unfinished);
        uint64_t index;
        if (append(registry, RECORD_CLIENT_REMOVE, client->number, &index))
            return;
        client->close_index = index;
        list_remove(&client->unfinished);
    }
}

struct stan_client *registry_client_new(struct registry *registry, uint32_t number,
                                        const struct registry_request *request)
{
    struct stan_client *client = mem_alloc_zero(sizeof(*client));
    char *to = client->storage = mem_alloc(request->id.len + request->inbox.len + request->connection_id.len + 1);
    client->stan = registry->stan;
    client->number = number;
    client->id = text_copy(&to, request->id);
    client->inbox = text_copy(&to, request->inbox);
    client->connection_id = text_copy(&to, request->connection_id);
    client->protocol = request->protocol;
    client->ping_interval_s = request->ping_interval_s;
    client->ping_max_out = request->ping_max_out;
    client->id_hash = hash_bytes(client->id, 0);
    list_init(&client->link);
    list_init(&client->subscriptions);
    list_init(&client->changed);
    list_init(&client->adding);
    list_init(&client->unfinished);
    if (map_u64_add(&registry->by_number, number, client))
        must(!"client numbers are unique and bounded by their names");
    struct list *after = registry->clients.prev;
    while (after != &registry->clients && container_of(after, struct stan_client, link)->number > number)
        after = after->prev;
    list_push_front(after, &client->link);
    if (number >= registry->next_number)
        registry->next_number = number + 1;
    return client;
}

void registry_client_free(struct registry *registry, struct stan_client *client)
{
    client_hide_names(registry, client);
    heartbeat_stop(client);
    connect_probe_free(client);
    subscribe_forget_client(registry->stan, client);
    map_u64_remove(&registry->by_number, client->number);
    list_remove(&client->link);
    list_remove(&client->changed);
    list_remove(&client->adding);
    list_remove(&client->unfinished);
    mem_free(client->storage);
    mem_free(client);
}

bool registry_client_supersede(struct registry *registry, const struct registry_request *request, uint32_t number)
{
    struct stan_client *holders[] = {registry_find(registry, request->id),
                                     registry_find_connection(registry, request->connection_id)};
    for (size_t i = 0; i < 2; i++) {
        if (holders[i] && holders[i]->number > number)
            return false;
    }
    for (size_t i = 0; i < 2; i++) {
        if (!holders[i])
            continue;
        holders[i]->closing = true;
        client_hide_names(registry, holders[i]);
    }
    return true;
}

int registry_client_publish_names(struct registry *registry, struct stan_client *client)
{
    if (client->connection_id.len && map_find(&registry->by_connection, client->connection_id))
        return ERR_EXISTS;
    int error = map_add(&registry->by_id, client->id, client);
    if (error)
        return error;
    if (client->connection_id.len && map_add(&registry->by_connection, client->connection_id, client)) {
        map_remove(&registry->by_id, client->id);
        return ERR_LIMIT;
    }
    return 0;
}

static int apply(struct shard_machine *machine, const struct record *record, uint64_t index)
{
    struct registry *registry = container_of(machine, struct registry, machine);
    struct stan_client *client = registry_by_number(registry, record->object);
    if (client && client->image_index >= index)
        return 0;
    if (record->kind == RECORD_CLIENT_ADD && !client) {
        struct registry_request request;
        int error = registry_body_decode(record->body, &request);
        if (error)
            return error;
        (void)registry_client_supersede(registry, &request, record->object);
        client = registry_client_new(registry, record->object, &request);
        if (registry_client_publish_names(registry, client)) {
            registry_client_free(registry, client);
            return ERR_CORRUPT;
        }
    }
    if (!client)
        return 0; // its image says that it is gone
    switch (record->kind) {
    case RECORD_CLIENT_ADD:
        client->added = true;
        list_remove(&client->adding);
        client_changed(registry, client);
        if (registry->stan->wheel_ready && !client->close_index)
            heartbeat_start(client);
        return 0;
    case RECORD_CLIENT_CLOSE:
        client->closing = true;
        client_hide_names(registry, client);
        client_changed(registry, client);
        return 0;
    case RECORD_CLIENT_REMOVE:
        client_removed(registry, client->number);
        registry_client_free(registry, client);
        return 0;
    default: return ERR_CORRUPT;
    }
}

// Recovery is over: closings that a crash cut short go on, everybody else gets heartbeats.
static void recovered(struct shard_machine *machine, struct moment now)
{
    struct registry *registry = container_of(machine, struct registry, machine);
    struct stan *stan = registry->stan;
    stan->now = now;
    wheel_init(&stan->wheel, moment_mono_ms(now));
    stan->wheel_ready = true;
    size_t position = 0;
    uint64_t number, index;
    struct stan_client *client;
    while ((client = map_u64_next(&registry->by_number, &position, &number))) {
        if (!client->closing)
            heartbeat_start(client);
        else
            (void)!registry_close(registry, client, &index);
    }
}

static void drop_tail(struct shard_machine *machine, uint64_t last_good)
{
    struct registry *registry = container_of(machine, struct registry, machine);
    subscribe_drop_tail(registry->stan, last_good);
    while (!list_empty(&registry->adding)) {
        struct stan_client *client = container_of(registry->adding.prev, struct stan_client, adding);
        if (client->add_index <= last_good)
            break;
        registry_client_free(registry, client);
    }
    size_t position = 0;
    uint64_t number;
    struct stan_client *client;
    while ((client = map_u64_next(&registry->by_number, &position, &number))) {
        if (client->close_index > last_good)
            close_dropped(registry, client, last_good);
    }
}

// What was proposed for its end is not in the log.
static void close_dropped(struct registry *registry, struct stan_client *client, uint64_t last_good)
{
    list_remove(&client->unfinished);
    if (client->closing) {
        client->close_index = last_good;
        list_push_back(&registry->unfinished, &client->unfinished);
        return;
    }
    client->close_index = 0;
    // Its names are free again: those who took them came after it and were dropped above.
    if (!registry_client_publish_names(registry, client) && registry->stan->wheel_ready)
        heartbeat_start(client);
}

static void client_hide_names(struct registry *registry, struct stan_client *client)
{
    if (map_find(&registry->by_id, client->id) == client)
        map_remove(&registry->by_id, client->id);
    if (registry_find_connection(registry, client->connection_id) == client)
        map_remove(&registry->by_connection, client->connection_id);
}

static void client_changed(struct registry *registry, struct stan_client *client)
{
    list_remove(&client->changed);
    list_push_back(&registry->changed, &client->changed);
}

static void client_removed(struct registry *registry, uint32_t number)
{
    if (registry->gone_count == registry->gone_capacity) {
        registry->gone_capacity = registry->gone_capacity ? 2 * registry->gone_capacity : 16;
        registry->gone = mem_realloc(registry->gone, registry->gone_capacity * sizeof(*registry->gone));
    }
    registry->gone[registry->gone_count++] = number;
}

static struct bytes text_copy(char **to, struct bytes text)
{
    struct bytes copy = bytes_make(*to, text.len);
    if (text.len)
        memcpy(*to, text.ptr, text.len);
    *to += text.len;
    return copy;
}

// A record without a body; closing uses the reserve of a full disk.
static int append(struct registry *registry, uint16_t kind, uint32_t number, uint64_t *ret_index)
{
    int error = shard_admit(registry->stan->shard, RECORD_HEADER_SIZE, true);
    if (error)
        return error;
    char *to = shard_reserve(registry->stan->shard, RECORD_HEADER_SIZE, ret_index);
    record_begin(to, RECORD_HEADER_SIZE, kind, 0, number);
    record_seal(to);
    return 0;
}
