// SPDX-License-Identifier: Apache-2.0
// tidy: prefix parts segment checkpoint
// `weir check` for segments and checkpoints: reads all of it with disk_run(), says what is there and what is wrong with it, and
// changes nothing.
#include <stdio.h>

#include "base/endian.h"
#include "base/hash.h"
#include "base/memory.h"
#include "store/checkpoint_file.h"
#include "store/parts.h"
#include "store/segment.h"

struct checking {
    struct disk *disk;
    void (*print)(void *owner, const char *line);
    void *owner;
    int problems;
};

static void say(struct checking *checking, bool problem, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void each_name(struct checking *checking, const char *folder,
                      void (*check)(struct checking *, const char *name));
static void checkpoint_check(struct checking *checking, const char *name);
static void segment_check(struct checking *checking, const char *name);
static int segment_verify(struct checking *checking, const char *name, uint64_t id, struct disk_file *file,
                          uint64_t bytes);

int parts_check(struct disk *disk, void (*print)(void *owner, const char *line), void *owner)
{
    struct checking checking = {disk, print, owner, 0};
    each_name(&checking, STORE_CHECKPOINT_FOLDER, checkpoint_check);
    each_name(&checking, STORE_SEGMENT_FOLDER, segment_check);
    return checking.problems;
}

static void say(struct checking *checking, bool problem, const char *format, ...)
{
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    checking->problems += problem;
    checking->print(checking->owner, line);
}

static void each_name(struct checking *checking, const char *folder, void (*check)(struct checking *, const char *name))
{
    struct disk_request list = {.op = DISK_LIST, .path = folder};
    int result = disk_run(checking->disk, &list);
    if (result != 0) {
        say(checking, true, "%s: %s", folder, error_text(result));
        return;
    }
    const char *name = list.names.names;
    for (size_t i = 0; i < list.names.count; i++, name += strlen(name) + 1) {
        check(checking, name);
    }
    mem_free(list.names.names);
}

struct counts {
    uint64_t images;
    uint64_t manifest_bytes;
};

static int slice_count(void *owner, enum checkpoint_slice_type type, struct bytes content)
{
    struct counts *counts = owner;
    struct record record;
    counts->manifest_bytes += type == CHECKPOINT_MANIFEST ? content.len : 0;
    for (size_t used; type == CHECKPOINT_IMAGES && content.len > 0; content = bytes_skip(content, used)) {
        if (record_get(content, true, &record, &used) != 0) {
            return ERR_CORRUPT;
        }
        counts->images++;
    }
    return 0;
}

static void checkpoint_check(struct checking *checking, const char *name)
{
    uint64_t generation;
    uint32_t step;
    if (checkpoint_parse_name(name, &generation, &step) != 0) {
        size_t len = strlen(name);
        bool temporary = len > 4 && strcmp(name + len - 4, ".tmp") == 0;
        say(checking, !temporary, "checkpoint %s: %s", name,
            temporary ? "was not completed, is not used" : "unknown file");
        return;
    }
    struct counts counts = {0};
    struct checkpoint_visitor visitor = {&counts, slice_count};
    struct checkpoint_found found;
    int result = checkpoint_file_read(checking->disk, generation, step, bytes_make(NULL, 0), &visitor, &found);
    if (result != 0) {
        say(checking, true, "checkpoint %s: %s", name, error_text(result));
        return;
    }
    say(checking, false,
        "checkpoint %s: %s up to index %llu, %llu images, manifest of %llu bytes, segments up to index %llu", name,
        step == 0 ? "base" : "delta", (unsigned long long)found.header.begin_index, (unsigned long long)counts.images,
        (unsigned long long)counts.manifest_bytes, (unsigned long long)found.end.rolled_index);
    if (counts.images != found.end.records) {
        say(checking, true, "checkpoint %s: %llu images are missing", name,
            (unsigned long long)(found.end.records - counts.images));
    }
}

static void segment_check(struct checking *checking, const char *name)
{
    uint64_t id;
    if (segment_parse_name(name, &id) != 0) {
        size_t len = strlen(name);
        bool temporary = len > 4 && strcmp(name + len - 4, ".tmp") == 0;
        say(checking, !temporary, "segment %s: %s", name,
            temporary ? "was not completed, is not used" : "in no checkpoint when it was found, not used");
        return;
    }
    char path[STORE_PATH_BYTES];
    segment_name(id, path);
    struct disk_request open = {.op = DISK_OPEN, .flags = DISK_FLAG_READ_ONLY, .path = path};
    int result = disk_run(checking->disk, &open);
    if (result == 0) {
        struct disk_request size = {.op = DISK_SIZE, .file = open.file};
        result = disk_run(checking->disk, &size);
        if (result == 0) {
            result = segment_verify(checking, name, id, open.file, size.transferred);
        }
        struct disk_request close = {.op = DISK_CLOSE, .file = open.file};
        disk_run(checking->disk, &close);
    }
    if (result != 0) {
        say(checking, true, "segment %s: %s", name, error_text(result));
    }
}

static int read_at(struct checking *checking, struct disk_file *file, uint64_t offset, char *to, size_t len)
{
    struct disk_span span = {.ptr = to, .len = len};
    struct disk_request read = {.op = DISK_READ, .file = file, .offset = offset, .spans = &span, .span_count = 1};
    int result = len > 0 ? disk_run(checking->disk, &read) : 0;
    return result == 0 && len > 0 && read.transferred != len ? ERR_CORRUPT : result;
}

// One block: its check, and each of its records.
static void block_verify(struct checking *checking, const char *name, struct disk_file *file, uint64_t end,
                         const struct segment_summary *block)
{
    if (block->offset > end || block->bytes > end - block->offset) {
        say(checking, true, "segment %s: the block at %llu lies outside", name, (unsigned long long)block->offset);
        return;
    }
    char *content = mem_alloc(block->bytes);
    struct bytes rest = bytes_make(content, block->bytes);
    uint32_t count = 0;
    int result = read_at(checking, file, block->offset, content, block->bytes);
    bool damaged = result != 0 || hash_bytes32(rest, 0) != block->check;
    struct record record;
    for (size_t used; !damaged && rest.len > 0; rest = bytes_skip(rest, used), count++) {
        if (record_get(rest, true, &record, &used) != 0 || record.object != block->stream) {
            damaged = true;
            break;
        }
    }
    if (damaged || count != block->count) {
        say(checking, true, "segment %s: the block at %llu (stream %u from sequence %llu, %u messages) is damaged",
            name, (unsigned long long)block->offset, block->stream, (unsigned long long)block->first, block->count);
    }
    mem_free(content);
}

static int segment_verify(struct checking *checking, const char *name, uint64_t id, struct disk_file *file,
                          uint64_t bytes)
{
    char *block = mem_alloc(STORE_BLOCK), trailer[SEGMENT_TRAILER_SIZE], summary_bytes[SEGMENT_SUMMARY_SIZE];
    struct segment_info header = {0}, info = {0};
    uint64_t offset = 0, footer = 0, check = 0;
    char *content = NULL;
    int result =
        bytes < STORE_BLOCK + SEGMENT_TRAILER_SIZE ? ERR_CORRUPT : read_at(checking, file, 0, block, STORE_BLOCK);
    result = result ? result : segment_header_decode(block, bytes_make(NULL, 0), &header);
    mem_free(block);
    result = result ? result : read_at(checking, file, bytes - SEGMENT_TRAILER_SIZE, trailer, sizeof(trailer));
    result = result ? result : segment_trailer_decode(trailer, id, bytes, &offset, &footer, &check);
    if (result != 0) {
        return result;
    }
    content = mem_alloc(footer);
    result = read_at(checking, file, offset, content, footer);
    if (result == 0 && (header.id != id || hash_bytes(bytes_make(content, footer), id) != check)) {
        result = ERR_CORRUPT;
    }
    result = result ? result : segment_info_decode(content + footer - SEGMENT_INFO_SIZE, &info);
    mem_free(content);
    if (result != 0) {
        return result;
    }
    say(checking, false, "segment %s: messages of log indexes %llu to %llu, %u streams, %u blocks, %llu bytes", name,
        (unsigned long long)info.first_index, (unsigned long long)info.last_index, info.extent_count, info.block_count,
        (unsigned long long)bytes);
    for (uint32_t i = 0; i < info.block_count; i++) {
        struct segment_summary summary;
        uint64_t at = info.summaries_offset + (uint64_t)i * SEGMENT_SUMMARY_SIZE;
        if (read_at(checking, file, at, summary_bytes, sizeof(summary_bytes)) != 0 ||
            segment_summary_decode(summary_bytes, id, &summary) != 0) {
            say(checking, true, "segment %s: the summary of block %u is damaged", name, i);
        } else {
            block_verify(checking, name, file, offset, &summary);
        }
    }
    return 0;
}
