// SPDX-License-Identifier: Apache-2.0
// tidy: prefix engine
// Images as a backup has them, brought into another engine: what they say is proposed anew, under new ids, so a shard that serves
// nobody yet ends up where the old one was (import.c).
#include <stdlib.h>

#include "stream/engine_internal.h"

enum {
    STREAM_HEAD = 48, // of images: what stands before the body of the creation
    CONSUMER_HEAD = 40,
};

// A member as its image has it.
struct image_member {
    uint32_t id;     // there
    uint32_t own_id; // here; 0: it does not come over
    struct member_config config;
    void *data; // owned: its data; NULL: none
    bool comes;
};

struct image_consumer {
    struct consumer_config config; // borrowed from the image
    uint64_t next_sequence;
    struct image_member *members; // owned
    uint32_t member_count;
    struct import_pending *pending; // owned, by sequence; .member is the id there, at first
    size_t pending_count;
    struct bytes dead; // what the image has of these, whole; len 0: nothing
};

struct create_result {
    int error;
    struct consumer *consumer;
};

static int read_consumer(const struct record *image, struct image_consumer *from, struct import_image *ret_image);
static int read_members(struct bytes *rest, struct image_consumer *from, struct import_image *image);
static int read_pending(struct bytes rest, bool more, struct image_consumer *from);
static int check_dead(struct bytes rest, struct image_consumer *from);
static void tell_dead(const struct image_consumer *from, const struct map_u64 *members,
                      const struct import_image *image);
static int make_consumer(struct engine *engine, struct stream *stream, struct image_consumer *from,
                         struct engine_time now, struct import_image *image);
static int add_members(struct engine *engine, struct consumer *consumer, struct image_consumer *from,
                       struct engine_time now, struct import_image *image);
static void clip_pending(struct image_consumer *from, const struct stream *stream);
static uint32_t own_member(const struct map_u64 *members, uint32_t id);
static void created(void *owner, int error, struct consumer *consumer, uint64_t index);
static int by_sequence(const void *a, const void *b);

int engine_import_stream(struct engine *engine, const struct record *image, struct engine_time now,
                         struct stream **ret_stream, uint64_t *ret_last)
{
    struct stream_config config;
    bool more = image->kind == RECORD_IMAGE_STREAM_MORE;
    if (image->body.len < STREAM_HEAD || codec_get_stream(bytes_skip(image->body, STREAM_HEAD), more, &config))
        return ERR_CORRUPT;
    uint64_t last = get_u64(image->body.ptr + 16), index;
    // So that nothing goes while it comes; a server sets its own limits at its start.
    config.max_msgs = config.max_bytes = config.max_age_ns = 0;
    config.max_consumers = 0;
    int error = last > SEQUENCE_MAX ? ERR_CORRUPT : engine_stream_create(engine, &config, now, ret_stream, &index);
    if (!error)
        *ret_last = last;
    return error;
}

int engine_import_control(struct engine *engine, struct stream *stream, struct consumer *consumer,
                          const struct record *control, const struct record *image, struct engine_time now,
                          struct stream_edit *ret_edit)
{
    struct control_image what;
    uint64_t index;
    *ret_edit = (struct stream_edit){0};
    if (control_read_image(control, &what))
        return ERR_CORRUPT;
    if (!consumer && what.edited) {
        bool more = image->kind == RECORD_IMAGE_STREAM_MORE;
        if (image->body.len < STREAM_HEAD ||
            codec_get_stream(bytes_skip(image->body, STREAM_HEAD), more, &ret_edit->config))
            return ERR_CORRUPT;
        ret_edit->edited = true;
        ret_edit->inactivity_ns = what.inactivity_ns;
    }
    if (!what.paused)
        return 0;
    uint64_t until_ns = what.until_ms * 1000000;
    return consumer ? engine_consumer_pause(engine, consumer, true, until_ns, now, &index)
                    : engine_stream_pause(engine, stream, true, until_ns, now, &index);
}

int engine_import_consumer(struct engine *engine, struct stream *stream, const struct record *image,
                           struct engine_time now, struct import_image *ret_image)
{
    struct image_consumer from = {0};
    ret_image->consumer = NULL;
    ret_image->members = 0;
    ret_image->pending = 0;
    int error = read_consumer(image, &from, ret_image);
    bool stays = from.config.durable;
    for (uint32_t i = 0; i < from.member_count; i++)
        stays |= from.members[i].comes;
    if (!error && stays)
        error = make_consumer(engine, stream, &from, now, ret_image);
    for (uint32_t i = 0; i < from.member_count; i++)
        mem_free(from.members[i].data);
    mem_free(from.members);
    mem_free(from.pending);
    return error;
}

static int read_consumer(const struct record *image, struct image_consumer *from, struct import_image *ret_image)
{
    struct bytes body = image->body;
    uint32_t stream_id;
    uint64_t start;
    if (body.len < CONSUMER_HEAD)
        return ERR_CORRUPT;
    uint32_t members = get_u32(body.ptr + 32), create_size = get_u32(body.ptr + 36);
    struct bytes rest = bytes_skip(body, CONSUMER_HEAD);
    from->next_sequence = get_u64(body.ptr + 8);
    // A member takes more than a byte.
    if (create_size > rest.len || members > rest.len || from->next_sequence == 0 ||
        from->next_sequence > SEQUENCE_MAX ||
        codec_get_consumer(bytes_make(rest.ptr, create_size), &stream_id, &from->config, &start) ||
        stream_id != ret_image->stream)
        return ERR_CORRUPT;
    rest = bytes_skip(rest, create_size);
    from->members = mem_alloc_zero((members + 1) * sizeof(*from->members));
    from->member_count = members;
    if (read_members(&rest, from, ret_image))
        return ERR_CORRUPT;
    // What is acknowledged is what is not pending.
    struct seqset acked;
    size_t used;
    seqset_init(&acked);
    int error = seqset_decode(&acked, rest, &used);
    seqset_deinit(&acked);
    return error ? ERR_CORRUPT : read_pending(bytes_skip(rest, used), image->kind == RECORD_IMAGE_CONSUMER_MORE, from);
}

static int read_members(struct bytes *rest, struct image_consumer *from, struct import_image *image)
{
    for (uint32_t i = 0; i < from->member_count; i++) {
        struct image_member *member = &from->members[i];
        uint64_t size;
        if (codec_get_number(rest, &size) || size > rest->len ||
            codec_get_member(bytes_make(rest->ptr, size), &member->id, &member->config))
            return ERR_CORRUPT;
        *rest = bytes_skip(*rest, size);
        member->comes = image->translate(image->owner, &from->config, &member->config);
        if (member->comes)
            member->config.data.ptr = member->data = mem_copy(member->config.data);
    }
    return 0;
}

static int read_pending(struct bytes rest, bool more, struct image_consumer *from)
{
    uint64_t count, sequence = 0;
    // Each takes three bytes at least.
    if (codec_get_number(&rest, &count) || count > rest.len / 3 || count > ENGINE_PENDING_MAX)
        return ERR_CORRUPT;
    from->pending = mem_alloc((size_t)(count + 1) * sizeof(*from->pending));
    for (uint64_t i = 0; i < count; i++) {
        uint64_t step, attempts, holder, until_ms = 0;
        if (codec_get_number(&rest, &step) || codec_get_number(&rest, &attempts) || codec_get_number(&rest, &holder) ||
            (more && codec_get_number(&rest, &until_ms)) || holder > UINT32_MAX || attempts >= 1 << 24 ||
            until_ms > UINT64_MAX / 1000000)
            return ERR_CORRUPT;
        sequence += (uint64_t)codec_unzigzag(step);
        if (sequence == 0 || sequence >= from->next_sequence)
            return ERR_CORRUPT;
        from->pending[i] =
            (struct import_pending){sequence, attempts ? (uint32_t)attempts : 1, (uint32_t)holder, until_ms};
    }
    from->pending_count = count;
    if (count)
        qsort(from->pending, count, sizeof(*from->pending), by_sequence);
    for (uint64_t i = 1; i < count; i++) {
        if (from->pending[i].sequence == from->pending[i - 1].sequence)
            return ERR_CORRUPT;
    }
    return more ? check_dead(rest, from) : 0;
}

static int check_dead(struct bytes rest, struct image_consumer *from)
{
    uint64_t ever, count, last = 0;
    from->dead = rest;
    if (dead_image_begin(&rest, &ever, &count))
        return ERR_CORRUPT;
    for (; count; count--) {
        struct dead_info info;
        if (dead_image_next(&rest, &info) || info.sequence <= last)
            return ERR_CORRUPT;
        last = info.sequence;
    }
    return rest.len == 0 ? 0 : ERR_CORRUPT;
}

static int make_consumer(struct engine *engine, struct stream *stream, struct image_consumer *from,
                         struct engine_time now, struct import_image *image)
{
    struct create_result result = {.error = ERR_AGAIN};
    struct consumer_config config = from->config;
    uint64_t index;
    clip_pending(from, stream);
    config.start = CONSUMER_START_SEQUENCE;
    config.start_sequence = from->pending_count ? from->pending[0].sequence : from->next_sequence;
    engine_consumer_create(engine, stream, &config, now, created, &result);
    int error = result.error;
    if (!error)
        error = add_members(engine, result.consumer, from, now, image);
    struct map_u64 members;
    map_u64_init(&members, SIZE_MAX);
    for (uint32_t i = 0; i < from->member_count; i++)
        (void)!map_u64_add(&members, from->members[i].id, &from->members[i]); // of two the first, as damage has it
    for (size_t i = 0; i < from->pending_count; i++)
        from->pending[i].member = own_member(&members, from->pending[i].member);
    if (!error)
        error = engine_import_position(engine, result.consumer, from->next_sequence, from->pending, from->pending_count,
                                       now, &index);
    image->consumer = result.consumer;
    image->pending = from->pending_count;
    if (!error)
        tell_dead(from, &members, image);
    map_u64_deinit(&members);
    return error;
}

static int add_members(struct engine *engine, struct consumer *consumer, struct image_consumer *from,
                       struct engine_time now, struct import_image *image)
{
    for (uint32_t i = 0; i < from->member_count; i++) {
        struct image_member *member = &from->members[i];
        struct member *added;
        uint64_t index;
        int error = member->comes ? engine_member_add(engine, consumer, &member->config, now, &added, &index) : 0;
        if (error)
            return error;
        member->own_id = member->comes ? added->id : 0;
        image->members += member->comes;
    }
    return 0;
}

// A stream may have less than when the image was taken, at either end.
static void clip_pending(struct image_consumer *from, const struct stream *stream)
{
    uint64_t first = stream->tail.first_sequence, end = stream->tail.last_sequence + 1;
    if (from->next_sequence > end)
        from->next_sequence = end;
    if (from->next_sequence < first)
        from->next_sequence = first;
    size_t kept = 0;
    for (size_t i = 0; i < from->pending_count; i++) {
        if (from->pending[i].sequence >= first && from->pending[i].sequence < from->next_sequence)
            from->pending[kept++] = from->pending[i];
    }
    from->pending_count = kept;
}

// Those that the stream has lost are left out, and those beyond the position, which was clipped or moved back by hand: they are delivered anew.
static void tell_dead(const struct image_consumer *from, const struct map_u64 *members,
                      const struct import_image *image)
{
    struct bytes rest = from->dead;
    uint64_t ever, count = 0;
    uint64_t first = image->consumer->stream->tail.first_sequence;
    if (rest.len)
        must(dead_image_begin(&rest, &ever, &count) == 0);
    for (; count; count--) {
        struct dead_info info;
        must(dead_image_next(&rest, &info) == 0); // check_dead() has read them all
        if (info.sequence < first || info.sequence >= from->next_sequence)
            continue;
        info.member = own_member(members, info.member);
        image->on_dead(image->owner, image->consumer, &info);
    }
}

static uint32_t own_member(const struct map_u64 *members, uint32_t id)
{
    const struct image_member *member = map_u64_find(members, id);
    return member ? member->own_id : 0;
}

static void created(void *owner, int error, struct consumer *consumer, uint64_t index)
{
    struct create_result *result = owner;
    (void)index;
    result->error = error;
    result->consumer = consumer;
}

static int by_sequence(const void *a, const void *b)
{
    const struct import_pending *x = a, *y = b;
    return x->sequence < y->sequence ? -1 : x->sequence > y->sequence;
}
