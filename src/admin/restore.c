// SPDX-License-Identifier: Apache-2.0
#include "admin/restore.h"

#include "base/map_u64.h"
#include "base/memory.h"
#include "base/must.h"
#include "stan/member_data.h"

enum { END_DEAD = 4096 }; // dead messages in a step of the end

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
    struct map_u64 streams; // in the backup -> its id here, as a pointer
    struct buried *dead;    // owned: written when all streams are there
    size_t dead_count, dead_cap, dead_at;
    struct edited *edited; // owned: the same; limits are set when nothing more comes that they could drop
    size_t edited_count, edited_cap, edited_at;
    struct buffer image;       // of `stream`, framed
    struct consumer *consumer; // the one before; NULL: it did not come over
    struct restore_stats stats;
};

// A stream that has its configuration by hand.
struct edited {
    uint32_t stream; // id here
    struct stream_edit edit;
    char *image; // owned: the texts of it
};

// A dead message.
struct buried {
    uint32_t stream, consumer; // ids here
    struct dead_info info;     // its stream is one of the backup
    char *text;                // owned
};

static int take_client(struct restore *restore, const struct record *record);
static int take_stream(struct restore *restore, const struct record *record, struct engine_time now);
static int take_message(struct restore *restore, const struct record *record, struct engine_time now);
static int take_consumer(struct restore *restore, const struct record *record, struct engine_time now);
static int take_control(struct restore *restore, const struct record *record, struct engine_time now);
static void keep_edit(struct restore *restore, const struct stream_edit *edit, char *image);
static bool translate(void *owner, const struct consumer_config *consumer, struct member_config *member);
static void bury(void *owner, struct consumer *consumer, const struct dead_info *info);
static int close_stream(struct restore *restore, struct engine_time now);

struct restore *restore_new(struct shard *shard, struct stan *stan, uint32_t message_max)
{
    struct restore *restore = mem_alloc_zero(sizeof(*restore));
    restore->shard = shard;
    restore->stan = stan;
    restore->engine = shard_engine(shard);
    restore->message_max = message_max;
    map_u64_init(&restore->clients, SIZE_MAX);
    map_u64_init(&restore->streams, SIZE_MAX);
    buffer_init(&restore->text, ENGINE_DATA_MAX);
    buffer_init(&restore->image, SIZE_MAX / 2);
    return restore;
}

void restore_free(struct restore *restore)
{
    map_u64_deinit(&restore->clients);
    map_u64_deinit(&restore->streams);
    for (size_t i = 0; i < restore->dead_count; i++)
        mem_free(restore->dead[i].text);
    mem_free(restore->dead);
    for (size_t i = 0; i < restore->edited_count; i++)
        mem_free(restore->edited[i].image);
    mem_free(restore->edited);
    buffer_deinit(&restore->image);
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
    case RECORD_IMAGE_CONTROL: return take_control(restore, record, now);
    default: return ERR_CORRUPT;
    }
}

int restore_end(struct restore *restore, struct engine_time now)
{
    int error = close_stream(restore, now);
    for (int left = END_DEAD; !error && restore->dead_at < restore->dead_count; restore->dead_at += !error) {
        if (left-- == 0)
            return ERR_AGAIN;
        const struct buried *one = &restore->dead[restore->dead_at];
        struct dead_info info = one->info;
        struct stream *stream = engine_stream_by_id(restore->engine, one->stream);
        struct consumer *consumer = engine_consumer_after(restore->engine, stream, one->consumer - 1);
        info.stream = (uint32_t)(uintptr_t)map_u64_find(&restore->streams, info.stream);
        if (info.stream == 0)
            info.copied_as = 0; // a backup of one channel
        error = engine_import_dead(restore->engine, consumer, &info, now);
        restore->stats.dead += !error;
    }
    for (; !error && restore->edited_at < restore->edited_count; restore->edited_at += !error) {
        const struct edited *one = &restore->edited[restore->edited_at];
        uint64_t index;
        error = engine_stream_edit(restore->engine, engine_stream_by_id(restore->engine, one->stream), &one->edit, now,
                                   &index);
    }
    return error;
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
    int error = close_stream(restore, now); // the one before has all its messages
    if (!error)
        error = engine_import_stream(restore->engine, record, now, &restore->stream, &restore->last_sequence);
    if (error)
        return error;
    struct stream_state state;
    stream_state_get(restore->stream, &state);
    restore->stream_id = record->object;
    restore->consumer = NULL;
    restore->stats.channels++;
    buffer_clear(&restore->image);
    must(buffer_append(&restore->image, record->whole) == 0);
    return map_u64_add(&restore->streams, record->object, (void *)(uintptr_t)state.id) ? ERR_CORRUPT : 0;
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
    struct import_image image = {
        .translate = translate, .on_dead = bury, .owner = restore, .stream = restore->stream_id};
    if (!restore->stream)
        return ERR_CORRUPT;
    int error = close_stream(restore, now);
    if (error)
        return error;
    error = engine_import_consumer(restore->engine, restore->stream, record, now, &image);
    if (error)
        return error;
    restore->consumer = image.consumer;
    restore->stats.consumers += image.consumer != NULL;
    restore->stats.members += image.members;
    restore->stats.pending += image.pending;
    return 0;
}

// Behind the image of a stream or a consumer.
static int take_control(struct restore *restore, const struct record *record, struct engine_time now)
{
    bool is_stream = record->flags == RECORD_IMAGE_STREAM;
    if (!restore->stream || (is_stream && record->object != restore->stream_id))
        return ERR_CORRUPT;
    if (!is_stream && !restore->consumer)
        return 0;
    struct bytes whole = buffer_bytes(&restore->image);
    char *copy = mem_copy(whole);
    const struct record image = {.kind = get_u16(copy + 8), // the frame was taken before
                                 .body = bytes_skip(bytes_make(copy, whole.len), RECORD_HEADER_SIZE)};
    struct stream_edit edit;
    int error = engine_import_control(restore->engine, restore->stream, is_stream ? NULL : restore->consumer, record,
                                      &image, now, &edit);
    if (!error && edit.edited)
        keep_edit(restore, &edit, copy);
    else
        mem_free(copy);
    return error;
}

static void keep_edit(struct restore *restore, const struct stream_edit *edit, char *image)
{
    struct stream_state state;
    stream_state_get(restore->stream, &state);
    if (restore->edited_count == restore->edited_cap) {
        restore->edited_cap = restore->edited_cap ? 2 * restore->edited_cap : 16;
        restore->edited = mem_realloc(restore->edited, restore->edited_cap * sizeof(*restore->edited));
    }
    restore->edited[restore->edited_count++] = (struct edited){state.id, *edit, image};
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

static void bury(void *owner, struct consumer *consumer, const struct dead_info *info)
{
    struct restore *restore = owner;
    struct stream_state stream;
    struct consumer_state state;
    stream_state_get(restore->stream, &stream);
    consumer_state_get(consumer, &state);
    if (restore->dead_count == restore->dead_cap) {
        restore->dead_cap = restore->dead_cap ? 2 * restore->dead_cap : 64;
        restore->dead = mem_realloc(restore->dead, restore->dead_cap * sizeof(*restore->dead));
    }
    struct buried *one = &restore->dead[restore->dead_count++];
    *one = (struct buried){.stream = stream.id, .consumer = state.id, .info = *info};
    one->text = mem_copy(info->text);
    one->info.text.ptr = one->text;
}

// Its messages are all there: what comes next has the number behind the last that it had.
static int close_stream(struct restore *restore, struct engine_time now)
{
    return restore->stream ? engine_import_last(restore->engine, restore->stream, restore->last_sequence, now) : 0;
}
