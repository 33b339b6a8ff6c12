// SPDX-License-Identifier: Apache-2.0
// Encodes and applies the manifest of segments (see segment_manifest.h).
#include "store/segment_manifest.h"

#include "base/endian.h"
#include "base/memory.h"
#include "base/must.h"

enum {
    ITEM_HEADER = 16, // type, length of the whole item, id of the segment
    ITEM_ADD = 0x8001,
    ITEM_DEAD = 0x8002,
    ITEM_GONE = 0x8003,
};

static char *item_begin(struct buffer *out, uint32_t type, size_t length, uint64_t id);
static void item_add(const struct segment *segment, struct buffer *out);
static int apply_add(struct segment_set *set, struct bytes body);

bool segment_manifest_encode(const struct segment_set *set, struct segment_manifest *manifest, bool base,
                             uint64_t rolled_index, size_t max_bytes, struct buffer *out)
{
    size_t end = out->len + max_bytes;
    if (!manifest->at) {
        manifest->at = set->all.next;
    }
    // Removals first: replaying them never meets an id that was added later.
    for (; !base && manifest->gone < set->gone_count; manifest->gone++) {
        item_begin(out, ITEM_GONE, ITEM_HEADER, set->gone[manifest->gone]);
    }
    for (; manifest->at != &set->all && out->len < end; manifest->at = manifest->at->next) {
        const struct segment *segment = container_of(manifest->at, struct segment, link);
        if (segment->info.last_index > rolled_index) {
            continue;
        }
        if (base || segment->fresh) {
            item_add(segment, out);
        }
        if (segment->state == SEGMENT_DEAD && (base || segment->fresh || segment->died)) {
            item_begin(out, ITEM_DEAD, ITEM_HEADER, segment->info.id);
        }
    }
    return manifest->at != &set->all;
}

int segment_manifest_apply(struct segment_set *set, struct bytes items)
{
    while (items.len > 0) {
        uint64_t length = items.len < ITEM_HEADER ? 0 : get_u32(items.ptr + 4);
        if (length < ITEM_HEADER || length > items.len) {
            return ERR_CORRUPT;
        }
        uint32_t type = get_u32(items.ptr);
        struct segment *segment = segment_set_get(set, get_u64(items.ptr + 8));
        if (type == ITEM_ADD) {
            int result = apply_add(set, bytes_skip(bytes_make(items.ptr, length), ITEM_HEADER));
            if (result != 0) {
                return result;
            }
        } else if (type != ITEM_DEAD && type != ITEM_GONE) {
            return ERR_NEWER;
        } else if (!segment) {
            return ERR_CORRUPT;
        } else {
            segment_set_declare(set, segment, type == ITEM_DEAD ? SEGMENT_DEAD : SEGMENT_GONE);
        }
        items = bytes_skip(items, length);
    }
    return 0;
}

static char *item_begin(struct buffer *out, uint32_t type, size_t length, uint64_t id)
{
    char *to = buffer_reserve(out, length);
    must(to && length <= UINT32_MAX);
    put_u32(to, type);
    put_u32(to + 4, (uint32_t)length);
    put_u64(to + 8, id);
    buffer_commit(out, length);
    return to + ITEM_HEADER;
}

// A dead one is without extents: nobody looks into it, and a checkpoint that gives space back must be small.
static void item_add(const struct segment *segment, struct buffer *out)
{
    struct segment_info info = segment->info;
    info.extent_count = segment->state == SEGMENT_DEAD ? 0 : info.extent_count;
    size_t length = ITEM_HEADER + SEGMENT_INFO_SIZE + (size_t)info.extent_count * SEGMENT_EXTENT_SIZE;
    char *to = item_begin(out, ITEM_ADD, length, info.id);
    segment_info_encode(&info, to);
    for (uint32_t i = 0; i < info.extent_count; i++) {
        segment_extent_encode(&segment->extents[i], to + SEGMENT_INFO_SIZE + (size_t)i * SEGMENT_EXTENT_SIZE);
    }
}

static int apply_add(struct segment_set *set, struct bytes body)
{
    struct segment_info info;
    if (body.len < SEGMENT_INFO_SIZE || segment_info_decode(body.ptr, &info) != 0 ||
        body.len != SEGMENT_INFO_SIZE + (uint64_t)info.extent_count * SEGMENT_EXTENT_SIZE) {
        return ERR_CORRUPT;
    }
    struct segment_extent *extents = mem_alloc(info.extent_count * sizeof(*extents));
    for (uint32_t i = 0; i < info.extent_count; i++) {
        struct segment_extent *extent = &extents[i];
        segment_extent_decode(body.ptr + SEGMENT_INFO_SIZE + (size_t)i * SEGMENT_EXTENT_SIZE, extent);
        if (extent->first > extent->last || extent->block_count == 0 ||
            (uint64_t)extent->block + extent->block_count > info.block_count) {
            mem_free(extents);
            return ERR_CORRUPT;
        }
    }
    struct segment *segment;
    return segment_set_add(set, &info, extents, &segment) == 0 ? 0 : ERR_CORRUPT;
}
