// SPDX-License-Identifier: Apache-2.0
// What reader.c (who asks), reader_log.c (messages of the log), reader_ahead.c (what is read before it is asked for) and
// reader_read.c (blocks from disk) share.
#pragma once

#include "base/endian.h"
#include "store/reader.h"

struct reader_read;

// What must be in memory before a fetch can go on: a block of the log or of a segment, or summaries of a segment.
struct reader_want {
    enum tail_kind kind;
    bool summaries;
    uint32_t file;           // log: id
    struct segment *segment; // borrowed
    uint32_t stream;         // segment: of the records
    uint64_t offset;
    uint32_t bytes;
};

// A fetch that waits.
struct reader_wait {
    struct list link;          // list link: of the read it waits for, or of those answered
    struct store_fetch *fetch; // borrowed
    bool seek;
    bool have_block;         // `block` of `segment` is where to look
    struct segment *segment; // referenced, or NULL
    struct segment_summary block;
    struct segment_summary behind; // of the next block of the extent, if `has_behind`
    bool has_behind;
};

// Starts, or joins, the read of what is wanted. `wait` may be NULL: just have it in memory. ERR_NOT_FOUND: the log file is gone.
int reader_read_want(struct reader *reader, const struct reader_want *want, struct reader_wait *wait) MUST_USE;
// Starts the reads of blocks nobody waits for yet, which follow each other in a file: but for those that are in memory or under
// way already, up to the first such block behind one that is not. The first that is read begins a run.
void reader_read_ahead(struct reader *reader, const struct reader_want *wants, uint32_t count);
// Only then.
bool reader_read_has_room(const struct reader *reader);
void reader_read_free_all(struct reader *reader);

// Called when what was wanted is in memory (or cannot be: result). `block` is it, pinned by the caller; so many bytes were asked for.
void reader_arrived(struct reader *reader, struct list *waits, uint64_t key, uint32_t asked, struct tail_block *block,
                    int result);
uint64_t reader_want_key(const struct reader_want *want);

// A message of the retained log, from memory: 0 and `fetch` filled; ERR_AGAIN with what must be read; ERR_CORRUPT.
int reader_fetch_place(struct reader *reader, uint32_t stream, const struct index_place *place,
                       struct store_fetch *fetch, struct reader_want *ret_want);
// What follows `block`, of which a message that ends at `end` (in the file) was wanted, or a wait's block of a segment: asked for,
// if it is time.
void reader_ahead_log(struct reader *reader, uint32_t file, struct tail_block *block, uint64_t end);
void reader_ahead_segment(struct reader *reader, const struct reader_wait *wait, struct tail_block *block);
// Should this run be read around the kernel's cache?
bool reader_ahead_is_around(struct reader *reader, const struct reader_want *first, uint64_t bytes);
void reader_ahead_init(struct reader *reader);
void reader_ahead_deinit(struct reader *reader);

// The summaries of an extent's blocks. 0, ERR_AGAIN with what must be read, ERR_CORRUPT.
int reader_find_summaries(struct reader *reader, struct segment *segment, const struct segment_extent *extent,
                          struct tail_block **ret_block, struct reader_want *ret_want);
// Of the last summary whose block begins at or before the sequence, or, with a time_ns that is not UINT64_MAX, before that; else 0.
uint32_t reader_summary_position(const struct tail_block *block, uint64_t sequence, uint64_t time_ns);
// Leads the wait to the last block that begins at or before the sequence (or the first); with a time_ns that is not UINT64_MAX,
// to the last that begins before it. False: its summary is damaged.
bool reader_choose_block(const struct tail_block *block, const struct segment *segment, uint64_t sequence,
                         uint64_t time_ns, struct reader_wait *wait);
// The block that a wait was led to; NULL with what must be read.
struct tail_block *reader_find_block(struct reader *reader, const struct reader_wait *wait,
                                     struct reader_want *ret_want);
// Of the first record of the block at or after the sequence; block->count when there is none.
uint32_t reader_record_position(const struct tail_block *block, uint64_t sequence);
// One step of a seek (reader_seek.c): 0 answered, or ERR_AGAIN with what must be read.
int reader_seek_step(struct reader *reader, struct reader_wait *wait, struct reader_want *ret_want);

// The record was verified, or was written by this process.
static inline int reader_answer(struct store_fetch *fetch, const char *at, uint32_t size, struct chunk *chunk)
{
    fetch->record = (struct record){
        .kind = get_u16(at + 8),
        .flags = get_u16(at + 10),
        .object = get_u32(at + 12),
        .body = bytes_make(at + RECORD_HEADER_SIZE, size - RECORD_HEADER_SIZE),
        .whole = bytes_make(at, size),
    };
    fetch->chunk = chunk_ref(chunk);
    return fetch->result = 0;
}

static inline const char *reader_record_at(const struct tail_block *block, uint32_t position)
{
    return block->chunk->data + block->records[position];
}

static inline uint64_t reader_record_sequence(const char *at)
{
    return get_u64(at + 16);
}

static inline uint64_t reader_record_time(const char *at)
{
    return get_u64(at + 24);
}
