// SPDX-License-Identifier: Apache-2.0
// tidy: prefix rollover
// On a full disk a segment of which only the dedupe ids are wanted (a husk) gives its space back before their window closes: the
// ids go into a small segment of their own, and the husk is dead. Like any other it is removed when both generations of
// checkpoints say so; until then its successor may be lost, never the ids. Copies bytes, so the ids need not be known to the handler.
#include "base/hash.h"
#include "base/memory.h"
#include "base/must.h"
#include "store/rollover_internal.h"

static void husk_submit(struct rollover *rollover, enum disk_op op);
static void husk_done(struct disk_request *request);
static void husk_read(struct rollover *rollover, int result);

bool rollover_is_husk(const struct rollover *rollover, const struct segment *segment)
{
    const struct segment_info *info = &segment->info;
    return segment->state == SEGMENT_LIVE && segment->live_extents == 0 && !segment->missing && !segment->unreadable &&
           !segment_set_is_dead(rollover->segments, segment) && info->file_bytes > 2 * (info->ids_bytes + STORE_BLOCK);
}

void rollover_husk_begin(struct rollover *rollover)
{
    const struct segment *husk = rollover->husk;
    rollover->husk_ids = mem_alloc(husk->info.ids_bytes);
    rollover->handle = NULL;
    segment_name(husk->info.id, rollover->husk_path);
    rollover->state = ROLLOVER_READING;
    husk_submit(rollover, DISK_OPEN);
}

bool rollover_husk_attach(struct rollover *rollover)
{
    struct checkpoint *checkpoint = rollover->checkpoint;
    struct segment *segment;
    if (checkpoint_is_writing(checkpoint)) {
        return false; // which may have passed the one and not the other
    }
    must(segment_set_add(rollover->segments, &rollover->info, NULL, &segment) == 0);
    rollover->husk->moved = true;
    segment_set_die(rollover->segments, rollover->husk, checkpoint_next_number(checkpoint));
    rollover_husk_end(rollover);
    file_writer_free(rollover->writer);
    rollover->writer = NULL;
    rollover->failures = 0;
    checkpoint_request(checkpoint, true);
    rollover->state = ROLLOVER_IDLE;
    return true;
}

void rollover_husk_end(struct rollover *rollover)
{
    mem_free(rollover->husk_ids);
    rollover->husk_ids = NULL;
    rollover->husk = NULL;
}

static void husk_submit(struct rollover *rollover, enum disk_op op)
{
    struct store_context *context = rollover->context;
    const struct segment_info *info = &rollover->husk->info;
    rollover->husk_span = (struct disk_span){.ptr = rollover->husk_ids, .len = info->ids_bytes};
    rollover->request = (struct disk_request){
        .op = op,
        .flags = DISK_FLAG_READ_ONLY,
        .path = rollover->husk_path,
        .file = rollover->handle,
        .offset = info->ids_offset,
        .spans = &rollover->husk_span,
        .span_count = 1,
        .done = husk_done,
    };
    context->requests++;
    disk_submit(context->disk, DISK_POOL, &rollover->request);
}

static void husk_done(struct disk_request *request)
{
    struct rollover *rollover = container_of(request, struct rollover, request);
    const struct segment_info *info = &rollover->husk->info;
    rollover->context->requests--;
    if (request->op == DISK_CLOSE) {
        rollover->handle = NULL;
        husk_read(rollover, rollover->husk_result);
        return;
    }
    rollover->husk_result = request->result;
    if (request->op == DISK_OPEN && request->result == 0) {
        rollover->handle = request->file;
        husk_submit(rollover, DISK_READ);
    } else if (request->op == DISK_OPEN) {
        husk_read(rollover, request->result);
    } else {
        bool whole = request->transferred == info->ids_bytes &&
                     hash_bytes(bytes_make(rollover->husk_ids, info->ids_bytes), 0) == info->ids_check;
        rollover->husk_result = request->result ? request->result : whole ? 0 : ERR_CORRUPT;
        husk_submit(rollover, DISK_CLOSE);
    }
}

// The ids are there, or not: then the husk stays until their window closes.
static void husk_read(struct rollover *rollover, int result)
{
    const struct segment_info *husk = &rollover->husk->info;
    if (result != 0) {
        rollover->husk->unreadable = true;
        rollover_failed(rollover, result);
        return;
    }
    if (rollover->context->closing) {
        return;
    }
    rollover->info = (struct segment_info){
        .id = rollover->segments->next_id, .last_index = husk->last_index, .ids_until_ns = husk->ids_until_ns};
    rollover_writer_ensure(rollover);
    struct bytes ids = bytes_make(rollover->husk_ids, husk->ids_bytes), none = {0};
    must(segment_footer_encode(&rollover->info, NULL, none, ids, STORE_BLOCK, &rollover->writer->out) == 0);
    rollover->collected = rollover->footed = true;
    rollover->state = ROLLOVER_WRITING;
}
