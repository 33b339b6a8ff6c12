// SPDX-License-Identifier: Apache-2.0
// Message ids within their duplicate window. A slot of a table has 32 bits of the hash (enough to place it, to move it and to
// tell nearly all others apart) and the position of the id in the ring, which has the whole hash. So a look-up touches the ring
// only for what it finds, and a table that grows touches nothing but itself.
#include "stream/dedupe.h"

#include "base/memory.h"
#include "base/must.h"

// Far from both ends: ids are added behind, and restored in front.
#define FIRST_POSITION ((uint64_t)1 << 40)

enum {
    FIRST_SLOTS = 16,
    FIRST_CHUNKS = 8,
    AHEAD = 8,
    LINE_BYTES = 64,
    GROWTH_MAX =
        8, // times: a table that is known to become large skips some sizes, but not on the word of an estimate alone
};

static struct dedupe_part *part_of(const struct dedupe *dedupe, struct hash128 key);
static uint32_t tag_of(struct hash128 key);
static uint32_t home_of(const struct dedupe_part *part, uint32_t tag);
static uint64_t position_of(const struct dedupe *dedupe, uint32_t low);
static void part_grow(struct dedupe *dedupe, struct dedupe_part *part);
static void part_put(struct dedupe_part *part, struct dedupe_slot slot);
static bool is_crowded(uint64_t count, uint64_t cap);
static struct dedupe_slot *queue_of(const struct dedupe *dedupe, const struct dedupe_part *part);
static void part_queue(struct dedupe *dedupe, struct dedupe_part *part, struct dedupe_slot slot);
static void part_place(struct dedupe *dedupe, struct dedupe_part *part);
static void part_place_one(const struct dedupe *dedupe, struct dedupe_part *part, struct dedupe_slot slot);
static void part_take(struct dedupe_part *part, uint32_t at);
static void forget(struct dedupe *dedupe, uint64_t position);
static void prefetch_slot(const struct dedupe *dedupe, uint64_t position);
static const struct dedupe_slot *slot_find(const struct dedupe *dedupe, struct hash128 key);
static struct hash128 key_of(const struct dedupe *dedupe, struct dedupe_slot slot);
static bool slot_has(const struct dedupe *dedupe, struct dedupe_slot slot, struct hash128 key);
static struct dedupe_slot *slot_of(const struct dedupe *dedupe, const struct dedupe_part *part, struct hash128 key);
static void slot_set(struct dedupe *dedupe, struct hash128 key, uint64_t position);
static void ring_open(struct dedupe *dedupe);
static void ring_open_front(struct dedupe *dedupe);
static void ring_open_chunk(struct dedupe *dedupe, uint64_t chunk, uint64_t first, uint64_t last);
static void ring_close(struct dedupe *dedupe, uint64_t chunk);
static uint64_t index_at(const struct dedupe *dedupe, uint64_t position);
static uint64_t position_above(const struct dedupe *dedupe, uint64_t index);

void dedupe_init(struct dedupe *dedupe, uint64_t max)
{
    *dedupe = (struct dedupe){
        .max = max < UINT32_MAX / 2 ? max : UINT32_MAX / 2,
        .front = FIRST_POSITION,
        .back = FIRST_POSITION,
        .restored = FIRST_POSITION,
    };
}

void dedupe_deinit(struct dedupe *dedupe)
{
    for (size_t i = 0; i < DEDUPE_PARTS; i++)
        mem_free(dedupe->parts[i].slots);
    for (size_t i = 0; i < dedupe->chunk_cap; i++)
        mem_free(dedupe->chunks[i]);
    mem_free(dedupe->chunks);
    mem_free(dedupe->spare);
    mem_free(dedupe->queues);
    dedupe_init(dedupe, dedupe->max);
}

bool dedupe_find(const struct dedupe *dedupe, struct hash128 key, uint32_t now_ms, uint64_t *ret_sequence)
{
    const struct dedupe_slot *slot = slot_find(dedupe, key);
    if (!slot)
        return false;
    const struct dedupe_id *id = dedupe_at(dedupe, position_of(dedupe, slot->position));
    if (dedupe_is_past(id->expires_ms, now_ms))
        return false;
    *ret_sequence = id->sequence;
    return true;
}

void dedupe_add(struct dedupe *dedupe, struct hash128 key, uint64_t sequence, uint64_t index, uint32_t expires_ms)
{
    must(!dedupe_is_full(dedupe) && index >= dedupe->last_index);
    uint64_t position = dedupe->back;
    ring_open(dedupe);
    *dedupe_at(dedupe, position) = (struct dedupe_id){key, sequence, (uint32_t)index, expires_ms};
    dedupe->back++;
    dedupe->last_index = index;
    slot_set(dedupe, key, position);
}

void dedupe_expect(struct dedupe *dedupe, uint64_t ids)
{
    uint64_t room = dedupe->max - dedupe_count(dedupe);
    dedupe->expected = dedupe_count(dedupe) + (ids < room ? ids : room);
}

void dedupe_restore(struct dedupe *dedupe, struct hash128 key, uint64_t sequence, uint64_t index, uint32_t expires_ms)
{
    if (dedupe_is_full(dedupe))
        return;
    must(!index || dedupe->restored <= dedupe->front);
    uint64_t position = dedupe->front - 1;
    ring_open_front(dedupe);
    *dedupe_at(dedupe, position) = (struct dedupe_id){key, sequence, (uint32_t)index, expires_ms};
    if (!index && dedupe->restored < dedupe->front)
        dedupe->restored = dedupe->front;
    if (index && dedupe->restored > position)
        dedupe->restored = position;
    if (index > dedupe->last_index)
        dedupe->last_index = index;
    dedupe->front = position;
    part_queue(dedupe, part_of(dedupe, key), (struct dedupe_slot){tag_of(key), (uint32_t)position});
}

void dedupe_restored(struct dedupe *dedupe)
{
    for (size_t i = 0; i < DEDUPE_PARTS; i++) {
        if (dedupe->parts[i].waiting)
            part_place(dedupe, &dedupe->parts[i]);
    }
    mem_free(dedupe->queues);
    dedupe->queues = NULL;
    dedupe->expected = 0;
}

void dedupe_prefetch(const struct dedupe *dedupe, struct hash128 key)
{
    const struct dedupe_part *part = part_of(dedupe, key);
    if (part->cap > 0)
        __builtin_prefetch(&part->slots[home_of(part, tag_of(key))], 1);
}

bool dedupe_expire(struct dedupe *dedupe, uint32_t now_ms, size_t budget)
{
    while (dedupe->front != dedupe->back && dedupe_is_past(dedupe_at(dedupe, dedupe->front)->expires_ms, now_ms)) {
        if (budget-- == 0)
            return true;
        if (dedupe->front + AHEAD < dedupe->back)
            prefetch_slot(dedupe, dedupe->front + AHEAD);
        forget(dedupe, dedupe->front);
        dedupe->front++;
        if (dedupe->front % DEDUPE_CHUNK == 0)
            ring_close(dedupe, dedupe->front / DEDUPE_CHUNK - 1);
    }
    return false;
}

void dedupe_drop(struct dedupe *dedupe, uint64_t last_good)
{
    while (dedupe->back > dedupe->front && dedupe->back > dedupe->restored &&
           index_at(dedupe, dedupe->back - 1) > last_good) {
        forget(dedupe, --dedupe->back);
        if (dedupe->back % DEDUPE_CHUNK == 0)
            ring_close(dedupe, dedupe->back / DEDUPE_CHUNK);
    }
    if (dedupe->last_index > last_good)
        dedupe->last_index = last_good;
}

void dedupe_shift(struct dedupe *dedupe, uint32_t delta_ms)
{
    for (uint64_t position = dedupe->front; position < dedupe->back; position++)
        dedupe_at(dedupe, position)->expires_ms += delta_ms;
}

bool dedupe_next_expiry(const struct dedupe *dedupe, uint32_t *ret_expires_ms)
{
    if (dedupe->front == dedupe->back)
        return false;
    *ret_expires_ms = dedupe_at(dedupe, dedupe->front)->expires_ms;
    return true;
}

void dedupe_range(const struct dedupe *dedupe, uint64_t first_index, uint64_t last_index, uint64_t *ret_from,
                  uint64_t *ret_to)
{
    *ret_from = first_index ? position_above(dedupe, first_index - 1) : position_above(dedupe, 0);
    *ret_to = position_above(dedupe, last_index);
    if (*ret_to < *ret_from)
        *ret_to = *ret_from;
}

size_t dedupe_memory(const struct dedupe *dedupe)
{
    size_t bytes = dedupe->chunk_cap * sizeof(*dedupe->chunks);
    bytes += dedupe->queues ? (size_t)DEDUPE_PARTS * DEDUPE_QUEUE * sizeof(*dedupe->queues) : 0;
    for (size_t i = 0; i < dedupe->chunk_cap; i++)
        bytes += dedupe->chunks[i] ? DEDUPE_CHUNK * sizeof(struct dedupe_id) : 0;
    for (size_t i = 0; i < DEDUPE_PARTS; i++)
        bytes += dedupe->parts[i].cap * sizeof(struct dedupe_slot);
    return bytes;
}

void dedupe_check(const struct dedupe *dedupe)
{
    must(dedupe_count(dedupe) <= dedupe->max);
    for (size_t i = 0; i < DEDUPE_PARTS; i++) {
        const struct dedupe_part *part = &dedupe->parts[i];
        uint32_t count = 0;
        for (uint32_t at = 0; at < part->cap; at++) {
            if (part->slots[at].tag == 0)
                continue;
            count++;
            uint64_t position = position_of(dedupe, part->slots[at].position);
            must(position >= dedupe->front && position < dedupe->back);
            must(tag_of(dedupe_at(dedupe, position)->key) == part->slots[at].tag);
        }
        must(count == part->count && part->waiting < DEDUPE_QUEUE);
        for (uint32_t at = 0; at < part->waiting; at++) {
            struct dedupe_slot slot = queue_of(dedupe, part)[at];
            uint64_t position = position_of(dedupe, slot.position);
            must(position >= dedupe->front && position < dedupe->back);
            must(tag_of(dedupe_at(dedupe, position)->key) == slot.tag);
        }
    }
    for (uint64_t at = dedupe->restored > dedupe->front ? dedupe->restored : dedupe->front; at + 1 < dedupe->back; at++)
        must(index_at(dedupe, at) <= index_at(dedupe, at + 1));
}

static struct dedupe_part *part_of(const struct dedupe *dedupe, struct hash128 key)
{
    return (struct dedupe_part *)&dedupe->parts[key.hi >> 56];
}

static uint32_t tag_of(struct hash128 key)
{
    uint32_t tag = (uint32_t)key.lo;
    return tag ? tag : 1;
}

// Where a search begins: with the first slot of a cache line, so that it nearly always ends in the same.
static uint32_t home_of(const struct dedupe_part *part, uint32_t tag)
{
    return tag & (part->cap - 1) & ~(uint32_t)(LINE_BYTES / sizeof(struct dedupe_slot) - 1);
}

static uint64_t position_of(const struct dedupe *dedupe, uint32_t low)
{
    return dedupe->front + (uint32_t)(low - (uint32_t)dedupe->front);
}

// The tables are larger than any cache; ids expire in order of the ring, so their slots can be called for in time.
static void prefetch_slot(const struct dedupe *dedupe, uint64_t position)
{
    struct hash128 key = dedupe_at(dedupe, position)->key;
    const struct dedupe_part *part = part_of(dedupe, key);
    if (part->cap)
        __builtin_prefetch(&part->slots[home_of(part, tag_of(key))], 1);
}

// In the table, or waiting for it. Of two with the same key the one in the table is newer, and so is the first of a queue.
static const struct dedupe_slot *slot_find(const struct dedupe *dedupe, struct hash128 key)
{
    const struct dedupe_part *part = part_of(dedupe, key);
    const struct dedupe_slot *slot = part->cap ? slot_of(dedupe, part, key) : NULL;
    if (slot && slot->tag)
        return slot;
    for (uint32_t at = 0; at < part->waiting; at++) {
        slot = &queue_of(dedupe, part)[at];
        if (slot_has(dedupe, *slot, key))
            return slot;
    }
    return NULL;
}

static bool slot_has(const struct dedupe *dedupe, struct dedupe_slot slot, struct hash128 key)
{
    return slot.tag == tag_of(key) && hash128_equal(key_of(dedupe, slot), key);
}

static struct hash128 key_of(const struct dedupe *dedupe, struct dedupe_slot slot)
{
    return dedupe_at(dedupe, position_of(dedupe, slot.position))->key;
}

// The slot that a key has, or else the free one in which it belongs.
static struct dedupe_slot *slot_of(const struct dedupe *dedupe, const struct dedupe_part *part, struct hash128 key)
{
    uint32_t tag = tag_of(key), mask = part->cap - 1, at = home_of(part, tag);
    while (part->slots[at].tag && !slot_has(dedupe, part->slots[at], key))
        at = (at + 1) & mask;
    return &part->slots[at];
}

// More than four fifths.
static bool is_crowded(uint64_t count, uint64_t cap)
{
    return count * 5 > cap * 4;
}

static void part_grow(struct dedupe *dedupe, struct dedupe_part *part)
{
    struct dedupe_part old = *part;
    part->cap = old.cap ? old.cap * 2 : FIRST_SLOTS;
    while (part->cap < old.cap * GROWTH_MAX && is_crowded(dedupe->expected / DEDUPE_PARTS, part->cap))
        part->cap *= 2;
    part->slots = mem_alloc_aligned(LINE_BYTES, part->cap * sizeof(*part->slots));
    memset(part->slots, 0, part->cap * sizeof(*part->slots));
    for (uint32_t at = 0; at < old.cap; at++) {
        if (old.slots[at].tag)
            part_put(part, old.slots[at]);
    }
    mem_free(old.slots);
}

static struct dedupe_slot *queue_of(const struct dedupe *dedupe, const struct dedupe_part *part)
{
    return &dedupe->queues[(size_t)(part - dedupe->parts) * DEDUPE_QUEUE];
}

static void part_queue(struct dedupe *dedupe, struct dedupe_part *part, struct dedupe_slot slot)
{
    if (!dedupe->queues)
        dedupe->queues = mem_alloc((size_t)DEDUPE_PARTS * DEDUPE_QUEUE * sizeof(*dedupe->queues));
    queue_of(dedupe, part)[part->waiting++] = slot;
    if (part->waiting == DEDUPE_QUEUE)
        part_place(dedupe, part);
}

// Empties the queue into the table, but for keys of which a newer id is there.
static void part_place(struct dedupe *dedupe, struct dedupe_part *part)
{
    const struct dedupe_slot *queue = queue_of(dedupe, part);
    uint32_t waiting = part->waiting;
    while (is_crowded((uint64_t)part->count + waiting, part->cap))
        part_grow(dedupe, part);
    for (uint32_t i = 0; i < waiting; i++)
        __builtin_prefetch(&part->slots[home_of(part, queue[i].tag)], 1);
    for (uint32_t i = 0; i < waiting; i++)
        part_place_one(dedupe, part, queue[i]);
    part->waiting = 0;
}

// Looks at the ring, far away, only where the 32 bits of a slot are the same.
static void part_place_one(const struct dedupe *dedupe, struct dedupe_part *part, struct dedupe_slot slot)
{
    uint32_t mask = part->cap - 1, at = home_of(part, slot.tag);
    for (; part->slots[at].tag; at = (at + 1) & mask) {
        if (part->slots[at].tag == slot.tag && slot_has(dedupe, part->slots[at], key_of(dedupe, slot)))
            return;
    }
    part->slots[at] = slot;
    part->count++;
}

static void part_put(struct dedupe_part *part, struct dedupe_slot slot)
{
    uint32_t mask = part->cap - 1, at = home_of(part, slot.tag);
    while (part->slots[at].tag)
        at = (at + 1) & mask;
    part->slots[at] = slot;
}

// Takes a slot out and moves back those behind it that would no longer be found.
static void part_take(struct dedupe_part *part, uint32_t at)
{
    uint32_t mask = part->cap - 1;
    for (uint32_t next = (at + 1) & mask; part->slots[next].tag; next = (next + 1) & mask) {
        uint32_t home = home_of(part, part->slots[next].tag);
        if (((next - home) & mask) >= ((next - at) & mask)) {
            part->slots[at] = part->slots[next];
            at = next;
        }
    }
    part->slots[at].tag = 0;
    part->count--;
}

// Takes the id at a position out of its table, unless a newer one with the same key has its place.
static void forget(struct dedupe *dedupe, uint64_t position)
{
    struct hash128 key = dedupe_at(dedupe, position)->key;
    struct dedupe_part *part = part_of(dedupe, key);
    if (part->waiting)
        part_place(dedupe, part);
    uint32_t tag = tag_of(key), mask = part->cap - 1;
    for (uint32_t at = part->cap ? home_of(part, tag) : 0; part->cap && part->slots[at].tag; at = (at + 1) & mask) {
        if (part->slots[at].tag == tag && part->slots[at].position == (uint32_t)position) {
            part_take(part, at);
            return;
        }
    }
}

// An older id with the same key loses its place.
static void slot_set(struct dedupe *dedupe, struct hash128 key, uint64_t position)
{
    struct dedupe_part *part = part_of(dedupe, key);
    if (part->waiting)
        part_place(dedupe, part);
    if (is_crowded((uint64_t)part->count + 1, part->cap))
        part_grow(dedupe, part);
    struct dedupe_slot *slot = slot_of(dedupe, part, key);
    part->count += slot->tag == 0;
    *slot = (struct dedupe_slot){tag_of(key), (uint32_t)position};
}

// Makes sure that the chunk of the next position is there.
static void ring_open(struct dedupe *dedupe)
{
    uint64_t chunk = dedupe->back / DEDUPE_CHUNK;
    ring_open_chunk(dedupe, chunk, dedupe->front / DEDUPE_CHUNK, chunk);
}

// The same for the position before the first.
static void ring_open_front(struct dedupe *dedupe)
{
    uint64_t chunk = (dedupe->front - 1) / DEDUPE_CHUNK;
    ring_open_chunk(dedupe, chunk, chunk, dedupe->back / DEDUPE_CHUNK);
}

// The ring is to reach from chunk `first` to `last`; those in use now lie in between.
static void ring_open_chunk(struct dedupe *dedupe, uint64_t chunk, uint64_t first, uint64_t last)
{
    if (last - first >= dedupe->chunk_cap) {
        size_t cap = dedupe->chunk_cap ? dedupe->chunk_cap * 2 : FIRST_CHUNKS;
        struct dedupe_id **chunks = mem_alloc_zero(cap * sizeof(struct dedupe_id *));
        uint64_t used = dedupe->front / DEDUPE_CHUNK;
        for (uint64_t at = used; at < used + dedupe->chunk_cap; at++)
            chunks[at & (cap - 1)] = dedupe->chunks[at & (dedupe->chunk_cap - 1)];
        mem_free(dedupe->chunks);
        dedupe->chunks = chunks;
        dedupe->chunk_cap = cap;
    }
    struct dedupe_id **place = &dedupe->chunks[chunk & (dedupe->chunk_cap - 1)];
    if (!*place) {
        *place = dedupe->spare ? dedupe->spare : mem_alloc(DEDUPE_CHUNK * sizeof(struct dedupe_id));
        dedupe->spare = NULL;
    }
}

static void ring_close(struct dedupe *dedupe, uint64_t chunk)
{
    struct dedupe_id **place = &dedupe->chunks[chunk & (dedupe->chunk_cap - 1)];
    if (dedupe->spare)
        mem_free(*place);
    else
        dedupe->spare = *place;
    *place = NULL;
}

static uint64_t index_at(const struct dedupe *dedupe, uint64_t position)
{
    return dedupe->last_index - (uint32_t)((uint32_t)dedupe->last_index - dedupe_at(dedupe, position)->index);
}

// The first position whose index is above the given one.
static uint64_t position_above(const struct dedupe *dedupe, uint64_t index)
{
    uint64_t low = dedupe->restored > dedupe->front ? dedupe->restored : dedupe->front, high = dedupe->back;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (index_at(dedupe, middle) > index)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}
