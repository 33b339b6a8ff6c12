// SPDX-License-Identifier: Apache-2.0
// The format of a checkpoint file (see checkpoint_file.h and FORMAT.md).
#include "store/checkpoint_file.h"

#include <stdio.h>

#include "base/endian.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/number.h"

enum { CHECKPOINT_FORMAT = 1, CHECKPOINT_MINIMUM_READER = 1, CHECKPOINT_IDENTITY_MAX = 128 };

static const char header_magic[8] = "WEIRCKP1";

static int header_decode(const char *block, struct bytes identity, struct checkpoint_header *ret_header,
                         uint64_t *ret_check);
static int slices_read(struct disk *disk, struct disk_file *file, const struct checkpoint_visitor *visitor,
                       struct checkpoint_found *found);
static int read_at(struct disk *disk, struct disk_file *file, uint64_t offset, char *to, size_t len);

void checkpoint_name(uint64_t generation, uint32_t step, char ret_path[STORE_PATH_BYTES])
{
    snprintf(ret_path, STORE_PATH_BYTES, STORE_CHECKPOINT_FOLDER "/%016llx.%04x", (unsigned long long)generation, step);
}

int checkpoint_parse_name(const char *name, uint64_t *ret_generation, uint32_t *ret_step)
{
    uint64_t generation, step;
    if (strlen(name) != 21 || number_parse_hex(name, 16, &generation) != 0 || name[16] != '.' ||
        number_parse_hex(name + 17, 4, &step) != 0) {
        return ERR_NOT_OURS;
    }
    *ret_generation = generation;
    *ret_step = (uint32_t)step;
    return 0;
}

void checkpoint_header_encode(const struct checkpoint_header *header, struct bytes identity, struct buffer *out,
                              uint64_t *ret_check)
{
    char *block = buffer_reserve(out, STORE_BLOCK);
    must(block && identity.len <= CHECKPOINT_IDENTITY_MAX);
    memset(block, 0, STORE_BLOCK);
    memcpy(block, header_magic, sizeof(header_magic));
    put_u32(block + 8, CHECKPOINT_FORMAT);
    put_u32(block + 12, CHECKPOINT_MINIMUM_READER);
    put_u32(block + 16, STORE_SHARD);
    put_u32(block + 20, header->step);
    put_u64(block + 24, header->generation);
    put_u64(block + 32, header->begin_index);
    put_u64(block + 40, header->previous);
    put_u64(block + 48, header->created_ns);
    put_u32(block + 88, (uint32_t)identity.len);
    memcpy(block + 92, identity.ptr, identity.len);
    *ret_check = hash_bytes(bytes_make(block, STORE_BLOCK - 8), 0);
    put_u64(block + STORE_BLOCK - 8, *ret_check);
    buffer_commit(out, STORE_BLOCK);
}

void checkpoint_slice_begin(struct buffer *out, size_t *ret_at)
{
    char *to = buffer_reserve(out, CHECKPOINT_SLICE_HEADER);
    must(to);
    memset(to, 0, CHECKPOINT_SLICE_HEADER);
    *ret_at = out->len;
    buffer_commit(out, CHECKPOINT_SLICE_HEADER);
}

void checkpoint_slice_end(struct buffer *out, size_t at, enum checkpoint_slice_type type, uint64_t *check)
{
    char *to = out->ptr + at;
    struct bytes content = bytes_skip(buffer_bytes(out), at + CHECKPOINT_SLICE_HEADER);
    must(content.len % 8 == 0);
    put_u32(to, (uint32_t)type);
    put_u64(to + 8, content.len);
    *check = hash_bytes(content, *check);
    put_u64(to + 16, *check);
    put_u64(to + 24, hash_bytes(bytes_make(to, 24), 0));
}

void checkpoint_end_encode(const struct checkpoint_end *end, struct buffer *out, uint64_t *check)
{
    size_t at;
    checkpoint_slice_begin(out, &at);
    char *to = buffer_reserve(out, CHECKPOINT_END_SIZE);
    must(to);
    memset(to, 0, CHECKPOINT_END_SIZE);
    put_u64(to, end->end_index);
    put_u64(to + 8, end->rolled_index);
    put_u64(to + 16, end->next_segment_id);
    put_u64(to + 24, end->records);
    buffer_commit(out, CHECKPOINT_END_SIZE);
    checkpoint_slice_end(out, at, CHECKPOINT_END, check);
}

int checkpoint_file_read(struct disk *disk, uint64_t generation, uint32_t step, struct bytes identity,
                         const struct checkpoint_visitor *visitor, struct checkpoint_found *ret_found)
{
    char path[STORE_PATH_BYTES];
    checkpoint_name(generation, step, path);
    struct disk_request open = {.op = DISK_OPEN, .flags = DISK_FLAG_READ_ONLY, .path = path};
    int result = disk_run(disk, &open);
    if (result != 0) {
        return result;
    }
    struct checkpoint_found found = {0};
    struct disk_request size = {.op = DISK_SIZE, .file = open.file};
    char *block = mem_alloc(STORE_BLOCK);
    result = disk_run(disk, &size);
    found.bytes = size.transferred;
    if (result == 0) {
        result = read_at(disk, open.file, 0, block, STORE_BLOCK);
    }
    if (result == 0) {
        result = header_decode(block, identity, &found.header, &found.check);
    }
    if (result == 0 && (found.header.generation != generation || found.header.step != step)) {
        result = ERR_CORRUPT;
    }
    if (result == 0) {
        result = slices_read(disk, open.file, visitor, &found);
    }
    mem_free(block);
    struct disk_request close = {.op = DISK_CLOSE, .file = open.file};
    disk_run(disk, &close);
    if (result == 0) {
        *ret_found = found;
    }
    return result;
}

static int header_decode(const char *block, struct bytes identity, struct checkpoint_header *ret_header,
                         uint64_t *ret_check)
{
    uint64_t check = hash_bytes(bytes_make(block, STORE_BLOCK - 8), 0);
    uint32_t len = get_u32(block + 88);
    if (memcmp(block, header_magic, sizeof(header_magic)) != 0 || get_u64(block + STORE_BLOCK - 8) != check) {
        return ERR_CORRUPT;
    }
    if (get_u32(block + 12) > CHECKPOINT_FORMAT || get_u32(block + 56) != 0) {
        return ERR_NEWER;
    }
    if (len > CHECKPOINT_IDENTITY_MAX || get_u32(block + 16) != STORE_SHARD) {
        return ERR_CORRUPT;
    }
    if (identity.len > 0 && !bytes_equal(identity, bytes_make(block + 92, len))) {
        return ERR_OTHER_CLUSTER;
    }
    ret_header->step = get_u32(block + 20);
    ret_header->generation = get_u64(block + 24);
    ret_header->begin_index = get_u64(block + 32);
    ret_header->previous = get_u64(block + 40);
    ret_header->created_ns = get_u64(block + 48);
    *ret_check = check;
    return 0;
}

static void end_decode(const char *from, struct checkpoint_end *ret_end)
{
    ret_end->end_index = get_u64(from);
    ret_end->rolled_index = get_u64(from + 8);
    ret_end->next_segment_id = get_u64(from + 16);
    ret_end->records = get_u64(from + 24);
}

static int slices_read(struct disk *disk, struct disk_file *file, const struct checkpoint_visitor *visitor,
                       struct checkpoint_found *found)
{
    char *content = NULL;
    size_t capacity = 0;
    int result = 0;
    for (uint64_t offset = STORE_BLOCK; result == 0;) {
        char header[CHECKPOINT_SLICE_HEADER];
        result = read_at(disk, file, offset, header, sizeof(header));
        if (result != 0) {
            break;
        }
        uint64_t length = get_u64(header + 8);
        offset += CHECKPOINT_SLICE_HEADER;
        if (get_u64(header + 24) != hash_bytes(bytes_make(header, 24), 0) || length > found->bytes - offset) {
            result = ERR_CORRUPT;
            break;
        }
        if (length > capacity) {
            capacity = length;
            content = mem_realloc(content, capacity);
        }
        result = read_at(disk, file, offset, content, length);
        offset += length;
        found->check = hash_bytes(bytes_make(content, length), found->check);
        if (result == 0 && found->check != get_u64(header + 16)) {
            result = ERR_CORRUPT;
        }
        enum checkpoint_slice_type type = (enum checkpoint_slice_type)get_u32(header);
        if (result == 0 && type == CHECKPOINT_END) {
            result = length < CHECKPOINT_END_SIZE || offset != found->bytes ? ERR_CORRUPT : 0;
            if (result == 0) {
                end_decode(content, &found->end);
            }
            break;
        }
        if (result == 0 && type != CHECKPOINT_IMAGES && type != CHECKPOINT_MANIFEST) {
            result = (uint32_t)type & RECORD_MUST_UNDERSTAND ? ERR_NEWER : 0;
        } else if (result == 0 && visitor) {
            result = visitor->slice(visitor->owner, type, bytes_make(content, length));
        }
    }
    mem_free(content);
    return result;
}

static int read_at(struct disk *disk, struct disk_file *file, uint64_t offset, char *to, size_t len)
{
    struct disk_span span = {.ptr = to, .len = len};
    struct disk_request read = {.op = DISK_READ, .file = file, .offset = offset, .spans = &span, .span_count = 1};
    if (len == 0) {
        return 0;
    }
    int result = disk_run(disk, &read);
    return result == 0 && read.transferred != len ? ERR_CORRUPT : result;
}
