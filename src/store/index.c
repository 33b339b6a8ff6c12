// SPDX-License-Identifier: Apache-2.0
// The dense index of the retained log (see index.h). Appending looks at the stream used last, its last run, and writes
// twelve bytes; everything else is a binary search over the slots of a stream, which hold the first sequences so that no
// run is touched on the way. Trimmed entries stay in their run behind the stream's `first` until the run goes.
#include "store/index.h"

#include "base/endian.h"
#include "base/memory.h"
#include "base/must.h"

enum {
    INDEX_RUN_MIN = 4,    // entries of a stream's first run; the next ones grow fourfold
    INDEX_GAP_MAX = 8,    // missing sequences that are kept as empty entries
    INDEX_SPARE_MAX = 64, // full-sized runs kept for reuse
    INDEX_STREAMS_MAX = 1 << 30,
};

struct index_entry {
    uint32_t offset; // in units of 8 bytes
    uint32_t size;   // 0: no message
    uint32_t time;   // in units of 2^INDEX_TIME_SHIFT ns since the run's
};

struct index_run {
    uint64_t first;
    uint64_t time_ns;
    union {
        uint32_t file;
        struct index_run *next_spare; // list link while spare
    };
    uint32_t count;
    uint32_t cap;
    struct index_entry entries[];
};

struct index_slot {
    uint64_t first;
    struct index_run *run; // owned
};

struct index_stream {
    uint32_t id;
    uint32_t listed;          // the newest file that lists this stream
    uint64_t first;           // below it everything is trimmed
    uint64_t end;             // one past the last sequence added
    struct index_run *tail;   // of the last slot, or NULL
    struct index_slot *slots; // owned; those from head to head + count are in use
    uint32_t head;
    uint32_t count;
    uint32_t cap;
    uint32_t hint; // slot found last, relative to nothing: may be stale
};

struct index_file {
    uint32_t id;
    uint32_t count;
    uint32_t cap;
    uint32_t dropped;  // position of index_drop_file()
    uint32_t *streams; // owned: ids, in order of appearance
};

static struct index_stream *stream_find(struct index *index, uint32_t id);
static struct index_stream *stream_make(struct index *index, uint32_t id);
static void stream_free(struct index *index, struct index_stream *stream);
static struct index_run *stream_grow(struct index *index, struct index_stream *stream, uint32_t file, uint64_t sequence,
                                     uint64_t time_ns);
static struct index_run *run_new(struct index *index, uint32_t cap);
static void stream_push(struct index *index, struct index_stream *stream, struct index_run *run);
static bool stream_in_file(const struct index_stream *stream, uint32_t file, uint64_t *ret_first);
static void stream_pop(struct index *index, struct index_stream *stream);
static uint32_t stream_slot(struct index_stream *stream, uint64_t sequence);
static bool stream_next(struct index_stream *stream, uint64_t sequence, struct index_place *ret_place);
static void stream_trim(struct index *index, struct index_stream *stream, uint64_t first);
static void file_list(struct index *index, struct index_stream *stream, uint32_t file);
static struct index_file *file_find(struct index *index, uint32_t id);
static void file_free(struct index *index, size_t position);

static inline size_t run_bytes(uint32_t cap)
{
    return sizeof(struct index_run) + cap * sizeof(struct index_entry);
}

static inline void place_set(const struct index_run *run, uint32_t at, struct index_place *ret_place)
{
    const struct index_entry *entry = &run->entries[at];
    ret_place->sequence = run->first + at;
    ret_place->time_ns = run->time_ns + ((uint64_t)entry->time << INDEX_TIME_SHIFT);
    ret_place->offset = (uint64_t)entry->offset * 8;
    ret_place->file = run->file;
    ret_place->size = entry->size;
}

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
        stream_free(index, stream);
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
        stream = stream_make(index, stream_id);
    }
    must(sequence >= stream->end && size > 0 && offset % 8 == 0);
    must(offset >> 35 == 0);
    struct index_run *run = stream->tail;
    uint64_t gap = sequence - stream->end;
    uint64_t time = run ? (time_ns - run->time_ns) >> INDEX_TIME_SHIFT : 0;
    if (!run || run->file != file || time > UINT32_MAX || gap > INDEX_GAP_MAX || run->count + gap >= run->cap) {
        run = stream_grow(index, stream, file, sequence, time_ns);
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

bool index_find(struct index *index, uint32_t stream_id, uint64_t sequence, struct index_place *ret_place)
{
    struct index_stream *stream = stream_find(index, stream_id);
    if (!stream || sequence < stream->first || sequence >= stream->end || stream->count == 0) {
        return false;
    }
    const struct index_run *run = stream->slots[stream_slot(stream, sequence)].run;
    uint64_t at = sequence - run->first;
    if (sequence < run->first || at >= run->count || run->entries[at].size == 0) {
        return false;
    }
    place_set(run, (uint32_t)at, ret_place);
    return true;
}

bool index_next(struct index *index, uint32_t stream_id, uint64_t sequence, struct index_place *ret_place)
{
    struct index_stream *stream = stream_find(index, stream_id);
    return stream && stream_next(stream, sequence, ret_place);
}

bool index_seek(struct index *index, uint32_t stream_id, uint64_t sequence, uint64_t time_ns,
                struct index_place *ret_place)
{
    struct index_stream *stream = stream_find(index, stream_id);
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
    for (from = sequence > from ? sequence : from; stream_next(stream, from, &place); from = place.sequence + 1) {
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
    struct index_stream *stream = stream_find(index, stream_id);
    if (!stream || first <= stream->first) {
        return;
    }
    stream_trim(index, stream, first);
    if (first == UINT64_MAX) {
        index->last = NULL;
        map_u64_remove(&index->streams, stream_id);
        stream_free(index, stream);
    }
}

void index_forget(struct index *index, uint32_t stream_id, uint64_t sequence)
{
    struct index_place place;
    if (!index_find(index, stream_id, sequence, &place)) {
        return;
    }
    struct index_stream *stream = stream_find(index, stream_id);
    struct index_run *run = stream->slots[stream_slot(stream, sequence)].run;
    run->entries[sequence - run->first].size = 0;
    index->count--;
    if (index->gone) {
        index->gone(index->owner, run->file, 1);
    }
}

bool index_drop_file(struct index *index, uint32_t file, size_t budget)
{
    must(!index->gone);
    while (index->file_count > 0 && index->files[0].id <= file) {
        struct index_file *oldest = &index->files[0];
        for (; oldest->dropped < oldest->count; oldest->dropped++, budget--) {
            if (budget == 0) {
                return false;
            }
            struct index_stream *stream = stream_find(index, oldest->streams[oldest->dropped]);
            while (stream && stream->count > 0 && stream->slots[stream->head].run->file <= file) {
                stream_pop(index, stream);
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
        struct index_stream *stream = stream_find(index, file->streams[cursor->position]);
        if (!stream) {
            continue;
        }
        uint64_t from = cursor->sequence;
        if (from == 0 && !stream_in_file(stream, file_id, &from)) {
            continue;
        }
        if (stream_next(stream, from, ret_place) && ret_place->file == file_id) {
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
    struct index_stream *stream = stream_find(index, id);
    const struct index_run *run = stream->slots[stream_slot(stream, place.sequence)].run;
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
    const struct index_stream *known = stream_find(index, piece->stream);
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
    struct index_stream *stream = stream_make(index, piece->stream);
    must(!stream->tail || file >= stream->tail->file);
    struct index_run *run = run_new(index, (uint32_t)(last - first));
    run->first = first;
    run->time_ns = piece->time_ns;
    run->file = file;
    run->count = (uint32_t)(last - first);
    const char *at = piece->entries + (first - piece->first) * INDEX_ENTRY_SIZE;
    for (uint32_t i = 0; i < run->count; i++, at += INDEX_ENTRY_SIZE) {
        run->entries[i] = (struct index_entry){get_u32(at), get_u32(at + 4), get_u32(at + 8)};
        index->count += run->entries[i].size > 0;
    }
    stream_push(index, stream, run);
    stream->end = last;
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
            bytes += run_bytes(run->cap);
        }
        must(next <= stream->end && (stream->count == 0) == (stream->tail == NULL));
    }
    for (size_t i = 0; i < index->file_count; i++) {
        must(i == 0 || index->files[i].id > index->files[i - 1].id);
        bytes += index->files[i].cap * sizeof(uint32_t);
    }
    must(count == index->count);
    must(bytes + index->spare_count * run_bytes(INDEX_RUN_MAX) == index->bytes);
}

static struct index_stream *stream_find(struct index *index, uint32_t id)
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

static struct index_stream *stream_make(struct index *index, uint32_t id)
{
    struct index_stream *stream = stream_find(index, id);
    if (!stream) {
        stream = mem_alloc_zero(sizeof(*stream));
        stream->id = id;
        must(map_u64_add(&index->streams, id, stream) == 0);
        index->bytes += sizeof(*stream);
        index->last = stream;
    }
    return stream;
}

static void stream_free(struct index *index, struct index_stream *stream)
{
    while (stream->count > 0) {
        stream_pop(index, stream);
    }
    index->bytes -= sizeof(*stream) + stream->cap * sizeof(struct index_slot);
    mem_free(stream->slots);
    mem_free(stream);
}

static void run_free(struct index *index, struct index_run *run)
{
    if (run->cap == INDEX_RUN_MAX && index->spare_count < INDEX_SPARE_MAX) {
        run->next_spare = index->spare;
        index->spare = run;
        index->spare_count++;
        return;
    }
    index->bytes -= run_bytes(run->cap);
    mem_free(run);
}

static struct index_run *run_new(struct index *index, uint32_t cap)
{
    if (cap == INDEX_RUN_MAX && index->spare) {
        struct index_run *run = index->spare;
        index->spare = run->next_spare;
        index->spare_count--;
        return run;
    }
    index->bytes += run_bytes(cap);
    struct index_run *run = mem_alloc(run_bytes(cap));
    run->cap = cap;
    return run;
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

// The last run has no room for this message: it grows in place while small, else a new run begins.
static struct index_run *stream_grow(struct index *index, struct index_stream *stream, uint32_t file, uint64_t sequence,
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
            index->bytes += run_bytes(cap) - run_bytes(run->cap);
            run = mem_realloc(run, run_bytes(cap));
            run->cap = cap;
            stream->tail = stream->slots[stream->head + stream->count - 1].run = run;
            if (run->count + gap < run->cap) {
                return run;
            }
            return stream_grow(index, stream, file, sequence, time_ns);
        }
        cap = run->count > INDEX_RUN_MAX / 2 ? INDEX_RUN_MAX : INDEX_RUN_MIN;
    }
    run = run_new(index, cap);
    run->first = sequence;
    run->time_ns = time_ns;
    run->file = file;
    run->count = 0;
    stream_push(index, stream, run);
    return run;
}

static void stream_push(struct index *index, struct index_stream *stream, struct index_run *run)
{
    stream_reserve_slot(index, stream);
    stream->slots[stream->head + stream->count++] = (struct index_slot){run->first, run};
    stream->tail = run;
    if (!index->gone && stream->listed != run->file) {
        file_list(index, stream, run->file);
    }
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

// Removes the first run, without regard to what is in it.
static void stream_pop(struct index *index, struct index_stream *stream)
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

// The slot that would hold the sequence: the last that does not begin after it, or the first. There is at least one.
static uint32_t stream_slot(struct index_stream *stream, uint64_t sequence)
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

static bool stream_next(struct index_stream *stream, uint64_t sequence, struct index_place *ret_place)
{
    sequence = sequence > stream->first ? sequence : stream->first;
    if (stream->count == 0 || sequence >= stream->end) {
        return false;
    }
    for (uint32_t slot = stream_slot(stream, sequence); slot < stream->head + stream->count; slot++) {
        const struct index_run *run = stream->slots[slot].run;
        for (uint64_t at = sequence > run->first ? sequence - run->first : 0; at < run->count; at++) {
            if (run->entries[at].size > 0) {
                place_set(run, (uint32_t)at, ret_place);
                return true;
            }
        }
    }
    return false;
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

static void stream_trim(struct index *index, struct index_stream *stream, uint64_t first)
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
        stream_pop(index, stream);
    }
    stream->first = first;
}

static void file_list(struct index *index, struct index_stream *stream, uint32_t id)
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
