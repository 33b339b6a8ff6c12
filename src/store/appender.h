// SPDX-License-Identifier: Apache-2.0
// Builds entries in place: records are reserved one after the other in the open entry of a chunk, which sealing turns into
// one of a queue of entries that wait for their commit. Pure memory; the log (log.c) or the memory store (memory.c) takes
// entries from the front. Allocates a chunk a megabyte and nothing per record or entry after warm-up.
//
//   chunk:  | header room | records of entry 7 | header room | records of entry 8 (open) …      |
#pragma once

#include "store/chunk.h"
#include "store/entry.h"
#include "store/store.h"

struct appender_entry {
    struct chunk *chunk; // owned reference
    uint32_t offset;     // of the entry header in chunk->data
    uint32_t length;     // header and records
    uint32_t shard;
    uint32_t count; // records
    uint64_t index;
    uint64_t time_ns;
};

struct appender {
    struct chunk_spares *spares;  // borrowed; their capacity is that of an ordinary chunk
    size_t entry_max;             // bytes of an entry's records, unless one record, or what belongs together, is larger
    struct chunk *chunk;          // owned reference: where the open entry is, or the next one will be; NULL at first
    uint64_t next_number;         // of chunks
    bool open;                    // there is an open entry, with at least one record
    uint32_t open_offset;         // of its header in the chunk
    uint32_t open_count;          // its records
    size_t together;              // bytes of records still to come that belong into the open entry, however large it is
    uint64_t time_ns;             // of the turn
    uint64_t last_index;          // of the open entry, or the last sealed one
    uint64_t queued_bytes;        // of sealed and open entries, not yet taken
    struct appender_entry *queue; // owned ring
    size_t capacity, head, count; // of the ring: capacity is a power of two
};

void appender_init(struct appender *appender, struct chunk_spares *spares, size_t entry_max, uint64_t last_index);
void appender_deinit(struct appender *appender);

// See store_reserve().
char *appender_reserve(struct appender *appender, size_t size, uint64_t *ret_index);
// See store_together().
void appender_together(struct appender *appender, size_t size);
// Hashes and queues the open entry, if there is one.
void appender_seal(struct appender *appender);
// Entry i from the front of the queue, i < count. Valid until the next reserve, seal or pop.
struct appender_entry *appender_at(struct appender *appender, size_t i);
// Takes the first entry off the queue; its chunk reference is the caller's.
struct appender_entry appender_pop(struct appender *appender);
// Drops everything that is open or queued from entry i of the queue on; the next index is last_index + 1.
void appender_drop(struct appender *appender, size_t i, uint64_t last_index);

static inline struct bytes appender_records(const struct appender_entry *entry)
{
    return bytes_make(entry->chunk->data + entry->offset + ENTRY_HEADER_SIZE, entry->length - ENTRY_HEADER_SIZE);
}

// As the handler sees it, with its header at `position` of `file`.
static inline struct entry_view appender_view(const struct appender_entry *entry, uint64_t file, uint64_t position)
{
    return (struct entry_view){
        .shard = entry->shard,
        .index = entry->index,
        .time_ns = entry->time_ns,
        .records = appender_records(entry),
        .chunk = entry->chunk,
        .file = file,
        .offset = position + ENTRY_HEADER_SIZE,
    };
}
