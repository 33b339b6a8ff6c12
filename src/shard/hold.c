// SPDX-License-Identifier: Apache-2.0
// The hold queue: frames one behind the other in chunks, each behind a head of 16 bytes. A frame never moves, so a release may
// push; its chunk is given back only after the call. One empty chunk is kept, so a steady flow does not allocate, and a spike
// gives its memory back.
#include "shard/hold.h"

#include "base/memory.h"
#include "base/must.h"
#include "shard/shard_internal.h"

enum { CHUNK_SIZE = 65536, HEAD_SIZE = 16, ALIGN = 8 };

// In front of a frame's bytes.
struct head {
    uint64_t index;
    uint32_t subject_len, frame_len;
};

struct hold_chunk {
    struct hold_chunk *next; // list link
    size_t used, size;       // bytes of data
    char data[] __attribute__((aligned(8)));
};

struct hold_ring {
    struct hold_chunk *front, *back; // owned list; NULL: empty
    struct hold_chunk *spare;        // owned, of CHUNK_SIZE
    size_t at;                       // of the oldest frame in the front chunk
    uint64_t last_index;
    uint64_t frames, bytes; // waiting
};

static struct hold_chunk *chunk_open(struct hold_ring *ring, size_t need);
static bool take(struct hold_ring *ring, struct head *ret_head, struct bytes *ret_subject, struct bytes *ret_frame);
static void advance(struct hold_ring *ring, const struct head *head);
static size_t room_of(const struct head *head);

void hold_init(struct hold *hold, struct shard *shard)
{
    hold->ring = mem_alloc_zero(sizeof(*hold->ring));
    list_init(&hold->link);
    if (shard)
        shard_hold_add(shard, hold);
}

void hold_deinit(struct hold *hold)
{
    list_remove(&hold->link);
    struct hold_ring *ring = hold->ring;
    while (ring->front) {
        struct hold_chunk *chunk = ring->front;
        ring->front = chunk->next;
        mem_free(chunk);
    }
    mem_free(ring->spare);
    mem_free(ring);
    hold->ring = NULL;
}

void hold_push(struct hold *hold, uint64_t index, struct bytes subject, struct bytes frame)
{
    struct hold_ring *ring = hold->ring;
    must(subject.len <= UINT32_MAX / 2 && frame.len <= UINT32_MAX / 2);
    ring->last_index = index > ring->last_index ? index : ring->last_index;
    struct head head = {ring->last_index, (uint32_t)subject.len, (uint32_t)frame.len};
    struct hold_chunk *chunk = chunk_open(ring, room_of(&head));
    char *at = chunk->data + chunk->used;
    memcpy(at, &head, HEAD_SIZE);
    if (subject.len)
        memcpy(at + HEAD_SIZE, subject.ptr, subject.len);
    if (frame.len)
        memcpy(at + HEAD_SIZE + subject.len, frame.ptr, frame.len);
    chunk->used += room_of(&head);
    ring->frames++;
    ring->bytes += room_of(&head);
}

uint64_t hold_bytes(const struct hold *hold)
{
    return hold->ring->bytes;
}

void hold_commit(struct hold *hold, uint64_t index)
{
    struct head head;
    struct bytes subject, frame;
    while (take(hold->ring, &head, &subject, &frame) && head.index <= index) {
        hold->release(hold->owner, subject, frame);
        advance(hold->ring, &head);
    }
}

void hold_drop(struct hold *hold, uint64_t last_good, int error)
{
    struct head head;
    struct bytes subject, frame;
    hold->ring->last_index = last_good;
    for (uint64_t left = hold->ring->frames; left && take(hold->ring, &head, &subject, &frame); left--) {
        if (head.index <= last_good)
            hold->release(hold->owner, subject, frame);
        else
            hold->refuse(hold->owner, subject, frame, error);
        advance(hold->ring, &head);
    }
}

// The chunk that has room for `need` bytes at its end.
static struct hold_chunk *chunk_open(struct hold_ring *ring, size_t need)
{
    if (ring->back && ring->back->size - ring->back->used >= need)
        return ring->back;
    size_t size = need > CHUNK_SIZE ? need : CHUNK_SIZE;
    struct hold_chunk *chunk = ring->spare;
    if (chunk && size == CHUNK_SIZE)
        ring->spare = NULL;
    else
        chunk = mem_alloc(sizeof(*chunk) + size);
    *chunk = (struct hold_chunk){.size = size};
    if (ring->back)
        ring->back->next = chunk;
    else
        ring->front = chunk;
    ring->back = chunk;
    return chunk;
}

// The oldest frame, left in its place.
static bool take(struct hold_ring *ring, struct head *ret_head, struct bytes *ret_subject, struct bytes *ret_frame)
{
    if (ring->frames == 0)
        return false;
    const char *at = ring->front->data + ring->at;
    memcpy(ret_head, at, HEAD_SIZE);
    *ret_subject = bytes_make(at + HEAD_SIZE, ret_head->subject_len);
    *ret_frame = bytes_make(at + HEAD_SIZE + ret_head->subject_len, ret_head->frame_len);
    return true;
}

static void advance(struct hold_ring *ring, const struct head *head)
{
    struct hold_chunk *chunk = ring->front;
    ring->at += room_of(head);
    ring->bytes -= room_of(head);
    ring->frames--;
    if (ring->at < chunk->used)
        return;
    ring->at = 0;
    ring->front = chunk->next;
    if (!ring->front)
        ring->back = NULL;
    if (ring->spare || chunk->size != CHUNK_SIZE)
        mem_free(chunk);
    else
        ring->spare = chunk;
}

static size_t room_of(const struct head *head)
{
    size_t size = HEAD_SIZE + (size_t)head->subject_len + head->frame_len;
    return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}
