// SPDX-License-Identifier: Apache-2.0
// tidy: prefix store
// The part of store.h that says where messages are and reads them. Only passes on to index, segments and reader.
#include "base/must.h"
#include "store/parts_internal.h"
#include "store/store_internal.h"

void store_index_add(struct store *store, const struct entry_view *entry, uint32_t stream, uint64_t sequence,
                     uint64_t time_ns, size_t offset, size_t size)
{
    struct parts *parts = store->parts;
    must(entry->file <= UINT32_MAX && offset + size <= entry->records.len);
    if (store->context.options.memory) {
        tail_memory_add(&parts->tail, entry->chunk);
    }
    index_add(&parts->index, (uint32_t)entry->file, stream, sequence, time_ns, entry->offset + offset, (uint32_t)size);
}

void store_index_ahead(const struct store *store, const uint32_t *streams, size_t count)
{
    index_ahead(&store->parts->index, streams, count);
}

void store_trim(struct store *store, uint32_t stream, uint64_t first)
{
    index_trim(&store->parts->index, stream, first);
    segment_set_trim(&store->parts->segments, stream, first);
}

void store_forget(struct store *store, uint32_t stream, uint64_t sequence)
{
    index_forget(&store->parts->index, stream, sequence);
}

void store_fetch_ahead(struct store *store, const uint32_t *streams, const uint64_t *sequences, size_t count)
{
    reader_fetch_ahead(&store->parts->reader, streams, sequences, count);
}

int store_fetch(struct store *store, struct store_fetch *fetch)
{
    return reader_fetch(&store->parts->reader, fetch);
}

int store_seek(struct store *store, struct store_fetch *fetch)
{
    return reader_seek(&store->parts->reader, fetch);
}

void store_fetch_cancel(struct store *store, struct store_fetch *fetch)
{
    reader_cancel(&store->parts->reader, fetch);
}

size_t store_sizes(struct store *store, uint32_t stream, uint64_t first, struct store_size *ret, size_t max,
                   bool *ret_wait)
{
    return reader_sizes(&store->parts->reader, stream, first, ret, max, ret_wait);
}
