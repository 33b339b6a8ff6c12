// SPDX-License-Identifier: Apache-2.0
// The segments in force (see segment_set.h). Per stream an array of references to extents, in order of sequence; what is
// trimmed leaves it from the front.
#include "store/segment_set.h"

#include "base/memory.h"
#include "base/must.h"

enum {
    SEGMENT_OPEN_MAX = 32, // handles kept open
    SEGMENT_COUNT_MAX = 1 << 28,
};

struct segment_reference {
    struct segment *segment; // borrowed: in `all`
    const struct segment_extent *extent;
};

struct segment_stream {
    uint32_t id;
    uint32_t head;
    uint32_t count;
    uint32_t cap;
    struct segment_reference *extents; // owned; in use from head to head + count
};

// A handle that is closed while serving: nobody waits for it.
struct closing {
    struct store_context *context;
    struct disk_request request;
};

static void stream_add(struct segment_set *set, struct segment *segment, const struct segment_extent *extent);
static void stream_trim(struct segment_set *set, struct segment_stream *stream, uint64_t first);
static void stream_remove(struct segment_set *set, struct segment_stream *stream, const struct segment_extent *extent);
static uint32_t stream_position(const struct segment_stream *stream, uint64_t sequence);
static void segment_close(struct segment_set *set, struct segment *segment);
static void closing_done(struct disk_request *request);
static void close_later(struct store_context *context, struct disk_file *file);
static uint64_t segment_bytes(const struct segment *segment);

void segment_set_init(struct segment_set *set, struct store_context *context)
{
    *set = (struct segment_set){.context = context, .next_id = 1};
    list_init(&set->all);
    list_init(&set->open);
    map_u64_init(&set->streams, SEGMENT_COUNT_MAX);
    map_u64_init(&set->by_id, SEGMENT_COUNT_MAX);
}

void segment_set_deinit(struct segment_set *set)
{
    list_foreach(link, &set->open)
    {
        struct segment *segment = container_of(link, struct segment, open_link);
        struct disk_request request = {.op = DISK_CLOSE, .file = segment->file};
        disk_run(set->context->disk, &request);
        segment->file = NULL;
    }
    list_init(&set->open);
    segment_set_clear(set);
}

void segment_set_clear(struct segment_set *set)
{
    struct segment_stream *stream;
    for (size_t at = 0; (stream = map_u64_next(&set->streams, &at, NULL));) {
        mem_free(stream->extents);
        mem_free(stream);
    }
    map_u64_deinit(&set->streams);
    map_u64_deinit(&set->by_id);
    list_foreach(link, &set->all)
    {
        struct segment *segment = container_of(link, struct segment, link);
        mem_free(segment->extents);
        mem_free(segment);
    }
    mem_free(set->gone);
    segment_set_init(set, set->context);
}

int segment_set_add(struct segment_set *set, const struct segment_info *info, struct segment_extent *extents,
                    struct segment **ret_segment)
{
    struct segment *segment = mem_alloc_zero(sizeof(*segment));
    segment->info = *info;
    segment->extents = extents;
    segment->refs = 1;
    segment->fresh = true;
    if (map_u64_add(&set->by_id, info->id, segment) != 0) {
        mem_free(extents);
        mem_free(segment);
        return ERR_EXISTS;
    }
    struct list *before = set->all.prev;
    while (before != &set->all && container_of(before, struct segment, link)->info.last_index > info->last_index) {
        before = before->prev;
    }
    list_push_front(before, &segment->link); // behind that one
    for (uint32_t i = 0; i < info->extent_count; i++) {
        stream_add(set, segment, &extents[i]);
    }
    set->count++;
    set->file_bytes += info->file_bytes;
    set->bytes += segment_bytes(segment);
    set->next_id = info->id >= set->next_id ? info->id + 1 : set->next_id;
    *ret_segment = segment;
    return 0;
}

struct segment *segment_set_get(const struct segment_set *set, uint64_t id)
{
    return map_u64_find(&set->by_id, id);
}

bool segment_set_find(const struct segment_set *set, uint32_t stream_id, uint64_t sequence,
                      struct segment **ret_segment, const struct segment_extent **ret_extent)
{
    const struct segment_stream *stream = map_u64_find(&set->streams, stream_id);
    uint32_t at = stream ? stream_position(stream, sequence) : 0;
    if (!stream || at == stream->head + stream->count) {
        return false;
    }
    *ret_segment = stream->extents[at].segment;
    *ret_extent = stream->extents[at].extent;
    return true;
}

bool segment_set_seek(const struct segment_set *set, uint32_t stream_id, uint64_t sequence, uint64_t time_ns,
                      struct segment **ret_segment, const struct segment_extent **ret_extent)
{
    const struct segment_stream *stream = map_u64_find(&set->streams, stream_id);
    if (!stream) {
        return false;
    }
    uint32_t start = stream_position(stream, sequence), low = start, high = stream->head + stream->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (stream->extents[middle].extent->time_ns < time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == start) {
        return false;
    }
    *ret_segment = stream->extents[low - 1].segment;
    *ret_extent = stream->extents[low - 1].extent;
    return true;
}

void segment_set_trim(struct segment_set *set, uint32_t stream_id, uint64_t first)
{
    struct segment_stream *stream = map_u64_find(&set->streams, stream_id);
    if (stream) {
        stream_trim(set, stream, first);
    }
}

void segment_set_settle(struct segment_set *set)
{
    const struct store_handler *handler = &set->context->handler;
    struct segment_stream *stream;
    uint64_t id;
    for (size_t at = 0; (stream = map_u64_next(&set->streams, &at, &id));) {
        stream_trim(set, stream, handler->first_wanted(handler->owner, (uint32_t)id));
    }
}

bool segment_set_is_dead(const struct segment_set *set, const struct segment *segment)
{
    return segment->state == SEGMENT_LIVE && segment->live_extents == 0 &&
           (segment->moved || segment->info.ids_bytes == 0 || segment->info.ids_until_ns <= set->context->now.wall_ns);
}

void segment_set_die(struct segment_set *set, struct segment *segment, uint64_t stamp)
{
    must(segment_set_is_dead(set, segment));
    segment->state = SEGMENT_DEAD;
    segment->died = true;
    segment->stamp = stamp;
}

void segment_set_remove(struct segment_set *set, struct segment *segment)
{
    must(segment->state == SEGMENT_DEAD);
    if (set->gone_count == set->gone_cap) {
        set->gone_cap = set->gone_cap ? set->gone_cap * 2 : 16;
        set->gone = mem_realloc(set->gone, set->gone_cap * sizeof(uint64_t));
    }
    set->gone[set->gone_count++] = segment->info.id;
    segment->state = SEGMENT_GONE;
    list_remove(&segment->link);
    must(map_u64_remove(&set->by_id, segment->info.id) == segment);
    set->count--;
    set->file_bytes -= segment->info.file_bytes;
    set->bytes -= segment_bytes(segment);
    segment_unref(set, segment);
}

void segment_set_recorded(struct segment_set *set, uint64_t rolled_index)
{
    list_foreach(link, &set->all)
    {
        struct segment *segment = container_of(link, struct segment, link);
        segment->fresh = segment->fresh && segment->info.last_index > rolled_index;
        segment->died = segment->died && segment->fresh;
    }
    set->gone_count = 0;
}

void segment_set_declare(struct segment_set *set, struct segment *segment, enum segment_state state)
{
    struct segment_stream *stream;
    for (uint32_t i = 0; i < segment->info.extent_count; i++) {
        stream = map_u64_find(&set->streams, segment->extents[i].stream);
        if (stream) {
            stream_remove(set, stream, &segment->extents[i]);
        }
    }
    segment->state = SEGMENT_DEAD;
    segment->stamp = 1;
    if (state == SEGMENT_GONE) {
        segment_set_remove(set, segment);
        set->gone_count--;
    }
}

struct segment *segment_ref(struct segment *segment)
{
    segment->refs++;
    return segment;
}

void segment_unref(struct segment_set *set, struct segment *segment)
{
    if (--segment->refs == 0) {
        must(segment->state == SEGMENT_GONE);
        if (segment->file) {
            segment_close(set, segment);
        }
        mem_free(segment->extents);
        mem_free(segment);
    }
}

void segment_set_opened(struct segment_set *set, struct segment *segment, struct disk_file *file)
{
    if (segment->file) {
        close_later(set->context, file);
        return;
    }
    segment->file = file;
    list_push_back(&set->open, &segment->open_link);
    set->open_count++;
    struct list *link = list_first(&set->open);
    while (set->open_count > SEGMENT_OPEN_MAX && link != &set->open) {
        struct segment *oldest = container_of(link, struct segment, open_link);
        link = link->next;
        if (oldest->refs == 1 && oldest != segment) {
            segment_close(set, oldest);
        }
    }
}

void segment_set_used(struct segment_set *set, struct segment *segment)
{
    list_remove(&segment->open_link);
    list_push_back(&set->open, &segment->open_link);
}

static uint64_t segment_bytes(const struct segment *segment)
{
    uint64_t each = sizeof(struct segment_extent) + sizeof(struct segment_reference);
    return sizeof(*segment) + segment->info.extent_count * each;
}

static void stream_add(struct segment_set *set, struct segment *segment, const struct segment_extent *extent)
{
    struct segment_stream *stream = map_u64_find(&set->streams, extent->stream);
    if (!stream) {
        stream = mem_alloc_zero(sizeof(*stream));
        stream->id = extent->stream;
        must(map_u64_add(&set->streams, extent->stream, stream) == 0);
        set->bytes += sizeof(*stream);
    }
    segment->live_extents++;
    if (stream->count > 0 && stream->extents[stream->head + stream->count - 1].extent->last >= extent->first) {
        set->context->damaged_areas++;
        logger_write(
            set->context->options.logger, LOG_ERROR,
            "segment %llu: sequences %llu to %llu of stream %u overlap an older segment; they are kept but not served",
            (unsigned long long)segment->info.id, (unsigned long long)extent->first, (unsigned long long)extent->last,
            extent->stream);
        return;
    }
    if (stream->head + stream->count == stream->cap) {
        if (stream->head > stream->cap / 2) {
            memmove(stream->extents, stream->extents + stream->head, stream->count * sizeof(struct segment_reference));
            stream->head = 0;
        } else {
            stream->cap = stream->cap ? stream->cap * 2 : 2;
            stream->extents = mem_realloc(stream->extents, stream->cap * sizeof(struct segment_reference));
        }
    }
    stream->extents[stream->head + stream->count++] = (struct segment_reference){segment, extent};
}

// Takes one extent out, wherever it is.
static void stream_remove(struct segment_set *set, struct segment_stream *stream, const struct segment_extent *extent)
{
    uint32_t at = stream_position(stream, extent->first), end = stream->head + stream->count;
    if (at < end && stream->extents[at].extent == extent) {
        memmove(&stream->extents[at], &stream->extents[at + 1], (end - at - 1) * sizeof(struct segment_reference));
        stream->count--;
        stream_trim(set, stream, 0);
    }
}

static void stream_trim(struct segment_set *set, struct segment_stream *stream, uint64_t first)
{
    while (stream->count > 0 && stream->extents[stream->head].extent->last < first) {
        stream->extents[stream->head].segment->live_extents--;
        stream->head++;
        stream->count--;
    }
    if (stream->count == 0) {
        map_u64_remove(&set->streams, stream->id);
        set->bytes -= sizeof(*stream);
        mem_free(stream->extents);
        mem_free(stream);
    }
}

// The first extent that ends at or after the sequence.
static uint32_t stream_position(const struct segment_stream *stream, uint64_t sequence)
{
    uint32_t low = stream->head, high = stream->head + stream->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (stream->extents[middle].extent->last < sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void segment_close(struct segment_set *set, struct segment *segment)
{
    list_remove(&segment->open_link);
    set->open_count--;
    close_later(set->context, segment->file);
    segment->file = NULL;
}

static void close_later(struct store_context *context, struct disk_file *file)
{
    struct closing *closing = mem_alloc_zero(sizeof(*closing));
    closing->context = context;
    closing->request.op = DISK_CLOSE;
    closing->request.file = file;
    closing->request.done = closing_done;
    context->requests++;
    disk_submit(context->disk, DISK_POOL, &closing->request);
}

static void closing_done(struct disk_request *request)
{
    struct closing *closing = container_of(request, struct closing, request);
    closing->context->requests--;
    mem_free(closing);
}
