// SPDX-License-Identifier: Apache-2.0
// tidy: prefix batch
// The two headers of the log: of an entry and of a batch. FORMAT.md is the reference. Both checks cover the file's id and
// the position, so that what is misplaced, stale (of a recycled file's earlier life) or foreign does not verify.
//
//   offset size  entry header (64 bytes), 8-aligned     offset size  batch header (64 bytes), at a multiple of 4096
//        0    4  magic "WEnt"                                0    4  magic "WBat"
//        4    4  length of the records, padding included     4    4  length: header and entries, without padding
//        8    4  shard                                       8    8  file id
//       12    4  record count                               16    8  position of this header in the file
//       16    8  term                                       24    8  synced file: the newest position …
//       24    8  index                                      32    8  synced position: … proven durable by then
//       32    8  time, wall clock ns                        40    4  entry count
//       40    8  hash of the records: XXH3-64               44   12  zero
//       48    8  file id                                    56    8  check: XXH3-64 of bytes 0–55, seed 0
//       56    8  check: XXH3-64 of bytes 0–55,
//                seeded with the position of this header
#pragma once

#include "base/bytes.h"
#include "base/error.h"

enum {
    ENTRY_HEADER_SIZE = 64,
    ENTRY_ALIGN = 8,
    ENTRY_RECORDS_MAX = 256 * 1024, // bytes of records, unless it is one large record
    BATCH_HEADER_SIZE = 64,
    BATCH_ALIGN = 4096,
};

#define ENTRY_MAGIC 0x746e4557u
#define BATCH_MAGIC 0x74614257u

struct entry_header {
    uint32_t length; // of the records
    uint32_t shard;
    uint32_t count;
    uint64_t term;
    uint64_t index;
    uint64_t time_ns;
    uint64_t hash;
    uint64_t file;
};

struct batch_header {
    uint32_t length; // header and entries, without the padding to the block
    uint32_t count;  // entries
    uint64_t file;
    uint64_t position;
    uint64_t synced_file; // 0: nothing
    uint64_t synced_position;
};

// Everything but file id and check, which entry_place() adds when the position is known.
void entry_encode(char at[ENTRY_HEADER_SIZE], const struct entry_header *header);
void entry_place(char at[ENTRY_HEADER_SIZE], uint64_t file, uint64_t position);
// ERR_CORRUPT unless these bytes are the header of an entry at that position of that file. Says nothing of its records.
int entry_decode(const char at[ENTRY_HEADER_SIZE], uint64_t file, uint64_t position,
                 struct entry_header *ret_header) MUST_USE;
// Of an entry's records, all of them with their padding.
uint64_t entry_hash(struct bytes records);

void batch_encode(char at[BATCH_HEADER_SIZE], const struct batch_header *header);
// ERR_CORRUPT unless these bytes are the header of a batch at that position of that file.
int batch_decode(const char at[BATCH_HEADER_SIZE], uint64_t file, uint64_t position,
                 struct batch_header *ret_header) MUST_USE;

// In whole blocks of `block` bytes of content.
static inline uint64_t batch_padded(uint64_t length, uint32_t block)
{
    return (length + block - 1) / block * block;
}

// The beginning of the first block at or after a position of a file. The header block always has BATCH_ALIGN bytes.
static inline uint64_t batch_boundary(uint64_t position, uint32_t block)
{
    return BATCH_ALIGN + batch_padded(position - BATCH_ALIGN, block);
}
