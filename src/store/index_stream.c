// SPDX-License-Identifier: Apache-2.0
// tidy: prefix index
// The runs of one stream, in slots in order of sequence (see index.h and index_internal.h): found by binary search over the slots'
// first sequences, appended at the end, trimmed from the front. Trimmed entries stay in their run until the run goes.
#include "base/memory.h"
#include "base/must.h"
#include "store/index_internal.h"

enum {
    INDEX_RUN_MIN = 4,    // entries of a stream's first run; the next ones grow fourfold
    INDEX_SPARE_MAX = 64, // full-sized runs kept for reuse
};

static void run_free(struct index *index, struct index_run *run);
static uint32_t run_count(const struct index_run *run, uint64_t from, uint64_t to);
static void stream_reserve_slot(struct index *index, struct index_stream *stream);

struct index_stream *index_stream_find(struct index *index, uint32_t id)
{
    if (index->last && index->last->id == id) {
        return index->last;
    }
    struct index_stream *stream = map_u64_find(&index->streams, id);
    if (stream) {
        index->last = stream;
    }
    return stream;
}

struct index_stream *index_stream_make(struct index *index, uint32_t id)
{
    struct index_stream *stream = index_stream_find(index, id);
    if (!stream) {
        stream = mem_alloc_zero(sizeof(*stream));
        stream->id = id;
        must(map_u64_add(&index->streams, id, stream) == 0);
        index->bytes += sizeof(*stream);
        index->last = stream;
    }
    return stream;
}

void index_stream_free(struct index *index, struct index_stream *stream)
{
    while (stream->count > 0) {
        index_stream_pop(index, stream);
    }
    index->bytes -= sizeof(*stream) + stream->cap * sizeof(struct index_slot);
    mem_free(stream->slots);
    mem_free(stream);
}

struct index_run *index_run_new(struct index *index, uint32_t cap)
{
    if (cap == INDEX_RUN_MAX && index->spare) {
        struct index_run *run = index->spare;
        index->spare = run->next_spare;
        index->spare_count--;
        return run;
    }
    index->bytes += index_run_bytes(cap);
    struct index_run *run = mem_alloc(index_run_bytes(cap));
    run->cap = cap;
    return run;
}

struct index_run *index_stream_grow(struct index *index, struct index_stream *stream, uint32_t file, uint64_t sequence,
                                    uint64_t time_ns)
{
    struct index_run *run = stream->tail;
    uint32_t cap = INDEX_RUN_MIN;
    if (run) {
        must(file >= run->file);
        uint64_t gap = sequence - run->first - run->count;
        bool fits = run->file == file && (time_ns - run->time_ns) >> INDEX_TIME_SHIFT <= UINT32_MAX;
        if (fits && gap <= INDEX_GAP_MAX && run->count + gap < INDEX_RUN_MAX) {
            cap = run->cap * 4 < INDEX_RUN_MAX ? run->cap * 4 : INDEX_RUN_MAX;
            index->bytes += index_run_bytes(cap) - index_run_bytes(run->cap);
            run = mem_realloc(run, index_run_bytes(cap));
            run->cap = cap;
            stream->tail = stream->slots[stream->head + stream->count - 1].run = run;
            if (run->count + gap < run->cap) {
                return run;
            }
            return index_stream_grow(index, stream, file, sequence, time_ns);
        }
        cap = run->count > INDEX_RUN_MAX / 2 ? INDEX_RUN_MAX : INDEX_RUN_MIN;
    }
    run = index_run_new(index, cap);
    run->first = sequence;
    run->time_ns = time_ns;
    run->file = file;
    run->count = 0;
    index_stream_push(index, stream, run);
    return run;
}

void index_stream_push(struct index *index, struct index_stream *stream, struct index_run *run)
{
    stream_reserve_slot(index, stream);
    stream->slots[stream->head + stream->count++] = (struct index_slot){run->first, run};
    stream->tail = run;
    if (!index->gone && stream->listed != run->file) {
        index_file_list(index, stream, run->file);
    }
}

void index_stream_pop(struct index *index, struct index_stream *stream)
{
    struct index_run *run = stream->slots[stream->head].run;
    for (uint32_t i = 0; i < run->count; i++) {
        index->count -= run->first + i >= stream->first && run->entries[i].size > 0;
    }
    stream->head++;
    if (--stream->count == 0) {
        stream->head = 0;
        stream->tail = NULL;
    }
    run_free(index, run);
}

uint32_t index_stream_slot(struct index_stream *stream, uint64_t sequence)
{
    const struct index_slot *slots = stream->slots;
    uint32_t low = stream->head, high = stream->head + stream->count;
    uint32_t hint = stream->hint;
    if (sequence >= slots[high - 1].first) {
        return high - 1;
    }
    if (hint >= low && hint + 1 < high && sequence >= slots[hint].first) {
        if (sequence < slots[hint + 1].first) {
            return hint;
        }
        low = hint + 1;
    }
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (slots[middle].first <= sequence) {
            low = middle;
        } else {
            high = middle;
        }
    }
    stream->hint = low;
    return low;
}

bool index_stream_next(struct index_stream *stream, uint64_t sequence, struct index_place *ret_place)
{
    sequence = sequence > stream->first ? sequence : stream->first;
    if (stream->count == 0 || sequence >= stream->end) {
        return false;
    }
    for (uint32_t slot = index_stream_slot(stream, sequence); slot < stream->head + stream->count; slot++) {
        const struct index_run *run = stream->slots[slot].run;
        for (uint64_t at = sequence > run->first ? sequence - run->first : 0; at < run->count; at++) {
            if (run->entries[at].size > 0) {
                index_place_set(run, (uint32_t)at, ret_place);
                return true;
            }
        }
    }
    return false;
}

void index_stream_trim(struct index *index, struct index_stream *stream, uint64_t first)
{
    uint64_t from = stream->first;
    while (stream->count > 0) {
        const struct index_run *run = stream->slots[stream->head].run;
        uint32_t count = run->first < first ? run_count(run, from, first) : 0;
        if (count > 0 && index->gone) {
            index->gone(index->owner, run->file, count);
        }
        if (run->first + run->count > first) {
            index->count -= count;
            break;
        }
        index_stream_pop(index, stream);
    }
    stream->first = first;
}

static void run_free(struct index *index, struct index_run *run)
{
    if (run->cap == INDEX_RUN_MAX && index->spare_count < INDEX_SPARE_MAX) {
        run->next_spare = index->spare;
        index->spare = run;
        index->spare_count++;
        return;
    }
    index->bytes -= index_run_bytes(run->cap);
    mem_free(run);
}

// How many messages of the run lie in [from, to).
static uint32_t run_count(const struct index_run *run, uint64_t from, uint64_t to)
{
    uint32_t count = 0;
    for (uint64_t at = from > run->first ? from - run->first : 0; at < run->count && run->first + at < to; at++) {
        count += run->entries[at].size > 0;
    }
    return count;
}

// Room for one more slot: the used ones move to the front when half of the array is free, else it doubles.
static void stream_reserve_slot(struct index *index, struct index_stream *stream)
{
    if (stream->head + stream->count < stream->cap) {
        return;
    }
    if (stream->head > stream->cap / 2) {
        memmove(stream->slots, stream->slots + stream->head, stream->count * sizeof(struct index_slot));
        stream->head = 0;
        return;
    }
    uint32_t cap = stream->cap ? stream->cap * 2 : 2;
    stream->slots = mem_realloc(stream->slots, cap * sizeof(struct index_slot));
    index->bytes += (cap - stream->cap) * sizeof(struct index_slot);
    stream->cap = cap;
}
