// SPDX-License-Identifier: Apache-2.0
// The dense index of the retained log (see index.h), by stream. Appending looks at the stream used last, its last run, and writes
// twelve bytes; everything else is a binary search over the slots of a stream (index_stream.c), which hold the first
// sequences so that no run is touched on the way. index_file.c looks at it by log file.
#include "store/index.h"

#include "base/memory.h"
#include "base/must.h"
#include "store/index_internal.h"

enum { INDEX_STREAMS_MAX = 1 << 30 };

void index_init(struct index *index, void (*gone)(void *owner, uint32_t file, uint32_t count), void *owner)
{
    *index = (struct index){.gone = gone, .owner = owner};
    map_u64_init(&index->streams, INDEX_STREAMS_MAX);
}

void index_deinit(struct index *index)
{
    struct index_stream *stream;
    uint64_t id;
    index->gone = NULL;
    for (size_t at = 0; (stream = map_u64_next(&index->streams, &at, &id));) {
        index_stream_free(index, stream);
    }
    map_u64_deinit(&index->streams);
    for (size_t i = 0; i < index->file_count; i++) {
        mem_free(index->files[i].streams);
    }
    mem_free(index->files);
    while (index->spare) {
        struct index_run *run = index->spare;
        index->spare = run->next_spare;
        mem_free(run);
    }
    *index = (struct index){0};
}

void index_add(struct index *index, uint32_t file, uint32_t stream_id, uint64_t sequence, uint64_t time_ns,
               uint64_t offset, uint32_t size)
{
    struct index_stream *stream = index->last;
    if (!stream || stream->id != stream_id) {
        stream = index_stream_make(index, stream_id);
    }
    must(sequence >= stream->end && size > 0 && offset % 8 == 0);
    must(offset >> 35 == 0);
    struct index_run *run = stream->tail;
    uint64_t gap = sequence - stream->end;
    uint64_t time = run ? (time_ns - run->time_ns) >> INDEX_TIME_SHIFT : 0;
    if (!run || run->file != file || time > UINT32_MAX || gap > INDEX_GAP_MAX || run->count + gap >= run->cap) {
        run = index_stream_grow(index, stream, file, sequence, time_ns);
        time = (time_ns - run->time_ns) >> INDEX_TIME_SHIFT;
        gap = sequence - run->first - run->count;
    }
    for (; gap > 0; gap--) {
        run->entries[run->count++] = (struct index_entry){.time = (uint32_t)time};
    }
    run->entries[run->count++] = (struct index_entry){(uint32_t)(offset / 8), size, (uint32_t)time};
    stream->end = sequence + 1;
    index->count++;
}

void index_ahead(const struct index *index, const uint32_t *streams, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        map_u64_prefetch(&index->streams, streams[i]);
    }
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(map_u64_find(&index->streams, streams[i]), 1);
    }
    for (size_t i = 0; i < count; i++) {
        const struct index_stream *stream = map_u64_find(&index->streams, streams[i]);
        if (stream && stream->tail) {
            __builtin_prefetch(stream->tail, 1);
        }
    }
}

void index_find_ahead(struct index *index, const uint32_t *streams, const uint64_t *sequences, size_t count)
{
    struct index_stream *found[INDEX_AHEAD_MAX];
    const struct index_run *runs[INDEX_AHEAD_MAX];
    must(count <= INDEX_AHEAD_MAX);
    for (size_t i = 0; i < count; i++) {
        map_u64_prefetch(&index->streams, streams[i]);
    }
    for (size_t i = 0; i < count; i++) {
        found[i] = map_u64_find(&index->streams, streams[i]);
        __builtin_prefetch(found[i], 1);
    }
    for (size_t i = 0; i < count; i++) {
        if (found[i] && found[i]->count) {
            __builtin_prefetch(&found[i]->slots[found[i]->head + found[i]->count - 1]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        bool any = found[i] && found[i]->count;
        runs[i] = any ? found[i]->slots[index_stream_slot(found[i], sequences[i])].run : NULL;
        __builtin_prefetch(runs[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (runs[i] && sequences[i] >= runs[i]->first && sequences[i] - runs[i]->first < runs[i]->count) {
            __builtin_prefetch(&runs[i]->entries[sequences[i] - runs[i]->first]);
        }
    }
}

bool index_find(struct index *index, uint32_t stream_id, uint64_t sequence, struct index_place *ret_place)
{
    struct index_stream *stream = index_stream_find(index, stream_id);
    if (!stream || sequence < stream->first || sequence >= stream->end || stream->count == 0) {
        return false;
    }
    const struct index_run *run = stream->slots[index_stream_slot(stream, sequence)].run;
    uint64_t at = sequence - run->first;
    if (sequence < run->first || at >= run->count || run->entries[at].size == 0) {
        return false;
    }
    index_place_set(run, (uint32_t)at, ret_place);
    return true;
}

bool index_next(struct index *index, uint32_t stream_id, uint64_t sequence, struct index_place *ret_place)
{
    struct index_stream *stream = index_stream_find(index, stream_id);
    return stream && index_stream_next(stream, sequence, ret_place);
}

bool index_seek(struct index *index, uint32_t stream_id, uint64_t sequence, uint64_t time_ns,
                struct index_place *ret_place)
{
    struct index_stream *stream = index_stream_find(index, stream_id);
    if (!stream || stream->count == 0) {
        return false;
    }
    // The last run that begins before the time may hold it; the runs before it cannot, by increasing times.
    uint64_t unit = UINT64_C(1) << INDEX_TIME_SHIFT;
    uint32_t low = stream->head, high = stream->head + stream->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (stream->slots[middle].run->time_ns < time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    uint64_t from = low > stream->head ? stream->slots[low - 1].first : 0;
    struct index_place place;
    for (from = sequence > from ? sequence : from; index_stream_next(stream, from, &place); from = place.sequence + 1) {
        if (place.time_ns >= time_ns || time_ns - place.time_ns < unit) {
            *ret_place = place;
            return true;
        }
    }
    return false;
}

uint64_t index_end(const struct index *index, uint32_t stream_id)
{
    const struct index_stream *stream = map_u64_find(&index->streams, stream_id);
    return stream ? stream->end : 0;
}

void index_trim(struct index *index, uint32_t stream_id, uint64_t first)
{
    struct index_stream *stream = index_stream_find(index, stream_id);
    if (!stream || first <= stream->first) {
        return;
    }
    index_stream_trim(index, stream, first);
    if (first == UINT64_MAX) {
        index->last = NULL;
        map_u64_remove(&index->streams, stream_id);
        index_stream_free(index, stream);
    }
}

void index_forget(struct index *index, uint32_t stream_id, uint64_t sequence)
{
    struct index_place place;
    if (!index_find(index, stream_id, sequence, &place)) {
        return;
    }
    struct index_stream *stream = index_stream_find(index, stream_id);
    struct index_run *run = stream->slots[index_stream_slot(stream, sequence)].run;
    run->entries[sequence - run->first].size = 0;
    index->count--;
    if (index->gone) {
        index->gone(index->owner, run->file, 1);
    }
}

void index_check(const struct index *index)
{
    uint64_t count = 0, bytes = 0, id;
    const struct index_stream *stream;
    for (size_t at = 0; (stream = map_u64_next(&index->streams, &at, &id));) {
        must(id == stream->id && stream->head + stream->count <= stream->cap);
        bytes += sizeof(*stream) + stream->cap * sizeof(struct index_slot);
        uint64_t next = 0;
        uint32_t file = 0;
        for (uint32_t i = stream->head; i < stream->head + stream->count; i++) {
            const struct index_run *run = stream->slots[i].run;
            must(run->first == stream->slots[i].first && run->first >= next && run->file >= file);
            must(run->count > 0 && run->count <= run->cap && run->cap <= INDEX_RUN_MAX);
            for (uint32_t e = 0; e < run->count; e++) {
                count += run->first + e >= stream->first && run->entries[e].size > 0;
            }
            next = run->first + run->count;
            file = run->file;
            bytes += index_run_bytes(run->cap);
        }
        must(next <= stream->end && (stream->count == 0) == (stream->tail == NULL));
    }
    for (size_t i = 0; i < index->file_count; i++) {
        must(i == 0 || index->files[i].id > index->files[i - 1].id);
        bytes += index->files[i].cap * sizeof(uint32_t);
    }
    must(count == index->count);
    must(bytes + index->spare_count * index_run_bytes(INDEX_RUN_MAX) == index->bytes);
}
