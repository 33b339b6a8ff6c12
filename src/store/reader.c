// SPDX-License-Identifier: Apache-2.0
// Who asks for messages, and where they are found (see reader.h). Each step looks anew at index, cache and segments and ends
// with an answer or with what must be read first; nothing is remembered of a wait but the block it has been led to.
#include "base/endian.h"
#include "base/must.h"
#include "base/prefetch.h"
#include "store/reader_internal.h"

enum {
    READER_WAITS_MAX = 1 << 24,
    AHEAD_BYTES = 256, // of a message; what is long the processor sees coming
};

static int fetch_step(struct reader *reader, struct reader_wait *wait, struct reader_want *ret_want);
static int fetch_segment(struct reader *reader, struct reader_wait *wait, struct reader_want *ret_want);
static int fetch_absent(struct reader *reader, struct store_fetch *fetch, uint64_t next);
static uint64_t next_block(struct reader *reader, const struct reader_wait *wait);
static uint64_t next_stored(struct reader *reader, uint32_t stream, uint64_t sequence);
static uint64_t next_summary(const struct tail_block *block, const struct segment *segment, uint64_t sequence,
                             uint64_t last);
static int wait_step(struct reader *reader, struct reader_wait *wait, struct reader_want *ret_want);
static int wait_begin(struct reader *reader, struct store_fetch *fetch, bool seek);
static void wait_end(struct reader *reader, struct reader_wait *wait);
static bool sizes_from_segment(struct reader *reader, uint32_t stream, uint64_t *first, struct store_size *ret,
                               size_t max, size_t *count, bool *ret_wait);

void reader_init(struct reader *reader, struct store_context *context, struct index *index, struct tail *tail,
                 struct segment_set *segments)
{
    *reader = (struct reader){.context = context, .index = index, .tail = tail, .segments = segments};
    reader_ahead_init(reader);
    map_u64_init(&reader->reads, READER_WAITS_MAX);
    list_init(&reader->queue);
    pool_init(&reader->waits, sizeof(struct reader_wait), READER_WAITS_MAX);
}

void reader_deinit(struct reader *reader)
{
    reader_read_free_all(reader);
    reader_ahead_deinit(reader);
    pool_deinit(&reader->waits);
}

int reader_fetch(struct reader *reader, struct store_fetch *fetch)
{
    struct index_place place;
    struct reader_want want;
    fetch->chunk = NULL;
    fetch->next = fetch->sequence + 1;
    fetch->is_absent = false;
    if (index_find(reader->index, fetch->stream, fetch->sequence, &place)) {
        int result = reader_fetch_place(reader, fetch->stream, &place, fetch, &want);
        if (result != ERR_AGAIN) {
            fetch->implementation = NULL;
            return result;
        }
    }
    return wait_begin(reader, fetch, false);
}

void reader_fetch_ahead(struct reader *reader, const uint32_t *streams, const uint64_t *sequences, size_t count)
{
    index_find_ahead(reader->index, streams, sequences, count);
    for (size_t i = 0; i < count; i++) {
        struct index_place place;
        struct chunk *chunk;
        const char *at = NULL;
        if (!reader->context->options.memory && index_find(reader->index, streams[i], sequences[i], &place)) {
            at = tail_find(reader->tail, place.file, place.offset, place.size, &chunk);
        }
        prefetch_lines(at, at && place.size < AHEAD_BYTES ? place.size : AHEAD_BYTES);
    }
}

int reader_seek(struct reader *reader, struct store_fetch *fetch)
{
    fetch->chunk = NULL;
    return wait_begin(reader, fetch, true);
}

void reader_cancel(struct reader *reader, struct store_fetch *fetch)
{
    struct reader_wait *wait = fetch->implementation;
    if (wait) {
        list_remove(&wait->link);
        chunk_unref(fetch->chunk);
        fetch->chunk = NULL;
        wait_end(reader, wait);
    }
}

size_t reader_sizes(struct reader *reader, uint32_t stream, uint64_t first, struct store_size *ret, size_t max,
                    bool *ret_wait)
{
    size_t count = 0;
    *ret_wait = false;
    while (count < max) {
        struct index_place place;
        struct segment *segment;
        const struct segment_extent *extent;
        bool indexed = index_next(reader->index, stream, first, &place);
        bool stored = segment_set_find(reader->segments, stream, first, &segment, &extent);
        if (indexed && (!stored || place.sequence <= first || place.sequence <= extent->first)) {
            ret[count++] = (struct store_size){place.sequence, place.time_ns, place.size};
            first = place.sequence + 1;
        } else if (!stored || !sizes_from_segment(reader, stream, &first, ret, max, &count, ret_wait)) {
            break;
        }
    }
    *ret_wait = *ret_wait && count == 0;
    return count;
}

void reader_arrived(struct reader *reader, struct list *waits, uint64_t key, uint32_t asked, struct tail_block *block,
                    int result)
{
    struct list answered;
    list_init(&answered);
    while (!list_empty(waits)) {
        struct reader_wait *wait = container_of(list_pop_front(waits), struct reader_wait, link);
        struct reader_want want = {0};
        int answer = result;
        if (block) {
            answer = wait_step(reader, wait, &want);
            // What has just been read and is wanted again cannot be had: the file is shorter than it must be.
            bool same = answer == ERR_AGAIN && reader_want_key(&want) == key && want.bytes <= asked;
            answer = same ? ERR_CORRUPT : answer;
        }
        if (answer == ERR_AGAIN) {
            answer = reader_read_want(reader, &want, wait);
            if (answer == 0) {
                continue;
            }
        }
        wait->fetch->result = answer;
        list_push_back(&answered, &wait->link);
    }
    while (!list_empty(&answered)) {
        struct reader_wait *wait = container_of(list_pop_front(&answered), struct reader_wait, link);
        struct store_fetch *fetch = wait->fetch;
        wait_end(reader, wait);
        fetch->done(fetch);
    }
}

// Answers now if that is possible; else the fetch waits.
static int wait_begin(struct reader *reader, struct store_fetch *fetch, bool seek)
{
    struct reader_wait wait = {.fetch = fetch, .seek = seek};
    struct reader_want want;
    fetch->implementation = NULL;
    int result = wait_step(reader, &wait, &want);
    if (result == ERR_AGAIN && reader->context->closing) {
        result = ERR_CLOSED;
    }
    if (result == ERR_AGAIN) {
        struct reader_wait *kept = pool_get(&reader->waits);
        must(kept);
        *kept = wait;
        list_init(&kept->link);
        result = reader_read_want(reader, &want, kept);
        if (result == 0) {
            fetch->implementation = kept;
            return ERR_AGAIN;
        }
        pool_put(&reader->waits, kept);
    }
    if (wait.segment) {
        segment_unref(reader->segments, wait.segment);
    }
    return fetch->result = result;
}

static void wait_end(struct reader *reader, struct reader_wait *wait)
{
    if (wait->segment) {
        segment_unref(reader->segments, wait->segment);
    }
    wait->fetch->implementation = NULL;
    pool_put(&reader->waits, wait);
}

static int wait_step(struct reader *reader, struct reader_wait *wait, struct reader_want *ret_want)
{
    return wait->seek ? reader_seek_step(reader, wait, ret_want) : fetch_step(reader, wait, ret_want);
}

static int fetch_step(struct reader *reader, struct reader_wait *wait, struct reader_want *ret_want)
{
    struct store_fetch *fetch = wait->fetch;
    struct index_place place;
    fetch->next = fetch->sequence + 1;
    fetch->is_absent = false;
    if (index_find(reader->index, fetch->stream, fetch->sequence, &place)) {
        return reader_fetch_place(reader, fetch->stream, &place, fetch, ret_want);
    }
    return fetch_segment(reader, wait, ret_want);
}

// A message that is not in the index: in a segment, or gone. What is wanted and in neither has been damaged.
static int fetch_segment(struct reader *reader, struct reader_wait *wait, struct reader_want *ret_want)
{
    struct store_fetch *fetch = wait->fetch;
    struct segment *segment;
    const struct segment_extent *extent;
    if (!wait->have_block) {
        if (!segment_set_find(reader->segments, fetch->stream, fetch->sequence, &segment, &extent) ||
            extent->first > fetch->sequence) {
            return fetch_absent(reader, fetch, next_stored(reader, fetch->stream, fetch->sequence));
        }
        struct tail_block *summaries;
        int result = reader_find_summaries(reader, segment, extent, &summaries, ret_want);
        if (result == ERR_CORRUPT) {
            fetch->next = extent->last + 1;
        }
        if (result != 0) {
            return result;
        }
        if (!reader_choose_block(summaries, segment, fetch->sequence, UINT64_MAX, wait)) {
            fetch->next = next_summary(summaries, segment, fetch->sequence, extent->last);
            return ERR_CORRUPT;
        }
        wait->segment = segment_ref(segment);
    }
    struct tail_block *block = reader_find_block(reader, wait, ret_want);
    if (!block) {
        return ERR_AGAIN;
    }
    uint32_t position = reader_record_position(block, fetch->sequence);
    const char *at = position < block->count ? reader_record_at(block, position) : NULL;
    if (at && reader_record_sequence(at) == fetch->sequence) {
        return reader_answer(fetch, at, get_u32(at + 4), block->chunk);
    }
    int result = fetch_absent(reader, fetch, at ? reader_record_sequence(at) : next_block(reader, wait));
    fetch->is_absent = !block->damaged && (at || wait->has_behind); // a block that is not there holds the extent's last
    return result;
}

// What is wanted and nowhere has been damaged, or never was.
static int fetch_absent(struct reader *reader, struct store_fetch *fetch, uint64_t next)
{
    const struct store_handler *handler = &reader->context->handler;
    fetch->next = next > fetch->sequence ? next : fetch->sequence + 1;
    fetch->is_absent = true;
    return handler->is_wanted(handler->owner, fetch->stream, fetch->sequence) ? ERR_CORRUPT : ERR_NOT_FOUND;
}

// Where the first message behind the block can be that the wait was led to.
static uint64_t next_block(struct reader *reader, const struct reader_wait *wait)
{
    uint64_t sequence = wait->fetch->sequence;
    struct segment *segment;
    const struct segment_extent *extent;
    struct tail_block *summaries;
    struct reader_want want;
    if (wait->has_behind) {
        return wait->behind.first;
    }
    if (!segment_set_find(reader->segments, wait->fetch->stream, sequence, &segment, &extent) ||
        reader_find_summaries(reader, segment, extent, &summaries, &want) != 0) {
        return sequence + 1; // not known at the moment
    }
    return next_summary(summaries, segment, sequence, extent->last);
}

// Where the first message at or after the sequence can be; UINT64_MAX: nowhere.
static uint64_t next_stored(struct reader *reader, uint32_t stream, uint64_t sequence)
{
    uint64_t next = UINT64_MAX;
    struct index_place place;
    struct segment *segment;
    const struct segment_extent *extent;
    if (index_next(reader->index, stream, sequence, &place)) {
        next = place.sequence;
    }
    if (segment_set_find(reader->segments, stream, sequence, &segment, &extent) && extent->first < next) {
        next = extent->first > sequence ? extent->first : sequence;
    }
    return next;
}

// Behind a block whose summary is damaged: where the next one begins that can be found, or the end of the extent.
static uint64_t next_summary(const struct tail_block *block, const struct segment *segment, uint64_t sequence,
                             uint64_t last)
{
    for (uint32_t at = 0; at + SEGMENT_SUMMARY_SIZE <= block->chunk->used; at += SEGMENT_SUMMARY_SIZE) {
        struct segment_summary summary;
        if (segment_summary_decode(block->chunk->data + at, segment->info.id, &summary) == 0 &&
            summary.first > sequence) {
            return summary.first;
        }
    }
    return last + 1;
}

// The summaries of an extent's blocks. 0, ERR_AGAIN with what must be read, ERR_CORRUPT.
int reader_find_summaries(struct reader *reader, struct segment *segment, const struct segment_extent *extent,
                          struct tail_block **ret_block, struct reader_want *ret_want)
{
    if (segment->missing) {
        return ERR_CORRUPT;
    }
    *ret_want = (struct reader_want){
        .kind = TAIL_SEGMENT,
        .summaries = true,
        .segment = segment,
        .stream = extent->stream,
        .offset = segment->info.summaries_offset + (uint64_t)extent->block * SEGMENT_SUMMARY_SIZE,
        .bytes = extent->block_count * SEGMENT_SUMMARY_SIZE,
    };
    struct tail_block *block = tail_block_find(reader->tail, reader_want_key(ret_want));
    if (!block) {
        return ERR_AGAIN;
    }
    *ret_block = block;
    return block->chunk->used < ret_want->bytes ? ERR_CORRUPT : 0;
}

// Of the last block that begins at or before the sequence, or before a time_ns that is not UINT64_MAX; else 0.
uint32_t reader_summary_position(const struct tail_block *block, uint64_t sequence, uint64_t time_ns)
{
    uint32_t low = 0, high = block->chunk->used / SEGMENT_SUMMARY_SIZE;
    bool by_time = time_ns != UINT64_MAX;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        const char *at = block->chunk->data + (size_t)middle * SEGMENT_SUMMARY_SIZE;
        bool before = by_time ? get_u64(at + 8) < time_ns : get_u64(at) <= sequence;
        low = before ? middle : low;
        high = before ? high : middle;
    }
    return low;
}

// The last block that begins at or before the sequence (or the first), and before time_ns; damaged summaries are passed over.
bool reader_choose_block(const struct tail_block *block, const struct segment *segment, uint64_t sequence,
                         uint64_t time_ns, struct reader_wait *wait)
{
    uint32_t count = block->chunk->used / SEGMENT_SUMMARY_SIZE;
    uint32_t low = reader_summary_position(block, sequence, time_ns);
    const char *at = block->chunk->data + (size_t)low * SEGMENT_SUMMARY_SIZE;
    if (count == 0 || segment_summary_decode(at, segment->info.id, &wait->block) != 0) {
        return false;
    }
    wait->has_behind =
        low + 1 < count && segment_summary_decode(at + SEGMENT_SUMMARY_SIZE, segment->info.id, &wait->behind) == 0;
    wait->have_block = true;
    return true;
}

// The block that a wait was led to; NULL with what must be read.
struct tail_block *reader_find_block(struct reader *reader, const struct reader_wait *wait,
                                     struct reader_want *ret_want)
{
    *ret_want = (struct reader_want){
        .kind = TAIL_SEGMENT,
        .segment = wait->segment,
        .stream = wait->block.stream,
        .offset = wait->block.offset,
        .bytes = wait->block.bytes,
    };
    struct tail_block *block = tail_block_find(reader->tail, reader_want_key(ret_want));
    if (block) {
        reader_ahead_segment(reader, wait, block);
    }
    return block;
}

// Of the first record of the block at or after the sequence; block->count when there is none.
uint32_t reader_record_position(const struct tail_block *block, uint64_t sequence)
{
    uint32_t low = 0, high = block->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (reader_record_sequence(reader_record_at(block, middle)) < sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// Messages of the block that holds *first or what follows it, into ret; *first moves behind them. False: to be continued
// when the block has been read.
static bool sizes_from_segment(struct reader *reader, uint32_t stream, uint64_t *first, struct store_size *ret,
                               size_t max, size_t *count, bool *ret_wait)
{
    struct segment *segment;
    const struct segment_extent *extent;
    struct reader_wait wait = {0};
    struct reader_want want;
    struct tail_block *block = NULL;
    must(segment_set_find(reader->segments, stream, *first, &segment, &extent));
    int result = reader_find_summaries(reader, segment, extent, &block, &want);
    uint64_t from = *first > extent->first ? *first : extent->first;
    if (result == 0 && reader_choose_block(block, segment, from, UINT64_MAX, &wait)) {
        wait.segment = segment;
        block = reader_find_block(reader, &wait, &want);
        result = block ? 0 : ERR_AGAIN;
    } else if (result == 0) {
        result = ERR_CORRUPT;
    }
    if (result == ERR_AGAIN) {
        *ret_wait = !reader->context->closing && reader_read_want(reader, &want, NULL) == 0;
        return false;
    }
    if (result != 0) {
        *first = extent->last + 1; // quarantined
        return true;
    }
    for (uint32_t i = reader_record_position(block, from); i < block->count && *count < max; i++) {
        const char *at = reader_record_at(block, i);
        ret[(*count)++] = (struct store_size){reader_record_sequence(at), reader_record_time(at), get_u32(at + 4)};
        *first = reader_record_sequence(at) + 1;
    }
    if (*count < max) {
        *first = wait.has_behind && wait.behind.first > from ? wait.behind.first : extent->last + 1;
    }
    return true;
}
