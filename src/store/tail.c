// SPDX-License-Identifier: Apache-2.0
// The read cache (see tail.h). Consumers read in order, so the slot found last, or its neighbour, is nearly always the one
// wanted next; only a consumer that jumps pays for a binary search.
#include "store/tail.h"

#include "base/memory.h"
#include "base/must.h"

enum { TAIL_BLOCKS_MAX = 1 << 24, TAIL_CHUNKS_MAX = 1 << 30, TAIL_COLD_SHARE = 4, TAIL_SPARE_SHARE = 32 };

static void tail_shrink(struct tail *tail, const struct tail_block *keep);
static void tail_pop(struct tail *tail);
static void tail_grow(struct tail *tail);
static void tail_block_drop(struct tail *tail, struct tail_block *block);

static inline struct tail_slot *slot_at(const struct tail *tail, size_t position)
{
    return &tail->slots[(tail->head + position) & (tail->cap - 1)];
}

static inline bool slot_before(const struct tail_slot *slot, uint32_t file, uint64_t offset)
{
    return slot->file < file || (slot->file == file && slot->end <= offset);
}

static inline bool slot_holds(const struct tail_slot *slot, uint32_t file, uint64_t offset, size_t size)
{
    return slot->file == file && slot->begin <= offset && offset + size <= slot->end;
}

static inline uint64_t block_bytes(const struct tail_block *block)
{
    return sizeof(*block) + block->chunk->capacity + (uint64_t)block->count * sizeof(uint32_t);
}

void tail_init(struct tail *tail, uint64_t budget_bytes, struct chunk_spares *spares)
{
    *tail = (struct tail){.budget = budget_bytes, .spares = spares};
    map_u64_init(&tail->blocks, TAIL_BLOCKS_MAX);
    map_u64_init(&tail->chunks, TAIL_CHUNKS_MAX);
    list_init(&tail->lru);
    chunk_spares_init(&tail->small, TAIL_SMALL, 0);
    chunk_spares_init(&tail->large, TAIL_LARGE, 0);
}

void tail_deinit(struct tail *tail)
{
    while (tail->count > 0) {
        tail_pop(tail);
    }
    mem_free(tail->slots);
    while (!list_empty(&tail->lru)) {
        tail_block_drop(tail, container_of(list_first(&tail->lru), struct tail_block, link));
    }
    map_u64_deinit(&tail->blocks);
    chunk_spares_deinit(&tail->small);
    chunk_spares_deinit(&tail->large);
    struct chunk *chunk;
    for (size_t at = 0; (chunk = map_u64_next(&tail->chunks, &at, NULL));) {
        chunk_unref(chunk);
    }
    map_u64_deinit(&tail->chunks);
    *tail = (struct tail){0};
}

void tail_add(struct tail *tail, uint32_t file, uint64_t offset, const char *data, size_t len, struct chunk *chunk)
{
    tail->newest_file = file;
    tail->newest_end = offset + len;
    if (tail->count > 0) {
        struct tail_slot *last = slot_at(tail, tail->count - 1);
        must(file > last->file || (file == last->file && offset >= last->end));
        if (last->chunk == chunk && last->file == file && data - last->data == (ptrdiff_t)(offset - last->begin)) {
            last->end = offset + len;
            return;
        }
    }
    if (tail->count == 0 || slot_at(tail, tail->count - 1)->chunk != chunk) {
        tail->hot_bytes += chunk->capacity;
    }
    if (tail->count == tail->cap) {
        tail_grow(tail);
    }
    *slot_at(tail, tail->count++) = (struct tail_slot){file, offset, offset + len, data, chunk_ref(chunk)};
    tail_shrink(tail, NULL);
}

void tail_begin_file(struct tail *tail, uint32_t file)
{
    if (tail->newest_file != file) {
        tail->newest_end = 0;
    }
    tail->newest_file = file;
}

const char *tail_find(struct tail *tail, uint32_t file, uint64_t offset, size_t size, struct chunk **ret_chunk)
{
    if (tail->count == 0) {
        return NULL;
    }
    size_t position = tail->hint;
    if (position >= tail->count || !slot_holds(slot_at(tail, position), file, offset, size)) {
        position++;
        if (position >= tail->count || !slot_holds(slot_at(tail, position), file, offset, size)) {
            size_t low = 0, high = tail->count;
            while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (slot_before(slot_at(tail, middle), file, offset)) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            position = low;
            if (position == tail->count || !slot_holds(slot_at(tail, position), file, offset, size)) {
                return NULL;
            }
        }
        tail->hint = position;
    }
    const struct tail_slot *slot = slot_at(tail, position);
    *ret_chunk = slot->chunk;
    return slot->data + (offset - slot->begin);
}

uint64_t tail_key(enum tail_kind kind, uint64_t file, uint64_t offset)
{
    must(file >> 31 == 0 && offset >> 35 == 0 && offset % 8 == 0);
    return (uint64_t)kind << 63 | file << 32 | offset / 8;
}

struct tail_block *tail_block_find(struct tail *tail, uint64_t key)
{
    struct tail_block *block = map_u64_find(&tail->blocks, key);
    if (block) {
        block->used = true;
        list_remove(&block->link);
        list_push_back(&tail->lru, &block->link);
    }
    return block;
}

struct chunk *tail_chunk_new(struct tail *tail, size_t bytes)
{
    struct chunk_spares *spares = bytes <= TAIL_SMALL ? &tail->small : &tail->large;
    bool fits = bytes <= spares->capacity && bytes > spares->capacity / 2;
    return fits ? chunk_spares_take(spares, spares->capacity) : chunk_new(bytes);
}

struct tail_block *tail_block_add(struct tail *tail, uint64_t key, uint64_t offset, struct chunk *chunk,
                                  uint32_t *records, uint32_t count)
{
    struct tail_block *block = map_u64_find(&tail->blocks, key);
    if (block) {
        tail_block_drop(tail, block);
    }
    block = mem_alloc(sizeof(*block));
    *block = (struct tail_block){
        .key = key, .offset = offset, .chunk = chunk_ref(chunk), .records = records, .count = count};
    must(map_u64_add(&tail->blocks, key, block) == 0);
    list_push_back(&tail->lru, &block->link);
    tail->cold_bytes += block_bytes(block);
    tail_shrink(tail, block);
    return block;
}

void tail_memory_add(struct tail *tail, struct chunk *chunk)
{
    if (chunk->live++ == 0) {
        must(map_u64_add(&tail->chunks, chunk->number, chunk_ref(chunk)) == 0);
        tail->memory_bytes += chunk->capacity;
    }
}

void tail_memory_gone(struct tail *tail, uint32_t number, uint32_t count)
{
    struct chunk *chunk = tail_memory_find(tail, number);
    must(chunk->live >= count);
    chunk->live -= count;
    if (chunk->live == 0) {
        must(map_u64_remove(&tail->chunks, number) == chunk);
        tail->memory_bytes -= chunk->capacity;
        chunk_unref(chunk);
    }
}

struct chunk *tail_memory_find(const struct tail *tail, uint32_t number)
{
    struct chunk *chunk = map_u64_find(&tail->chunks, number);
    must(chunk);
    return chunk;
}

uint64_t tail_bytes(const struct tail *tail)
{
    return tail->hot_bytes + tail->cold_bytes + tail->cap * sizeof(struct tail_slot) +
           tail->small.count * (uint64_t)TAIL_SMALL + tail->large.count * (uint64_t)TAIL_LARGE;
}

void tail_check(const struct tail *tail)
{
    uint64_t hot = 0, cold = 0;
    for (size_t i = 0; i < tail->count; i++) {
        const struct tail_slot *slot = slot_at(tail, i), *before = i > 0 ? slot_at(tail, i - 1) : NULL;
        must(slot->begin < slot->end && (!before || slot_before(before, slot->file, slot->begin)));
        hot += !before || before->chunk != slot->chunk ? slot->chunk->capacity : 0;
    }
    size_t blocks = 0;
    list_foreach(link, &tail->lru)
    {
        const struct tail_block *block = container_of(link, struct tail_block, link);
        must(map_u64_find(&tail->blocks, block->key) == block);
        cold += block_bytes(block);
        blocks++;
    }
    must(hot == tail->hot_bytes && cold == tail->cold_bytes && blocks == map_u64_count(&tail->blocks));
}

// Cold blocks give way first once they have more than their share, else the oldest of the log.
static void tail_shrink(struct tail *tail, const struct tail_block *keep)
{
    while (tail->hot_bytes + tail->cold_bytes > tail->budget) {
        struct list *oldest = list_first(&tail->lru);
        struct tail_block *block = oldest ? container_of(oldest, struct tail_block, link) : NULL;
        if (block && block != keep && (tail->count == 0 || tail->cold_bytes > tail->budget / TAIL_COLD_SHARE)) {
            tail->wasted += !block->used;
            tail_block_drop(tail, block);
        } else if (tail->count > 0) {
            tail_pop(tail);
        } else {
            break;
        }
    }
}

// The oldest slot goes; its chunk's memory counts until its last slot is gone.
static void tail_pop(struct tail *tail)
{
    struct tail_slot *slot = slot_at(tail, 0);
    if (tail->count == 1 || slot_at(tail, 1)->chunk != slot->chunk) {
        tail->hot_bytes -= slot->chunk->capacity;
    }
    chunk_spares_give(tail->spares, slot->chunk);
    tail->head = (tail->head + 1) & (tail->cap - 1);
    tail->count--;
    tail->hint -= tail->hint > 0;
}

static void tail_grow(struct tail *tail)
{
    size_t cap = tail->cap ? tail->cap * 2 : 64;
    struct tail_slot *slots = mem_alloc(cap * sizeof(*slots));
    for (size_t i = 0; i < tail->count; i++) {
        slots[i] = *slot_at(tail, i);
    }
    mem_free(tail->slots);
    tail->slots = slots;
    tail->cap = cap;
    tail->head = 0;
}

static void tail_block_drop(struct tail *tail, struct tail_block *block)
{
    tail->cold_bytes -= block_bytes(block);
    must(map_u64_remove(&tail->blocks, block->key) == block);
    list_remove(&block->link);
    struct chunk_spares *spares = block->chunk->capacity == TAIL_SMALL ? &tail->small : &tail->large;
    spares->max = (uint32_t)(tail->budget / TAIL_SPARE_SHARE / spares->capacity);
    chunk_spares_give(spares, block->chunk);
    mem_free(block->records);
    mem_free(block);
}
