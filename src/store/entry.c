// SPDX-License-Identifier: Apache-2.0
// tidy: prefix batch
#include "store/entry.h"

#include "base/endian.h"
#include "base/hash.h"

enum { CHECK_OFFSET = 56 };

void entry_encode(char at[ENTRY_HEADER_SIZE], const struct entry_header *header)
{
    put_u32(at, ENTRY_MAGIC);
    put_u32(at + 4, header->length);
    put_u32(at + 8, header->shard);
    put_u32(at + 12, header->count);
    put_u64(at + 16, header->term);
    put_u64(at + 24, header->index);
    put_u64(at + 32, header->time_ns);
    put_u64(at + 40, header->hash);
}

void entry_place(char at[ENTRY_HEADER_SIZE], uint64_t file, uint64_t position)
{
    put_u64(at + 48, file);
    put_u64(at + CHECK_OFFSET, hash_bytes(bytes_make(at, CHECK_OFFSET), position));
}

int entry_decode(const char at[ENTRY_HEADER_SIZE], uint64_t file, uint64_t position, struct entry_header *ret_header)
{
    if (get_u32(at) != ENTRY_MAGIC || get_u64(at + 48) != file ||
        get_u64(at + CHECK_OFFSET) != hash_bytes(bytes_make(at, CHECK_OFFSET), position))
        return ERR_CORRUPT;
    *ret_header = (struct entry_header){
        .length = get_u32(at + 4),
        .shard = get_u32(at + 8),
        .count = get_u32(at + 12),
        .term = get_u64(at + 16),
        .index = get_u64(at + 24),
        .time_ns = get_u64(at + 32),
        .hash = get_u64(at + 40),
        .file = file,
    };
    return 0;
}

uint64_t entry_hash(struct bytes records)
{
    return hash_bytes(records, 0);
}

void batch_encode(char at[BATCH_HEADER_SIZE], const struct batch_header *header)
{
    memset(at, 0, BATCH_HEADER_SIZE);
    put_u32(at, BATCH_MAGIC);
    put_u32(at + 4, header->length);
    put_u64(at + 8, header->file);
    put_u64(at + 16, header->position);
    put_u64(at + 24, header->synced_file);
    put_u64(at + 32, header->synced_position);
    put_u32(at + 40, header->count);
    put_u64(at + CHECK_OFFSET, hash_bytes(bytes_make(at, CHECK_OFFSET), 0));
}

int batch_decode(const char at[BATCH_HEADER_SIZE], uint64_t file, uint64_t position, struct batch_header *ret_header)
{
    if (get_u32(at) != BATCH_MAGIC || get_u64(at + 8) != file || get_u64(at + 16) != position ||
        get_u64(at + CHECK_OFFSET) != hash_bytes(bytes_make(at, CHECK_OFFSET), 0))
        return ERR_CORRUPT;
    *ret_header = (struct batch_header){
        .length = get_u32(at + 4),
        .count = get_u32(at + 40),
        .file = file,
        .position = position,
        .synced_file = get_u64(at + 24),
        .synced_position = get_u64(at + 32),
    };
    return ret_header->length < BATCH_HEADER_SIZE ? ERR_CORRUPT : 0;
}
