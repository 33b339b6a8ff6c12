// SPDX-License-Identifier: Apache-2.0
// tidy: prefix index
// The index by log file (see index.h): which streams have something in a file, walking it for roll-over, and its pieces, which
// sidecars keep. Runs lie in order of files, so what a file has of a stream are neighbouring slots.
#include "base/endian.h"
#include "base/memory.h"
#include "base/must.h"
#include "store/index_internal.h"

static bool stream_in_file(const struct index_stream *stream, uint32_t file, uint64_t *ret_first);
static struct index_file *file_find(struct index *index, uint32_t id);
static void file_free(struct index *index, size_t position);

bool index_drop_file(struct index *index, uint32_t file, size_t budget)
{
    must(!index->gone);
    while (index->file_count > 0 && index->files[0].id <= file) {
        struct index_file *oldest = &index->files[0];
        for (; oldest->dropped < oldest->count; oldest->dropped++, budget--) {
            if (budget == 0) {
                return false;
            }
            struct index_stream *stream = index_stream_find(index, oldest->streams[oldest->dropped]);
            while (stream && stream->count > 0 && stream->slots[stream->head].run->file <= file) {
                index_stream_pop(index, stream);
            }
        }
        file_free(index, 0);
    }
    return true;
}

bool index_file_next(struct index *index, uint32_t file_id, struct index_cursor *cursor, uint32_t *ret_stream,
                     struct index_place *ret_place)
{
    const struct index_file *file = file_find(index, file_id);
    for (; file && cursor->position < file->count; cursor->position++, cursor->sequence = 0) {
        struct index_stream *stream = index_stream_find(index, file->streams[cursor->position]);
        if (!stream) {
            continue;
        }
        uint64_t from = cursor->sequence;
        if (from == 0 && !stream_in_file(stream, file_id, &from)) {
            continue;
        }
        if (index_stream_next(stream, from, ret_place) && ret_place->file == file_id) {
            cursor->sequence = ret_place->sequence + 1;
            *ret_stream = stream->id;
            return true;
        }
    }
    return false;
}

bool index_file_next_piece(struct index *index, uint32_t file_id, struct index_cursor *cursor, struct buffer *out,
                           struct index_piece *ret_piece)
{
    const struct index_file *file = file_find(index, file_id);
    struct index_place place;
    uint32_t id;
    if (!file || !index_file_next(index, file_id, cursor, &id, &place)) {
        return false;
    }
    struct index_stream *stream = index_stream_find(index, id);
    const struct index_run *run = stream->slots[index_stream_slot(stream, place.sequence)].run;
    uint32_t at = (uint32_t)(place.sequence - run->first), end = run->count;
    while (run->entries[end - 1].size == 0) {
        end--;
    }
    char *to = buffer_reserve(out, (size_t)(end - at) * INDEX_ENTRY_SIZE);
    if (!to) {
        return false;
    }
    for (uint32_t i = at; i < end; i++, to += INDEX_ENTRY_SIZE) {
        put_u32(to, run->entries[i].offset);
        put_u32(to + 4, run->entries[i].size);
        put_u32(to + 8, run->entries[i].time);
    }
    buffer_commit(out, (size_t)(end - at) * INDEX_ENTRY_SIZE);
    cursor->sequence = run->first + end;
    *ret_piece =
        (struct index_piece){.stream = id, .count = end - at, .first = place.sequence, .time_ns = run->time_ns};
    return true;
}

void index_add_piece(struct index *index, uint32_t file, const struct index_piece *piece, uint64_t from)
{
    must(piece->count > 0 && piece->count <= INDEX_RUN_MAX);
    const struct index_stream *known = index_stream_find(index, piece->stream);
    uint64_t last = piece->first + piece->count;
    if (known) {
        uint64_t least = known->end > known->first ? known->end : known->first;
        from = from > least ? from : least;
    }
    uint64_t first = from > piece->first ? from : piece->first;
    while (first < last && get_u32(piece->entries + (first - piece->first) * INDEX_ENTRY_SIZE + 4) == 0) {
        first++;
    }
    if (first >= last) {
        return;
    }
    struct index_stream *stream = index_stream_make(index, piece->stream);
    must(!stream->tail || file >= stream->tail->file);
    struct index_run *run = index_run_new(index, (uint32_t)(last - first));
    run->first = first;
    run->time_ns = piece->time_ns;
    run->file = file;
    run->count = (uint32_t)(last - first);
    const char *at = piece->entries + (first - piece->first) * INDEX_ENTRY_SIZE;
    for (uint32_t i = 0; i < run->count; i++, at += INDEX_ENTRY_SIZE) {
        run->entries[i] = (struct index_entry){get_u32(at), get_u32(at + 4), get_u32(at + 8)};
        index->count += run->entries[i].size > 0;
    }
    index_stream_push(index, stream, run);
    stream->end = last;
}

void index_file_list(struct index *index, struct index_stream *stream, uint32_t id)
{
    struct index_file *file = index->file_count > 0 ? &index->files[index->file_count - 1] : NULL;
    if (!file || file->id != id) {
        must(!file || id > file->id);
        if (index->file_count == index->file_cap) {
            index->file_cap = index->file_cap ? index->file_cap * 2 : 16;
            index->files = mem_realloc(index->files, index->file_cap * sizeof(*file));
        }
        file = &index->files[index->file_count++];
        *file = (struct index_file){.id = id};
    }
    if (file->count == file->cap) {
        uint32_t cap = file->cap ? file->cap * 2 : 16;
        file->streams = mem_realloc(file->streams, cap * sizeof(uint32_t));
        index->bytes += (cap - file->cap) * sizeof(uint32_t);
        file->cap = cap;
    }
    file->streams[file->count++] = stream->id;
    stream->listed = id;
}

// The first sequence of the stream's runs in this file: runs lie in order of files.
static bool stream_in_file(const struct index_stream *stream, uint32_t file, uint64_t *ret_first)
{
    uint32_t low = stream->head, high = stream->head + stream->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (stream->slots[middle].run->file < file) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == stream->head + stream->count || stream->slots[low].run->file != file) {
        return false;
    }
    *ret_first = stream->slots[low].first;
    return true;
}

static struct index_file *file_find(struct index *index, uint32_t id)
{
    for (size_t i = 0; i < index->file_count; i++) {
        if (index->files[i].id == id) {
            return &index->files[i];
        }
    }
    return NULL;
}

static void file_free(struct index *index, size_t position)
{
    struct index_file *file = &index->files[position];
    index->bytes -= file->cap * sizeof(uint32_t);
    mem_free(file->streams);
    index->file_count--;
    memmove(file, file + 1, (index->file_count - position) * sizeof(*file));
}
