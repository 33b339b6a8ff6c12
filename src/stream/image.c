// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine
// Checkpoints: images of what changed since the last one, taken object by object between turns, each with the log index at which
// it was taken. An image holds committed state, and deliveries that happened, which are facts even if their record is lost.
// Acknowledgements that are not committed are not in it. Counters come last, so that they cover every object that was deleted
// while the checkpoint was written. RECORDS.md has the formats.
#include "stream/engine_internal.h"

enum {
    STREAM_HEAD = 48,
    CONSUMER_HEAD = 40,
    COUNTERS_SIZE = 20,
    ID_SIZE = 32,
    IDS_TURN = 8192, // ids restored in one turn
};

static void add_gone(struct list *list, uint16_t image_kind, uint32_t id);
static void put_begin(struct buffer *out, size_t *ret_at);
static void put_end(struct buffer *out, size_t at, uint16_t kind, uint16_t flags, uint32_t object);
static void put_u64_at_end(struct buffer *out, uint64_t value);
static void restore_id(struct engine *engine, const char *at, uint64_t last_index);
static void put_stream(struct stream *stream, uint64_t last, uint64_t index, struct buffer *out);
static void put_consumer(struct consumer *consumer, uint64_t index, bool backup, struct buffer *out);
static void put_members(const struct consumer *consumer, struct buffer *out);
static void put_pending(const struct consumer *consumer, bool more, struct buffer *out);
static bool has_more(const struct consumer *consumer);
static void put_gone(const struct gone *gone, uint64_t index, struct buffer *out);
static void put_counters(const struct engine *engine, uint64_t index, struct buffer *out);
static int get_stream(struct engine *engine, const struct record *image);
static int get_consumer(struct engine *engine, const struct record *image);
static int get_consumer_rest(struct consumer *consumer, struct bytes rest, uint32_t members, uint16_t kind);
static int get_pending(struct consumer *consumer, struct bytes rest, uint16_t kind);
static int get_one_pending(struct consumer *consumer, struct bytes *rest, bool more, uint64_t *sequence);
static int get_counters(struct engine *engine, const struct record *image);
static int get_gone(struct engine *engine, const struct record *image);
static uint32_t next_committed_stream(const struct engine *engine);
static void mark_all(struct engine *engine);

void engine_checkpoint_begin(struct engine *engine, bool base)
{
    if (base)
        mark_all(engine);
    list_append_all(&engine->image_streams, &engine->dirty_streams);
    list_append_all(&engine->image_consumers, &engine->dirty_consumers);
    list_append_all(&engine->image_gone, &engine->gone);
    engine->image_counters = true;
    engine->image_next_stream = next_committed_stream(engine);
    engine->epoch++;
}

int engine_checkpoint_next(struct engine *engine, uint64_t index, struct buffer *out, size_t max_bytes)
{
    size_t end = out->len + max_bytes;
    struct list *link;
    while (out->len < end) {
        if ((link = list_pop_front(&engine->image_gone))) {
            struct gone *gone = container_of(link, struct gone, link);
            put_gone(gone, index, out);
            mem_free(gone);
        } else if ((link = list_pop_front(&engine->image_streams))) {
            struct stream *stream = container_of(link, struct stream, dirty_link);
            put_stream(stream, stream->state.last_sequence, index, out);
            control_put_stream(stream, index, out);
        } else if ((link = list_pop_front(&engine->image_consumers))) {
            struct consumer *consumer = container_of(link, struct consumer, dirty_link);
            put_consumer(consumer, index, false, out);
            control_put_consumer(consumer, index, out);
        } else {
            if (engine->image_counters)
                put_counters(engine, index, out);
            engine->image_counters = false;
            return 0;
        }
    }
    return 1;
}

int engine_restore(struct engine *engine, const struct record *image)
{
    switch (image->kind) {
    case RECORD_IMAGE_STREAM:
    case RECORD_IMAGE_STREAM_MORE: return get_stream(engine, image);
    case RECORD_IMAGE_CONSUMER:
    case RECORD_IMAGE_CONSUMER_MORE:
    case RECORD_IMAGE_CONSUMER_DYING: return get_consumer(engine, image);
    case RECORD_IMAGE_COUNTERS: return get_counters(engine, image);
    case RECORD_IMAGE_CONTROL: return control_get_image(engine, image);
    case RECORD_IMAGE_GONE: return get_gone(engine, image);
    default: return ERR_CORRUPT;
    }
}

void engine_save_ids(struct engine *engine, uint64_t first_index, uint64_t last_index, uint64_t *ret_until_ns,
                     struct buffer *out)
{
    uint64_t from, to, until_ms = 0, wall_ms = engine_record_time_ms(engine);
    uint32_t now_ms = (uint32_t)engine_now_ms(engine);
    dedupe_range(&engine->dedupe, first_index, last_index, &from, &to);
    char *at = buffer_reserve(out, (to - from) * ID_SIZE), *begin = at;
    must(at || from == to);
    for (; from < to; from++) {
        const struct dedupe_id *id = dedupe_at(&engine->dedupe, from);
        if (dedupe_is_past(id->expires_ms, now_ms))
            continue;
        uint64_t expires_ms = wall_ms + (id->expires_ms - now_ms);
        until_ms = expires_ms > until_ms ? expires_ms : until_ms;
        put_u64(at, id->key.lo);
        put_u64(at + 8, id->key.hi);
        put_u64(at + 16, id->sequence);
        put_u64(at + 24, expires_ms);
        at += ID_SIZE;
    }
    if (at > begin)
        buffer_commit(out, (size_t)(at - begin));
    *ret_until_ns = until_ms * 1000000;
}

int engine_restore_ids(struct engine *engine, struct bytes ids, uint64_t last_index, size_t *ret_left)
{
    if (ids.len % ID_SIZE)
        return ERR_CORRUPT;
    size_t at = ids.len / ID_SIZE, stop = at > IDS_TURN ? at - IDS_TURN : 0;
    *ret_left = stop * ID_SIZE;
    while (at-- > stop)
        restore_id(engine, ids.ptr + at * ID_SIZE, last_index);
    return 0;
}

void engine_ids_await(struct engine *engine, uint64_t bytes)
{
    engine->ids_awaited = bytes > 0;
    if (bytes)
        dedupe_expect(&engine->dedupe, bytes / ID_SIZE);
    else
        dedupe_restored(&engine->dedupe);
}

// Wall time becomes monotonic as that of the ids which recovery found in the log (engine_recovered()).
static void restore_id(struct engine *engine, const char *at, uint64_t last_index)
{
    uint64_t expires_ms = get_u64(at + 24);
    if (engine->live) {
        uint64_t left_ms = expires_ms > engine->recovered_wall_ms ? expires_ms - engine->recovered_wall_ms : 0;
        left_ms = left_ms < DEDUPE_WINDOW_MAX_MS ? left_ms : DEDUPE_WINDOW_MAX_MS;
        expires_ms = engine->recovered_ms + left_ms;
        if (expires_ms <= engine_now_ms(engine))
            return;
    }
    struct hash128 key = {get_u64(at), get_u64(at + 8)};
    dedupe_restore(&engine->dedupe, key, get_u64(at + 16), last_index, (uint32_t)expires_ms);
}

bool engine_image_stream(struct stream *stream, uint64_t last, struct buffer *out)
{
    if (stream->committed) {
        put_stream(stream, last, 0, out);
        control_put_stream(stream, 0, out);
    }
    return stream->committed;
}

bool engine_image_consumer(struct consumer *consumer, struct buffer *out)
{
    if (consumer->committed) {
        put_consumer(consumer, 0, true, out);
        control_put_consumer(consumer, 0, out);
    }
    return consumer->committed;
}

// One that waits for its image in the checkpoint being written is void in that one already: entries that are covered will not
// bring its older image up to date, and what follows them would not fit it.
void image_gone_stream(const struct stream *stream)
{
    struct engine *engine = stream->engine;
    if (engine->options.no_images)
        return;
    list_foreach(link, &stream->consumers)
    {
        const struct consumer *consumer = container_of(link, struct consumer, link);
        if (list_is_linked(&consumer->dirty_link) && consumer->dirty_epoch != engine->epoch)
            add_gone(&engine->image_gone, RECORD_IMAGE_CONSUMER, consumer->id);
    }
    add_gone(&engine->gone, RECORD_IMAGE_STREAM, stream->id);
    if (list_is_linked(&stream->dirty_link) && stream->dirty_epoch != engine->epoch)
        add_gone(&engine->image_gone, RECORD_IMAGE_STREAM, stream->id);
}

void image_gone_consumer(const struct consumer *consumer)
{
    struct engine *engine = consumer->stream->engine;
    if (engine->options.no_images)
        return;
    add_gone(&engine->gone, RECORD_IMAGE_CONSUMER, consumer->id);
    if (list_is_linked(&consumer->dirty_link) && consumer->dirty_epoch != engine->epoch)
        add_gone(&engine->image_gone, RECORD_IMAGE_CONSUMER, consumer->id);
}

static void add_gone(struct list *list, uint16_t image_kind, uint32_t id)
{
    struct gone *gone = mem_alloc_zero(sizeof(*gone));
    gone->id = id;
    gone->image_kind = image_kind;
    list_push_back(list, &gone->link);
}

// Leaves room for the record's header.
static void put_begin(struct buffer *out, size_t *ret_at)
{
    *ret_at = out->len;
    must(buffer_reserve(out, RECORD_HEADER_SIZE));
    buffer_commit(out, RECORD_HEADER_SIZE);
}

static void put_end(struct buffer *out, size_t at, uint16_t kind, uint16_t flags, uint32_t object)
{
    size_t size = out->len - at;
    must(size <= UINT32_MAX / 2 && buffer_reserve(out, record_padded(size) - size));
    buffer_commit(out, record_padded(size) - size);
    record_begin(out->ptr + at, (uint32_t)size, kind, flags, object);
    record_seal(out->ptr + at);
}

static void put_u64_at_end(struct buffer *out, uint64_t value)
{
    char *at = buffer_reserve(out, 8);
    must(at);
    put_u64(at, value);
    buffer_commit(out, 8);
}

static void put_stream(struct stream *stream, uint64_t last, uint64_t index, struct buffer *out)
{
    size_t at;
    put_begin(out, &at);
    put_u64_at_end(out, index);
    put_u64_at_end(out, stream->state.first_sequence);
    put_u64_at_end(out, last);
    put_u64_at_end(out, stream->state.last_time_ns);
    put_u64_at_end(out, stream->state.messages);
    put_u64_at_end(out, stream->state.bytes);
    must(codec_put_stream(out, &stream->config) == 0);
    uint16_t kind = codec_stream_has_more(&stream->config) ? RECORD_IMAGE_STREAM_MORE : RECORD_IMAGE_STREAM;
    put_end(out, at, kind, 0, stream->id);
}

// A backup says nothing of messages that were terminated and could not die: there they are pending.
static void put_consumer(struct consumer *consumer, uint64_t index, bool backup, struct buffer *out)
{
    uint32_t members = 0;
    list_foreach(link, &consumer->members) members += container_of(link, struct member, link)->committed;
    size_t at;
    put_begin(out, &at);
    put_u64_at_end(out, index);
    put_u64_at_end(out, consumer->next_sequence);
    put_u64_at_end(out, consumer->ack_floor);
    put_u64_at_end(out, consumer->redelivered);
    put_u64_at_end(out, members | (uint64_t)codec_size_consumer(&consumer->config) << 32);
    must(codec_put_consumer(out, consumer->stream->id, &consumer->config, consumer->config.start_sequence) == 0);
    put_members(consumer, out);
    must(seqset_encode(&consumer->acked, out) == 0);
    bool dying = !backup && death_is_worth_an_image(consumer), more = dying || has_more(consumer);
    put_pending(consumer, more, out);
    if (more)
        dead_put_image(consumer, out);
    if (dying)
        death_put_image(consumer, out);
    put_end(out, at,
            dying  ? RECORD_IMAGE_CONSUMER_DYING
            : more ? RECORD_IMAGE_CONSUMER_MORE
                   : RECORD_IMAGE_CONSUMER,
            0, consumer->id);
}

static void put_members(const struct consumer *consumer, struct buffer *out)
{
    list_foreach(link, &consumer->members)
    {
        const struct member *member = container_of(link, struct member, link);
        if (!member->committed)
            continue;
        codec_put_number(out, codec_size_member(&member->config));
        must(codec_put_member(out, member->id, &member->config) == 0);
    }
}

static bool has_more(const struct consumer *consumer)
{
    if (dead_is_worth_an_image(consumer))
        return true;
    size_t pos = 0;
    uint64_t sequence;
    struct pending *p = heap_count(&consumer->delayed) ? map_u64_next(&consumer->pending, &pos, &sequence) : NULL;
    while (p && !redelivery_until_ms(consumer, p))
        p = map_u64_next(&consumer->pending, &pos, &sequence);
    return p;
}

static void put_pending(const struct consumer *consumer, bool more, struct buffer *out)
{
    size_t pos = 0;
    uint64_t sequence, last = 0;
    codec_put_number(out, map_u64_count(&consumer->pending));
    for (struct pending *p = map_u64_next(&consumer->pending, &pos, &sequence); p;
         p = map_u64_next(&consumer->pending, &pos, &sequence)) {
        codec_put_number(out, codec_zigzag((int64_t)(sequence - last)));
        codec_put_number(out, p->attempts);
        codec_put_number(out, p->state == PENDING_OUT ? p->holder : 0);
        if (more)
            codec_put_number(out, redelivery_until_ms(consumer, p));
        last = sequence;
    }
}

static void put_gone(const struct gone *gone, uint64_t index, struct buffer *out)
{
    size_t at;
    put_begin(out, &at);
    put_u64_at_end(out, index);
    put_end(out, at, RECORD_IMAGE_GONE, gone->image_kind, gone->id);
}

static void put_counters(const struct engine *engine, uint64_t index, struct buffer *out)
{
    size_t at;
    put_begin(out, &at);
    put_u64_at_end(out, index);
    put_u64_at_end(out, engine->image_next_stream | (uint64_t)engine->next_consumer << 32);
    char *to = buffer_reserve(out, 4);
    must(to);
    put_u32(to, engine->next_member);
    buffer_commit(out, 4);
    put_end(out, at, RECORD_IMAGE_COUNTERS, 0, 0);
}

static int get_stream(struct engine *engine, const struct record *image)
{
    struct stream_config config;
    struct bytes body = image->body;
    bool more = image->kind == RECORD_IMAGE_STREAM_MORE;
    if (image->object == 0 || image->object > ENGINE_ID_MAX || body.len < STREAM_HEAD ||
        codec_get_stream(bytes_skip(body, STREAM_HEAD), more, &config))
        return ERR_CORRUPT;
    struct stream_totals state = {
        .first_sequence = get_u64(body.ptr + 8),
        .last_sequence = get_u64(body.ptr + 16),
        .last_time_ns = get_u64(body.ptr + 24),
        .messages = get_u64(body.ptr + 32),
        .bytes = get_u64(body.ptr + 40),
    };
    if (state.first_sequence == 0 || state.last_sequence > SEQUENCE_MAX ||
        state.first_sequence > state.last_sequence + 1 ||
        state.messages > state.last_sequence + 1 - state.first_sequence)
        return ERR_CORRUPT;
    struct stream *stream = map_u64_find(&engine->streams, image->object);
    struct stream *named = engine_stream_find(engine, config.account, config.name);
    if (named != stream)
        return ERR_CORRUPT;
    if (!stream)
        stream = stream_new(engine, image->object, &config);
    stream_config_set(stream, &config);
    stream->pause = (struct pause){0}; // what there is to say of these stands behind it
    stream->edited = false;
    stream->inactivity_ns = 0;
    stream->committed = true;
    stream->image_index = get_u64(body.ptr);
    engine->stats.messages += state.messages - stream->state.messages;
    engine->stats.bytes += state.bytes - stream->state.bytes;
    stream->state = stream->tail = state;
    if (state.last_time_ns > engine->newest_ns)
        engine->newest_ns = state.last_time_ns;
    return 0;
}

static int get_consumer(struct engine *engine, const struct record *image)
{
    struct consumer_config config;
    struct bytes body = image->body;
    uint32_t stream_id;
    uint64_t start;
    if (image->object == 0 || image->object > ENGINE_ID_MAX || body.len < CONSUMER_HEAD)
        return ERR_CORRUPT;
    uint32_t members = get_u32(body.ptr + 32), create_size = get_u32(body.ptr + 36);
    uint64_t next = get_u64(body.ptr + 8), floor = get_u64(body.ptr + 16);
    struct bytes rest = bytes_skip(body, CONSUMER_HEAD);
    if (create_size > rest.len || codec_get_consumer(bytes_make(rest.ptr, create_size), &stream_id, &config, &start) ||
        next == 0 || next > SEQUENCE_MAX + 1 || floor >= next)
        return ERR_CORRUPT;
    struct stream *stream = map_u64_find(&engine->streams, stream_id);
    struct consumer *consumer = map_u64_find(&engine->consumers, image->object);
    if (!stream || (consumer && consumer->stream != stream) ||
        engine_consumer_find(engine, stream, config.name) != consumer)
        return ERR_CORRUPT;
    if (consumer)
        consumer_free(consumer);
    consumer = consumer_new(stream, image->object, &config, start);
    consumer->committed = true;
    consumer->image_index = get_u64(body.ptr);
    consumer->next_sequence = consumer->pick_sequence = next;
    consumer->ack_floor = floor;
    consumer->redelivered = get_u64(body.ptr + 24);
    return get_consumer_rest(consumer, bytes_skip(rest, create_size), members, image->kind);
}

static int get_consumer_rest(struct consumer *consumer, struct bytes rest, uint32_t members, uint16_t kind)
{
    struct engine *engine = consumer->stream->engine;
    for (; members; members--) {
        struct member_config config;
        uint64_t size;
        uint32_t id;
        if (codec_get_number(&rest, &size) || size > rest.len ||
            codec_get_member(bytes_make(rest.ptr, size), &id, &config) || map_u64_find(&engine->members, id))
            return ERR_CORRUPT;
        member_new(consumer, id, &config)->committed = true;
        rest = bytes_skip(rest, size);
    }
    size_t used;
    if (seqset_decode(&consumer->acked, rest, &used))
        return ERR_CORRUPT;
    uint64_t first, last;
    for (uint64_t at = 0; seqset_next_present(&consumer->acked, at, &first, &last); at = last + 1) {
        if (first <= consumer->ack_floor || last > SEQUENCE_MAX)
            return ERR_CORRUPT;
        consumer->acked_max = last;
    }
    return get_pending(consumer, bytes_skip(rest, used), kind);
}

static int get_pending(struct consumer *consumer, struct bytes rest, uint16_t kind)
{
    bool more = kind != RECORD_IMAGE_CONSUMER;
    uint64_t count, sequence = 0;
    if (codec_get_number(&rest, &count))
        return ERR_CORRUPT;
    for (; count; count--) {
        if (get_one_pending(consumer, &rest, more, &sequence))
            return ERR_CORRUPT;
    }
    if (more && dead_get_image(consumer, &rest))
        return ERR_CORRUPT;
    if (kind == RECORD_IMAGE_CONSUMER_DYING)
        return death_get_image(consumer, rest);
    return rest.len == 0 ? 0 : ERR_CORRUPT;
}

// *sequence: of the one before, then its own.
static int get_one_pending(struct consumer *consumer, struct bytes *rest, bool more, uint64_t *sequence)
{
    uint64_t step, attempts, holder, until_ms = 0;
    if (codec_get_number(rest, &step) || codec_get_number(rest, &attempts) || codec_get_number(rest, &holder) ||
        (more && codec_get_number(rest, &until_ms)) || holder > UINT32_MAX || attempts >= 1 << 24 ||
        until_ms > UINT64_MAX / 1000000)
        return ERR_CORRUPT;
    *sequence += (uint64_t)codec_unzigzag(step);
    struct member *member = holder ? member_in(consumer, (uint32_t)holder) : NULL;
    if (*sequence <= consumer->ack_floor || *sequence >= consumer->next_sequence ||
        seqset_has(&consumer->acked, *sequence) || pending_find(consumer, *sequence) || (holder && !member) ||
        pending_room(consumer->stream->engine) == 0)
        return ERR_CORRUPT;
    struct pending *pending = pending_new(consumer, *sequence);
    pending->attempts = attempts & 0xffffff;
    if (member)
        pending_set_out(consumer, pending, member, UINT64_MAX);
    else if (until_ms)
        pending_set_delayed(consumer, pending, until_ms * 1000000);
    else
        pending_set_waiting(consumer, pending);
    return 0;
}

static int get_counters(struct engine *engine, const struct record *image)
{
    if (image->body.len != COUNTERS_SIZE)
        return ERR_CORRUPT;
    uint32_t next[3] = {get_u32(image->body.ptr + 8), get_u32(image->body.ptr + 12), get_u32(image->body.ptr + 16)};
    engine->next_stream = next[0] > engine->next_stream ? next[0] : engine->next_stream;
    engine->restored_streams = next[0] > engine->restored_streams ? next[0] : engine->restored_streams;
    engine->next_consumer = next[1] > engine->next_consumer ? next[1] : engine->next_consumer;
    engine->next_member = next[2] > engine->next_member ? next[2] : engine->next_member;
    return 0;
}

static int get_gone(struct engine *engine, const struct record *image)
{
    if (image->flags == RECORD_IMAGE_STREAM && map_u64_find(&engine->streams, image->object))
        stream_free(map_u64_find(&engine->streams, image->object));
    if (image->flags == RECORD_IMAGE_CONSUMER && map_u64_find(&engine->consumers, image->object))
        consumer_free(map_u64_find(&engine->consumers, image->object));
    return 0;
}

// Of the streams whose creation is in the images: what is created while they are taken is only in the log. If it is lost there, the
// stream must not count as one that was deleted, or its messages would go.
static uint32_t next_committed_stream(const struct engine *engine)
{
    uint32_t next = engine->next_stream;
    for (const struct list *link = engine->stream_list.prev; link != &engine->stream_list; link = link->prev) {
        const struct stream *stream = container_of(link, struct stream, link);
        if (stream->committed)
            break;
        next = stream->id;
    }
    return next;
}

static void mark_all(struct engine *engine)
{
    for (struct list *link = list_pop_front(&engine->gone); link; link = list_pop_front(&engine->gone))
        mem_free(container_of(link, struct gone, link));
    list_foreach(link, &engine->stream_list)
    {
        struct stream *stream = container_of(link, struct stream, link);
        if (stream->committed)
            stream_dirty(stream);
        list_foreach(consumer_link, &stream->consumers)
            consumer_dirty(container_of(consumer_link, struct consumer, link));
    }
}
