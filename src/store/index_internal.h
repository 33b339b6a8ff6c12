// SPDX-License-Identifier: Apache-2.0
// What index.c (by stream), index_stream.c (the runs of one stream) and index_file.c (by log file) share.
#pragma once

#include "store/index.h"

enum { INDEX_GAP_MAX = 8 }; // missing sequences that are kept as empty entries

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

static inline size_t index_run_bytes(uint32_t cap)
{
    return sizeof(struct index_run) + cap * sizeof(struct index_entry);
}

static inline void index_place_set(const struct index_run *run, uint32_t at, struct index_place *ret_place)
{
    const struct index_entry *entry = &run->entries[at];
    ret_place->sequence = run->first + at;
    ret_place->time_ns = run->time_ns + ((uint64_t)entry->time << INDEX_TIME_SHIFT);
    ret_place->offset = (uint64_t)entry->offset * 8;
    ret_place->file = run->file;
    ret_place->size = entry->size;
}

struct index_stream *index_stream_find(struct index *index, uint32_t id);
// Finds or adds it.
struct index_stream *index_stream_make(struct index *index, uint32_t id);
void index_stream_free(struct index *index, struct index_stream *stream);
// A run without entries and place; index_stream_push() takes it.
struct index_run *index_run_new(struct index *index, uint32_t cap);
// The last run has no room for this message: it grows in place while small, else a new run begins. Returns the one with room.
struct index_run *index_stream_grow(struct index *index, struct index_stream *stream, uint32_t file, uint64_t sequence,
                                    uint64_t time_ns);
// Appends a run, with its first sequence and file set.
void index_stream_push(struct index *index, struct index_stream *stream, struct index_run *run);
// Removes the first run, without regard to what is in it.
void index_stream_pop(struct index *index, struct index_stream *stream);
// The slot that would hold the sequence: the last that does not begin after it, or the first. There is at least one.
uint32_t index_stream_slot(struct index_stream *stream, uint64_t sequence);
// The first message at or after the sequence.
bool index_stream_next(struct index_stream *stream, uint64_t sequence, struct index_place *ret_place);
// Messages below `first` leave; `gone` is told.
void index_stream_trim(struct index *index, struct index_stream *stream, uint64_t first);

// The file, the newest, has something of this stream.
void index_file_list(struct index *index, struct index_stream *stream, uint32_t id);
