// SPDX-License-Identifier: Apache-2.0
// The format of a segment (see segment.h and FORMAT.md). Every decoder takes bytes that may be anything.
#include "store/segment.h"

#include <stdio.h>

#include "base/endian.h"
#include "base/hash.h"
#include "base/must.h"
#include "base/number.h"

enum {
    SEGMENT_FORMAT = 1,
    SEGMENT_MINIMUM_READER = 1,
    SEGMENT_IDENTITY_MAX = 128,
    SECTION_HEADER = 32,
    SECTION_EXTENTS = 1,
    SECTION_SUMMARIES = 2,
    SECTION_IDS = 3,
};

static const char header_magic[8] = "WEIRSEG1";
static const char trailer_magic[8] = "WEIRSGND";

static int section_begin(struct buffer *out, uint32_t type, uint32_t count, size_t *ret_at);
static void section_end(struct buffer *out, size_t at);

void segment_name(uint64_t id, char ret_path[STORE_PATH_BYTES])
{
    snprintf(ret_path, STORE_PATH_BYTES, STORE_SEGMENT_FOLDER "/%016llx.seg", (unsigned long long)id);
}

int segment_parse_name(const char *name, uint64_t *ret_id)
{
    uint64_t id;
    if (segment_parse_prefix(name, &id) != 0 || strcmp(name + 16, ".seg") != 0) {
        return ERR_NOT_OURS;
    }
    *ret_id = id;
    return 0;
}

int segment_parse_prefix(const char *name, uint64_t *ret_id)
{
    uint64_t id = 0;
    if (number_parse_hex(name, 16, &id) || strncmp(name + 16, ".seg", 4) != 0) {
        return ERR_NOT_OURS;
    }
    *ret_id = id;
    return 0;
}

void segment_header_encode(const struct segment_info *info, struct bytes identity, char block[STORE_BLOCK])
{
    must(identity.len <= SEGMENT_IDENTITY_MAX);
    memset(block, 0, STORE_BLOCK);
    memcpy(block, header_magic, sizeof(header_magic));
    put_u32(block + 8, SEGMENT_FORMAT);
    put_u32(block + 12, SEGMENT_MINIMUM_READER);
    put_u32(block + 16, STORE_SHARD);
    put_u64(block + 24, info->id);
    put_u64(block + 32, info->first_index);
    put_u64(block + 40, info->last_index);
    put_u32(block + 88, (uint32_t)identity.len);
    memcpy(block + 92, identity.ptr, identity.len);
    put_u64(block + STORE_BLOCK - 8, hash_bytes(bytes_make(block, STORE_BLOCK - 8), 0));
}

int segment_header_decode(const char block[STORE_BLOCK], struct bytes identity, struct segment_info *ret_info)
{
    if (memcmp(block, header_magic, sizeof(header_magic)) != 0 ||
        get_u64(block + STORE_BLOCK - 8) != hash_bytes(bytes_make(block, STORE_BLOCK - 8), 0)) {
        return ERR_CORRUPT;
    }
    if (get_u32(block + 12) > SEGMENT_FORMAT || get_u32(block + 48) != 0) {
        return ERR_NEWER;
    }
    uint32_t len = get_u32(block + 88);
    if (len > SEGMENT_IDENTITY_MAX) {
        return ERR_CORRUPT;
    }
    if (identity.len > 0 && !bytes_equal(identity, bytes_make(block + 92, len))) {
        return ERR_OTHER_CLUSTER;
    }
    ret_info->id = get_u64(block + 24);
    ret_info->first_index = get_u64(block + 32);
    ret_info->last_index = get_u64(block + 40);
    return 0;
}

void segment_info_encode(const struct segment_info *info, char to[SEGMENT_INFO_SIZE])
{
    const uint64_t fields[] = {info->id,         info->first_index,      info->last_index,
                               info->file_bytes, info->summaries_offset, info->ids_offset,
                               info->ids_bytes,  info->ids_until_ns,     info->ids_check};
    for (size_t i = 0; i < 9; i++) {
        put_u64(to + 8 * i, fields[i]);
    }
    put_u32(to + 72, info->block_count);
    put_u32(to + 76, info->extent_count);
}

int segment_info_decode(const char from[SEGMENT_INFO_SIZE], struct segment_info *ret_info)
{
    *ret_info = (struct segment_info){
        .id = get_u64(from),
        .first_index = get_u64(from + 8),
        .last_index = get_u64(from + 16),
        .file_bytes = get_u64(from + 24),
        .summaries_offset = get_u64(from + 32),
        .ids_offset = get_u64(from + 40),
        .ids_bytes = get_u64(from + 48),
        .ids_until_ns = get_u64(from + 56),
        .ids_check = get_u64(from + 64),
        .block_count = get_u32(from + 72),
        .extent_count = get_u32(from + 76),
    };
    const struct segment_info *info = ret_info;
    uint64_t end = info->file_bytes;
    bool fits = info->summaries_offset <= end && info->ids_offset <= end && info->ids_bytes <= end - info->ids_offset &&
                (uint64_t)info->block_count * SEGMENT_SUMMARY_SIZE <= end - info->summaries_offset;
    return fits && end >> 35 == 0 && info->id >> 31 == 0 && info->summaries_offset % 8 == 0 ? 0 : ERR_CORRUPT;
}

void segment_extent_encode(const struct segment_extent *extent, char to[SEGMENT_EXTENT_SIZE])
{
    put_u32(to, extent->stream);
    put_u32(to + 4, extent->block);
    put_u32(to + 8, extent->block_count);
    put_u32(to + 12, extent->count);
    put_u64(to + 16, extent->first);
    put_u64(to + 24, extent->last);
    put_u64(to + 32, extent->time_ns);
    put_u64(to + 40, extent->bytes);
}

void segment_extent_decode(const char from[SEGMENT_EXTENT_SIZE], struct segment_extent *ret_extent)
{
    *ret_extent = (struct segment_extent){
        .stream = get_u32(from),
        .block = get_u32(from + 4),
        .block_count = get_u32(from + 8),
        .count = get_u32(from + 12),
        .first = get_u64(from + 16),
        .last = get_u64(from + 24),
        .time_ns = get_u64(from + 32),
        .bytes = get_u64(from + 40),
    };
}

void segment_summary_encode(const struct segment_summary *summary, uint64_t id, char to[SEGMENT_SUMMARY_SIZE])
{
    put_u64(to, summary->first);
    put_u64(to + 8, summary->time_ns);
    put_u32(to + 16, (uint32_t)(summary->offset / 8));
    put_u32(to + 20, summary->bytes);
    put_u32(to + 24, summary->count);
    put_u32(to + 28, summary->check);
    put_u32(to + 32, summary->stream);
    put_u32(to + 36, hash_bytes32(bytes_make(to, 36), id));
}

int segment_summary_decode(const char from[SEGMENT_SUMMARY_SIZE], uint64_t id, struct segment_summary *ret_summary)
{
    if (get_u32(from + 36) != hash_bytes32(bytes_make(from, 36), id)) {
        return ERR_CORRUPT;
    }
    *ret_summary = (struct segment_summary){
        .first = get_u64(from),
        .time_ns = get_u64(from + 8),
        .offset = (uint64_t)get_u32(from + 16) * 8,
        .bytes = get_u32(from + 20),
        .count = get_u32(from + 24),
        .check = get_u32(from + 28),
        .stream = get_u32(from + 32),
    };
    return 0;
}

int segment_footer_encode(struct segment_info *info, const struct segment_extent *extents, struct bytes summaries,
                          struct bytes ids, uint64_t offset, struct buffer *out)
{
    size_t start = out->len, at;
    if (section_begin(out, SECTION_EXTENTS, info->extent_count, &at) != 0) {
        return ERR_TOO_BIG;
    }
    for (uint32_t i = 0; i < info->extent_count; i++) {
        char *to = buffer_reserve(out, SEGMENT_EXTENT_SIZE);
        if (!to) {
            return ERR_TOO_BIG;
        }
        segment_extent_encode(&extents[i], to);
        buffer_commit(out, SEGMENT_EXTENT_SIZE);
    }
    section_end(out, at);
    if (section_begin(out, SECTION_SUMMARIES, info->block_count, &at) != 0 || buffer_append(out, summaries) != 0) {
        return ERR_TOO_BIG;
    }
    info->summaries_offset = offset + at + SECTION_HEADER - start;
    section_end(out, at);
    static const char zeros[8];
    if (section_begin(out, SECTION_IDS, 0, &at) != 0 || buffer_append(out, ids) != 0 ||
        buffer_append(out, bytes_make(zeros, -ids.len % 8)) != 0) {
        return ERR_TOO_BIG;
    }
    info->ids_offset = offset + at + SECTION_HEADER - start;
    info->ids_bytes = ids.len;
    info->ids_check = hash_bytes(ids, 0);
    section_end(out, at);
    uint64_t footer = out->len - start;
    info->file_bytes = offset + footer + SEGMENT_INFO_SIZE + SEGMENT_TRAILER_SIZE;
    char *to = buffer_reserve(out, SEGMENT_INFO_SIZE + SEGMENT_TRAILER_SIZE);
    if (!to) {
        return ERR_TOO_BIG;
    }
    segment_info_encode(info, to);
    memset(to + SEGMENT_INFO_SIZE, 0, SEGMENT_TRAILER_SIZE);
    buffer_commit(out, SEGMENT_INFO_SIZE);
    char *trailer = to + SEGMENT_INFO_SIZE;
    put_u64(trailer, info->id);
    put_u64(trailer + 8, offset);
    put_u64(trailer + 16, footer + SEGMENT_INFO_SIZE);
    put_u64(trailer + 24, hash_bytes(bytes_make(out->ptr + start, footer + SEGMENT_INFO_SIZE), info->id));
    put_u64(trailer + 32, info->file_bytes);
    memcpy(trailer + 48, trailer_magic, sizeof(trailer_magic));
    put_u64(trailer + 56, hash_bytes(bytes_make(trailer, 56), 0));
    buffer_commit(out, SEGMENT_TRAILER_SIZE);
    return 0;
}

int segment_trailer_decode(const char trailer[SEGMENT_TRAILER_SIZE], uint64_t id, uint64_t bytes, uint64_t *ret_offset,
                           uint64_t *ret_footer_bytes, uint64_t *ret_check)
{
    uint64_t offset = get_u64(trailer + 8), footer = get_u64(trailer + 16);
    if (memcmp(trailer + 48, trailer_magic, sizeof(trailer_magic)) != 0 ||
        get_u64(trailer + 56) != hash_bytes(bytes_make(trailer, 56), 0) || get_u64(trailer) != id ||
        get_u64(trailer + 32) != bytes || offset > bytes || footer < SEGMENT_INFO_SIZE || footer > bytes ||
        offset + footer + SEGMENT_TRAILER_SIZE != bytes) {
        return ERR_CORRUPT;
    }
    *ret_offset = offset;
    *ret_footer_bytes = footer;
    *ret_check = get_u64(trailer + 24);
    return 0;
}

static int section_begin(struct buffer *out, uint32_t type, uint32_t count, size_t *ret_at)
{
    char *to = buffer_reserve(out, SECTION_HEADER);
    if (!to) {
        return ERR_TOO_BIG;
    }
    *ret_at = out->len;
    memset(to, 0, SECTION_HEADER);
    put_u32(to, type);
    put_u32(to + 4, count);
    buffer_commit(out, SECTION_HEADER);
    return 0;
}

static void section_end(struct buffer *out, size_t at)
{
    struct bytes body = bytes_skip(buffer_bytes(out), at + SECTION_HEADER);
    put_u64(out->ptr + at + 8, body.len);
    put_u64(out->ptr + at + 16, hash_bytes(body, 0));
}
