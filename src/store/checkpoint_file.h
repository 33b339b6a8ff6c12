// SPDX-License-Identifier: Apache-2.0
// The format of one checkpoint file, a base or a delta: header block, slices, the last of which says that it is complete.
// FORMAT.md describes every byte. Each slice's check is seeded with the check before it, so that slices are neither missing,
// swapped nor of another file; and a delta's header names the check of the file it builds on.
#pragma once

#include "base/buffer.h"
#include "store/context.h"

enum {
    CHECKPOINT_SLICE_HEADER = 32,
    CHECKPOINT_END_SIZE = 64,
    CHECKPOINT_STEP_MAX = 0xffff,
};

enum checkpoint_slice_type {
    CHECKPOINT_IMAGES = 0x8001,   // framed image records; bit 15: must be understood
    CHECKPOINT_MANIFEST = 0x8002, // items, see segment_manifest.h
    CHECKPOINT_END = 0x8003,
};

struct checkpoint_header {
    uint64_t generation;  // from 1
    uint32_t step;        // 0: base, then the deltas
    uint64_t begin_index; // everything up to this entry is in it
    uint64_t previous;    // check of the end of the file before in the chain; 0 for a base
    uint64_t created_ns;  // wall clock
};

struct checkpoint_end {
    uint64_t end_index;    // no image is newer than this
    uint64_t rolled_index; // messages of entries up to this one are in segments
    uint64_t next_segment_id;
    uint64_t records; // image records
};

// "checkpoint/%016x.%04x".
void checkpoint_name(uint64_t generation, uint32_t step, char ret_path[STORE_PATH_BYTES]);
int checkpoint_parse_name(const char *name, uint64_t *ret_generation, uint32_t *ret_step) MUST_USE;

// Appends the header block. *ret_check seeds the first slice.
void checkpoint_header_encode(const struct checkpoint_header *header, struct bytes identity, struct buffer *out,
                              uint64_t *ret_check);
// A slice: begin, append its content to `out`, then end, which updates *check.
void checkpoint_slice_begin(struct buffer *out, size_t *ret_at);
void checkpoint_slice_end(struct buffer *out, size_t at, enum checkpoint_slice_type type, uint64_t *check);
void checkpoint_end_encode(const struct checkpoint_end *end, struct buffer *out, uint64_t *check);

struct checkpoint_visitor {
    void *owner;
    // Content of a verified slice, without END. 0 or ERR_*, which ends the reading.
    int (*slice)(void *owner, enum checkpoint_slice_type type, struct bytes content);
};

struct checkpoint_found {
    struct checkpoint_header header;
    struct checkpoint_end end;
    uint64_t check; // of its end
    uint64_t bytes;
};

// Reads and verifies a whole file with disk_run(). `visitor` may be NULL. ERR_CORRUPT (damaged or incomplete), ERR_NEWER,
// ERR_OTHER_CLUSTER (when identity is given), ERR_NOT_FOUND, ERR_IO, or what the visitor said.
int checkpoint_file_read(struct disk *disk, uint64_t generation, uint32_t step, struct bytes identity,
                         const struct checkpoint_visitor *visitor, struct checkpoint_found *ret_found) MUST_USE;
