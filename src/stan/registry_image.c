// SPDX-License-Identifier: Apache-2.0
// tidy: prefix registry
// Clients as bytes: the body of their record, their images in checkpoints, and what is saved of them in a backup. It changes nothing but
// what has to be written, and what a restored image says.
#include "stan/registry_internal.h"

#include "base/memory.h"
#include "base/must.h"
#include "stan/stan_internal.h"

enum { BODY_SIZE = 20, IMAGE_SIZE = 16 }; // bytes: the fixed parts

static void image_append(struct buffer *out, uint16_t kind, uint16_t flags, uint32_t number, uint64_t index,
                         const struct stan_client *client);
static void text_append(char **to, struct bytes text);

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
    if (image->body.len < IMAGE_SIZE || registry_body_decode(bytes_skip(image->body, IMAGE_SIZE), &request))
        return ERR_CORRUPT;
    *ret_number = 0;
    if (get_u32(image->body.ptr + 8) == 1)
        return 0;
    int error = registry_add(registry, &request, &client, &index);
    if (!error)
        *ret_number = client->number;
    return error;
}

int registry_image_restore(struct shard_machine *machine, const struct record *image)
{
    struct registry *registry = container_of(machine, struct registry, machine);
    struct stan_client *old = registry_by_number(registry, image->object);
    if (old)
        registry_client_free(registry, old);
    if (image->kind == RECORD_IMAGE_GONE)
        return 0;
    struct registry_request request;
    if (image->body.len < IMAGE_SIZE || registry_body_decode(bytes_skip(image->body, IMAGE_SIZE), &request))
        return ERR_CORRUPT;
    bool closing = get_u32(image->body.ptr + 8) == 1 || !registry_client_supersede(registry, &request, image->object);
    struct stan_client *client = registry_client_new(registry, image->object, &request);
    client->image_index = get_u64(image->body.ptr);
    client->closing = closing;
    client->added = true;
    if (!client->closing && registry_client_publish_names(registry, client)) {
        registry_client_free(registry, client);
        return ERR_CORRUPT;
    }
    return 0;
}

void registry_image_begin(struct shard_machine *machine, bool base)
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
    // In order of their numbers, in which registry_client_new() takes them best.
    list_foreach(link, &registry->clients)
    {
        struct stan_client *client = container_of(link, struct stan_client, link);
        list_remove(&client->changed);
        if (client->added)
            list_push_back(&registry->imaging, &client->changed);
    }
}

int registry_image_next(struct shard_machine *machine, uint64_t index, struct buffer *out, size_t max_bytes)
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

size_t registry_body_size(const struct registry_request *request)
{
    return BODY_SIZE + request->id.len + request->inbox.len + request->connection_id.len;
}

void registry_body_encode(char *to, const struct registry_request *request)
{
    put_u32(to, request->protocol);
    put_u32(to + 4, request->ping_interval_s);
    put_u32(to + 8, request->ping_max_out);
    put_u16(to + 12, (uint16_t)request->id.len);
    put_u16(to + 14, (uint16_t)request->inbox.len);
    put_u16(to + 16, (uint16_t)request->connection_id.len);
    put_u16(to + 18, 0);
    to += BODY_SIZE;
    text_append(&to, request->id);
    text_append(&to, request->inbox);
    text_append(&to, request->connection_id);
}

int registry_body_decode(struct bytes body, struct registry_request *ret)
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
        size = RECORD_HEADER_SIZE + IMAGE_SIZE + registry_body_size(&request);
    }
    char *to = buffer_reserve(out, record_padded(size));
    must(to);
    record_begin(to, (uint32_t)size, kind, flags, number);
    put_u64(to + RECORD_HEADER_SIZE, index);
    if (client) {
        put_u32(to + RECORD_HEADER_SIZE + 8, client->closing);
        put_u32(to + RECORD_HEADER_SIZE + 12, 0);
        registry_body_encode(to + RECORD_HEADER_SIZE + IMAGE_SIZE, &request);
    }
    record_seal(to);
    buffer_commit(out, record_padded(size));
}

static void text_append(char **to, struct bytes text)
{
    if (text.len)
        memcpy(*to, text.ptr, text.len);
    *to += text.len;
}
