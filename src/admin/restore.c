// SPDX-License-Identifier: Apache-2.0
#include "admin/restore.h"

#include "base/map_u64.h"
#include "base/memory.h"
#include "stan/member_data.h"

struct restore {
    struct shard *shard;    // borrowed
    struct stan *stan;      // borrowed
    uint32_t message_max;   // bytes
    struct engine *engine;  // the shard's
    struct stream *stream;  // the one whose frames come; NULL: none yet
    uint32_t stream_id;     // in the backup
    uint64_t last_sequence; // that it had
    struct map_u64 clients; // number in the backup -> its number here, as a pointer
    struct buffer text;     // data of a member
    struct restore_stats stats;
};

static int take_client(struct restore *restore, const struct record *record);
static int take_stream(struct restore *restore, const struct record *record, struct engine_time now);
static int take_message(struct restore *restore, const struct record *record, struct engine_time now);
static int take_consumer(struct restore *restore, const struct record *record, struct engine_time now);
static bool translate(void *owner, const struct consumer_config *consumer, struct member_config *member);

struct restore *restore_new(struct shard *shard, struct stan *stan, uint32_t message_max)
{
    struct restore *restore = mem_alloc_zero(sizeof(*restore));
    restore->shard = shard;
    restore->stan = stan;
    restore->engine = shard_engine(shard);
    restore->message_max = message_max;
    map_u64_init(&restore->clients, SIZE_MAX);
    buffer_init(&restore->text, ENGINE_DATA_MAX);
    return restore;
}

void restore_free(struct restore *restore)
{
    map_u64_deinit(&restore->clients);
    buffer_deinit(&restore->text);
    mem_free(restore);
}

int restore_take(struct restore *restore, const struct record *record, struct engine_time now)
{
    switch (record->kind) {
    case RECORD_IMAGE_CLIENT: return take_client(restore, record);
    case RECORD_IMAGE_STREAM:
    case RECORD_IMAGE_STREAM_MORE: return take_stream(restore, record, now);
    case RECORD_MESSAGE: return take_message(restore, record, now);
    case RECORD_IMAGE_CONSUMER:
    case RECORD_IMAGE_CONSUMER_MORE: return take_consumer(restore, record, now);
    default: return ERR_CORRUPT;
    }
}

int restore_end(struct restore *restore, struct engine_time now)
{
    return restore->stream ? engine_import_last(restore->engine, restore->stream, restore->last_sequence, now) : 0;
}

void restore_stats_get(const struct restore *restore, struct restore_stats *ret_stats)
{
    *ret_stats = restore->stats;
}

static int take_client(struct restore *restore, const struct record *record)
{
    uint32_t number;
    int error = stan_restore_client(restore->stan, record, &number);
    if (error)
        return error;
    restore->stats.clients += number > 0;
    return number == 0 ? 0 : map_u64_add(&restore->clients, record->object, (void *)(uintptr_t)number);
}

static int take_stream(struct restore *restore, const struct record *record, struct engine_time now)
{
    int error = restore_end(restore, now); // the one before has all its messages
    if (!error)
        error = engine_import_stream(restore->engine, record, now, &restore->stream, &restore->last_sequence);
    if (error)
        return error;
    restore->stream_id = record->object;
    restore->stats.channels++;
    return 0;
}

static int take_message(struct restore *restore, const struct record *record, struct engine_time now)
{
    struct message_record message;
    uint64_t index;
    if (!restore->stream || record->object != restore->stream_id || message_record_get(record, &message))
        return ERR_CORRUPT;
    if (record->whole.len > restore->message_max)
        return ERR_TOO_BIG;
    const struct publish publish = {.subject = message.subject,
                                    .reply = message.reply,
                                    .headers = message.headers,
                                    .payload = message.payload,
                                    .dedupe = message.dedupe};
    int error = engine_import_message(restore->engine, restore->stream, &publish, message.sequence, message.time_ns,
                                      now, &index);
    if (error)
        return error == ERR_INVALID ? ERR_CORRUPT : error;
    restore->stats.messages++;
    return 0;
}

static int take_consumer(struct restore *restore, const struct record *record, struct engine_time now)
{
    struct import_image image = {.translate = translate, .owner = restore};
    if (!restore->stream)
        return ERR_CORRUPT;
    int error = restore_end(restore, now);
    if (error)
        return error;
    error = engine_import_consumer(restore->engine, restore->stream, record, now, &image);
    if (error)
        return error;
    restore->stats.consumers += image.consumer != NULL;
    restore->stats.members += image.members;
    restore->stats.pending += image.pending;
    return 0;
}

// The member's client has another number here. False: it is not there, and the member cannot be.
static bool translate(void *owner, const struct consumer_config *consumer, struct member_config *member)
{
    struct restore *restore = owner;
    struct member_data data;
    if (consumer->protocol != ENGINE_PROTOCOL_STAN || member_data_decode(member->data, &data))
        return false;
    uintptr_t number = (uintptr_t)map_u64_find(&restore->clients, data.client);
    if (number == 0) {
        restore->stats.without_client++;
        return false;
    }
    data.client = (uint32_t)number;
    buffer_clear(&restore->text);
    char *to = buffer_reserve(&restore->text, member_data_size(&data));
    if (!to)
        return false;
    member_data_encode(to, &data);
    member->data = bytes_make(to, member_data_size(&data));
    return true;
}
