// SPDX-License-Identifier: Apache-2.0
// The queue of bytes to one connection; see outbound.h. Knows nothing of connections, and never sends.
#include "broker/outbound.h"

static void push_chunk(struct outbound *outbound, struct outbound_chunk *chunk);
static void pop_chunk(struct outbound *outbound, struct outbound_cache *cache);
static struct outbound_chunk *take_chunk(struct outbound_cache *cache, size_t size, bool small);
static void give_chunk(struct outbound_cache *cache, struct outbound_chunk *chunk);
static struct bytes chunk_bytes(const struct outbound_chunk *chunk);
static void free_chunks(struct outbound_chunk *chunk);

void outbound_cache_deinit(struct outbound_cache *cache)
{
    free_chunks(cache->small);
    free_chunks(cache->large);
    *cache = (struct outbound_cache){0};
}

void outbound_clear(struct outbound *outbound, struct outbound_cache *cache)
{
    while (outbound->first)
        pop_chunk(outbound, cache);
    outbound->size_bytes = 0;
}

void outbound_append(struct outbound *outbound, struct outbound_cache *cache, struct bytes bytes)
{
    while (bytes.len > 0) {
        struct outbound_chunk *last = outbound->last;
        if (!last || last->len == last->cap) {
            outbound_grow(outbound, cache,
                          outbound->last || bytes.len > OUTBOUND_SMALL_BYTES ? OUTBOUND_LARGE_BYTES : 1);
            last = outbound->last;
        }
        size_t room = last->cap - last->len;
        size_t n = bytes.len < room ? bytes.len : room;
        memcpy(last->data + last->len, bytes.ptr, n);
        last->len += (uint32_t)n;
        outbound->size_bytes += n;
        bytes = bytes_skip(bytes, n);
    }
}

void outbound_append_block(struct outbound *outbound, struct outbound_cache *cache, struct outbound_block *block)
{
    if (block->len == 0)
        return;
    struct outbound_chunk *chunk = mem_alloc(sizeof(*chunk));
    *chunk = (struct outbound_chunk){.block = block};
    block->refs++;
    push_chunk(outbound, chunk);
    outbound->size_bytes += block->len;
}

size_t outbound_gather(const struct outbound *outbound, struct bytes *ret_parts, size_t max)
{
    size_t count = 0;
    for (const struct outbound_chunk *chunk = outbound->first; chunk && count < max; chunk = chunk->next) {
        struct bytes bytes = chunk_bytes(chunk);
        if (chunk == outbound->first)
            bytes = bytes_skip(bytes, outbound->taken_bytes);
        if (bytes.len > 0)
            ret_parts[count++] = bytes;
    }
    return count;
}

void outbound_consume(struct outbound *outbound, struct outbound_cache *cache, size_t n)
{
    must(n <= outbound->size_bytes);
    outbound->size_bytes -= n;
    while (outbound->first) {
        size_t left = chunk_bytes(outbound->first).len - outbound->taken_bytes;
        if (n < left) {
            outbound->taken_bytes += n;
            return;
        }
        n -= left;
        pop_chunk(outbound, cache);
    }
    must(n == 0 && outbound->size_bytes == 0);
}

void outbound_check(const struct outbound *outbound)
{
    uint64_t size_bytes = 0;
    const struct outbound_chunk *last = NULL;
    for (const struct outbound_chunk *chunk = outbound->first; chunk; chunk = chunk->next) {
        must(chunk->len <= chunk->cap);
        must(!chunk->block || (chunk->cap == 0 && chunk->block->refs > 0));
        size_bytes += chunk_bytes(chunk).len;
        last = chunk;
    }
    must(outbound->last == last);
    must(size_bytes == outbound->size_bytes + outbound->taken_bytes);
    must(outbound->first || outbound->taken_bytes == 0);
}

struct outbound_block *outbound_block_new(size_t len)
{
    struct outbound_block *block = mem_alloc(sizeof(*block) + len);
    *block = (struct outbound_block){.refs = 1, .len = len};
    return block;
}

struct outbound_block *outbound_block_new_shared(size_t len)
{
    return outbound_block_wrap(shared_block_new(len));
}

struct outbound_block *outbound_block_wrap(struct shared_block *shared)
{
    struct outbound_block *block = mem_alloc(sizeof(*block));
    *block = (struct outbound_block){.refs = 1, .len = shared->len, .shared = shared};
    return block;
}

void outbound_block_unref(struct outbound_block *block)
{
    must(block->refs > 0);
    if (--block->refs > 0)
        return;
    if (block->shared)
        shared_block_unref(block->shared);
    mem_free(block);
}

char *outbound_grow(struct outbound *outbound, struct outbound_cache *cache, size_t size)
{
    must(size <= UINT32_MAX);
    push_chunk(outbound, take_chunk(cache, size, !outbound->first && size <= OUTBOUND_SMALL_BYTES));
    return outbound->last->data;
}

static void push_chunk(struct outbound *outbound, struct outbound_chunk *chunk)
{
    if (outbound->last)
        outbound->last->next = chunk;
    else
        outbound->first = chunk;
    outbound->last = chunk;
}

static void pop_chunk(struct outbound *outbound, struct outbound_cache *cache)
{
    struct outbound_chunk *chunk = outbound->first;
    outbound->first = chunk->next;
    if (!outbound->first)
        outbound->last = NULL;
    outbound->taken_bytes = 0;
    give_chunk(cache, chunk);
}

static struct outbound_chunk *take_chunk(struct outbound_cache *cache, size_t size, bool small)
{
    struct outbound_chunk **kept = small ? &cache->small : &cache->large;
    size_t cap = small ? OUTBOUND_SMALL_BYTES : OUTBOUND_LARGE_BYTES;
    struct outbound_chunk *chunk = *kept;
    if (chunk && size <= cap) {
        *kept = chunk->next;
        *(small ? &cache->small_count : &cache->large_count) -= 1;
    } else {
        // One that is too long for a large chunk (a huge subject) gets memory of its own and is not kept.
        cap = size > cap ? size : cap;
        chunk = mem_alloc(sizeof(*chunk) + cap);
    }
    *chunk = (struct outbound_chunk){.cap = (uint32_t)cap};
    return chunk;
}

static void give_chunk(struct outbound_cache *cache, struct outbound_chunk *chunk)
{
    if (chunk->cap == OUTBOUND_SMALL_BYTES && cache->small_count < OUTBOUND_SMALL_KEPT) {
        chunk->next = cache->small;
        cache->small = chunk;
        cache->small_count++;
    } else if (chunk->cap == OUTBOUND_LARGE_BYTES && cache->large_count < OUTBOUND_LARGE_KEPT) {
        chunk->next = cache->large;
        cache->large = chunk;
        cache->large_count++;
    } else {
        if (chunk->block)
            outbound_block_unref(chunk->block);
        mem_free(chunk);
    }
}

static struct bytes chunk_bytes(const struct outbound_chunk *chunk)
{
    return chunk->block ? bytes_make(outbound_block_data(chunk->block), chunk->block->len)
                        : bytes_make(chunk->data, chunk->len);
}

static void free_chunks(struct outbound_chunk *chunk)
{
    while (chunk) {
        struct outbound_chunk *next = chunk->next;
        mem_free(chunk);
        chunk = next;
    }
}
