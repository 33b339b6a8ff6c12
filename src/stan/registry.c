// SPDX-License-Identifier: Apache-2.0
// tidy: prefix registry
#include "stan/registry.h"

#include "base/memory.h"
#include "base/must.h"
#include "stan/stan_internal.h"

enum { BODY_SIZE = 20, IMAGE_SIZE = 16, TEXT_MAX = 1024 }; // bytes: fixed parts of body and image; of each text

static int apply(struct shard_machine *machine, const struct record *record, uint64_t index);
static int restore(struct shard_machine *machine, const struct record *image);
static void checkpoint_begin(struct shard_machine *machine, bool base);
static int checkpoint_next(struct shard_machine *machine, uint64_t index, struct buffer *out, size_t max_bytes);
static void recovered(struct shard_machine *machine, struct moment now);
static void drop_tail(struct shard_machine *machine, uint64_t last_good);
static void close_dropped(struct registry *registry, struct stan_client *client, uint64_t last_good);
static struct stan_client *client_new(struct registry *registry, uint32_t number,
                                      const struct registry_request *request);
static void client_free(struct registry *registry, struct stan_client *client);
static bool client_supersede(struct registry *registry, const struct registry_request *request, uint32_t number);
static int client_publish_names(struct registry *registry, struct stan_client *client);
static void client_hide_names(struct registry *registry, struct stan_client *client);
static void client_changed(struct registry *registry, struct stan_client *client);
static void client_removed(struct registry *registry, uint32_t number);
static size_t body_size(const struct registry_request *request);
static void body_encode(char *to, const struct registry_request *request);
static int body_decode(struct bytes body, struct registry_request *ret);
static void image_append(struct buffer *out, uint16_t kind, uint16_t flags, uint32_t number, uint64_t index,
                         const struct stan_client *client);
static int append(struct registry *registry, uint16_t kind, uint32_t number, uint64_t *ret_index);

void registry_init(struct registry *registry, struct stan *stan, uint32_t max_clients)
{
    *registry = (struct registry){.stan = stan, .next_number = 1};
    registry->machine = (struct shard_machine){
        .first_kind = RECORD_CLIENT_ADD,
        .last_kind = RECORD_CLIENT_REMOVE,
        .image_kind = RECORD_IMAGE_CLIENT,
        .apply = apply,
        .restore = restore,
        .checkpoint_begin = checkpoint_begin,
        .checkpoint_next = checkpoint_next,
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
        client_free(registry, client);
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
    size_t size = RECORD_HEADER_SIZE + body_size(request);
    int error = shard_admit(shard, size, true);
    if (error)
        return error;
    struct stan_client *client = client_new(registry, registry->next_number, request);
    error = client_publish_names(registry, client);
    if (error) {
        client_free(registry, client);
        return error;
    }
    client->connection = request->connection;
    client->since_ns = registry->stan->now.wall_ns;
    char *to = shard_reserve(shard, size, &client->add_index);
    list_push_back(&registry->adding, &client->adding);
    record_begin(to, (uint32_t)size, RECORD_CLIENT_ADD, 0, client->number);
    body_encode(to + RECORD_HEADER_SIZE, request);
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

void registry_list(const struct registry *registry, struct buffer *ret_numbers)
{
    size_t position = 0;
    uint64_t number;
    char *at = buffer_reserve(ret_numbers, 4 * map_u64_count(&registry->by_number)), *begin = at;
    must(at || map_u64_count(&registry->by_number) == 0);
    for (; map_u64_next(&registry->by_number, &position, &number); at += 4)
        put_u32(at, (uint32_t)number);
    if (at > begin)
        buffer_commit(ret_numbers, (size_t)(at - begin));
}

void registry_save(const struct registry *registry, uint32_t number, struct buffer *out)
{
    const struct stan_client *client = map_u64_find(&registry->by_number, number);
    if (client && client->added && !client->closing)
        image_append(out, RECORD_IMAGE_CLIENT, 0, client->number, 0, client);
}

int registry_load(struct registry *registry, const struct record *image, uint32_t *ret_number)
{
    struct registry_request request;
    struct stan_client *client;
    uint64_t index;
    if (image->body.len < IMAGE_SIZE || body_decode(bytes_skip(image->body, IMAGE_SIZE), &request))
        return ERR_CORRUPT;
    *ret_number = 0;
    if (get_u32(image->body.ptr + 8) == 1)
        return 0;
    int error = registry_add(registry, &request, &client, &index);
    if (!error)
        *ret_number = client->number;
    return error;
}

static int apply(struct shard_machine *machine, const struct record *record, uint64_t index)
{
    struct registry *registry = container_of(machine, struct registry, machine);
    struct stan_client *client = registry_by_number(registry, record->object);
    if (client && client->image_index >= index)
        return 0;
    if (record->kind == RECORD_CLIENT_ADD && !client) {
        struct registry_request request;
        int error = body_decode(record->body, &request);
        if (error)
            return error;
        (void)client_supersede(registry, &request, record->object);
        client = client_new(registry, record->object, &request);
        if (client_publish_names(registry, client)) {
            client_free(registry, client);
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
        client_free(registry, client);
        return 0;
    default: return ERR_CORRUPT;
    }
}

static int restore(struct shard_machine *machine, const struct record *image)
{
    struct registry *registry = container_of(machine, struct registry, machine);
    struct stan_client *old = registry_by_number(registry, image->object);
    if (old)
        client_free(registry, old);
    if (image->kind == RECORD_IMAGE_GONE)
        return 0;
    struct registry_request request;
    if (image->body.len < IMAGE_SIZE || body_decode(bytes_skip(image->body, IMAGE_SIZE), &request))
        return ERR_CORRUPT;
    bool closing = get_u32(image->body.ptr + 8) == 1 || !client_supersede(registry, &request, image->object);
    struct stan_client *client = client_new(registry, image->object, &request);
    client->image_index = get_u64(image->body.ptr);
    client->closing = closing;
    client->added = true;
    if (!client->closing && client_publish_names(registry, client)) {
        client_free(registry, client);
        return ERR_CORRUPT;
    }
    return 0;
}

static void checkpoint_begin(struct shard_machine *machine, bool base)
{
    struct registry *registry = container_of(machine, struct registry, machine);
    list_append_all(&registry->imaging, &registry->changed);
    mem_free(registry->gone_imaging);
    registry->gone_imaging = base ? NULL : registry->gone;
    registry->gone_imaging_count = base ? 0 : registry->gone_count;
    if (base)
        mem_free(registry->gone);
    registry->gone = NULL;
    registry->gone_count = registry->gone_capacity = 0;
    if (!base)
        return;
    // In order of their numbers, in which client_new() takes them best.
    list_foreach(link, &registry->clients)
    {
        struct stan_client *client = container_of(link, struct stan_client, link);
        list_remove(&client->changed);
        if (client->added)
            list_push_back(&registry->imaging, &client->changed);
    }
}

static void image_append(struct buffer *out, uint16_t kind, uint16_t flags, uint32_t number, uint64_t index,
                         const struct stan_client *client)
{
    struct registry_request request = {0};
    size_t size = RECORD_HEADER_SIZE + 8;
    if (client) {
        request = (struct registry_request){client->id,
                                            client->inbox,
                                            client->connection_id,
                                            client->protocol,
                                            client->ping_interval_s,
                                            client->ping_max_out,
                                            0};
        size = RECORD_HEADER_SIZE + IMAGE_SIZE + body_size(&request);
    }
    char *to = buffer_reserve(out, record_padded(size));
    must(to);
    record_begin(to, (uint32_t)size, kind, flags, number);
    put_u64(to + RECORD_HEADER_SIZE, index);
    if (client) {
        put_u32(to + RECORD_HEADER_SIZE + 8, client->closing);
        put_u32(to + RECORD_HEADER_SIZE + 12, 0);
        body_encode(to + RECORD_HEADER_SIZE + IMAGE_SIZE, &request);
    }
    record_seal(to);
    buffer_commit(out, record_padded(size));
}

static int checkpoint_next(struct shard_machine *machine, uint64_t index, struct buffer *out, size_t max_bytes)
{
    struct registry *registry = container_of(machine, struct registry, machine);
    size_t start = out->len;
    while (out->len - start < max_bytes) {
        if (registry->gone_imaging_count) {
            uint32_t number = registry->gone_imaging[--registry->gone_imaging_count];
            image_append(out, RECORD_IMAGE_GONE, RECORD_IMAGE_CLIENT, number, index, NULL);
            continue;
        }
        struct list *link = list_pop_front(&registry->imaging);
        if (!link)
            return 0;
        struct stan_client *client = container_of(link, struct stan_client, changed);
        image_append(out, RECORD_IMAGE_CLIENT, 0, client->number, index, client);
    }
    return 1;
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
        client_free(registry, client);
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
    if (!client_publish_names(registry, client) && registry->stan->wheel_ready)
        heartbeat_start(client);
}

static struct bytes text_copy(char **to, struct bytes text)
{
    struct bytes copy = bytes_make(*to, text.len);
    if (text.len)
        memcpy(*to, text.ptr, text.len);
    *to += text.len;
    return copy;
}

static struct stan_client *client_new(struct registry *registry, uint32_t number,
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

static void client_free(struct registry *registry, struct stan_client *client)
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

// Recovery: of two that have the same names the older one has lost its end to damage of the log. False: that is this one.
static bool client_supersede(struct registry *registry, const struct registry_request *request, uint32_t number)
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

static int client_publish_names(struct registry *registry, struct stan_client *client)
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

static size_t body_size(const struct registry_request *request)
{
    return BODY_SIZE + request->id.len + request->inbox.len + request->connection_id.len;
}

static void body_encode(char *to, const struct registry_request *request)
{
    put_u32(to, request->protocol);
    put_u32(to + 4, request->ping_interval_s);
    put_u32(to + 8, request->ping_max_out);
    put_u16(to + 12, (uint16_t)request->id.len);
    put_u16(to + 14, (uint16_t)request->inbox.len);
    put_u16(to + 16, (uint16_t)request->connection_id.len);
    put_u16(to + 18, 0);
    to += BODY_SIZE;
    text_copy(&to, request->id);
    text_copy(&to, request->inbox);
    text_copy(&to, request->connection_id);
}

static int body_decode(struct bytes body, struct registry_request *ret)
{
    if (body.len < BODY_SIZE)
        return ERR_CORRUPT;
    size_t id = get_u16(body.ptr + 12), inbox = get_u16(body.ptr + 14), connection = get_u16(body.ptr + 16);
    if (BODY_SIZE + id + inbox + connection != body.len || id == 0)
        return ERR_CORRUPT;
    const char *at = body.ptr + BODY_SIZE;
    *ret = (struct registry_request){
        .id = bytes_make(at, id),
        .inbox = bytes_make(at + id, inbox),
        .connection_id = bytes_make(at + id + inbox, connection),
        .protocol = get_u32(body.ptr),
        .ping_interval_s = get_u32(body.ptr + 4),
        .ping_max_out = get_u32(body.ptr + 8),
    };
    return 0;
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
