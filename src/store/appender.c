// SPDX-License-Identifier: Apache-2.0
#include "store/appender.h"

#include "base/memory.h"
#include "base/must.h"

enum { QUEUE_START = 64 };

static bool fits(const struct appender *appender, size_t padded);
static void open_entry(struct appender *appender, size_t padded);
static void push(struct appender *appender, struct appender_entry entry);

void appender_init(struct appender *appender, struct chunk_spares *spares, size_t entry_max, uint64_t last_index)
{
    *appender = (struct appender){.spares = spares, .entry_max = entry_max, .last_index = last_index, .next_number = 1};
}

void appender_deinit(struct appender *appender)
{
    appender_drop(appender, 0, appender->last_index);
    chunk_unref(appender->chunk);
    mem_free(appender->queue);
    *appender = (struct appender){0};
}

char *appender_reserve(struct appender *appender, size_t size, uint64_t *ret_index)
{
    size_t padded = record_padded(size);
    if (appender->open) {
        bool belongs = padded <= appender->together;
        if (!belongs && !fits(appender, padded))
            appender_seal(appender);
    }
    if (!appender->open)
        open_entry(appender, padded);
    appender->together -= padded < appender->together ? padded : appender->together;
    char *at = appender->chunk->data + appender->chunk->used;
    appender->chunk->used += (uint32_t)padded;
    appender->open_count++;
    appender->queued_bytes += padded;
    *ret_index = appender->last_index;
    return at;
}

// The room that is kept for them is part of the entry's chunk, so nothing can come in between that does not fit.
void appender_together(struct appender *appender, size_t size)
{
    size_t padded = record_padded(size);
    if (appender->open && !fits(appender, padded))
        appender_seal(appender);
    if (!appender->open)
        open_entry(appender, padded);
    appender->together = padded;
}

void appender_seal(struct appender *appender)
{
    appender->together = 0;
    if (!appender->open)
        return;
    struct chunk *chunk = appender->chunk;
    struct appender_entry entry = {
        .chunk = chunk_ref(chunk),
        .offset = appender->open_offset,
        .length = chunk->used - appender->open_offset,
        .shard = 1,
        .count = appender->open_count,
        .index = appender->last_index,
        .time_ns = appender->time_ns,
    };
    struct bytes records = appender_records(&entry);
    struct entry_header header = {
        .length = (uint32_t)records.len,
        .shard = entry.shard,
        .count = entry.count,
        .index = entry.index,
        .time_ns = entry.time_ns,
        .hash = entry_hash(records),
    };
    entry_encode(chunk->data + entry.offset, &header);
    appender->open = false;
    push(appender, entry);
}

struct appender_entry *appender_at(struct appender *appender, size_t i)
{
    must(i < appender->count);
    return &appender->queue[(appender->head + i) & (appender->capacity - 1)];
}

struct appender_entry appender_pop(struct appender *appender)
{
    struct appender_entry entry = *appender_at(appender, 0);
    appender->head = (appender->head + 1) & (appender->capacity - 1);
    appender->count--;
    appender->queued_bytes -= entry.length;
    return entry;
}

void appender_drop(struct appender *appender, size_t i, uint64_t last_index)
{
    appender->together = 0;
    if (appender->open) {
        appender->queued_bytes -= appender->chunk->used - appender->open_offset;
        appender->open = false;
    }
    while (appender->count > i) {
        struct appender_entry *entry = appender_at(appender, appender->count - 1);
        appender->queued_bytes -= entry->length;
        chunk_unref(entry->chunk);
        appender->count--;
    }
    appender->last_index = last_index;
}

// Do so many more bytes of records fit the open entry?
static bool fits(const struct appender *appender, size_t padded)
{
    size_t records = appender->chunk->used - appender->open_offset - ENTRY_HEADER_SIZE;
    return records + padded <= appender->entry_max && appender->chunk->capacity - appender->chunk->used >= padded;
}

// Starts an entry in which records of `padded` bytes fit, in a fresh chunk if need be.
static void open_entry(struct appender *appender, size_t padded)
{
    size_t wanted = ENTRY_HEADER_SIZE + padded;
    if (!appender->chunk || appender->chunk->capacity - appender->chunk->used < wanted) {
        chunk_unref(appender->chunk);
        size_t ordinary = appender->spares->capacity;
        appender->chunk = chunk_spares_take(appender->spares, wanted > ordinary ? wanted : ordinary);
        appender->chunk->number = appender->next_number++;
    }
    appender->open = true;
    appender->open_offset = appender->chunk->used;
    appender->open_count = 0;
    appender->chunk->used += ENTRY_HEADER_SIZE;
    appender->queued_bytes += ENTRY_HEADER_SIZE;
    appender->last_index++;
}

static void push(struct appender *appender, struct appender_entry entry)
{
    if (appender->count == appender->capacity) {
        size_t capacity = appender->capacity ? 2 * appender->capacity : QUEUE_START;
        struct appender_entry *queue = mem_alloc(capacity * sizeof(*queue));
        for (size_t i = 0; i < appender->count; i++)
            queue[i] = *appender_at(appender, i);
        mem_free(appender->queue);
        appender->queue = queue;
        appender->capacity = capacity;
        appender->head = 0;
    }
    appender->queue[(appender->head + appender->count) & (appender->capacity - 1)] = entry;
    appender->count++;
}
