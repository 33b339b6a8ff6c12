// SPDX-License-Identifier: Apache-2.0
// The composition of everything that is not appending (see parts.h): index, cache, segments, reader,
// checkpoints, roll-over. Only passes on.
#include "store/parts.h"

#include "base/memory.h"
#include "base/must.h"
#include "store/parts_internal.h"

static void message_gone(void *owner, uint32_t file, uint32_t count);

struct parts *parts_new(struct store_context *context)
{
    struct parts *parts = mem_alloc_zero(sizeof(*parts));
    parts->context = context;
    index_init(&parts->index, context->options.memory ? message_gone : NULL, parts);
    tail_init(&parts->tail, context->options.cache_bytes, &context->spares);
    segment_set_init(&parts->segments, context);
    reader_init(&parts->reader, context, &parts->index, &parts->tail, &parts->segments);
    checkpoint_init(&parts->checkpoint, context, &parts->segments);
    rollover_init(&parts->rollover, context, &parts->index, &parts->segments, &parts->checkpoint);
    sidecar_writer_init(&parts->sidecars, context, &parts->index, &parts->rollover);
    saved_ids_init(&parts->ids, context);
    return parts;
}

void parts_free(struct parts *parts)
{
    if (!parts) {
        return;
    }
    saved_ids_deinit(&parts->ids);
    sidecar_writer_deinit(&parts->sidecars);
    rollover_deinit(&parts->rollover);
    checkpoint_deinit(&parts->checkpoint);
    reader_deinit(&parts->reader);
    segment_set_deinit(&parts->segments);
    index_deinit(&parts->index);
    tail_deinit(&parts->tail);
    mem_free(parts);
}

int parts_load(struct parts *parts, uint64_t first_index, struct parts_loaded *ret_loaded)
{
    struct checkpoint_loaded loaded;
    int result = checkpoint_load(&parts->checkpoint, first_index, &loaded);
    if (result == 0) {
        *ret_loaded = (struct parts_loaded){loaded.begin_index, loaded.end_index, loaded.rolled_index};
    }
    return result;
}

void parts_recovered(struct parts *parts, uint64_t first_index, uint64_t last_index, bool damaged)
{
    const struct log_view *log = &parts->context->log;
    rollover_recover(&parts->rollover, first_index, last_index, damaged);
    sidecar_writer_recover(&parts->sidecars);
    saved_ids_begin(&parts->ids, &parts->segments);
    // What was replayed as new is not in a checkpoint and counts towards the next.
    bool much = log->retained_bytes(log->owner) > parts->context->options.checkpoint_bytes;
    if (last_index > parts->checkpoint.covered_index && much) {
        checkpoint_request(&parts->checkpoint, true);
    }
}

bool parts_load_sidecar(struct parts *parts, const struct sidecar_info *info)
{
    const struct store_context *context = parts->context;
    const struct store_handler *handler = &context->handler;
    struct index_piece piece;
    uint64_t position = 0, from = 0;
    uint32_t stream = 0;
    char *runs, *ids;
    int error = sidecar_read(context->disk, info, info->ids_until_ns > context->now.wall_ns, &runs, &ids);
    if (error) {
        logger_write(context->options.logger, LOG_WARN,
                     "the sidecar of log file %016llx cannot be used (%s): the log file is scanned",
                     (unsigned long long)info->file, error_text(error));
        return false;
    }
    while (sidecar_next_piece(info, runs, &position, &piece)) {
        if (position == SIDECAR_RUN_SIZE + piece.count * INDEX_ENTRY_SIZE || piece.stream != stream) {
            stream = piece.stream;
            from = handler->first_wanted(handler->owner, stream);
        }
        index_add_piece(&parts->index, (uint32_t)info->file, &piece, from);
    }
    mem_free(runs);
    if (ids) {
        saved_ids_add(&parts->ids, ids, info->ids_bytes, info->last_index);
    }
    return true;
}

void parts_add_durable(struct parts *parts, uint64_t file, uint64_t offset, struct bytes bytes, struct chunk *chunk)
{
    must(file <= UINT32_MAX);
    tail_add(&parts->tail, (uint32_t)file, offset, bytes.ptr, bytes.len, chunk);
}

void parts_begin_file(struct parts *parts, uint64_t file)
{
    must(file <= UINT32_MAX);
    tail_begin_file(&parts->tail, (uint32_t)file);
}

bool parts_step(struct parts *parts)
{
    if (parts->context->options.memory) {
        return false;
    }
    bool more = rollover_step(&parts->rollover);
    more |= checkpoint_step(&parts->checkpoint);
    more |= sidecar_writer_step(&parts->sidecars);
    more |= saved_ids_step(&parts->ids);
    return more;
}

uint64_t parts_next_deadline_ms(const struct parts *parts)
{
    if (parts->context->options.memory) {
        return UINT64_MAX;
    }
    uint64_t rollover = rollover_next_deadline_ms(&parts->rollover);
    uint64_t checkpoint = checkpoint_next_deadline_ms(&parts->checkpoint);
    uint64_t sidecar = sidecar_writer_next_deadline_ms(&parts->sidecars);
    uint64_t deadline = rollover < checkpoint ? rollover : checkpoint;
    return sidecar < deadline ? sidecar : deadline;
}

bool parts_is_behind(const struct parts *parts)
{
    return !parts->context->options.memory && rollover_is_behind(&parts->rollover);
}

void parts_quiesce(struct parts *parts)
{
    parts->context->closing = true;
}

bool parts_is_busy(const struct parts *parts)
{
    return parts->context->requests > 0;
}

uint64_t parts_memory_bytes(const struct parts *parts)
{
    return parts->tail.memory_bytes;
}

void parts_stats(const struct parts *parts, struct store_stats *stats)
{
    stats->segments = parts->segments.count;
    stats->segment_bytes = parts->segments.file_bytes;
    stats->checkpoints = parts->checkpoint.written;
    stats->checkpoint_index = parts->checkpoint.covered_index;
    stats->index_bytes = parts->index.bytes + parts->segments.bytes;
    stats->cache_bytes = tail_bytes(&parts->tail);
}

// Memory store: messages left the index, their chunk may go.
static void message_gone(void *owner, uint32_t file, uint32_t count)
{
    struct parts *parts = owner;
    tail_memory_gone(&parts->tail, file, count);
}
