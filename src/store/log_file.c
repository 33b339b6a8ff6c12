// SPDX-License-Identifier: Apache-2.0
#include "store/log_file.h"

#include <stdio.h>

#include "base/endian.h"
#include "base/hash.h"
#include "base/must.h"
#include "base/number.h"

#define LOG_FILE_FORMAT_CLEAR 1u

// See FORMAT.md, "File header".
enum {
    OFFSET_FORMAT = 8,
    OFFSET_MINIMUM_READER = 12,
    OFFSET_FEATURE_LEVEL = 16,
    OFFSET_CIPHER = 20,
    OFFSET_ID = 24,
    OFFSET_PREVIOUS_ID = 32,
    OFFSET_PREVIOUS_VALID = 40,
    OFFSET_CREATED = 48,
    OFFSET_KEY_ID = 56,
    OFFSET_SALT = 64,
    OFFSET_IDENTITY_LENGTH = 96,
    OFFSET_SHARD_COUNT = 100,
    OFFSET_IDENTITY = 104,
    OFFSET_SHARDS = 232,
    SHARD_BYTES = 40,
    OFFSET_CHECK = LOG_FILE_BLOCK - 8,
};

_Static_assert(OFFSET_IDENTITY + LOG_FILE_IDENTITY_MAX <= OFFSET_SHARDS, "the identity has its room");
_Static_assert(OFFSET_SHARDS + LOG_FILE_SHARDS_MAX * SHARD_BYTES <= OFFSET_CHECK, "the shards have their room");

static int parse(const char *name, const char *suffix, uint64_t *ret_id);

void log_file_name(uint64_t id, char ret_name[LOG_FILE_NAME_MAX])
{
    snprintf(ret_name, LOG_FILE_NAME_MAX, "wal/%016llx.wal", (unsigned long long)id);
}

void log_file_temporary(uint64_t id, char ret_name[LOG_FILE_NAME_MAX])
{
    snprintf(ret_name, LOG_FILE_NAME_MAX, "wal/%016llx.tmp", (unsigned long long)id);
}

int log_file_parse_name(const char *name, uint64_t *ret_id)
{
    return parse(name, ".wal", ret_id);
}

int log_file_parse_temporary(const char *name, uint64_t *ret_id)
{
    return parse(name, ".tmp", ret_id);
}

void log_file_encode(const struct log_file_header *header, char block[LOG_FILE_BLOCK])
{
    must(header->identity.len <= LOG_FILE_IDENTITY_MAX && header->shard_count <= LOG_FILE_SHARDS_MAX);
    memset(block, 0, LOG_FILE_BLOCK);
    memcpy(block, LOG_FILE_MAGIC, 8);
    uint32_t format = header->mark.cipher ? LOG_FILE_FORMAT : LOG_FILE_FORMAT_CLEAR;
    put_u32(block + OFFSET_FORMAT, format);
    put_u32(block + OFFSET_MINIMUM_READER, format);
    put_u32(block + OFFSET_FEATURE_LEVEL, header->feature_level);
    put_u32(block + OFFSET_CIPHER, header->mark.cipher);
    put_u64(block + OFFSET_ID, header->id);
    put_u64(block + OFFSET_PREVIOUS_ID, header->previous_id);
    put_u64(block + OFFSET_PREVIOUS_VALID, header->previous_valid);
    put_u64(block + OFFSET_CREATED, header->created_ns);
    put_u64(block + OFFSET_KEY_ID, header->mark.key_id);
    memcpy(block + OFFSET_SALT, header->mark.salt, SEAL_SALT_LEN);
    put_u32(block + OFFSET_IDENTITY_LENGTH, (uint32_t)header->identity.len);
    put_u32(block + OFFSET_SHARD_COUNT, header->shard_count);
    if (header->identity.len)
        memcpy(block + OFFSET_IDENTITY, header->identity.ptr, header->identity.len);
    for (uint32_t i = 0; i < header->shard_count; i++) {
        char *at = block + OFFSET_SHARDS + i * SHARD_BYTES;
        put_u32(at, header->shards[i].shard);
        put_u64(at + 8, header->shards[i].term);
        put_u64(at + 16, header->shards[i].vote);
        put_u64(at + 24, header->shards[i].last_index);
        put_u64(at + 32, header->shards[i].commit_index);
    }
    put_u64(block + OFFSET_CHECK, hash_bytes(bytes_make(block, OFFSET_CHECK), 0));
}

uint64_t log_file_id(const char block[LOG_FILE_BLOCK])
{
    return get_u64(block + OFFSET_ID);
}

uint64_t log_file_check(const char block[LOG_FILE_BLOCK])
{
    return get_u64(block + OFFSET_CHECK);
}

int log_file_decode(const char block[LOG_FILE_BLOCK], uint64_t id, struct log_file_header *ret_header)
{
    if (memcmp(block, LOG_FILE_MAGIC, 8) != 0 || get_u64(block + OFFSET_ID) != id ||
        get_u64(block + OFFSET_CHECK) != hash_bytes(bytes_make(block, OFFSET_CHECK), 0))
        return ERR_CORRUPT;
    if (get_u32(block + OFFSET_MINIMUM_READER) > LOG_FILE_FORMAT ||
        get_u32(block + OFFSET_FEATURE_LEVEL) > LOG_FILE_FEATURE_LEVEL ||
        get_u32(block + OFFSET_CIPHER) > CRYPTO_CHACHA20_POLY1305)
        return ERR_NEWER;
    uint32_t identity = get_u32(block + OFFSET_IDENTITY_LENGTH), shards = get_u32(block + OFFSET_SHARD_COUNT);
    if (identity > LOG_FILE_IDENTITY_MAX || shards > LOG_FILE_SHARDS_MAX)
        return ERR_CORRUPT;
    *ret_header = (struct log_file_header){
        .id = id,
        .previous_id = get_u64(block + OFFSET_PREVIOUS_ID),
        .previous_valid = get_u64(block + OFFSET_PREVIOUS_VALID),
        .created_ns = get_u64(block + OFFSET_CREATED),
        .format = get_u32(block + OFFSET_FORMAT),
        .minimum_reader = get_u32(block + OFFSET_MINIMUM_READER),
        .feature_level = get_u32(block + OFFSET_FEATURE_LEVEL),
        .mark = {.cipher = get_u32(block + OFFSET_CIPHER), .key_id = get_u64(block + OFFSET_KEY_ID)},
        .identity = bytes_make(block + OFFSET_IDENTITY, identity),
        .shard_count = shards,
    };
    memcpy(ret_header->mark.salt, block + OFFSET_SALT, SEAL_SALT_LEN);
    for (uint32_t i = 0; i < shards; i++) {
        const char *at = block + OFFSET_SHARDS + i * SHARD_BYTES;
        ret_header->shards[i] = (struct log_file_shard){
            .shard = get_u32(at),
            .term = get_u64(at + 8),
            .vote = get_u64(at + 16),
            .last_index = get_u64(at + 24),
            .commit_index = get_u64(at + 32),
        };
    }
    return 0;
}

static int parse(const char *name, const char *suffix, uint64_t *ret_id)
{
    uint64_t id = 0;
    if (number_parse_hex(name, 16, &id) || strcmp(name + 16, suffix) != 0 || id == 0 || id > UINT32_MAX)
        return ERR_NOT_OURS;
    *ret_id = id;
    return 0;
}
