// SPDX-License-Identifier: Apache-2.0
#include "store/memory.h"

#include "base/memory.h"
#include "store/parts.h"

struct memory_log *memory_new(struct store *store)
{
    return mem_alloc_zero(sizeof(struct memory_log));
}

void memory_free(struct memory_log *memory)
{
    mem_free(memory);
}

int memory_admit(const struct store *store, size_t size)
{
    uint64_t held = parts_memory_bytes(store->parts) + store->appender.queued_bytes;
    return held + size > store->context.options.memory_bytes ? ERR_LIMIT : 0;
}

bool memory_commit(struct store *store)
{
    struct memory_log *memory = store->memory_log;
    const struct store_handler *handler = &store->context.handler;
    struct appender *appender = &store->appender;
    appender_seal(appender);
    size_t count = appender->count;
    for (size_t i = 0; i < count; i++) {
        struct appender_entry entry = appender_pop(appender);
        struct entry_view view = appender_view(&entry, entry.chunk->number, entry.offset);
        memory->committed_index = entry.index;
        memory->appended_bytes += entry.length;
        handler->apply(handler->owner, &view);
        chunk_unref(entry.chunk);
    }
    if (count)
        handler->committed(handler->owner, memory->committed_index);
    return appender->open || appender->count;
}
