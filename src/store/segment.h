// SPDX-License-Identifier: Apache-2.0
// The format of a segment: an immutable file of one shard with the messages of one rolled log file, grouped by stream.
// FORMAT.md describes every byte; these functions are its executable half. No I/O.
//
//   header block │ block │ block │ … │ footer: extents, block summaries, saved dedupe ids │ trailer
//
// A block is up to 64 KiB of one stream's message records, verbatim and padded, sequences increasing. An extent is the run
// of blocks of one stream. What a look-up needs before it opens the file (segment_info and the extents) is also in the
// manifest of the checkpoint; the summaries of an extent's blocks are read when first used.
#pragma once

#include "base/buffer.h"
#include "store/context.h"

enum {
    SEGMENT_BLOCK_BYTES = 64 * 1024, // a block ends before the record that would exceed this
    SEGMENT_EXTENT_SIZE = 48,
    SEGMENT_SUMMARY_SIZE = 40,
    SEGMENT_INFO_SIZE = 80,
    SEGMENT_TRAILER_SIZE = 64,
};

struct segment_extent {
    uint32_t stream;
    uint32_t block; // number of its first block
    uint32_t block_count;
    uint32_t count; // messages
    uint64_t first; // sequences
    uint64_t last;
    uint64_t time_ns; // of the first message
    uint64_t bytes;   // of the records, padded
};

struct segment_summary {
    uint64_t first;   // sequence
    uint64_t time_ns; // of that message
    uint64_t offset;  // in the file, a multiple of 8
    uint32_t bytes;
    uint32_t count; // messages
    uint32_t check; // low half of XXH3-64 over the block
    uint32_t stream;
};

struct segment_info {
    uint64_t id;
    uint64_t first_index; // of the log entries whose messages it holds
    uint64_t last_index;
    uint64_t file_bytes;
    uint64_t summaries_offset; // in the file
    uint64_t ids_offset;       // of the saved dedupe ids
    uint64_t ids_bytes;
    uint64_t ids_until_ns; // wall clock: none of them is in its window any more
    uint64_t ids_check;    // XXH3-64 over them
    uint32_t block_count;
    uint32_t extent_count;
};

// "shards/1/%016x.seg".
void segment_name(uint64_t id, char ret_path[STORE_PATH_BYTES]);
// The id in a name without its folder; ERR_NOT_OURS for any other name.
int segment_parse_name(const char *name, uint64_t *ret_id) MUST_USE;
// The same for a name that goes on (.tmp, .orphan).
int segment_parse_prefix(const char *name, uint64_t *ret_id) MUST_USE;

// The first block of the file. Only id, first_index and last_index of `info` are in it.
void segment_header_encode(const struct segment_info *info, struct bytes identity, char block[STORE_BLOCK]);
// ERR_CORRUPT, ERR_NEWER, ERR_OTHER_CLUSTER (identity given and different). Fills id, first_index, last_index.
int segment_header_decode(const char block[STORE_BLOCK], struct bytes identity, struct segment_info *ret_info) MUST_USE;

void segment_info_encode(const struct segment_info *info, char to[SEGMENT_INFO_SIZE]);
// Also ERR_CORRUPT for what cannot be.
int segment_info_decode(const char from[SEGMENT_INFO_SIZE], struct segment_info *ret_info) MUST_USE;
void segment_extent_encode(const struct segment_extent *extent, char to[SEGMENT_EXTENT_SIZE]);
void segment_extent_decode(const char from[SEGMENT_EXTENT_SIZE], struct segment_extent *ret_extent);
// A summary carries a check over itself and the segment's id, because summaries are read one extent at a time.
void segment_summary_encode(const struct segment_summary *summary, uint64_t id, char to[SEGMENT_SUMMARY_SIZE]);
int segment_summary_decode(const char from[SEGMENT_SUMMARY_SIZE], uint64_t id,
                           struct segment_summary *ret_summary) MUST_USE;

// Appends footer and trailer, which begin at `offset` of the file, and completes `info`: id, indexes, ids_until_ns, the
// counts and ids_bytes are given. `summaries` are encoded ones. ERR_TOO_BIG when `out` is full.
int segment_footer_encode(struct segment_info *info, const struct segment_extent *extents, struct bytes summaries,
                          struct bytes ids, uint64_t offset, struct buffer *out) MUST_USE;

// Finds the footer of a whole file of `bytes` whose last SEGMENT_TRAILER_SIZE bytes are given. ERR_CORRUPT.
int segment_trailer_decode(const char trailer[SEGMENT_TRAILER_SIZE], uint64_t id, uint64_t bytes, uint64_t *ret_offset,
                           uint64_t *ret_footer_bytes, uint64_t *ret_check) MUST_USE;
