// SPDX-License-Identifier: Apache-2.0
// tidy: prefix reader
// What is read before it is asked for (see reader.h). The first block of a run says how many blocks belong to it; who looks at it
// asks for the run behind, so the disk works while this one is delivered.
#include "base/hash.h"
#include "base/memory.h"
#include "store/reader_internal.h"

// Where a run ends, by pieces of 1 MiB, is marked: so 8 GiB are remembered, or less where marks fall upon each other.
enum { AROUND_PIECE_BITS = 20, AROUND_MARKS = 8192 };

static uint32_t next_run(struct reader *reader, uint32_t run, uint32_t block_bytes);

void reader_ahead_init(struct reader *reader)
{
    reader->run_bytes = READER_RUN_BYTES;
}

void reader_ahead_deinit(struct reader *reader)
{
    mem_free(reader->around_seen);
}

// A single block may have been wanted for one message of it only: then not before its second half is wanted.
void reader_ahead_log(struct reader *reader, uint32_t file, struct tail_block *block, uint64_t end)
{
    bool late = block->run > 1 || end > block->offset + READER_BLOCK / 2;
    if (block->run == 0 || !late || block->chunk->used < READER_BLOCK || !reader_read_has_room(reader)) {
        return;
    }
    struct reader_want wants[READER_RUN_BLOCKS];
    uint64_t offset = block->offset + (uint64_t)block->run * READER_BLOCK;
    uint32_t count = 0, most = next_run(reader, block->run, READER_BLOCK);
    bool newest = file == reader->tail->newest_file;
    for (; count < most && (!newest || offset + READER_BLOCK <= reader->tail->newest_end); offset += READER_BLOCK) {
        wants[count++] = (struct reader_want){.kind = TAIL_LOG, .file = file, .offset = offset, .bytes = READER_BLOCK};
    }
    if (count > 0) {
        block->run = 0;
        reader_read_ahead(reader, wants, count);
    }
}

void reader_ahead_segment(struct reader *reader, const struct reader_wait *wait, struct tail_block *block)
{
    struct segment *segment;
    const struct segment_extent *extent;
    struct tail_block *summaries;
    struct reader_want wants[READER_RUN_BLOCKS], unused;
    if (block->run == 0 || !wait->has_behind || !reader_read_has_room(reader)) {
        return;
    }
    if (!segment_set_find(reader->segments, wait->block.stream, wait->block.first, &segment, &extent) ||
        segment != wait->segment || reader_find_summaries(reader, segment, extent, &summaries, &unused) != 0) {
        return;
    }
    uint32_t at = reader_summary_position(summaries, wait->block.first, UINT64_MAX) + block->run, count = 0;
    uint32_t end = summaries->chunk->used / SEGMENT_SUMMARY_SIZE,
             most = next_run(reader, block->run, SEGMENT_BLOCK_BYTES);
    for (struct segment_summary summary; at < end && count < most; at++) {
        if (segment_summary_decode(summaries->chunk->data + (size_t)at * SEGMENT_SUMMARY_SIZE, segment->info.id,
                                   &summary) != 0) {
            break;
        }
        wants[count++] = (struct reader_want){.kind = TAIL_SEGMENT,
                                              .segment = segment,
                                              .stream = summary.stream,
                                              .offset = summary.offset,
                                              .bytes = summary.bytes};
    }
    block->run = 0;
    reader_read_ahead(reader, wants, count);
}

bool reader_ahead_is_around(struct reader *reader, const struct reader_want *first, uint64_t bytes)
{
    if (bytes < READER_AROUND_BYTES) {
        return false;
    }
    if (!reader->around_seen) {
        reader->around_seen = mem_alloc_zero(AROUND_MARKS * sizeof(*reader->around_seen));
    }
    uint64_t piece = (first->offset + bytes - 1) >> AROUND_PIECE_BITS << AROUND_PIECE_BITS;
    struct reader_want last = *first;
    last.offset = piece;
    uint64_t key = reader_want_key(&last), hash = hash_bytes(bytes_make((const char *)&key, sizeof(key)), 0);
    uint32_t *mark = &reader->around_seen[hash % AROUND_MARKS], value = (uint32_t)(hash >> 32) | 1;
    bool seen = *mark == value;
    *mark = value;
    return !seen;
}

// Blocks of about so many bytes that are read behind a run.
static uint32_t next_run(struct reader *reader, uint32_t run, uint32_t block_bytes)
{
    if (reader->wasted_seen != reader->tail->wasted) {
        reader->wasted_seen = reader->tail->wasted;
        reader->run_bytes /= 2;
    } else if (reader->run_bytes < READER_RUN_BYTES) {
        reader->run_bytes += SEGMENT_BLOCK_BYTES;
    }
    uint32_t most = reader->run_bytes / block_bytes;
    most = most < READER_RUN_BLOCKS ? most : READER_RUN_BLOCKS;
    return 2 * run < most ? 2 * run : most > 0 ? most : 1;
}
